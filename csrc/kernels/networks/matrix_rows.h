// What the loops of the matrix products share: panels of rows, and what follows a row's sum.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/networks/matrix.h"
#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

// Vectors per panel of rows. Panels are contiguous, each [step, vector].
#if defined(__AVX512F__)
inline constexpr std::size_t kVectors = 4;
#else
inline constexpr std::size_t kVectors = 2;
#endif
inline constexpr std::size_t kPanelRows = kVectors * kLanes;
static_assert(kBlockRows % kPanelRows == 0);

template <class T>
inline T read(const void* from) {
  T x;
  __builtin_memcpy(&x, from, sizeof(x));
  return x;
}

// Keeps the compiler from fusing the product `x` with a following addition, so that all instruction
// sets round alike.
template <class F>
inline F rounded(F x) {
#if defined(__x86_64__)
  asm("" : "+v"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#endif
  return x;
}

struct RowConstants {
  const float* bias;
  const float* scale;
  const float* sum;  // integers
};

// The product of a vector of rows, starting at `row`, with a part of an int8 column.
inline Vec scaled_integers(VecInt sum, const RowConstants& constants, std::size_t row,
                           const float* part) {
  const auto offset = read<std::int32_t>(part + 1);
  const VecInt exact = sum - read<VecInt>(constants.sum + row) * offset;
  const Vec scale = rounded(load<Vec>(constants.scale + row) * part[0]);
  return rounded(__builtin_convertvector(exact, Vec) * scale);
}

// Adds the bias to a vector of rows, starting at `row`, and stores the rows that y has.
inline void store_rows(const MatrixShape& shape, const RowConstants& constants, float* y,
                       std::size_t row, Vec result) {
  if (row >= shape.rows) return;
  result += load<Vec>(constants.bias + row);
  if (row + kLanes <= shape.rows) {
    store(y + row, result);
  } else {
    __builtin_memcpy(y + row, &result, (shape.rows - row) * sizeof(float));
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
