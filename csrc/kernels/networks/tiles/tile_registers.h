// The tile registers of a thread, by AMX.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/target.h"

#if defined(__AMX_TILE__)
#include <immintrin.h>

namespace audiogen::kernels::inline AUDIOGEN_ISA {

// Configures this thread's tile registers until it is destroyed, and leaves them in their initial
// state: between two rows a thread has no tile state for a context switch to save, and no code
// depends on what other code left in them. One at a time per thread. The process must have
// permission (kernels/dispatch.cpp); the operating system allocates 8 KB per thread at first use.
class TileRegisters {
 public:
  // Tiles 0 to 5, of sums and of one factor, have `n_rows` rows; 6 and 7, of the other one, 16.
  explicit TileRegisters(std::size_t n_rows = 16) {
    const auto n = static_cast<std::uint8_t>(n_rows);
    struct {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      std::uint8_t rows[16] = {};
    } config;
    for (std::size_t tile = 0; tile < 8; ++tile) config.rows[tile] = tile < 6 ? n : 16;
    _tile_loadconfig(&config);
    asm volatile("" ::: "memory");  // the intrinsics don't declare that they read memory
  }
  ~TileRegisters() { _tile_release(); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA

#endif
