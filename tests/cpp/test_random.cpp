// Philox gives the published numbers, and each number depends on its position alone.
#include "core/random.h"

#include "check.h"

namespace core = audiogen::core;

static void check_block(core::PhiloxBlock counter, std::uint64_t key, core::PhiloxBlock expected) {
  const core::PhiloxBlock block = core::philox(counter, key);
  for (int i = 0; i < 4; ++i) CHECK(block.word[i] == expected.word[i]);
}

int main() {
  // Random123, tests/kat_vectors, "philox4x32 10".
  check_block({{0, 0, 0, 0}}, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  const std::uint32_t ones = 0xffffffff;
  check_block({{ones, ones, ones, ones}}, 0xffffffffffffffff,
              {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check_block({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822,
              {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
  CHECK(core::to_unit(0) == 0.0f);
  CHECK(core::to_unit(ones) < 1.0f);
  CHECK(core::philox_uniform(0, 0, 0, 2) == core::to_unit(0xbc57ac4c));
  double mean = 0;
  for (std::uint32_t i = 0; i < 10000; ++i) mean += core::philox_uniform(1, 2, 3, i) / 10000;
  CHECK_NEAR(mean, 0.5, 0.015);  // five standard errors
  return audiogen::test::finish();
}
