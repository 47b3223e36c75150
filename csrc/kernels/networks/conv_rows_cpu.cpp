// Loops of the row convolution: transforms, a register-tiled matrix product, and the epilogue.
#include "kernels/networks/conv_rows.h"

#include <cstdint>
#include <type_traits>
#include <utility>

#include "core/math.h"
#include "kernels/networks/activation.h"
#include "kernels/vec.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

// For the remainder of kChannelAlign channels if a vector has more lanes.
using HalfVec = float __attribute__((vector_size(kChannelAlign * sizeof(float))));

template <class V>
inline constexpr std::size_t kWidth = sizeof(V) / sizeof(float);

// Calls body(Vec{} or HalfVec{}, channel) for vectors that cover the channels.
template <class Body>
inline void for_channels(std::size_t channels, Body body) {
  std::size_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(Vec{}, c);
  if constexpr (kLanes > kChannelAlign) {
    if (c < channels) body(HalfVec{}, c);
  }
}

// y += the rows, each times its factor.
template <std::size_t kRows>
inline void add_scaled(const float* const* rows, const float* factors, std::size_t width,
                       float* y) noexcept AUDIOGEN_REALTIME {
  for_channels(width, [&](auto tag, std::size_t n) {
    using V = decltype(tag);
    V sum = load<V>(y + n);
    for (std::size_t r = 0; r < kRows; ++r) sum = load<V>(rows[r] + n) * factors[r] + sum;
    store(y + n, sum);
  });
}

template <std::size_t kStep, class V, std::size_t... kIndex>
inline V rotated(V x, std::index_sequence<kIndex...>) {
  return __builtin_shufflevector(x, x, ((kIndex + kStep) % kWidth<V>)...);
}

// Sum of the lanes, in a tree.
template <std::size_t kStep, class V>
inline float sum_lanes(V x) noexcept AUDIOGEN_REALTIME {
  if constexpr (kStep == 0) {
    return x[0];
  } else {
    return sum_lanes<kStep / 2>(x + rotated<kStep>(x, std::make_index_sequence<kWidth<V>>{}));
  }
}

// A sum over channels, accumulated in vectors.
struct ChannelSum {
  Vec whole{};
  HalfVec half{};
  void add(Vec x) { whole = whole + x; }
  template <class V>
    requires(!std::is_same_v<V, Vec>)
  void add(V x) {
    half = half + x;
  }
  float total() const {
    const float sum = sum_lanes<kLanes / 2>(whole);
    if constexpr (kLanes > kChannelAlign) {
      return sum + sum_lanes<kChannelAlign / 2>(half);
    } else {
      return sum;
    }
  }
};

// ---- The two forms of a factor: float, and bfloat16 in pairs along the input channels ----

struct Float32 {
  using Number = float;
  static constexpr std::size_t kDepth = 1;  // input channels of one multiply-add

  static Number round(float x) { return x; }
  template <class V>
  static void put(Number* to, V x) {
    store(to, x);
  }
  template <class V>
  struct Weight {
    V value;
    explicit Weight(const Number* from) : value(load<V>(from)) {}
  };
  template <class V>
  static V multiply_add(const Weight<V>& w, const Number* x, V sum) {
    return w.value * *x + sum;
  }
};

#if defined(__AVX512BF16__)
struct BFloat16 {
  using Number = std::uint16_t;
  static constexpr std::size_t kDepth = 2;

  static Number round(float x) { return static_cast<Number>(core::bfloat16_word(x) >> 16); }
  static void put(Number* to, Vec x) {
    const __m256bh y = _mm512_cvtneps_pbh(__builtin_bit_cast(__m512, x));
    __builtin_memcpy(to, &y, sizeof(y));
  }
  static void put(Number* to, HalfVec x) {
    const __m128bh y = _mm256_cvtneps_pbh(__builtin_bit_cast(__m256, x));
    __builtin_memcpy(to, &y, sizeof(y));
  }
  template <class V>
  struct Weight {
    V value;  // bits of twice as many numbers
    explicit Weight(const Number* from) { __builtin_memcpy(&value, from, sizeof(value)); }
  };
  static int pair(const Number* x) {
    int p;
    __builtin_memcpy(&p, x, sizeof(p));
    return p;
  }
  static Vec multiply_add(const Weight<Vec>& w, const Number* x, Vec sum) {
    const auto xs = __builtin_bit_cast(__m512bh, _mm512_set1_epi32(pair(x)));
    return __builtin_bit_cast(Vec, _mm512_dpbf16_ps(__builtin_bit_cast(__m512, sum),
                                                    __builtin_bit_cast(__m512bh, w.value), xs));
  }
  static HalfVec multiply_add(const Weight<HalfVec>& w, const Number* x, HalfVec sum) {
    const auto xs = __builtin_bit_cast(__m256bh, _mm256_set1_epi32(pair(x)));
    return __builtin_bit_cast(HalfVec, _mm256_dpbf16_ps(__builtin_bit_cast(__m256, sum),
                                                        __builtin_bit_cast(__m256bh, w.value), xs));
  }
};
#endif

// ---- Matrix product: m[p, n] = init[p, n] + sum over k of a[p, k] b[k, n] ----

// Rows of `a` whose sums stay in registers: 24 of AVX-512's 32 vectors, 12 of the others' 16.
#if defined(__AVX512F__)
constexpr std::size_t kTileRows = 12;
#else
constexpr std::size_t kTileRows = 6;
#endif

template <class T>
struct Product {
  const typename T::Number* a;  // [rows, depth], depth also its stride
  std::size_t depth;
  std::size_t width;  // of init and m, also their stride
  const float* init;  // or null for zeros; may be m
  float* m;
};

template <class T, class V, std::size_t kVectors, std::size_t kRows>
void multiply_tile(const Product<T>& product, std::size_t row, std::size_t column,
                   const typename T::Number* b) {
  using Weight = typename T::template Weight<V>;
  constexpr std::size_t kUnroll = 4;  // kChannelAlign is a multiple of kUnroll * kDepth
  const std::size_t width = product.width, depth = product.depth;
  // Three rows share a pointer, so that all pointers stay in registers. The empty assembly, here
  // and below, keeps the compiler from using a pointer per row.
  constexpr std::size_t kGroups = (kRows + 2) / 3;
  const typename T::Number* a[kGroups];
  for (std::size_t g = 0; g < kGroups; ++g) a[g] = product.a + (row + 3 * g) * depth;
  V sums[kRows][kVectors];
  if (product.init) {
    const float* init = product.init + row * width + column;
#pragma GCC unroll 12
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = load<V>(init + v * kWidth<V>);
      init += width;
      asm("" : "+r"(init));
    }
  } else {
#pragma GCC unroll 12
    for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = V{};
    }
  }
  for (std::size_t k = 0; k < depth; k += kUnroll * T::kDepth) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kUnroll * T::kDepth; i += T::kDepth) {
      const Weight w0(b), w1(b + (kVectors - 1) * T::kDepth * kWidth<V>);
      b += kVectors * T::kDepth * kWidth<V>;
#pragma GCC unroll 12
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][0] = T::multiply_add(w0, a[r / 3] + r % 3 * depth + i, sums[r][0]);
        if constexpr (kVectors == 2) {
          sums[r][1] = T::multiply_add(w1, a[r / 3] + r % 3 * depth + i, sums[r][1]);
        }
      }
    }
#pragma GCC unroll 4
    for (std::size_t g = 0; g < kGroups; ++g) {
      a[g] += kUnroll * T::kDepth;
      asm("" : "+r"(a[g]));
    }
  }
  float* m = product.m + row * width + column;
#pragma GCC unroll 12
  for (std::size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) store(m + v * kWidth<V>, sums[r][v]);
    m += width;
    asm("" : "+r"(m));
  }
}

// Multiplies all rows with a panel of columns, in tiles of nearly equal height.
template <class T, class V, std::size_t kVectors>
void multiply_panel(const Product<T>& product, std::size_t rows, std::size_t column,
                    const typename T::Number* b) {
  std::size_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (std::size_t row = 0; row < rows; --tiles) {
    const std::size_t height = (rows - row + tiles - 1) / tiles;
    switch (height) {
#define AUDIOGEN_HEIGHT(n)                                     \
  case n:                                                      \
    multiply_tile<T, V, kVectors, n>(product, row, column, b); \
    break;
      AUDIOGEN_HEIGHT(1)
      AUDIOGEN_HEIGHT(2)
      AUDIOGEN_HEIGHT(3)
      AUDIOGEN_HEIGHT(4)
      AUDIOGEN_HEIGHT(5)
      AUDIOGEN_HEIGHT(6)
#if defined(__AVX512F__)
      AUDIOGEN_HEIGHT(7)
      AUDIOGEN_HEIGHT(8)
      AUDIOGEN_HEIGHT(9)
      AUDIOGEN_HEIGHT(10)
      AUDIOGEN_HEIGHT(11)
      AUDIOGEN_HEIGHT(12)
#endif
#undef AUDIOGEN_HEIGHT
    }
    row += height;
  }
}

// Columns are packed in panels of two vectors, one vector, half a vector: [panel, k, column].
template <class T>
void multiply(const Product<T>& product, std::size_t rows, const typename T::Number* b) {
  const std::size_t width = product.width, depth = product.depth;
  std::size_t n = 0;
  for (; n + 2 * kLanes <= width; n += 2 * kLanes) {
    multiply_panel<T, Vec, 2>(product, rows, n, b + n * depth);
  }
  if (n + kLanes <= width) {
    multiply_panel<T, Vec, 1>(product, rows, n, b + n * depth);
    n += kLanes;
  }
  if constexpr (kLanes > kChannelAlign) {
    if (n < width) multiply_panel<T, HalfVec, 1>(product, rows, n, b + n * depth);
  }
}

// Index of column n of input channel k in a packed matrix.
template <class T>
std::size_t packed_index(std::size_t k, std::size_t n, std::size_t depth, std::size_t width) {
  std::size_t panel = n / (2 * kLanes) * (2 * kLanes), columns = 2 * kLanes;
  while (panel + columns > width) {
    columns /= 2;
    if (n >= panel + columns && panel + columns < width) panel += columns;
  }
  constexpr std::size_t d = T::kDepth;
  return panel * depth + (k / d * columns + (n - panel)) * d + k % d;
}

// ---- Transforms along frequency ----

// F(4, 3) at the points 0, a, -a, b, -b and infinity. 5/8 and 5/4 are exact in binary, as are their
// products, and lose 30 % less of float32 than the usual 1 and 2.
struct FourOutputs {
  static constexpr std::size_t kTile = 4;
  static constexpr std::size_t kProducts = 6;
  static constexpr float a = 0.625f, b = 1.25f, aa = a * a, bb = b * b;
  static constexpr double kAtZero = 1.0 / (aa * bb);
  static constexpr double kAtA = 1.0 / (2 * aa * (aa - bb)), kAtB = 1.0 / (2 * bb * (bb - aa));
  static constexpr double kTaps[6][3] = {{kAtZero, 0, 0},
                                         {kAtA, a * kAtA, aa * kAtA},
                                         {kAtA, -a * kAtA, aa * kAtA},
                                         {kAtB, b * kAtB, bb * kAtB},
                                         {kAtB, -b * kAtB, bb * kAtB},
                                         {0, 0, 1}};
  template <class V>
  static void input(const V (&x)[6], V (&v)[6]) {
    const V even_a = x[4] - x[2] * bb, odd_a = x[3] - x[1] * bb;
    const V even_b = x[4] - x[2] * aa, odd_b = x[3] - x[1] * aa;
    v[0] = x[0] * (aa * bb) - x[2] * (aa + bb) + x[4];
    v[1] = even_a + odd_a * a;
    v[2] = even_a - odd_a * a;
    v[3] = even_b + odd_b * b;
    v[4] = even_b - odd_b * b;
    v[5] = x[1] * (aa * bb) - x[3] * (aa + bb) + x[5];
  }
  template <class V>
  static void output(const V (&m)[6], V (&y)[4]) {
    const V even_a = m[1] + m[2], odd_a = m[1] - m[2];
    const V even_b = m[3] + m[4], odd_b = m[3] - m[4];
    y[0] = m[0] + even_a + even_b;
    y[1] = odd_a * a + odd_b * b;
    y[2] = even_a * aa + even_b * bb;
    y[3] = odd_a * (aa * a) + odd_b * (bb * b) + m[5];
  }
};

// F(2, 3) at 0, 1, -1 and infinity: its factors have similar magnitudes, which suits bfloat16.
struct TwoOutputs {
  [[maybe_unused]] static constexpr std::size_t kTile = 2;
  [[maybe_unused]] static constexpr std::size_t kProducts = 4;
  static constexpr double kTaps[4][3] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};
  template <class V>
  static void input(const V (&x)[4], V (&v)[4]) {
    v[0] = x[0] - x[2];
    v[1] = x[1] + x[2];
    v[2] = x[2] - x[1];
    v[3] = x[3] - x[1];
  }
  template <class V>
  static void output(const V (&m)[4], V (&y)[2]) {
    y[0] = m[0] + m[1] + m[2];
    y[1] = m[1] - m[2] + m[3];
  }
};

// Upsampled: x[i], x[i] - x[i-1], x[i+1] - x[i] with the taps for two outputs.
struct Upsampled {
  static constexpr std::size_t kProducts = 3;
  static constexpr double kTaps[3][3] = {{1, 1, 1}, {-1, 0, 0}, {0, 0, 1}};
};

// ---- Packing ----

// Transforms the taps of each product along both axes, in double precision.
template <class T, class Frequency, std::size_t kTimeProducts>
void pack(const ConvShape& shape, const double (&time)[kTimeProducts][3], const float* weight,
          float* packed) {
  const std::size_t depth = padded_channels(shape.in_channels);
  const std::size_t width = padded_channels(shape.out_channels);
  auto* to = reinterpret_cast<typename T::Number*>(packed);
  for (std::size_t i = 0; i < kTimeProducts * Frequency::kProducts * depth * width; ++i) to[i] = 0;
  for (std::size_t n = 0; n < shape.out_channels; ++n) {
    for (std::size_t k = 0; k < shape.in_channels; ++k) {
      const float* taps = weight + (n * shape.in_channels + k) * 9;
      const std::size_t at = packed_index<T>(k, n, depth, width);
      for (std::size_t f = 0; f < Frequency::kProducts; ++f) {
        const double* j = Frequency::kTaps[f];
        double rows[3];
        for (std::size_t i = 0; i < 3; ++i) {
          rows[i] = j[0] * taps[3 * i] + j[1] * taps[3 * i + 1] + j[2] * taps[3 * i + 2];
        }
        for (std::size_t t = 0; t < kTimeProducts; ++t) {
          const double sum = time[t][0] * rows[0] + time[t][1] * rows[1] + time[t][2] * rows[2];
          to[(t * Frequency::kProducts + f) * depth * width + at] =
              T::round(static_cast<float>(sum));
        }
      }
    }
  }
}

template <class T, class Frequency>
void pack_form(const ConvShape& shape, const float* weight, float* packed) {
  if (shape.upsample) {
    pack<T, Upsampled>(shape, Upsampled::kTaps, weight, packed);
  } else {
    pack<T, Frequency>(shape, TwoOutputs::kTaps, weight, packed);
  }
}

// ---- Epilogue ----

template <bool kConditioned, bool kStyled>
void finish_bins(const RowEpilogue& e, std::size_t channels, std::size_t true_channels,
                 std::size_t first, std::size_t last, float* row) {
  const float n_channels = static_cast<float>(true_channels);
  for (std::size_t f = first; f < last; ++f) {
    float* bin = row + f * channels;
    ChannelSum squares;
    for_channels(channels, [&](auto tag, std::size_t c) {
      using V = decltype(tag);
      V x = load<V>(bin + c) + load<V>(e.bias + c);
      if constexpr (kConditioned) {
        x = x + load<V>(e.field + f * channels + c) + load<V>(e.strength + c) * e.noise[f];
      }
      if constexpr (kStyled) x = x * load<V>(e.scale + c) + load<V>(e.shift + c);
      x = leaky_relu(x, e.slope);
      squares.add(x * x);
      store(bin + c, x);
    });
    if (!e.normalise) continue;
    const float gain = pixel_norm_factor(squares.total(), n_channels);
    for_channels(channels, [&](auto tag, std::size_t c) {
      using V = decltype(tag);
      store(bin + c, load<V>(bin + c) * gain);
    });
  }
}

void finish(const RowEpilogue& e, std::size_t channels, std::size_t true_channels,
            std::size_t first, std::size_t last, float* row) {
  if (e.field && e.scale) {
    finish_bins<true, true>(e, channels, true_channels, first, last, row);
  } else if (e.field) {
    finish_bins<true, false>(e, channels, true_channels, first, last, row);
  } else if (e.scale) {
    finish_bins<false, true>(e, channels, true_channels, first, last, row);
  } else {
    finish_bins<false, false>(e, channels, true_channels, first, last, row);
  }
}

// ---- The two layers ----

struct Sizes {
  std::size_t depth, width, tiles, block;
  explicit Sizes(const ConvShape& s)
      : depth(padded_channels(s.in_channels)),
        width(padded_channels(s.out_channels)),
        tiles(conv_tiles(s)),
        block(conv_block(s)) {}
};

// v [product, tile, channel] = transform of a + sign * b, tile by tile.
template <class T, class Frequency>
void transform_input(const float* a, const float* b, float sign, std::size_t depth,
                     std::size_t first, std::size_t tiles, typename T::Number* v) {
  constexpr std::size_t kIn = Frequency::kTile + 2;
  for (std::size_t p = 0; p < tiles; ++p) {
    const std::ptrdiff_t start = static_cast<std::ptrdiff_t>((first + p) * Frequency::kTile) - 1;
    const float* a0 = a + start * static_cast<std::ptrdiff_t>(depth);
    const float* b0 = b + start * static_cast<std::ptrdiff_t>(depth);
    for_channels(depth, [&](auto tag, std::size_t c) {
      using V = decltype(tag);
      V x[kIn], y[kIn];
      for (std::size_t i = 0; i < kIn; ++i) {
        x[i] = load<V>(a0 + i * depth + c) + load<V>(b0 + i * depth + c) * sign;
      }
      Frequency::input(x, y);
      for (std::size_t i = 0; i < kIn; ++i) T::put(v + (i * tiles + p) * depth + c, y[i]);
    });
  }
}

template <class Frequency>
void transform_output(const float* m, std::size_t width, std::size_t first, std::size_t tiles,
                      std::size_t n_bins, float* row) {
  constexpr std::size_t kTile = Frequency::kTile;
  for (std::size_t p = 0; p < tiles; ++p) {
    const std::size_t bin = (first + p) * kTile;
    const std::size_t n = bin + kTile <= n_bins ? kTile : n_bins - bin;
    for_channels(width, [&](auto tag, std::size_t c) {
      using V = decltype(tag);
      V x[Frequency::kProducts], y[kTile];
      for (std::size_t i = 0; i < Frequency::kProducts; ++i) {
        x[i] = load<V>(m + (i * tiles + p) * width + c);
      }
      Frequency::output(x, y);
      for (std::size_t i = 0; i < kTile; ++i) {
        if (i < n) store(row + (bin + i) * width + c, y[i]);
      }
    });
  }
}

// sum = a + b, difference = a - b.
void sum_and_difference(const float* a, const float* b, std::size_t n, float* sum,
                        float* difference) {
  for_channels(n, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const V x = load<V>(a + i), y = load<V>(b + i);
    store(sum + i, x + y);
    store(difference + i, x - y);
  });
}

template <class T, class Frequency>
void plain_row(const ConvShape& shape, const float* packed, const ConvRowCall& call) {
  constexpr std::size_t kProducts = Frequency::kProducts;
  const Sizes s(shape);
  const auto* weights = reinterpret_cast<const typename T::Number*>(packed);
  auto* v = reinterpret_cast<typename T::Number*>(call.workspace);
  float* m = call.workspace + round_up((kProducts * s.block + 2) * s.depth, 16);
  float* m2 = m + round_up(kProducts * s.block * s.width, 16);

  // The four products along time of rows x0 .. x3 for outputs y0, y1, of which a call has three:
  // (x0 - x2), (x1 + x2), (x2 - x1), (x3 - x1); the middle two serve both outputs.
  const float* x1 = call.odd ? call.rows[0] : call.rows[1];
  const float* x2 = call.odd ? call.rows[1] : call.rows[2];
  for (std::size_t first = 0; first < s.tiles; first += s.block) {
    const std::size_t tiles = first + s.block <= s.tiles ? s.block : s.tiles - first;
    const std::size_t size = tiles * s.width;
    float* stash = call.stash + first * kProducts * s.width;
    const auto products = [&](std::size_t time, const float* a, const float* b, float sign,
                              const float* init, float* to) {
      transform_input<T, Frequency>(a, b, sign, s.depth, first, tiles, v);
      for (std::size_t k = 0; k < kProducts; ++k) {
        multiply<T>({v + k * tiles * s.depth, s.depth, s.width, init ? init + k * size : nullptr,
                     to + k * size},
                    tiles, weights + (time * kProducts + k) * s.depth * s.width);
      }
    };
    if (!call.odd || !call.stash_valid) {
      products(1, x1, x2, 1.0f, nullptr, m);
      products(2, x2, x1, -1.0f, nullptr, m2);
      sum_and_difference(m, m2, kProducts * size, m, stash);
    }
    if (call.odd) {
      products(3, call.rows[2], x1, -1.0f, stash, m);
    } else {
      products(0, call.rows[0], x2, -1.0f, m, m);
    }
    transform_output<Frequency>(m, s.width, first, tiles, shape.n_bins, call.out);
    const std::size_t end = (first + tiles) * Frequency::kTile;
    finish(call.epilogue, s.width, shape.out_channels, first * Frequency::kTile,
           end < shape.n_bins ? end : shape.n_bins, call.out);
  }
}

// values [bin, channel] = a - b (b may be null) for bins `first` .. `first + n - 1`, and
// differences [bin, channel] of each bin, and of the one after the last, from the bin before.
template <class T>
void upsampled_input(const float* a, const float* b, std::size_t depth, std::size_t first,
                     std::size_t n, typename T::Number* values, typename T::Number* differences) {
  const float* a0 = a + first * depth;
  const float* b0 = b ? b + first * depth : nullptr;
  for_channels(depth, [&](auto tag, std::size_t c) {
    using V = decltype(tag);
    const auto at = [&](std::ptrdiff_t f) {
      const std::ptrdiff_t i =
          f * static_cast<std::ptrdiff_t>(depth) + static_cast<std::ptrdiff_t>(c);
      return b0 ? load<V>(a0 + i) - load<V>(b0 + i) : load<V>(a0 + i);
    };
    V before = at(-1);
    for (std::size_t f = 0; f <= n; ++f) {
      const V x = at(static_cast<std::ptrdiff_t>(f));
      if (f < n) T::put(values + f * depth + c, x);
      T::put(differences + f * depth + c, x - before);
      before = x;
    }
  });
}

template <class T>
void upsampled_row(const ConvShape& shape, const float* packed, const ConvRowCall& call) {
  constexpr std::size_t kProducts = Upsampled::kProducts;
  const Sizes s(shape);
  const auto* weights = reinterpret_cast<const typename T::Number*>(packed);
  auto* v = reinterpret_cast<typename T::Number*>(call.workspace);
  auto* d = v + s.block * s.depth;
  float* m = call.workspace + round_up((kProducts * s.block + 2) * s.depth, 16);

  for (std::size_t first = 0; first < shape.n_bins; first += s.block) {
    const std::size_t bins = first + s.block <= shape.n_bins ? s.block : shape.n_bins - first;
    const std::size_t size = bins * s.width;
    float* stash = call.stash + first * kProducts * s.width;
    const auto products = [&](std::size_t time, const float* a, const float* b, const float* init,
                              float* to) {
      upsampled_input<T>(a, b, s.depth, first, bins, v, d);
      const typename T::Number* factors[kProducts] = {v, d, d + s.depth};
      for (std::size_t k = 0; k < kProducts; ++k) {
        multiply<T>({factors[k], s.depth, s.width, init ? init + k * size : nullptr, to + k * size},
                    bins, weights + (time * kProducts + k) * s.depth * s.width);
      }
    };
    if (!call.stash_valid) products(0, call.rows[1], nullptr, nullptr, stash);
    if (call.odd) {
      products(2, call.rows[2], call.rows[1], stash, m);
    } else {
      products(1, call.rows[1], call.rows[0], stash, m);
    }
    for (std::size_t f = 0; f < bins; ++f) {
      float* out = call.out + 2 * (first + f) * s.width;
      for_channels(s.width, [&](auto tag, std::size_t c) {
        using V = decltype(tag);
        const V shared = load<V>(m + f * s.width + c);
        store(out + c, shared + load<V>(m + size + f * s.width + c));
        store(out + s.width + c, shared + load<V>(m + 2 * size + f * s.width + c));
      });
    }
    finish(call.epilogue, s.width, shape.out_channels, 2 * first, 2 * (first + bins), call.out);
  }
}

}  // namespace

void pack_conv(const ConvShape& shape, const float* weight, float* packed) {
#if defined(__AVX512BF16__)
  if (shape.bfloat16) return pack_form<BFloat16, TwoOutputs>(shape, weight, packed);
#endif
  pack_form<Float32, FourOutputs>(shape, weight, packed);
}

void conv_row(const ConvShape& shape, const float* packed,
              const ConvRowCall& call) noexcept AUDIOGEN_REALTIME {
#if defined(__AVX512BF16__)
  if (shape.bfloat16) {
    return shape.upsample ? upsampled_row<BFloat16>(shape, packed, call)
                          : plain_row<BFloat16, TwoOutputs>(shape, packed, call);
  }
#endif
  if (shape.upsample) {
    upsampled_row<Float32>(shape, packed, call);
  } else {
    plain_row<Float32, FourOutputs>(shape, packed, call);
  }
}

void finish_row(const RowEpilogue& epilogue, std::size_t channels, std::size_t n_bins,
                float* row) noexcept AUDIOGEN_REALTIME {
  finish(epilogue, padded_channels(channels), channels, 0, n_bins, row);
}

void linear_row(const float* x, std::size_t depth, const float* weight, std::size_t width,
                float* y) noexcept AUDIOGEN_REALTIME {
  constexpr std::size_t kTogether = 4;  // rows per pass over y
  const float* rows[kTogether];
  float factors[kTogether];
  std::size_t n = 0;
  for (std::size_t k = 0; k < depth; ++k) {
    if (x[k] == 0.0f) continue;
    rows[n] = weight + k * width;
    factors[n++] = x[k];
    if (n < kTogether) continue;
    add_scaled<kTogether>(rows, factors, width, y);
    n = 0;
  }
  for (std::size_t i = 0; i < n; ++i) add_scaled<1>(rows + i, factors + i, width, y);
}

void image_row(const ImageRowCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t channels = padded_channels(call.channels);
  for (std::size_t f = 0; f < call.n_bins; ++f) {
    const float* bin = call.row + f * channels;
    ChannelSum sums[2];
    for_channels(channels, [&](auto tag, std::size_t c) {
      using V = decltype(tag);
      const V x = load<V>(bin + c);
      sums[0].add(x * load<V>(call.weight + c));
      sums[1].add(x * load<V>(call.weight + channels + c));
    });
    for (std::size_t i = 0; i < 2; ++i) call.out[i][f] = sums[i].total() + call.bias[i];
  }
  for (std::size_t i = 0; i < 2; ++i) {
    std::size_t f = 0;
    for (; f + kLanes <= call.n_bins; f += kLanes) {
      store(call.out[i] + f, core::tanh(load<Vec>(call.out[i] + f)));
    }
    for (; f < call.n_bins; ++f) call.out[i][f] = core::tanh(call.out[i][f]);
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
