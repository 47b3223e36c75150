// Products of one matrix with a few columns, as recurrent networks want them: packed once, in
// float32, bfloat16 or int8, and each number of it read once for all columns.
//
// A column's result doesn't depend on the columns beside it, to the bit. int8 has one scale for
// each row of the matrix, and one for each part of a column, found when the column is packed; its
// sums are exact integers, the same on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/aligned_floats.h"
#include "core/target.h"
#include "kernels/conv_rows.h"

namespace audiogen::kernels {

enum class MatrixForm { kFloat32, kBFloat16, kInt8 };

// With two parts a column is what its form holds of it, and what the form holds of the rest: 16
// bits in bfloat16 and in int8, so that the weights alone are rough. Both meet a weight as it is
// read.
//
// Rectified columns are zero where x is negative, on which int8 then spends none of its range. They
// list where they aren't zero: weights that would meet zeros alone needn't be read, which changes
// no bit of a sum.
struct MatrixShape {
  std::size_t rows = 0;
  std::size_t depth = 0;
  MatrixForm form = MatrixForm::kFloat32;
  std::size_t parts = 1;  // or 2, but not of float32
  bool rectified = false;
};

// Rows come in blocks, which may be multiplied apart.
inline constexpr std::size_t kBlockRows = 64;

// Brings weights [rows, depth] and a bias [rows], or null, into the order and form in which
// `multiply` reads them: matrix_packed_floats floats, aligned to 64 bytes.
using PackMatrix = void(const MatrixShape& shape, const float* weight, const float* bias,
                        float* packed);

// Brings x [depth] into the form of a matrix: column_floats floats, aligned to 64 bytes.
using PackColumn = void(const MatrixShape& shape, const float* x,
                        float* column) noexcept AUDIOGEN_REALTIME;

// y[c] [rows] = bias + weight x[c] for `n` packed columns, one after the other. Many columns
// leave time to fetch the beginning of `next`, the weights that are likely to be multiplied after.
struct ProductCall {
  const float* packed;
  const float* columns;
  std::size_t n;
  float* const* y;
  std::size_t first_row;        // a multiple of kBlockRows
  std::size_t last_row;         // the same, or `rows`
  const float* next = nullptr;  // n_next floats
  std::size_t n_next = 0;
};
using Multiply = void(const MatrixShape& shape, const ProductCall& call) noexcept AUDIOGEN_REALTIME;

// c [m, n] = a [m, depth] b [depth, n] in double, for multiplying weights out.
struct FoldSizes {
  std::size_t m;
  std::size_t depth;
  std::size_t n;
};
using Fold = void(const FoldSizes& sizes, const double* a, const double* b, double* c);

inline namespace AUDIOGEN_ISA {

// Floats, of each part: scale and offset of int8, length of a rectified column's list.
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

// Bias, scale and sum of each row, which lie before the weights.
inline constexpr std::size_t matrix_constants(const MatrixShape& s) { return 3 * padded_rows(s); }

inline constexpr std::size_t matrix_packed_floats(const MatrixShape& s) {
  const std::size_t numbers = padded_rows(s) * padded_depth(s);
  const std::size_t fraction = s.form == MatrixForm::kFloat32    ? 1
                               : s.form == MatrixForm::kBFloat16 ? 2
                                                                 : 4;
  return matrix_constants(s) + numbers / fraction;
}

}  // namespace AUDIOGEN_ISA

// A packed matrix.
struct Matrix {
  MatrixShape shape;
  core::AlignedFloats packed;
};

}  // namespace audiogen::kernels
