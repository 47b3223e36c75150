// A vector of floats as wide as the instruction set of the translation unit, on compiler vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/target.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

#if defined(__AVX512F__)
inline constexpr std::size_t kLanes = 16;
#elif defined(__AVX2__)
inline constexpr std::size_t kLanes = 8;
#else
inline constexpr std::size_t kLanes = 4;  // SSE2, NEON, or emulated by the compiler
#endif

// Arithmetic, comparison (giving a mask of 0 and -1) and `mask ? a : b` work lane by lane, and a
// scalar operand stands for all lanes, so that one template serves `float` and `Vec`.
using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));
using VecInt = std::int32_t __attribute__((vector_size(kLanes * sizeof(std::int32_t))));

inline Vec broadcast(float x) { return x - Vec{}; }

// `T` is `float` or `Vec`; the address needs no alignment.
template <class T>
inline T load(const float* from) {
  T x;
  std::memcpy(&x, from, sizeof(T));
  return x;
}

template <class T>
inline void store(float* to, T x) {
  std::memcpy(to, &x, sizeof(T));
}

template <std::size_t... kIndex>
inline Vec interleave_low_of(Vec a, Vec b, std::index_sequence<kIndex...>) {
  return __builtin_shufflevector(a, b, (kIndex / 2 + (kIndex % 2) * kLanes)...);
}

template <std::size_t... kIndex>
inline Vec interleave_high_of(Vec a, Vec b, std::index_sequence<kIndex...>) {
  return __builtin_shufflevector(a, b, (kLanes / 2 + kIndex / 2 + (kIndex % 2) * kLanes)...);
}

// a0 b0 a1 b1 ... from the lower halves of a and b, and from the upper ones.
inline Vec interleave_low(Vec a, Vec b) {
  return interleave_low_of(a, b, std::make_index_sequence<kLanes>{});
}

inline Vec interleave_high(Vec a, Vec b) {
  return interleave_high_of(a, b, std::make_index_sequence<kLanes>{});
}

// rows[i][j] <-> rows[j][i]: each interleaving of the halves rotates the index bits by one.
inline void transpose(Vec (&rows)[kLanes]) {
  for (std::size_t step = 1; step < kLanes; step *= 2) {
    Vec mixed[kLanes];
    for (std::size_t i = 0; i < kLanes / 2; ++i) {
      mixed[2 * i] = interleave_low(rows[i], rows[i + kLanes / 2]);
      mixed[2 * i + 1] = interleave_high(rows[i], rows[i + kLanes / 2]);
    }
    for (std::size_t i = 0; i < kLanes; ++i) rows[i] = mixed[i];
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
