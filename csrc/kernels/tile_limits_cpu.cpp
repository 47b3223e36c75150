// The loops that reach the limits of a core's tiles.
#include "kernels/limits.h"
#include "kernels/networks/tiles/byte_tiles.h"
#include "kernels/networks/tiles/tiles.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

double peak_tiles([[maybe_unused]] std::size_t n) {
#if defined(__AMX_BF16__)
  const AmxTiles tiles;
  alignas(64) static constexpr std::uint16_t kZeros[kTileNumbers] = {};
  _tile_loadd(4, kZeros, 64);
  _tile_loadd(6, kZeros, 64);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::size_t i = 0; i < n; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 6);
    _tile_dpbf16ps(2, 4, 6);
    _tile_dpbf16ps(3, 4, 6);
  }
  return static_cast<double>(n) * 4 * 2 * kTileRows * kTileColumns * kTileDepth;
#else
  return 0.0;
#endif
}

double peak_byte_tiles([[maybe_unused]] std::size_t n) {
#if defined(__AMX_INT8__)
  const AmxByteTiles tiles(kByteTileColumns);
  for (std::size_t i = 0; i < n; ++i) {  // the tiles are zeros
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 6);
    _tile_dpbusd(2, 4, 6);
    _tile_dpbusd(3, 4, 6);
  }
  return static_cast<double>(n) * 4 * 2 * kByteTileColumns * kByteTileRows * kByteTileDepth;
#else
  return 0.0;
#endif
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
