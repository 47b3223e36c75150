// Products of an int8 matrix with many columns on tiles of bytes, of what `pack_matrix` and
// `pack_column` packed for VNNI.
#include "kernels/networks/matrix.h"
#include "kernels/networks/matrix_rows.h"

#if defined(__AVX512VNNI__)
#include "kernels/networks/tiles/byte_tiles.h"
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {

#if defined(__AVX512VNNI__)
namespace {

#if defined(__AMX_INT8__)
using ByteTiles = AmxByteTiles;
#else
using ByteTiles = EmulatedByteTiles;
#endif

static_assert(kLanes == kByteTileRows && kVectors == kByteTileSums);
static_assert(kByteTileDepth == kTileSlack + 16);

// Multiplies the call's rows with `n` columns from `first` on.
template <std::size_t kParts>
void multiply_columns(const MatrixShape& shape, const ProductCall& call, std::size_t first,
                      std::size_t n) {
  constexpr std::size_t kTogether = kByteTileSums / kParts;  // vectors of rows
  constexpr std::size_t kStepBytes = kVectors * kByteTileDepth;
  const std::size_t rows = padded_rows(shape), depth = padded_depth(shape);
  const RowConstants constants{call.packed, call.packed + rows, call.packed + 2 * rows};
  const auto* weights =
      reinterpret_cast<const std::uint8_t*>(call.packed + matrix_constants(shape));
  const float* columns = call.columns + first * column_floats(shape);
  const auto* numbers = reinterpret_cast<const std::uint8_t*>(columns + kColumnHeader);
  const ByteTileStrides by{column_floats(shape) * sizeof(float), part_floats(shape) * sizeof(float),
                           kStepBytes};
  const ByteTiles tiles(n);
  for (std::size_t row = call.first_row; row < call.last_row; row += kPanelRows) {
    const std::uint8_t* panel = weights + row / kPanelRows * (depth / 4 * kStepBytes);
    for (std::size_t vector = 0; vector < kVectors; vector += kTogether) {
      ByteTiles::Sums<kParts> tile_sums(n);
      for (std::size_t k = 0; k < depth; k += kByteTileDepth) {
        tile_sums.add(numbers + k, panel + k / 4 * kStepBytes + vector * kByteTileDepth, by);
      }
      alignas(64) ByteSums sums;
      tile_sums.store(sums);
      for (std::size_t c = 0; c < n; ++c) {
        const float* column = columns + c * column_floats(shape);
        for (std::size_t t = 0; t < kTogether; ++t) {
          const std::size_t at = row + (vector + t) * kLanes;
          Vec result = scaled_integers(read<VecInt>(sums[t][c]), constants, at, column);
          if constexpr (kParts == 2) {
            result += scaled_integers(read<VecInt>(sums[kTogether + t][c]), constants, at,
                                      column + part_floats(shape));
          }
          store_rows(shape, constants, call.y[first + c], at, result);
        }
      }
    }
  }
}

}  // namespace

void multiply_tiles(const MatrixShape& shape, const ProductCall& call) noexcept AUDIOGEN_REALTIME {
  std::size_t groups = (call.n + kByteTileColumns - 1) / kByteTileColumns;
  for (std::size_t first = 0; first < call.n; --groups) {
    const std::size_t n = (call.n - first + groups - 1) / groups;  // nearly equal
    if (shape.parts == 2) {
      multiply_columns<2>(shape, call, first, n);
    } else {
      multiply_columns<1>(shape, call, first, n);
    }
    first += n;
  }
}

#else

Multiply multiply;

void multiply_tiles(const MatrixShape& shape, const ProductCall& call) noexcept AUDIOGEN_REALTIME {
  multiply(shape, call);
}

#endif

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
