// Loops of the layers on tiles: packing, products, and the epilogue.
#include "kernels/networks/tiles/tile_rows.h"

#include <cstdint>

#include "core/math.h"
#include "kernels/networks/activation.h"
#include "kernels/networks/tiles/tiles.h"
#include "kernels/vec.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

#if defined(__AMX_BF16__)
using Tiles = AmxTiles;
#else
using Tiles = EmulatedTiles;
#endif

static_assert(kTilePlane == kTileDepth);

using Halves = std::uint16_t __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

// kLanes numbers in bfloat16 as floats.
inline Vec widen(const std::uint16_t* from) {
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof(halves));
  using Words = std::uint32_t __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
  return __builtin_bit_cast(Vec, __builtin_convertvector(halves, Words) << 16);
}

// The channels of a plane, rounded to bfloat16 after a multiplication by `gain`.
inline void put_plane(const float* x, float gain, std::uint16_t* to) {
#if defined(__AVX512BF16__)
  const auto low = __builtin_bit_cast(__m512, load<Vec>(x) * gain);
  const auto high = __builtin_bit_cast(__m512, load<Vec>(x + kLanes) * gain);
  const __m512bh y = _mm512_cvtne2ps_pbh(high, low);
  __builtin_memcpy(to, &y, sizeof(y));
#else
  for (std::size_t c = 0; c < kTilePlane; ++c) {
    to[c] = static_cast<std::uint16_t>(core::bfloat16_word(x[c] * gain) >> 16);
  }
#endif
}

// Lane i of the result is the sum of the lanes of rows[i].
inline Vec sums_of(Vec (&rows)[kLanes]) {
  for (std::size_t n = kLanes / 2; n > 0; n /= 2) {
    for (std::size_t i = 0; i < n; ++i) {
      rows[i] = interleave_low(rows[i], rows[i + n]) + interleave_high(rows[i], rows[i + n]);
    }
  }
  return rows[0];
}

// `pixel_norm_factor` of each lane.
inline Vec pixel_norm_factors(Vec sums_of_squares, float n_channels) {
#if defined(__AVX512F__)
  const Vec x = sums_of_squares / n_channels + kPixelNormEpsilon;
  const auto y = __builtin_bit_cast(Vec, _mm512_rsqrt14_ps(__builtin_bit_cast(__m512, x)));
  return y * (1.5f - x * 0.5f * y * y);  // one step of Newton's method: from 14 bits to 23
#else
  for (std::size_t i = 0; i < kLanes; ++i) {
    sums_of_squares[i] = pixel_norm_factor(sums_of_squares[i], n_channels);
  }
  return sums_of_squares;
#endif
}

// ---- Packing: [column pair, tap, plane of inputs, tap along frequency, column tile] tiles ----

// Taps along one axis of each of the two outputs of an upsampled input: for inputs i - 1 and i, and
// for i and i + 1.
constexpr double kUpsampledTaps[2][2][3] = {{{1, 0, 0}, {0, 1, 1}}, {{1, 1, 0}, {0, 0, 1}}};
constexpr double kPlainTaps[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};

// Sums taps [out, in, 3, 3] by `time` and `frequency`, and writes the tiles of one output.
template <std::size_t kTaps>
std::uint16_t* pack_output(const ConvShape& shape, const double (&time)[kTaps][3],
                           const double (&frequency)[kTaps][3], std::size_t pair,
                           const float* weight, std::uint16_t* to) {
  const std::size_t planes = tile_channels(shape.in_channels) / kTilePlane;
  for (std::size_t t = 0; t < kTaps; ++t) {
    for (std::size_t p = 0; p < planes; ++p) {
      for (std::size_t f = 0; f < kTaps; ++f) {
        for (std::size_t i = 0; i < 2 * kTileNumbers; ++i) {
          const std::size_t within = i % kTileNumbers;
          const std::size_t n =
              pair * 2 * kTileColumns + i / kTileNumbers * kTileColumns + within / 2 % kTileColumns;
          const std::size_t k = p * kTilePlane + within / (2 * kTileColumns) * 2 + within % 2;
          double sum = 0.0;
          if (n < shape.out_channels && k < shape.in_channels) {
            const float* taps = weight + (n * shape.in_channels + k) * 9;
            for (std::size_t r = 0; r < 3; ++r) {
              for (std::size_t c = 0; c < 3; ++c)
                sum += time[t][r] * frequency[f][c] * taps[3 * r + c];
            }
          }
          *to++ = static_cast<std::uint16_t>(core::bfloat16_word(static_cast<float>(sum)) >> 16);
        }
      }
    }
  }
  return to;
}

// ---- Products ----

// Rows of inputs and their weights: sums over `kTaps` rows, all planes, and `kTaps` bins.
template <std::size_t kTaps>
struct Taps {
  const std::uint16_t* rows[kTaps];  // at the bin of the first tap of output 0
  std::size_t planes;
  std::size_t plane;  // numbers
};

template <std::size_t kRows, std::size_t kTaps>
inline void add_taps(const Taps<kTaps>& taps, std::size_t bin, const std::uint16_t* b, float* to,
                     std::size_t stride) {
  typename Tiles::template Sums<kRows> sums;
  for (std::size_t t = 0; t < kTaps; ++t) {
    const std::uint16_t* a = taps.rows[t] + bin * kTilePlane;
    for (std::size_t p = 0; p < taps.planes; ++p) {
      for (std::size_t f = 0; f < kTaps; ++f) {
        const std::uint16_t* from = a + f * kTilePlane;
        if constexpr (kRows == 2) {
          sums.add({from, from + kTileNumbers}, b);
        } else {
          sums.add({from}, b);
        }
        b += 2 * kTileNumbers;
      }
      a += taps.plane;
    }
  }
  sums.store(to, stride);
}

// Sums of bins `first` .. `last` - 1 (a multiple of 16) for two tiles of columns.
template <std::size_t kTaps>
void add_bins(const Taps<kTaps>& taps, std::size_t first, std::size_t last, const std::uint16_t* b,
              float* to, std::size_t stride) {
  std::size_t bin = first;
  for (; bin + 2 * kTileRows <= last; bin += 2 * kTileRows) {
    add_taps<2>(taps, bin, b, to + (bin - first) * stride, stride);
  }
  if (bin < last) add_taps<1>(taps, bin, b, to + (bin - first) * stride, stride);
}

// ---- Epilogue ----

struct TileRowOut {
  std::uint16_t* numbers;
  std::size_t channels;  // padded
  std::size_t plane;     // numbers
  float n_channels;      // without padding
};

// Finishes up to kLanes bins from `first` on; `sums` [bins, channels] is overwritten.
template <bool kConditioned, bool kStyled>
inline void finish_group(const RowEpilogue& e, const TileRowOut& out, std::size_t first,
                         std::size_t n, float* sums) {
  Vec squares[kLanes] = {};
  for (std::size_t i = 0; i < n; ++i) {
    float* bin = sums + i * out.channels;
    Vec squared{};
    for (std::size_t c = 0; c < out.channels; c += kLanes) {
      Vec x = load<Vec>(bin + c) + load<Vec>(e.bias + c);
      if constexpr (kConditioned) {
        x = x + load<Vec>(e.field + (first + i) * out.channels + c) +
            load<Vec>(e.strength + c) * e.noise[first + i];
      }
      if constexpr (kStyled) x = x * load<Vec>(e.scale + c) + load<Vec>(e.shift + c);
      x = leaky_relu(x, e.slope);
      squared = x * x + squared;
      store(bin + c, x);
    }
    squares[i] = squared;
  }
  float gains[kLanes];
  store(gains,
        e.normalise ? pixel_norm_factors(sums_of(squares), out.n_channels) : broadcast(1.0f));
  for (std::size_t i = 0; i < n; ++i) {
    std::uint16_t* to = out.numbers + (first + i) * kTilePlane;
    for (std::size_t c = 0; c < out.channels; c += kTilePlane, to += out.plane) {
      put_plane(sums + i * out.channels + c, gains[i], to);
    }
  }
}

template <bool kConditioned, bool kStyled>
void finish_groups(const RowEpilogue& e, const TileRowOut& out, std::size_t first, std::size_t last,
                   float* sums) {
  for (std::size_t bin = first; bin < last; bin += kLanes, sums += kLanes * out.channels) {
    finish_group<kConditioned, kStyled>(e, out, bin, last - bin < kLanes ? last - bin : kLanes,
                                        sums);
  }
}

// Finishes bins `first` .. `last` - 1.
void finish_tile_bins(const RowEpilogue& e, const TileRowOut& out, std::size_t first,
                      std::size_t last, float* sums) {
  if (e.field && e.scale) {
    finish_groups<true, true>(e, out, first, last, sums);
  } else if (e.field) {
    finish_groups<true, false>(e, out, first, last, sums);
  } else if (e.scale) {
    finish_groups<false, true>(e, out, first, last, sums);
  } else {
    finish_groups<false, false>(e, out, first, last, sums);
  }
}

TileRowOut out_row(float* row, std::size_t channels, std::size_t n_bins) {
  return {reinterpret_cast<std::uint16_t*>(row), tile_channels(channels),
          tile_plane_numbers(n_bins), static_cast<float>(channels)};
}

const std::uint16_t* numbers_of(const float* row) {
  return reinterpret_cast<const std::uint16_t*>(row);
}

}  // namespace

void pack_tile_conv(const ConvShape& shape, const float* weight, float* packed) {
  const std::size_t pairs = tile_channels(shape.out_channels) / (2 * kTileColumns);
  auto* to = reinterpret_cast<std::uint16_t*>(packed);
  if (!shape.upsample) {
    for (std::size_t n = 0; n < pairs; ++n) {
      to = pack_output(shape, kPlainTaps, kPlainTaps, n, weight, to);
    }
    return;
  }
  for (const auto& time : kUpsampledTaps) {
    for (std::size_t n = 0; n < pairs; ++n) {
      for (const auto& frequency : kUpsampledTaps) {
        to = pack_output(shape, time, frequency, n, weight, to);
      }
    }
  }
}

void tile_conv_row(const ConvShape& shape, const float* packed,
                   const ConvRowCall& call) noexcept AUDIOGEN_REALTIME {
  [[maybe_unused]] const Tiles tiles;
  const std::size_t depth = tile_channels(shape.in_channels);
  const std::size_t width = tile_channels(shape.out_channels);
  const std::size_t pairs = width / (2 * kTileColumns), planes = depth / kTilePlane;
  const std::size_t plane = tile_plane_numbers(shape.n_bins), block = tile_block(shape);
  const std::size_t scale = shape.upsample ? 2 : 1;
  const TileRowOut out = out_row(call.out, shape.out_channels, scale * shape.n_bins);
  const std::uint16_t* weights = numbers_of(packed);
  float* sums = call.workspace;
  for (std::size_t first = 0; first < shape.n_bins; first += block) {
    const std::size_t end = first + block < shape.n_bins ? first + block : shape.n_bins;
    const std::size_t last = round_up(end, kTileRows);
    if (shape.upsample) {
      const std::size_t size = 4 * depth * 2 * kTileColumns;  // of the weights of one output
      const std::uint16_t* b = weights + (call.odd ? 2 * pairs * size : 0);
      const float* const* rows = call.rows + (call.odd ? 1 : 0);
      for (std::size_t n = 0; n < pairs; ++n) {
        for (std::size_t f = 0; f < 2; ++f, b += size) {
          Taps<2> taps{{numbers_of(rows[0]), numbers_of(rows[1])}, planes, plane};
          if (f == 0) {
            for (const std::uint16_t*& row : taps.rows) row -= kTilePlane;
          }
          add_bins(taps, first, last, b, sums + f * width + n * 2 * kTileColumns, 2 * width);
        }
      }
    } else {
      const std::uint16_t* b = weights;
      Taps<3> taps{{}, planes, plane};
      for (std::size_t t = 0; t < 3; ++t) taps.rows[t] = numbers_of(call.rows[t]) - kTilePlane;
      for (std::size_t n = 0; n < pairs; ++n, b += 9 * depth * 2 * kTileColumns) {
        add_bins(taps, first, last, b, sums + n * 2 * kTileColumns, width);
      }
    }
    finish_tile_bins(call.epilogue, out, scale * first, scale * end, sums);
  }
}

void finish_tile_row(const RowEpilogue& epilogue, std::size_t channels, std::size_t n_bins,
                     float* sums, float* row) noexcept AUDIOGEN_REALTIME {
  finish_tile_bins(epilogue, out_row(row, channels, n_bins), 0, n_bins, sums);
}

void tile_image_row(const ImageRowCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t channels = tile_channels(call.channels);
  const std::size_t plane = tile_plane_numbers(call.n_bins);
  for (std::size_t first = 0; first < call.n_bins; first += kLanes) {
    const std::size_t n = call.n_bins - first < kLanes ? call.n_bins - first : kLanes;
    Vec sums[2][kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint16_t* bin = numbers_of(call.row) + (first + i) * kTilePlane;
      for (std::size_t c = 0; c < channels; c += kLanes) {
        const Vec x = widen(bin + c / kTilePlane * plane + c % kTilePlane);
        sums[0][i] = x * load<Vec>(call.weight + c) + sums[0][i];
        sums[1][i] = x * load<Vec>(call.weight + channels + c) + sums[1][i];
      }
    }
    for (std::size_t k = 0; k < 2; ++k) {
      float y[kLanes];
      store(y, core::tanh(sums_of(sums[k]) + call.bias[k]));
      for (std::size_t i = 0; i < n; ++i) call.out[k][first + i] = y[i];
    }
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
