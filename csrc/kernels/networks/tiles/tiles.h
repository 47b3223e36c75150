// Products of bfloat16 tiles with float32 sums: by AMX, and emulated to the bit.
//
// A tile of A is [16 rows, 32 numbers], a tile of B [16 pairs, 16 columns, 2 numbers]: the numbers
// of a pair are neighbours in depth. Each is contiguous, 1 KB, aligned to 64 bytes. One product
// adds 32 products of numbers to each of 16 x 16 sums as TDPBF16PS does (Intel, "Instruction Set
// Extensions Programming Reference", 2020): the even and the odd numbers of the pairs are summed
// separately, from 0, by fused multiply-adds in order of depth, then added together, then added to
// the old sum.
// Numbers are rounded to nearest, ties to even; denormal inputs and results are zeros.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/target.h"
#include "kernels/networks/tiles/tile_registers.h"

#if defined(__AMX_BF16__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {

inline constexpr std::size_t kTileRows = 16, kTileColumns = 16, kTileDepth = 32;
inline constexpr std::size_t kTileNumbers = 512;  // of a tile of A or B

// The sums of `kRows` x 2 tiles: rows of A in tiles a[0] .. a[kRows - 1], columns of B in two
// tiles, one after the other.
template <std::size_t kRows>
class EmulatedTileSums {
 public:
  void add(const std::uint16_t* const (&a)[kRows], const std::uint16_t* b) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < 2; ++c) add_tile(a[r], b + c * kTileNumbers, sums_[r][c]);
    }
  }
  // Row i of the tiles goes to `to` + i * stride, stride in floats.
  void store(float* to, std::size_t stride) const {
    for (std::size_t r = 0; r < kRows * kTileRows; ++r) {
      for (std::size_t c = 0; c < 2 * kTileColumns; ++c) {
        to[r * stride + c] =
            sums_[r / kTileRows][c / kTileColumns][r % kTileRows][c % kTileColumns];
      }
    }
  }

 private:
  using Sums = float[kTileRows][kTileColumns];

  static float flushed(float x) {
    return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x;
  }
  static float widened(std::uint16_t x) {
    return flushed(__builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16));
  }
  static void add_tile(const std::uint16_t* a, const std::uint16_t* b, Sums& sums) {
    for (std::size_t row = 0; row < kTileRows; ++row) {
      for (std::size_t column = 0; column < kTileColumns; ++column) {
        float parts[2] = {0.0f, 0.0f};
        for (std::size_t k = 0; k < kTileDepth; ++k) {
          const float x = widened(a[row * kTileDepth + k]);
          const float w = widened(b[(k / 2 * kTileColumns + column) * 2 + k % 2]);
          parts[k % 2] = flushed(__builtin_fmaf(x, w, parts[k % 2]));
        }
        float& sum = sums[row][column];
        sum = flushed(sum + flushed(parts[0] + parts[1]));
      }
    }
  }

  Sums sums_[kRows][2]{};
};

// Stands for `AmxTiles` where the tiles are emulated.
struct EmulatedTiles {
  template <std::size_t kRows>
  using Sums = EmulatedTileSums<kRows>;
};

#if defined(__AMX_BF16__)

// The tile registers, and the sums in them.
class AmxTiles : TileRegisters {
 public:
  template <std::size_t kRows>
  class Sums {
   public:
    Sums() {
      _tile_zero(0);
      _tile_zero(1);
      if constexpr (kRows == 2) {
        _tile_zero(2);
        _tile_zero(3);
      }
    }
    void add(const std::uint16_t* const (&a)[kRows], const std::uint16_t* b) {
      _tile_loadd(4, a[0], kStride);
      _tile_loadd(6, b, kStride);
      _tile_loadd(7, b + kTileNumbers, kStride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kRows == 2) {
        _tile_loadd(5, a[1], kStride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    void store(float* to, std::size_t stride) const {
      const std::size_t bytes = stride * sizeof(float);
      _tile_stored(0, to, bytes);
      _tile_stored(1, to + kTileColumns, bytes);
      if constexpr (kRows == 2) {
        _tile_stored(2, to + kTileRows * stride, bytes);
        _tile_stored(3, to + kTileRows * stride + kTileColumns, bytes);
      }
    }

   private:
    static constexpr std::size_t kStride = 64;  // bytes
  };
};

#endif

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
