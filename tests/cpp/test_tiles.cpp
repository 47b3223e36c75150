// A product of emulated tiles equals its definition, and AMX's product equals it to the bit.
#include "kernels/networks/tiles/tiles.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "check.h"
#include "core/math.h"
#include "kernels/dispatch.h"

using namespace audiogen::kernels;

namespace {

constexpr std::size_t kRows = 2 * kTileRows, kColumns = 2 * kTileColumns;
constexpr std::size_t kSteps = 3;

std::uint16_t rounded(float x) {
  return static_cast<std::uint16_t>(audiogen::core::bfloat16_word(x) >> 16);
}

float widened(std::uint16_t x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16);
}

// Factors of `kSteps` products of 2 x 2 tiles.
struct alignas(64) Factors {
  std::uint16_t a[kSteps][2][kTileNumbers] = {};
  std::uint16_t b[kSteps][2 * kTileNumbers] = {};

  std::uint16_t& a_at(std::size_t row, std::size_t k) {
    return a[k / kTileDepth][row / kTileRows][row % kTileRows * kTileDepth + k % kTileDepth];
  }
  std::uint16_t& b_at(std::size_t k, std::size_t column) {
    const std::size_t within = k % kTileDepth;
    return b[k / kTileDepth][column / kTileColumns * kTileNumbers +
                             (within / 2 * kTileColumns + column % kTileColumns) * 2 + within % 2];
  }
  void fill(std::mt19937& random, float scale) {
    std::normal_distribution<float> normal;
    for (std::size_t k = 0; k < kSteps * kTileDepth; ++k) {
      for (std::size_t i = 0; i < kRows; ++i) {
        a_at(i, k) = rounded(scale * normal(random));
        b_at(k, i) = rounded(scale * normal(random));
      }
    }
  }
};

template <class Sums>
std::vector<float> product(const Factors& f) {
  Sums sums;
  for (std::size_t k = 0; k < kSteps; ++k) sums.add({f.a[k][0], f.a[k][1]}, f.b[k]);
  std::vector<float> out(kRows * kColumns);
  sums.store(out.data(), kColumns);
  return out;
}

std::vector<float> emulated(const Factors& f) { return product<EmulatedTileSums<2>>(f); }

void equals_its_definition(std::mt19937& random) {
  Factors f;
  f.fill(random, 1.0f);
  const std::vector<float> got = emulated(f);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t column = 0; column < kColumns; ++column) {
      double want = 0.0;
      for (std::size_t k = 0; k < kSteps * kTileDepth; ++k) {
        want += static_cast<double>(widened(f.a_at(row, k))) * widened(f.b_at(k, column));
      }
      CHECK_NEAR(got[row * kColumns + column], want, 2e-5);
    }
  }
}

// Even numbers are summed apart from odd ones, from 0 in each product, one after the other.
void rounds_in_order() {
  Factors f;
  for (std::size_t k = 0; k < kTileDepth; ++k) {
    f.a_at(0, k) = rounded(1.0f);
    f.b_at(k, 0) = rounded(1.0f);
  }
  f.b_at(0, 0) = rounded(0x1p24f);  // 1 added to it is lost: the 15 even numbers after it are
  CHECK(emulated(f)[0] == 0x1p24f + 16.0f);
  f.a_at(0, kTileDepth) = f.b_at(kTileDepth, 0) =
      rounded(1.0f);  // lost in the sum of both products
  CHECK(emulated(f)[0] == 0x1p24f + 16.0f);
  f.a_at(0, kTileDepth) = rounded(3.0f);  // a tie again, to the even neighbour above
  CHECK(emulated(f)[0] == 0x1p24f + 20.0f);
}

void flushes_denormal_numbers() {
  Factors f;
  f.a_at(0, 0) = 0x0001;  // a denormal number
  f.b_at(0, 0) = rounded(0x1p120f);
  f.a_at(1, 0) = rounded(0x1p-100f);
  f.b_at(0, 1) = rounded(0x1p-30f);
  const std::vector<float> got = emulated(f);
  CHECK(got[0] == 0.0f && got[kColumns + 1] == 0.0f);
  CHECK(got[kColumns] == 0x1p20f);
}

void amx_is_the_same(std::mt19937& random) {
  bool available = false;
  for (const KernelTable* table : available_kernels()) {
    available |= bfloat16_rows(*table) == BFloat16Rows::kTiles;  // permits them
  }
  if (!available) {
    std::printf("this CPU, or this system, has no AMX: its products are not compared\n");
    return;
  }
#if defined(__AMX_BF16__)
  Factors f;
  for (const float scale : {1.0f, 1e-19f, 1e19f}) {  // also denormal products, and infinity
    for (std::size_t i = 0; i < 20; ++i) {
      f.fill(random, scale);
      const std::vector<float> want = emulated(f);
      std::vector<float> got;
      {
        const AmxTiles tiles;
        got = product<AmxTiles::Sums<2>>(f);
      }
      CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof(float)) == 0);
    }
  }
#else
  (void)random;
#endif
}

}  // namespace

int main() {
  std::mt19937 random(1);
  equals_its_definition(random);
  rounds_in_order();
  flushes_denormal_numbers();
  amx_is_the_same(random);
  return audiogen::test::finish();
}
