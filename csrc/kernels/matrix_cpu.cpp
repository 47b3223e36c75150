// Loops of the matrix products: packing, and tiles of rows and columns whose sums stay in
// registers.
#include "kernels/matrix.h"

#include <utility>

#include "core/math.h"
#include "kernels/vec.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

using Byte = unsigned char;
using VecWord = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));

template <class T>
inline T get(const void* from) {
  T x;
  __builtin_memcpy(&x, from, sizeof(x));
  return x;
}

// Keeps the compiler from fusing the product `x` with what follows, so that every instruction set
// rounds alike.
template <class F>
inline F rounded(F x) {
#if defined(__x86_64__)
  asm("" : "+v"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#endif
  return x;
}

// ---- Forms: how a vector of rows meets one or more numbers of a column ----
//
// kDepth numbers of a column are multiplied in one step; a step takes kWeightBytes for each vector
// of rows, and kColumnBytes.

struct Float32 {
  using Sum = Vec;
  using Weight = Vec;
  using X = Vec;
  static constexpr std::size_t kDepth = 1, kWeightBytes = sizeof(Vec), kColumnBytes = 4;
  static Weight weight(const Byte* from) { return get<Vec>(from); }
  static X spread(const Byte* from) { return broadcast(get<float>(from)); }
  static Sum add(Sum sum, Weight w, X x) { return w * x + sum; }
};

#if defined(__AVX512BF16__)
struct BFloat16 {
  using Sum = Vec;
  using Weight = __m512bh;
  using X = __m512bh;
  static constexpr std::size_t kDepth = 2, kWeightBytes = sizeof(Vec), kColumnBytes = 4;
  static Weight weight(const Byte* from) { return get<__m512bh>(from); }
  static X spread(const Byte* from) {
    return __builtin_bit_cast(__m512bh, _mm512_set1_epi32(get<int>(from)));
  }
  static Sum add(Sum sum, Weight w, X x) {
    return __builtin_bit_cast(Vec, _mm512_dpbf16_ps(__builtin_bit_cast(__m512, sum), w, x));
  }
};
#else
// Pairs of bfloat16 in one word, widened where they are read; columns lie as floats.
struct BFloat16 {
  using Sum = Vec;
  struct Weight {
    Vec even, odd;
  };
  struct X {
    Vec even, odd;
  };
  static constexpr std::size_t kDepth = 2, kWeightBytes = sizeof(Vec), kColumnBytes = 8;
  static Weight weight(const Byte* from) {
    const VecWord words = get<VecWord>(from);
    return {__builtin_bit_cast(Vec, words << 16), __builtin_bit_cast(Vec, words & 0xffff0000u)};
  }
  static X spread(const Byte* from) {
    return {broadcast(get<float>(from)), broadcast(get<float>(from + 4))};
  }
  static Sum add(Sum sum, Weight w, X x) {
    sum = w.even * x.even + sum;
    return w.odd * x.odd + sum;
  }
};
#endif

#if defined(__AVX512VNNI__)
// Columns are unsigned: signed ones lie 128 higher, which the sum of the row's weights undoes.
struct Int8 {
  using Sum = VecInt;
  using Weight = __m512i;
  using X = __m512i;
  using Number = std::uint8_t;
  static constexpr std::size_t kDepth = 4, kWeightBytes = sizeof(Vec), kColumnBytes = 4;
  static constexpr std::int32_t kOffset = 128;
  static Weight weight(const Byte* from) { return get<__m512i>(from); }
  static X spread(const Byte* from) { return _mm512_set1_epi32(get<int>(from)); }
  static Sum add(Sum sum, Weight w, X x) {
    return __builtin_bit_cast(VecInt, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum), x, w));
  }
};
#else
// Pairs of bytes, widened to 16 bits where they are read.
struct Int8 {
  using Sum = VecInt;
  using X = VecInt;
  using Number = std::int16_t;
  static constexpr std::size_t kDepth = 2, kWeightBytes = sizeof(Vec) / 2, kColumnBytes = 4;
  static constexpr std::int32_t kOffset = 0;
  static X spread(const Byte* from) { return get<std::int32_t>(from) - VecInt{}; }
#if defined(__AVX512BW__)
  using Weight = __m512i;
  static Weight weight(const Byte* from) { return _mm512_cvtepi8_epi16(get<__m256i>(from)); }
  static Sum add(Sum sum, Weight w, X x) {
    return sum + __builtin_bit_cast(VecInt, _mm512_madd_epi16(w, __builtin_bit_cast(__m512i, x)));
  }
#elif defined(__AVX2__)
  using Weight = __m256i;
  static Weight weight(const Byte* from) { return _mm256_cvtepi8_epi16(get<__m128i>(from)); }
  static Sum add(Sum sum, Weight w, X x) {
    return sum + __builtin_bit_cast(VecInt, _mm256_madd_epi16(w, __builtin_bit_cast(__m256i, x)));
  }
#elif defined(__SSE2__)
  using Weight = __m128i;
  static Weight weight(const Byte* from) {
    const __m128i bytes = _mm_set_epi64x(0, get<long long>(from));
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
  }
  static Sum add(Sum sum, Weight w, X x) {
    return sum + __builtin_bit_cast(VecInt, _mm_madd_epi16(w, __builtin_bit_cast(__m128i, x)));
  }
#else
  struct Weight {
    VecInt even, odd;
  };
  static Weight weight(const Byte* from) {
    Weight w;
    for (std::size_t i = 0; i < kLanes; ++i) {
      w.even[i] = static_cast<signed char>(from[2 * i]);
      w.odd[i] = static_cast<signed char>(from[2 * i + 1]);
    }
    return w;
  }
  static Sum add(Sum sum, Weight w, X x) {
    return sum + w.even * ((x << 16) >> 16) + w.odd * (x >> 16);
  }
#endif
};
#endif

// ---- Tiles ----

// Vectors of a panel of rows. Panels lie one after the other, each [step, vector].
#if defined(__AVX512F__)
constexpr std::size_t kVectors = 4;
#else
constexpr std::size_t kVectors = 2;
#endif
constexpr std::size_t kPanelRows = kVectors * kLanes;
static_assert(kBlockRows % kPanelRows == 0);
constexpr std::size_t kMostColumns = 6;  // 24 sums of 32 registers, or 12 of 16

// Few columns leave room for the sums of more panels, whose additions then needn't wait for each
// other.
constexpr std::size_t panels_for(std::size_t columns) { return columns > 2 ? 1 : 2; }

// Bytes that weights are fetched ahead of their use where there are many columns: the processor's
// own prefetcher, which serves few columns best, is too slow for the gaps between reads.
constexpr std::size_t kAhead = 4096;

constexpr std::size_t kStepUnroll = 4;  // padded_depth holds as many steps of any form

template <class T>
constexpr std::size_t panel_bytes(const MatrixShape& shape) {
  return padded_depth(shape) / T::kDepth * kVectors * T::kWeightBytes;
}

struct RowConstants {
  const float* bias;
  const float* scale;
  const float* sum;  // integers
};

// The result of a vector of rows, from `row` on.
template <class T>
inline Vec finished(typename T::Sum sum, const RowConstants& constants, std::size_t row,
                    const float* column) {
  if constexpr (std::is_same_v<typename T::Sum, Vec>) {
    return sum + load<Vec>(constants.bias + row);
  } else {
    const auto offset = get<std::int32_t>(column + 1);
    const VecInt exact = sum - get<VecInt>(constants.sum + row) * offset;
    const Vec scale = rounded(load<Vec>(constants.scale + row) * column[0]);
    return __builtin_convertvector(exact, Vec) * scale + load<Vec>(constants.bias + row);
  }
}

template <class T, std::size_t kPanels, std::size_t kColumns>
void multiply_tile(const MatrixShape& shape, const ProductCall& call, const RowConstants& constants,
                   const Byte* weights, std::size_t first_row, std::size_t first_column) {
  using Sum = typename T::Sum;
  const std::size_t panel = panel_bytes<T>(shape), stride = column_floats(shape);
  const float* columns = call.columns + first_column * stride;
  const Byte* x[kColumns];
  for (std::size_t c = 0; c < kColumns; ++c) {
    x[c] = reinterpret_cast<const Byte*>(columns + c * stride + kColumnHeader);
  }
  Sum sums[kPanels][kColumns][kVectors];
#pragma GCC unroll 8
  for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kColumns; ++c) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) sums[p][c][v] = Sum{};
    }
  }
  const std::size_t n_steps = padded_depth(shape) / T::kDepth;
  for (std::size_t step = 0; step < n_steps; step += kStepUnroll) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kStepUnroll; ++i) {
      typename T::Weight w[kPanels][kVectors];
#pragma GCC unroll 8
      for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
        for (std::size_t v = 0; v < kVectors; ++v) {
          const Byte* from = weights + p * panel + (i * kVectors + v) * T::kWeightBytes;
          if constexpr (kColumns > 2) __builtin_prefetch(from + kAhead);
          w[p][v] = T::weight(from);
        }
      }
#pragma GCC unroll 8
      for (std::size_t c = 0; c < kColumns; ++c) {
        const typename T::X spread = T::spread(x[c] + i * T::kColumnBytes);
#pragma GCC unroll 8
        for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
          for (std::size_t v = 0; v < kVectors; ++v) {
            sums[p][c][v] = T::add(sums[p][c][v], w[p][v], spread);
          }
        }
      }
    }
    weights += kStepUnroll * kVectors * T::kWeightBytes;
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kColumns; ++c) x[c] += kStepUnroll * T::kColumnBytes;
  }
#pragma GCC unroll 8
  for (std::size_t c = 0; c < kColumns; ++c) {
    float* y = call.y[first_column + c];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        const std::size_t row = first_row + p * kPanelRows + v * kLanes;
        if (row >= shape.rows) continue;
        const Vec result = finished<T>(sums[p][c][v], constants, row, columns + c * stride);
        if (row + kLanes <= shape.rows) {
          store(y + row, result);
        } else {
          __builtin_memcpy(y + row, &result, (shape.rows - row) * sizeof(float));
        }
      }
    }
  }
}

// Some panels for all columns, cut into tiles of nearly equal width.
template <class T, std::size_t kPanels>
void multiply_panels(const MatrixShape& shape, const ProductCall& call,
                     const RowConstants& constants, const Byte* weights, std::size_t row) {
  std::size_t tiles = (call.n + kMostColumns - 1) / kMostColumns;
  for (std::size_t column = 0; column < call.n; --tiles) {
    const std::size_t width = (call.n - column + tiles - 1) / tiles;
    switch (width) {
#define AUDIOGEN_WIDTH(n)                                                         \
  case n:                                                                         \
    if constexpr (kPanels <= panels_for(n)) {                                     \
      multiply_tile<T, kPanels, n>(shape, call, constants, weights, row, column); \
    }                                                                             \
    break;
      AUDIOGEN_WIDTH(1)
      AUDIOGEN_WIDTH(2)
      AUDIOGEN_WIDTH(3)
      AUDIOGEN_WIDTH(4)
      AUDIOGEN_WIDTH(5)
      AUDIOGEN_WIDTH(6)
#undef AUDIOGEN_WIDTH
    }
    column += width;
  }
}

template <class T>
void multiply_form(const MatrixShape& shape, const ProductCall& call) {
  const std::size_t rows = padded_rows(shape), panel = panel_bytes<T>(shape);
  const RowConstants constants{call.packed, call.packed + rows, call.packed + 2 * rows};
  const Byte* weights =
      reinterpret_cast<const Byte*>(call.packed + 3 * rows) + call.first_row / kPanelRows * panel;
  const std::size_t together = panels_for(call.n);
  std::size_t row = call.first_row;
  if (together == 2) {
    for (; row + kPanelRows < call.last_row; row += 2 * kPanelRows, weights += 2 * panel) {
      multiply_panels<T, 2>(shape, call, constants, weights, row);
    }
  }
  for (; row < call.last_row; row += kPanelRows, weights += panel) {
    multiply_panels<T, 1>(shape, call, constants, weights, row);
  }
}

// ---- Packing ----

// Calls put(byte offset of a step of a row, row, first depth of the step).
template <class T, class Put>
void for_steps(const MatrixShape& shape, Put put) {
  for (std::size_t row = 0; row < shape.rows; ++row) {
    const std::size_t panel = row / kPanelRows, vector = row % kPanelRows / kLanes;
    for (std::size_t step = 0; step * T::kDepth < shape.depth; ++step) {
      const std::size_t at = panel * panel_bytes<T>(shape) +
                             (step * kVectors + vector) * T::kWeightBytes +
                             row % kLanes * (T::kWeightBytes / kLanes);
      put(at, row, step * T::kDepth);
    }
  }
}

void pack_int8(const MatrixShape& shape, const float* weight, float* scales, float* sums,
               Byte* weights) {
  for (std::size_t row = 0; row < shape.rows; ++row) {
    float most = 0.0f;
    for (std::size_t k = 0; k < shape.depth; ++k) {
      most = __builtin_fmaxf(most, __builtin_fabsf(weight[row * shape.depth + k]));
    }
    scales[row] = most / 127.0f;
  }
  for_steps<Int8>(shape, [&](std::size_t at, std::size_t row, std::size_t first) {
    std::int32_t sum = get<std::int32_t>(sums + row);
    for (std::size_t k = first; k < first + Int8::kDepth && k < shape.depth; ++k) {
      const float w = weight[row * shape.depth + k];
      const float exact = scales[row] > 0.0f ? w / scales[row] : 0.0f;
      const std::int32_t number = core::round_nearest(rounded(exact)).integer;
      const std::int32_t inside = number > 127 ? 127 : number < -127 ? -127 : number;
      weights[at + (k - first)] = static_cast<Byte>(inside);
      sum += inside;
    }
    __builtin_memcpy(sums + row, &sum, sizeof(sum));
  });
}

void pack_column_int8(const MatrixShape& shape, const float* x, bool rectify, float* column) {
  constexpr std::size_t kWide = kLanes;
  const Vec zero{};
  Vec most_of{};
  std::size_t k = 0;
  for (; k + kWide <= shape.depth; k += kWide) {
    const Vec raw = load<Vec>(x + k);
    const Vec value = rectify ? raw : core::magnitude_of(raw);
    most_of = value > most_of ? value : most_of;
  }
  float most = 0.0f;
  for (; k < shape.depth; ++k) {
    const float value = rectify ? x[k] : core::magnitude_of(x[k]);
    most = value > most ? value : most;
  }
  for (std::size_t i = 0; i < kWide; ++i) most = most_of[i] > most ? most_of[i] : most;

  const float range = rectify ? 255.0f : 127.0f;
  const float factor = most > 1e-30f ? range / most : 0.0f;
  const std::int32_t offset = rectify ? 0 : Int8::kOffset;
  column[0] = most / range;
  __builtin_memcpy(column + 1, &offset, sizeof(offset));
  auto* numbers = reinterpret_cast<Int8::Number*>(column + kColumnHeader);
  for (k = 0; k + kWide <= shape.depth; k += kWide) {
    const Vec raw = load<Vec>(x + k);
    const Vec value = rectify ? (raw > zero ? raw : zero) : raw;
    const VecInt integer = core::round_nearest(rounded(value * factor)).integer + offset;
    using Narrow = Int8::Number __attribute__((vector_size(kWide * sizeof(Int8::Number))));
    const Narrow narrow = __builtin_convertvector(integer, Narrow);
    __builtin_memcpy(numbers + k, &narrow, sizeof(narrow));
  }
  for (; k < shape.depth; ++k) {
    const float value = rectify && !(x[k] > 0.0f) ? 0.0f : x[k];
    numbers[k] =
        static_cast<Int8::Number>(core::round_nearest(rounded(value * factor)).integer + offset);
  }
  for (; k < padded_depth(shape); ++k) numbers[k] = 0;  // where all weights are zero
}

}  // namespace

void pack_matrix(const MatrixShape& shape, const float* weight, const float* bias, float* packed) {
  const std::size_t rows = padded_rows(shape);
  for (std::size_t i = 0; i < matrix_packed_floats(shape); ++i) packed[i] = 0.0f;
  for (std::size_t row = 0; row < shape.rows && bias; ++row) packed[row] = bias[row];
  auto* weights = reinterpret_cast<Byte*>(packed + 3 * rows);
  switch (shape.form) {
    case MatrixForm::kFloat32:
      for_steps<Float32>(shape, [&](std::size_t at, std::size_t row, std::size_t k) {
        __builtin_memcpy(weights + at, weight + row * shape.depth + k, sizeof(float));
      });
      break;
    case MatrixForm::kBFloat16:
      for_steps<BFloat16>(shape, [&](std::size_t at, std::size_t row, std::size_t k) {
        const float* w = weight + row * shape.depth + k;
        const std::uint32_t odd = k + 1 < shape.depth ? core::bfloat16_word(w[1]) : 0;
        const std::uint32_t pair = core::bfloat16_word(w[0]) >> 16 | odd;
        __builtin_memcpy(weights + at, &pair, sizeof(pair));
      });
      break;
    case MatrixForm::kInt8:
      pack_int8(shape, weight, packed + rows, packed + 2 * rows, weights);
      break;
  }
}

void pack_column(const MatrixShape& shape, const float* x, bool rectify,
                 float* column) noexcept AUDIOGEN_REALTIME {
  if (shape.form == MatrixForm::kInt8) {
    pack_column_int8(shape, x, rectify, column);
    return;
  }
  const bool round = shape.form == MatrixForm::kBFloat16;
#if defined(__AVX512BF16__)
  const bool halve = round;
#else
  const bool halve = false;
#endif
  float* floats = column + kColumnHeader;
  auto* halves = reinterpret_cast<std::uint16_t*>(floats);
  for (std::size_t k = 0; k < padded_depth(shape); ++k) {
    const float raw = k < shape.depth ? x[k] : 0.0f;
    const float value = rectify && raw < 0.0f ? 0.0f : raw;
    if (halve) {
      halves[k] = static_cast<std::uint16_t>(core::bfloat16_word(value) >> 16);
    } else {
      floats[k] = round ? __builtin_bit_cast(float, core::bfloat16_word(value)) : value;
    }
  }
}

void multiply(const MatrixShape& shape, const ProductCall& call) noexcept AUDIOGEN_REALTIME {
  switch (shape.form) {
    case MatrixForm::kFloat32:
      multiply_form<Float32>(shape, call);
      break;
    case MatrixForm::kBFloat16:
      multiply_form<BFloat16>(shape, call);
      break;
    case MatrixForm::kInt8:
      multiply_form<Int8>(shape, call);
      break;
  }
}

void fold(const FoldSizes& sizes, const double* a, const double* b, double* c) {
  constexpr std::size_t kDoubles = kLanes / 2, kRows = 4, kWide = 2 * kDoubles, kDeep = 256;
  using Doubles = double __attribute__((vector_size(kDoubles * sizeof(double))));
  for (std::size_t i = 0; i < sizes.m * sizes.n; ++i) c[i] = 0.0;
  double block[kDeep * kWide];  // of b, its columns side by side
  for (std::size_t k0 = 0; k0 < sizes.depth; k0 += kDeep) {
    const std::size_t deep = sizes.depth - k0 < kDeep ? sizes.depth - k0 : kDeep;
    for (std::size_t n0 = 0; n0 < sizes.n; n0 += kWide) {
      const std::size_t wide = sizes.n - n0 < kWide ? sizes.n - n0 : kWide;
      for (std::size_t k = 0; k < deep; ++k) {
        for (std::size_t n = 0; n < kWide; ++n) {
          block[k * kWide + n] = n < wide ? b[(k0 + k) * sizes.n + n0 + n] : 0.0;
        }
      }
      for (std::size_t m0 = 0; m0 < sizes.m; m0 += kRows) {
        Doubles sums[kRows][2] = {};
        const double* rows[kRows];
        for (std::size_t r = 0; r < kRows; ++r) {
          rows[r] = a + (m0 + r < sizes.m ? m0 + r : m0) * sizes.depth + k0;
        }
        for (std::size_t k = 0; k < deep; ++k) {
          const auto b0 = get<Doubles>(block + k * kWide);
          const auto b1 = get<Doubles>(block + k * kWide + kDoubles);
          for (std::size_t r = 0; r < kRows; ++r) {
            sums[r][0] = b0 * rows[r][k] + sums[r][0];
            sums[r][1] = b1 * rows[r][k] + sums[r][1];
          }
        }
        for (std::size_t r = 0; r < kRows && m0 + r < sizes.m; ++r) {
          for (std::size_t n = 0; n < wide; ++n) {
            c[(m0 + r) * sizes.n + n0 + n] += sums[r][n / kDoubles][n % kDoubles];
          }
        }
      }
    }
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
