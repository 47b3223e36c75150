// Products of a matrix with a few columns, for recurrent networks. The matrix is packed once, in
// float32, bfloat16 or int8, and each weight is read once for all columns.
//
// The result of a column does not depend on the other columns, to the bit. int8 has one scale per
// row of the matrix, and one per part of a column, computed when the column is packed; its sums are
// exact integers, the same on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aligned_floats.h"
#include "core/target.h"
#include "kernels/networks/conv_rows.h"

namespace audiogen::kernels {

enum class MatrixForm { kFloat32, kBFloat16, kInt8 };

// With two parts, a column is the rounded x plus the rounded remainder: 16 bits in bfloat16 and in
// int8, so that only the weights are coarse. Both parts are multiplied with a weight while it is in
// a register.
//
// Rectified columns are zero where x is negative, so that int8 spends its range on positive numbers
// only. They list their non-zero steps: weights that would be multiplied by zeros only are not
// read, which changes no bit of a sum.
struct MatrixShape {
  std::size_t rows = 0;
  std::size_t depth = 0;
  MatrixForm form = MatrixForm::kFloat32;
  std::size_t parts = 1;  // or 2, except in float32
  bool rectified = false;
};

// Rows are divided into blocks, which can be multiplied separately.
inline constexpr std::size_t kBlockRows = 64;

// Packs weights [rows, depth] and a bias [rows], or null, for `multiply`: matrix_packed_floats
// floats, aligned to 64 bytes.
using PackMatrix = void(const MatrixShape& shape, const float* weight, const float* bias,
                        float* packed);

// Packs x [depth] for a matrix of this shape: column_floats floats, aligned to 64 bytes.
using PackColumn = void(const MatrixShape& shape, const float* x,
                        float* column) noexcept AUDIOGEN_REALTIME;

// y[c] [rows] = bias + weight x[c] for `n` contiguous packed columns. With many columns there is
// time to prefetch the start of `next`, the weights of the product that is likely to follow.
struct ProductCall {
  const float* packed;
  const float* columns;
  std::size_t n;
  float* const* y;
  std::size_t first_row;        // a multiple of kBlockRows
  std::size_t last_row;         // a multiple of kBlockRows, or `rows`
  const float* next = nullptr;  // n_next floats
  std::size_t n_next = 0;
};
using Multiply = void(const MatrixShape& shape, const ProductCall& call) noexcept AUDIOGEN_REALTIME;

// Multiplies an int8 matrix on tiles of 16 columns, bit-identical to `multiply`. Slower for a few
// columns, and emulated where there are no tiles.
using MultiplyTiles = Multiply;

// c [m, n] = a [m, depth] b [depth, n] in double precision, to multiply out weights.
struct FoldSizes {
  std::size_t m;
  std::size_t depth;
  std::size_t n;
};
using Fold = void(const FoldSizes& sizes, const double* a, const double* b, double* c);

inline namespace AUDIOGEN_ISA {

// Floats at the start of each part: int8's scale and offset, the length of a rectified column's
// list.
inline constexpr std::size_t kColumnHeader = 16;

inline constexpr std::size_t padded_depth(const MatrixShape& s) { return round_up(s.depth, 16); }

inline constexpr std::size_t padded_rows(const MatrixShape& s) {
  return round_up(s.rows, kBlockRows);
}

inline constexpr std::size_t part_floats(const MatrixShape& s) {
  return kColumnHeader + padded_depth(s) * (s.rectified ? 2 : 1);
}

inline constexpr std::size_t column_floats(const MatrixShape& s) {
  return s.parts * part_floats(s);
}

// Numbers of int8 that a tile may read beyond `padded_depth` (tile_matrix_cpu.cpp). A column's are
// zeros; a matrix's are arbitrary, because they are multiplied by zeros.
inline constexpr std::size_t kTileSlack = 48;

// Floats before the weights: bias, scale and sum of each row.
inline constexpr std::size_t matrix_constants(const MatrixShape& s) { return 3 * padded_rows(s); }

inline constexpr std::size_t matrix_packed_floats(const MatrixShape& s) {
  const std::size_t numbers = padded_rows(s) * padded_depth(s);
  const std::size_t fraction = s.form == MatrixForm::kFloat32    ? 1
                               : s.form == MatrixForm::kBFloat16 ? 2
                                                                 : 4;
  const std::size_t slack = s.form == MatrixForm::kInt8 ? kBlockRows * kTileSlack / 4 : 0;
  return matrix_constants(s) + numbers / fraction + slack;
}

}  // namespace AUDIOGEN_ISA

// A packed matrix.
struct Matrix {
  MatrixShape shape;
  core::AlignedFloats packed;
};

}  // namespace audiogen::kernels
