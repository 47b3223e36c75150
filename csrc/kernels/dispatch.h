// The table of CPU kernels, and the choice of its instruction set at run time.
#pragma once

#include <string_view>
#include <vector>

#include "kernels/limits.h"
#include "kernels/networks/conv_rows.h"
#include "kernels/networks/matrix.h"
#include "kernels/networks/sample_step.h"
#include "kernels/networks/tiles/tile_rows.h"
#include "kernels/spectra/istft.h"
#include "kernels/spectra/phase.h"
#include "kernels/spectra/polar.h"

// One line per kernel: its function type, declared in the kernel's header, and its name. The
// function is defined in `namespace audiogen::kernels::AUDIOGEN_ISA` in a `*_cpu.cpp` file, which
// the build compiles once per instruction set. Such files must only use inline code that is marked
// with AUDIOGEN_ISA (see core/target.h).
#define AUDIOGEN_KERNELS(X)                          \
  X(Wrap, wrap)                                      \
  X(Unwrap, unwrap)                                  \
  X(InstantaneousFrequency, instantaneous_frequency) \
  X(Integrate, integrate)                            \
  X(PolarToRectangular, polar_to_rectangular)        \
  X(Istft, istft)                                    \
  X(PackConv, pack_conv)                             \
  X(ConvRow, conv_row)                               \
  X(FinishRow, finish_row)                           \
  X(LinearRow, linear_row)                           \
  X(ImageRow, image_row)                             \
  X(PackMatrix, pack_matrix)                         \
  X(PackColumn, pack_column)                         \
  X(Multiply, multiply)                              \
  X(Fold, fold)                                      \
  X(GruGates, gru_gates)                             \
  X(GruGatesGradient, gru_gates_gradient)            \
  X(LstmGates, lstm_gates)                           \
  X(AddRows, add_rows)                               \
  X(Draw, draw)                                      \
  X(PeakFloat32, peak_float32)                       \
  X(PeakBFloat16, peak_bfloat16)                     \
  X(PeakInt8, peak_int8)                             \
  X(ReadFloats, read_floats)                         \
  AUDIOGEN_TILE_KERNELS(X)

// The kernels in which the set `amx` differs from `avx512_bf16`.
#define AUDIOGEN_TILE_KERNELS(X)    \
  X(PackTileConv, pack_tile_conv)   \
  X(TileConvRow, tile_conv_row)     \
  X(FinishTileRow, finish_tile_row) \
  X(TileImageRow, tile_image_row)   \
  X(MultiplyTiles, multiply_tiles)  \
  X(PeakTiles, peak_tiles)          \
  X(PeakByteTiles, peak_byte_tiles)

namespace audiogen::kernels {

struct KernelTable {
  const char* isa;  // "baseline", "avx2", "avx512", "avx512_bf16" or "amx"
#define AUDIOGEN_MEMBER(Type, name) Type* name;
  AUDIOGEN_KERNELS(AUDIOGEN_MEMBER)
#undef AUDIOGEN_MEMBER
};

// How a set of kernels computes the rows of a generator in bfloat16.
enum class BFloat16Rows {
  kNone,     // not at all
  kFloat32,  // in float32, which is faster on this CPU
  kPairs,    // conv_rows.h, by products of pairs
  kTiles,    // tile_rows.h
};
// Requests the system's permission for the tiles of the set `amx`, for all threads of the process;
// if it is refused, rows are computed as without AMX.
BFloat16Rows bfloat16_rows(const KernelTable& table);

// Whether `multiply_tiles` is faster than `multiply` with many columns; requests the permission,
// too.
bool has_byte_tiles(const KernelTable& table);

// Kernels for the best instruction set of this CPU, or for the one that the environment variable
// AUDIOGEN_ISA names. The first call decides, and is not for the audio thread. Throws
// std::invalid_argument if this CPU does not support the set that AUDIOGEN_ISA names.
const KernelTable& kernels();

// Kernels of all instruction sets that this build and this CPU support, simplest first. The tile
// kernels may be called once `bfloat16_rows` has returned `kTiles` or `has_byte_tiles` true.
std::vector<const KernelTable*> available_kernels();

}  // namespace audiogen::kernels
