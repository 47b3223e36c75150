// Loops of the matrix products: packing, and tiles of rows and columns whose sums stay in
// registers.
#include "kernels/networks/matrix.h"

#include <type_traits>
#include <utility>

#include "core/math.h"
#include "kernels/networks/matrix_rows.h"
#include "kernels/vec.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

using Byte = unsigned char;
using VecWord = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));

// ---- Forms: the product of a vector of rows with one or more numbers of a column ----
//
// A step multiplies kDepth numbers of a column; it reads kWeightBytes per vector of rows, and
// kColumnBytes of the column.

struct Float32 {
  using Sum = Vec;
  using Weight = Vec;
  using X = Vec;
  static constexpr std::size_t kDepth = 1, kWeightBytes = sizeof(Vec), kColumnBytes = 4;
  static Weight weight(const Byte* from) { return read<Vec>(from); }
  static X spread(const Byte* from) { return broadcast(read<float>(from)); }
  static Sum add(Sum sum, Weight w, X x) { return w * x + sum; }
};

#if defined(__AVX512BF16__)
struct BFloat16 {
  using Sum = Vec;
  using Weight = __m512bh;
  using X = __m512bh;
  static constexpr std::size_t kDepth = 2, kWeightBytes = sizeof(Vec), kColumnBytes = 4;
  static Weight weight(const Byte* from) { return read<__m512bh>(from); }
  static X spread(const Byte* from) {
    return __builtin_bit_cast(__m512bh, _mm512_set1_epi32(read<int>(from)));
  }
  static Sum add(Sum sum, Weight w, X x) {
    return __builtin_bit_cast(Vec, _mm512_dpbf16_ps(__builtin_bit_cast(__m512, sum), w, x));
  }
};
#else
// Pairs of bfloat16 in one word, converted when they are read; columns are stored as floats.
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
    const VecWord words = read<VecWord>(from);
    return {__builtin_bit_cast(Vec, words << 16), __builtin_bit_cast(Vec, words & 0xffff0000u)};
  }
  static X spread(const Byte* from) {
    return {broadcast(read<float>(from)), broadcast(read<float>(from + 4))};
  }
  static Sum add(Sum sum, Weight w, X x) {
    sum = w.even * x.even + sum;
    return w.odd * x.odd + sum;
  }
};
#endif

#if defined(__AVX512VNNI__)
// Columns are unsigned: signed ones are stored with 128 added, which the sum of the row's weights
// corrects.
struct Int8 {
  using Sum = VecInt;
  using Weight = __m512i;
  using X = __m512i;
  using Number = std::uint8_t;
  static constexpr std::size_t kDepth = 4, kWeightBytes = sizeof(Vec), kColumnBytes = 4;
  static constexpr std::int32_t kOffset = 128;
  static Weight weight(const Byte* from) { return read<__m512i>(from); }
  static X spread(const Byte* from) { return _mm512_set1_epi32(read<int>(from)); }
  static Sum add(Sum sum, Weight w, X x) {
    return __builtin_bit_cast(VecInt, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum), x, w));
  }
};
#else
// Pairs of bytes, converted to 16 bits when they are read.
struct Int8 {
  using Sum = VecInt;
  using X = VecInt;
  using Number = std::int16_t;
  static constexpr std::size_t kDepth = 2, kWeightBytes = sizeof(Vec) / 2, kColumnBytes = 4;
  static constexpr std::int32_t kOffset = 0;
  static X spread(const Byte* from) { return read<std::int32_t>(from) - VecInt{}; }
#if defined(__AVX512BW__)
  using Weight = __m512i;
  static Weight weight(const Byte* from) { return _mm512_cvtepi8_epi16(read<__m256i>(from)); }
  static Sum add(Sum sum, Weight w, X x) {
    return sum + __builtin_bit_cast(VecInt, _mm512_madd_epi16(w, __builtin_bit_cast(__m512i, x)));
  }
#elif defined(__AVX2__)
  using Weight = __m256i;
  static Weight weight(const Byte* from) { return _mm256_cvtepi8_epi16(read<__m128i>(from)); }
  static Sum add(Sum sum, Weight w, X x) {
    return sum + __builtin_bit_cast(VecInt, _mm256_madd_epi16(w, __builtin_bit_cast(__m256i, x)));
  }
#elif defined(__SSE2__)
  using Weight = __m128i;
  static Weight weight(const Byte* from) {
    const __m128i bytes = _mm_set_epi64x(0, read<long long>(from));
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

constexpr std::size_t kMostColumns = 6;  // 24 sums of 32 registers, or 12 of 16

// With few columns there are registers for the sums of more panels, whose additions are
// independent.
constexpr std::size_t panels_for(std::size_t columns) { return columns > 2 ? 1 : 2; }

constexpr std::size_t kStepUnroll = 4;  // divides the steps of padded_depth in every form

template <class T>
constexpr std::size_t panel_bytes(const MatrixShape& shape) {
  return padded_depth(shape) / T::kDepth * kVectors * T::kWeightBytes;
}

// Bytes that the tiles of a panel prefetch while they multiply it.
struct Fetch {
  static constexpr std::size_t kLine = 64;

  const Byte* at;
  std::size_t left;
  std::size_t share;  // bytes per tile and iteration

  void some() {
    const std::size_t bytes = left < share ? left : share;
    for (std::size_t i = 0; i < bytes; i += kLine) {
      __builtin_prefetch(at + i, 0, 2);  // into the second-level cache
    }
    at += bytes;
    left -= bytes;
  }
};

// The product of a vector of rows, starting at `row`, with a part of a column.
template <class T>
inline Vec scaled(typename T::Sum sum, const RowConstants& constants, std::size_t row,
                  const float* part) {
  if constexpr (std::is_same_v<typename T::Sum, Vec>) {
    return sum;
  } else {
    return scaled_integers(sum, constants, row, part);
  }
}

// Parts of columns are separate columns until they are added.
template <class T, std::size_t kPanels, std::size_t kParts, std::size_t kColumns>
void multiply_tile(const MatrixShape& shape, const ProductCall& call, const RowConstants& constants,
                   const Byte* weights, Fetch& fetch, std::size_t first_row,
                   std::size_t first_column) {
  using Sum = typename T::Sum;
  const std::size_t panel = panel_bytes<T>(shape), stride = part_floats(shape);
  const float* columns = call.columns + first_column * kParts * stride;
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
          w[p][v] = T::weight(weights + p * panel + (i * kVectors + v) * T::kWeightBytes);
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
    if constexpr (kColumns > 2) fetch.some();
#pragma GCC unroll 8
    for (std::size_t c = 0; c < kColumns; ++c) x[c] += kStepUnroll * T::kColumnBytes;
  }
#pragma GCC unroll 8
  for (std::size_t c = 0; c < kColumns; c += kParts) {
    float* y = call.y[first_column + c / kParts];
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        const std::size_t row = first_row + p * kPanelRows + v * kLanes;
        Vec result = scaled<T>(sums[p][c][v], constants, row, columns + c * stride);
        if constexpr (kParts == 2) {
          result += scaled<T>(sums[p][c + 1][v], constants, row, columns + (c + 1) * stride);
        }
        store_rows(shape, constants, y, row, result);
      }
    }
  }
}

// Multiplies some panels with all columns, in tiles of nearly equal width. The hardware prefetches
// the weights of a single tile. With several tiles the first would wait for each weight, so that
// each tile prefetches a share of the next panel or matrix.
template <class T, std::size_t kPanels, std::size_t kParts>
void multiply_panels(const MatrixShape& shape, const ProductCall& call,
                     const RowConstants& constants, const Byte* weights, std::size_t row) {
  constexpr std::size_t kMost = kMostColumns / kParts;
  constexpr std::size_t kStepBytes = kStepUnroll * kVectors * T::kWeightBytes;
  std::size_t tiles = (call.n + kMost - 1) / kMost;
  const std::size_t bytes = kPanels * panel_bytes<T>(shape);
  Fetch fetch{weights + bytes, tiles > 1 ? bytes : 0,
              round_up((kStepBytes + tiles - 1) / tiles, Fetch::kLine)};
  if (row + kPanels * kPanelRows >= call.last_row) {
    const std::size_t next = call.n_next * sizeof(float);
    fetch.at = reinterpret_cast<const Byte*>(call.next);
    fetch.left = next < fetch.left ? next : fetch.left;
  }
  for (std::size_t column = 0; column < call.n; --tiles) {
    const std::size_t width = (call.n - column + tiles - 1) / tiles;
    switch (width * kParts) {
#define AUDIOGEN_WIDTH(n)                                                                        \
  case n:                                                                                        \
    if constexpr (kPanels <= panels_for(n) && n % kParts == 0) {                                 \
      multiply_tile<T, kPanels, kParts, n>(shape, call, constants, weights, fetch, row, column); \
    }                                                                                            \
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

// ---- Rectified columns ----

// The list of non-zero steps of a column, stored after its numbers.
struct Listed {
  std::uint32_t n;
  const std::uint32_t* steps;
};

inline Listed listed_in(const MatrixShape& shape, const float* column) {
  const float* list = column + kColumnHeader + padded_depth(shape);
  return {read<std::uint32_t>(column + 2), reinterpret_cast<const std::uint32_t*>(list)};
}

// Whether lists make a product faster. A single column saves the weights that it skips, but for
// weights beyond the cache scattered reads are slower. Several columns can share their reads only
// if all weights are read.
template <class T>
bool listing_pays(const MatrixShape& shape, const ProductCall& call) {
  constexpr std::size_t kNear = 1 << 20;  // bytes; fits in a second-level cache
  if (!shape.rectified || shape.parts > 1) return false;
  std::size_t listed = 0;
  for (std::size_t c = 0; c < call.n; ++c) {
    listed += listed_in(shape, call.columns + c * part_floats(shape)).n;
  }
  const std::size_t steps = call.n * padded_depth(shape) / T::kDepth;
  const bool near = padded_rows(shape) / kPanelRows * panel_bytes<T>(shape) <= kNear;
  if (call.n > 1) return near && 2 * listed < steps;
  return 16 * listed < (near ? 14 : 7) * steps;
}

// Multiplies some panels with one column, by its list.
template <class T, std::size_t kPanels>
void multiply_listed(const MatrixShape& shape, const ProductCall& call,
                     const RowConstants& constants, const Byte* weights, std::size_t first_row,
                     std::size_t column) {
  const std::size_t panel = panel_bytes<T>(shape);
  const float* packed = call.columns + column * part_floats(shape);
  const auto* numbers = reinterpret_cast<const Byte*>(packed + kColumnHeader);
  const Listed listed = listed_in(shape, packed);
  typename T::Sum sums[kPanels][kVectors];
#pragma GCC unroll 8
  for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) sums[p][v] = typename T::Sum{};
  }
  for (std::size_t i = 0; i < listed.n; ++i) {
    const std::size_t step = listed.steps[i];
    const Byte* from = weights + step * kVectors * T::kWeightBytes;
    const typename T::X spread = T::spread(numbers + step * T::kColumnBytes);
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        const auto weight = T::weight(from + p * panel + v * T::kWeightBytes);
        sums[p][v] = T::add(sums[p][v], weight, spread);
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t p = 0; p < kPanels; ++p) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      const std::size_t row = first_row + p * kPanelRows + v * kLanes;
      store_rows(shape, constants, call.y[column], row,
                 scaled<T>(sums[p][v], constants, row, packed));
    }
  }
}

template <class T>
void multiply_lists(const MatrixShape& shape, const ProductCall& call,
                    const RowConstants& constants, const Byte* weights) {
  constexpr std::size_t kTogether = 8 / kVectors;  // independent additions
  const std::size_t panel = panel_bytes<T>(shape);
  for (std::size_t row = call.first_row; row < call.last_row;) {
    const bool together = row + (kTogether - 1) * kPanelRows < call.last_row;
    for (std::size_t c = 0; c < call.n; ++c) {
      if (together) {
        multiply_listed<T, kTogether>(shape, call, constants, weights, row, c);
      } else {
        multiply_listed<T, 1>(shape, call, constants, weights, row, c);
      }
    }
    const std::size_t panels = together ? kTogether : 1;
    row += panels * kPanelRows;
    weights += panels * panel;
  }
}

// ---- Products ----

template <class T, std::size_t kParts>
void multiply_parts(const MatrixShape& shape, const ProductCall& call) {
  const std::size_t rows = padded_rows(shape), panel = panel_bytes<T>(shape);
  const RowConstants constants{call.packed, call.packed + rows, call.packed + 2 * rows};
  const Byte* weights = reinterpret_cast<const Byte*>(call.packed + matrix_constants(shape)) +
                        call.first_row / kPanelRows * panel;
  if (listing_pays<T>(shape, call)) return multiply_lists<T>(shape, call, constants, weights);
  const std::size_t together = panels_for(call.n * kParts);
  std::size_t row = call.first_row;
  if (together == 2) {
    for (; row + kPanelRows < call.last_row; row += 2 * kPanelRows, weights += 2 * panel) {
      multiply_panels<T, 2, kParts>(shape, call, constants, weights, row);
    }
  }
  for (; row < call.last_row; row += kPanelRows, weights += panel) {
    multiply_panels<T, 1, kParts>(shape, call, constants, weights, row);
  }
}

template <class T>
void multiply_form(const MatrixShape& shape, const ProductCall& call) {
  if (shape.parts == 2) {
    multiply_parts<T, 2>(shape, call);
  } else {
    multiply_parts<T, 1>(shape, call);
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

// The scale of a row of int8: the power of two of which all its weights are multiples, if there is
// one (audiogen/training/samplernn/quantise_weights.py rounds weights so), which is lossless;
// otherwise the scale that maps the largest magnitude to 127.
float row_unit(const float* row, std::size_t depth) {
  float most = 0.0f;
  for (std::size_t k = 0; k < depth; ++k) {
    most = __builtin_fmaxf(most, __builtin_fabsf(row[k]));
  }
  const float least = most / 127.0f;
  constexpr std::uint32_t kMantissa = 0x7fffff;
  const auto word = __builtin_bit_cast(std::uint32_t, least);
  const float power = __builtin_bit_cast(float, (word + kMantissa) & ~kMantissa);
  if (!(power > 1e-30f)) return least;
  for (std::size_t k = 0; k < depth; ++k) {
    const float number = row[k] / power;
    if (static_cast<float>(static_cast<std::int32_t>(number)) != number) return least;
  }
  return power;
}

void pack_int8(const MatrixShape& shape, const float* weight, float* scales, float* sums,
               Byte* weights) {
  for (std::size_t row = 0; row < shape.rows; ++row) {
    scales[row] = row_unit(weight + row * shape.depth, shape.depth);
  }
  for_steps<Int8>(shape, [&](std::size_t at, std::size_t row, std::size_t first) {
    std::int32_t sum = read<std::int32_t>(sums + row);
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

// Scale of a column's first part over that of the second, which then covers half a unit either way.
constexpr float kRestRange = 254.0f;

void put_narrow(Int8::Number* to, VecInt integers) {
#if defined(__AVX512VNNI__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm512_cvtepi32_epi8(__builtin_bit_cast(__m512i, integers)));
#else
  using Narrow = Int8::Number __attribute__((vector_size(kLanes * sizeof(Int8::Number))));
  const Narrow narrow = __builtin_convertvector(integers, Narrow);
  __builtin_memcpy(to, &narrow, sizeof(narrow));
#endif
}

void pack_column_int8(const MatrixShape& shape, const float* x, float* column) {
  constexpr std::size_t kWide = kLanes;
  const Vec zero{};
  Vec most_of{};
  std::size_t k = 0;
  for (; k + kWide <= shape.depth; k += kWide) {
    const Vec raw = load<Vec>(x + k);
    const Vec value = shape.rectified ? raw : core::magnitude_of(raw);
    most_of = value > most_of ? value : most_of;
  }
  float most = 0.0f;
  for (; k < shape.depth; ++k) {
    const float value = shape.rectified ? x[k] : core::magnitude_of(x[k]);
    most = value > most ? value : most;
  }
  for (std::size_t i = 0; i < kWide; ++i) most = most_of[i] > most ? most_of[i] : most;

  const float range = shape.rectified ? 255.0f : 127.0f;
  const float factor = most > 1e-30f ? range / most : 0.0f, unit = most / range;
  const bool two = shape.parts == 2;
  float* rest = column + part_floats(shape);
  const std::int32_t offset = shape.rectified ? 0 : Int8::kOffset, rest_offset = Int8::kOffset;
  column[0] = unit;
  __builtin_memcpy(column + 1, &offset, sizeof(offset));
  if (two) {
    rest[0] = unit / kRestRange;
    __builtin_memcpy(rest + 1, &rest_offset, sizeof(rest_offset));
  }
  auto* numbers = reinterpret_cast<Int8::Number*>(column + kColumnHeader);
  auto* rests = reinterpret_cast<Int8::Number*>(rest + kColumnHeader);
  for (k = 0; k + kWide <= shape.depth; k += kWide) {
    const Vec raw = load<Vec>(x + k);
    const Vec value = shape.rectified ? (raw > zero ? raw : zero) : raw;
    const VecInt integer = core::round_nearest(rounded(value * factor)).integer;
    put_narrow(numbers + k, integer + offset);
    if (two) {
      const Vec left = value - rounded(__builtin_convertvector(integer, Vec) * unit);
      const Vec scaled = rounded(left * (factor * kRestRange));
      put_narrow(rests + k, core::round_nearest(scaled).integer + rest_offset);
    }
  }
  for (; k < shape.depth; ++k) {
    const float value = shape.rectified && !(x[k] > 0.0f) ? 0.0f : x[k];
    const std::int32_t integer = core::round_nearest(rounded(value * factor)).integer;
    numbers[k] = static_cast<Int8::Number>(integer + offset);
    if (two) {
      const float left = value - rounded(static_cast<float>(integer) * unit);
      const float scaled = rounded(left * (factor * kRestRange));
      rests[k] = static_cast<Int8::Number>(core::round_nearest(scaled).integer + rest_offset);
    }
  }
#if defined(__AVX512VNNI__)
  const std::size_t end = round_up(shape.depth, 16 + kTileSlack);
#else
  const std::size_t end = padded_depth(shape);
#endif
  for (; k < end; ++k) {
    numbers[k] = 0;
    if (two) rests[k] = 0;
  }
}

// Packs a part of a float32 or bfloat16 column; `value` gives each number.
template <class Value>
void pack_column_floats(const MatrixShape& shape, float* part, Value value) {
#if defined(__AVX512BF16__)
  const bool halve = shape.form == MatrixForm::kBFloat16;
#else
  const bool halve = false;
#endif
  float* floats = part + kColumnHeader;
  auto* halves = reinterpret_cast<std::uint16_t*>(floats);
  for (std::size_t k = 0; k < padded_depth(shape); ++k) {
    const float x = k < shape.depth ? value(k) : 0.0f;
    if (halve) {
      halves[k] = static_cast<std::uint16_t>(core::bfloat16_word(x) >> 16);
    } else {
      floats[k] = x;
    }
  }
}

// Lists the non-zero steps of a packed column.
template <class T>
void list_steps(const MatrixShape& shape, float* column) {
  using Numbers = std::conditional_t<T::kColumnBytes == 4, std::uint32_t, std::uint64_t>;
  static_assert(sizeof(Numbers) == T::kColumnBytes);
  const auto* numbers = reinterpret_cast<const Byte*>(column + kColumnHeader);
  auto* steps = reinterpret_cast<std::uint32_t*>(column + kColumnHeader + padded_depth(shape));
  const auto n_steps = static_cast<std::uint32_t>(padded_depth(shape) / T::kDepth);
  std::uint32_t n = 0, step = 0;
#if defined(__AVX512F__)
  __m512i ahead = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; T::kColumnBytes == 4 && step + 16 <= n_steps; step += 16) {
    const auto words = read<__m512i>(numbers + step * T::kColumnBytes);
    const __mmask16 some = _mm512_test_epi32_mask(words, words);
    _mm512_storeu_si512(steps + n, _mm512_maskz_compress_epi32(some, ahead));
    n += static_cast<std::uint32_t>(__builtin_popcount(some));
    ahead = _mm512_add_epi32(ahead, _mm512_set1_epi32(16));
  }
#endif
  for (; step < n_steps; ++step) {
    steps[n] = step;
    n += read<Numbers>(numbers + step * T::kColumnBytes) != 0;
  }
  __builtin_memcpy(column + 2, &n, sizeof(n));
}

float to_bfloat16(float x) { return __builtin_bit_cast(float, core::bfloat16_word(x)); }

}  // namespace

void pack_matrix(const MatrixShape& shape, const float* weight, const float* bias, float* packed) {
  const std::size_t rows = padded_rows(shape);
  for (std::size_t i = 0; i < matrix_packed_floats(shape); ++i) packed[i] = 0.0f;
  for (std::size_t row = 0; row < shape.rows && bias; ++row) packed[row] = bias[row];
  auto* weights = reinterpret_cast<Byte*>(packed + matrix_constants(shape));
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

void pack_column(const MatrixShape& shape, const float* x,
                 float* column) noexcept AUDIOGEN_REALTIME {
  const auto value = [&](std::size_t k) { return shape.rectified && x[k] < 0.0f ? 0.0f : x[k]; };
  switch (shape.form) {
    case MatrixForm::kFloat32:
      pack_column_floats(shape, column, value);
      if (shape.rectified) list_steps<Float32>(shape, column);
      break;
    case MatrixForm::kBFloat16:
      pack_column_floats(shape, column, [&](std::size_t k) { return to_bfloat16(value(k)); });
      if (shape.parts == 2) {
        pack_column_floats(shape, column + part_floats(shape), [&](std::size_t k) {
          return to_bfloat16(value(k) - to_bfloat16(value(k)));
        });
      }
      if (shape.rectified) list_steps<BFloat16>(shape, column);
      break;
    case MatrixForm::kInt8:
      pack_column_int8(shape, x, column);
      if (shape.rectified) list_steps<Int8>(shape, column);
      break;
  }
}

void multiply(const MatrixShape& shape, const ProductCall& call) noexcept AUDIOGEN_REALTIME {
  switch (shape.form) {
    case MatrixForm::kFloat32:
      multiply_parts<Float32, 1>(shape, call);
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
  double block[kDeep * kWide];  // block of b, columns interleaved
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
          const auto b0 = read<Doubles>(block + k * kWide);
          const auto b1 = read<Doubles>(block + k * kWide + kDoubles);
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
