// Rows of a GANSynth generator's layers on bfloat16 tiles: the layers of conv_rows.h, by direct
// convolution.
//
// A row is bfloat16 [planes, bins, 32]: the channels are padded with zeros to a multiple of 32, and
// a plane holds 32 of them. A pointer to a row points at bin 0 of plane 0. In each plane, bin -1
// and the bins from n_bins up to a multiple of 16, and one more, are readable and zero. So a tile
// of A, 16 bins of a plane, is contiguous wherever it starts. Pointers are to float only to suit
// the allocation and `ConvRowCall`.
//
// A plain layer multiplies 9 taps. After an upsampling, each of the 2 x 2 outputs of a pixel
// depends on 2 x 2 inputs, whose taps are summed when the weights are packed: 16 products instead
// of 36. The algorithms with fewer products in conv_rows.h would double bfloat16's error, and their
// additions would take longer than the products that they save.
//
// In the instruction set `amx`, the tiles are AMX's; in all others they are emulated, which is slow
// and only for tests. Both add in the same order (tiles.h).
#pragma once

#include <cstddef>

#include "core/target.h"
#include "kernels/networks/conv_rows.h"

namespace audiogen::kernels {

// Packs weights [out, in, 3, 3]: tile_packed_floats floats, aligned to 64 bytes. `shape.bfloat16`
// is not read.
using PackTileConv = PackConv;

// One row of a layer; `stash` and `stash_valid` are not read, the workspace has
// tile_workspace_floats floats, and arrays of channels are padded to tile_channels. The processor's
// tile registers are in their initial state before and after.
using TileConvRow = ConvRow;

// Applies an epilogue to sums [n_bins, tile_channels], which it overwrites, and writes a row.
using FinishTileRow = void(const RowEpilogue& epilogue, std::size_t channels, std::size_t n_bins,
                           float* sums, float* row) noexcept AUDIOGEN_REALTIME;

// As `ImageRow`, with a row in bfloat16 and a weight [2, tile_channels] in float32.
using TileImageRow = ImageRow;

inline namespace AUDIOGEN_ISA {

inline constexpr std::size_t kTilePlane = 32;  // channels of a plane

inline constexpr std::size_t tile_channels(std::size_t n) { return round_up(n, kTilePlane); }

// Number of values in a plane: bin -1, the bins up to a multiple of 16, and one more.
inline constexpr std::size_t tile_plane_numbers(std::size_t n_bins) {
  return (round_up(n_bins, 16) + 2) * kTilePlane;
}

// Offset of bin 0 in a row's memory, in floats: 64 bytes.
inline constexpr std::size_t kTileRowGuard = kTilePlane / 2;

inline constexpr std::size_t tile_row_floats(std::size_t channels, std::size_t n_bins) {
  return tile_channels(channels) / kTilePlane * tile_plane_numbers(n_bins) / 2;
}

inline constexpr std::size_t tile_packed_floats(const ConvShape& s) {
  return (s.upsample ? 16 : 9) * tile_channels(s.in_channels) * tile_channels(s.out_channels) / 2;
}

// Input bins whose sums are computed before the epilogue: with many channels, enough bins that the
// weights are read rarely; with few, so few that the sums stay in the level 1 cache.
inline constexpr std::size_t tile_block(const ConvShape& s) {
  return tile_channels(s.out_channels) >= 128 ? 128 : 32;
}

inline constexpr std::size_t tile_workspace_floats(const ConvShape& s) {
  return (tile_block(s) << (s.upsample ? 1 : 0)) * tile_channels(s.out_channels);
}

}  // namespace AUDIOGEN_ISA

}  // namespace audiogen::kernels
