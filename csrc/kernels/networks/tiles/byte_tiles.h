// Products of tiles of bytes with exact sums of 32 bits: by AMX, and emulated.
//
// Columns are unsigned, weights signed. A tile of columns is [up to 16 columns, 64 bytes], each
// column contiguous; a tile of weights [16 steps, 16 rows, 4 bytes], where the bytes of a step are
// neighbours in depth. One product adds 64 products of bytes to each of [columns, 16] sums, as
// TDPBUSD does (Intel, "Instruction Set Extensions Programming Reference", 2020). Sums are exact,
// so that their order doesn't matter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/target.h"
#include "kernels/networks/tiles/tile_registers.h"

#if defined(__AMX_INT8__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {

inline constexpr std::size_t kByteTileRows = 16, kByteTileColumns = 16, kByteTileDepth = 64;
inline constexpr std::size_t kByteTileSums = 4;  // tiles of sums

// Bytes of columns, of a weight's steps and of the vectors of a step.
struct ByteTileStrides {
  std::size_t columns;  // from a column to the next
  std::size_t parts;    // from a part of a column to the next
  std::size_t steps;    // from a step of the weights to the next
};

using ByteSums = std::int32_t[kByteTileSums][kByteTileColumns][kByteTileRows];

// The sums of `kParts` tiles of columns and 4 / kParts neighbouring tiles of weights, tile
// part * (4 / kParts) + t.
template <std::size_t kParts>
class EmulatedByteTileSums {
 public:
  void add(const std::uint8_t* columns, const std::uint8_t* weights, const ByteTileStrides& by) {
    constexpr std::size_t kTogether = kByteTileSums / kParts;
    for (std::size_t part = 0; part < kParts; ++part) {
      for (std::size_t t = 0; t < kTogether; ++t) {
        for (std::size_t c = 0; c < n_; ++c) {
          const std::uint8_t* x = columns + part * by.parts + c * by.columns;
          for (std::size_t k = 0; k < kByteTileDepth; ++k) {
            const std::uint8_t* step = weights + k / 4 * by.steps + t * kByteTileDepth + k % 4;
            for (std::size_t row = 0; row < kByteTileRows; ++row) {
              sums_[part * kTogether + t][c][row] += x[k] * static_cast<std::int8_t>(step[row * 4]);
            }
          }
        }
      }
    }
  }
  void store(ByteSums& to) const { __builtin_memcpy(&to, &sums_, sizeof(to)); }
  explicit EmulatedByteTileSums(std::size_t n_columns) : n_(n_columns) {}

 private:
  ByteSums sums_{};
  std::size_t n_;
};

// Stands for `AmxByteTiles` where the tiles are emulated.
struct EmulatedByteTiles {
  template <std::size_t kParts>
  using Sums = EmulatedByteTileSums<kParts>;
  explicit EmulatedByteTiles(std::size_t) {}
};

#if defined(__AMX_INT8__)

// The tile registers for some columns, and the sums in them.
class AmxByteTiles : TileRegisters {
 public:
  template <std::size_t kParts>
  class Sums {
   public:
    explicit Sums(std::size_t) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    void add(const std::uint8_t* columns, const std::uint8_t* weights, const ByteTileStrides& by) {
      _tile_loadd(4, columns, by.columns);
      if constexpr (kParts == 1) {
        _tile_loadd(6, weights, by.steps);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, weights + kByteTileDepth, by.steps);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(6, weights + 2 * kByteTileDepth, by.steps);
        _tile_dpbusd(2, 4, 6);
        _tile_loadd(7, weights + 3 * kByteTileDepth, by.steps);
        _tile_dpbusd(3, 4, 7);
      } else {
        _tile_loadd(6, weights, by.steps);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(7, weights + kByteTileDepth, by.steps);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(5, columns + by.parts, by.columns);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
      }
    }
    void store(ByteSums& to) const {
      constexpr std::size_t kRowBytes = kByteTileRows * sizeof(std::int32_t);
      _tile_stored(0, to[0], kRowBytes);
      _tile_stored(1, to[1], kRowBytes);
      _tile_stored(2, to[2], kRowBytes);
      _tile_stored(3, to[3], kRowBytes);
    }
  };

  using TileRegisters::TileRegisters;  // for a number of columns
};

#endif

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
