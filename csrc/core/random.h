// Philox4x32-10, a counter-based random number generator: each number depends on its key and
// counter only, on any device and in any order.
//
// J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <cstdint>

#include "core/target.h"

namespace audiogen::core::inline AUDIOGEN_ISA {

struct PhiloxBlock {
  std::uint32_t word[4];
};

// Returns the four words of a counter under a key.
AUDIOGEN_HD inline PhiloxBlock philox(PhiloxBlock counter, std::uint64_t key) {
  std::uint32_t key_low = static_cast<std::uint32_t>(key);
  std::uint32_t key_high = static_cast<std::uint32_t>(key >> 32);
  std::uint32_t c0 = counter.word[0], c1 = counter.word[1];
  std::uint32_t c2 = counter.word[2], c3 = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ key_low;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ key_high;
    c3 = static_cast<std::uint32_t>(p0);
    key_low += 0x9E3779B9u;   // golden ratio
    key_high += 0xBB67AE85u;  // sqrt(3) - 1
  }
  return {{c0, c1, c2, c3}};
}

// Converts the upper 24 bits of a word to a float in [0, 1).
AUDIOGEN_HD inline float to_unit(std::uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

// Number i of row `row` in stream `stream`: word i % 4 of counter (i / 4, row, stream, 0).
AUDIOGEN_HD inline float philox_uniform(std::uint64_t seed, std::uint32_t stream, std::uint32_t row,
                                        std::uint32_t i) {
  return to_unit(philox({{i / 4, row, stream, 0}}, seed).word[i % 4]);
}

}  // namespace audiogen::core::inline AUDIOGEN_ISA
