// Rows of a 3x3 convolution, plain or after a nearest x2 upsampling, with the steps that follow it
// in a GANSynth generator: bias, conditioning, style, leaky ReLU, pixel norm.
//
// A row is an array [n_bins, channels]; the channels are padded with zeros to a multiple of
// kChannelAlign, and a pointer to a row points at bin 0. Bin -1 and the bins from n_bins up to
// padded_bins(n_bins) are readable and zero: the padding of the convolution.
//
// The fast algorithms compute the same polynomial with fewer multiplications:
//   plain      F(2, 3) along time and F(4, 3) along frequency (Winograd 1980; Lavin and Gray, "Fast
//              Algorithms for Convolutional Neural Networks", 2016): 24 products for 4 x 2 outputs,
//              where the definition has 72. In bfloat16, F(2, 3) along both: 16 for 2 x 2.
//   upsampled  along an axis, taps w0 w1 w2 on x doubled give, with w = w0 + w1 + w2,
//              w x[i] - w0 (x[i] - x[i-1]) and w x[i] + w2 (x[i+1] - x[i]): the first product is
//              shared, so that 9 products make 2 x 2 outputs, where the definition has 36.
// Two output rows share products, but each depends on its own three input rows only: the first row
// of a pair stores the shared products for the second one in the stash.
#pragma once

#include <cstddef>

#include "core/target.h"

namespace audiogen::kernels {

inline constexpr std::size_t kChannelAlign = 8;

struct ConvShape {
  std::size_t in_channels;
  std::size_t out_channels;
  std::size_t n_bins;  // of the input; the output has twice as many after upsampling
  bool upsample;
  bool bfloat16;  // multiplies in bfloat16 and adds in float32; only the avx512_bf16 set can
};

// The steps after the convolution of a row, in this order. A null pointer skips a step. Arrays of
// channels are padded with zeros.
struct RowEpilogue {
  const float* bias = nullptr;      // [C], required; may include other constants of the row
  const float* field = nullptr;     // [n_bins, C], added; requires noise and strength
  const float* noise = nullptr;     // [n_bins], multiplied by `strength` and added
  const float* strength = nullptr;  // [C]
  const float* scale = nullptr;     // [C]; y = x * scale + shift
  const float* shift = nullptr;     // [C]
  float slope = 0.2f;               // slope of the leaky ReLU below 0
  bool normalise = true;            // pixel norm over the channels without padding
};

// Row `2 j` (even) or `2 j + 1` (odd) of the output. `rows` are input rows. Plain: the rows above,
// at and below the output row. Upsampled: rows j - 1, j and j + 1, of which the even output row
// does not read the last and the odd one does not read the first. Rows outside the image are zeros.
struct ConvRowCall {
  const float* rows[3];
  bool odd;
  bool stash_valid;  // a call for the same j and the same input has filled the stash
  float* stash;      // [conv_stash_floats]
  float* workspace;  // [conv_workspace_floats]
  float* out;
  RowEpilogue epilogue;
};

// Transforms weights [out, in, 3, 3] for `conv_row`: conv_packed_floats floats, aligned to 64
// bytes.
using PackConv = void(const ConvShape& shape, const float* weight, float* packed);

// One row of a layer. All arrays except `noise` are aligned to 64 bytes.
using ConvRow = void(const ConvShape& shape, const float* packed,
                     const ConvRowCall& call) noexcept AUDIOGEN_REALTIME;

// Applies an epilogue to the sums of a row.
using FinishRow = void(const RowEpilogue& epilogue, std::size_t channels, std::size_t n_bins,
                       float* row) noexcept AUDIOGEN_REALTIME;

// y [width] += sum over k of x[k] weight[k, width]; width is a multiple of kChannelAlign. Zeros of
// x are skipped.
using LinearRow = void(const float* x, std::size_t depth, const float* weight, std::size_t width,
                       float* y) noexcept AUDIOGEN_REALTIME;

// Output row [2, n_bins] = tanh of a 1x1 convolution of a row; weight [2, C], padded.
struct ImageRowCall {
  const float* row;
  std::size_t n_bins;
  std::size_t channels;
  const float* weight;
  float bias[2];
  float* out[2];
};
using ImageRow = void(const ImageRowCall& call) noexcept AUDIOGEN_REALTIME;

inline namespace AUDIOGEN_ISA {

inline constexpr std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

inline constexpr std::size_t padded_channels(std::size_t n) { return round_up(n, kChannelAlign); }

inline constexpr std::size_t padded_bins(std::size_t n) { return round_up(n, 4); }

// Offset of bin 0 in a row's memory: after bin -1, a multiple of 64 bytes.
inline constexpr std::size_t row_guard(std::size_t channels) {
  return round_up(padded_channels(channels), 16);
}

// Floats of a row, including bin -1 and the padding.
inline constexpr std::size_t row_floats(std::size_t channels, std::size_t n_bins) {
  return round_up(row_guard(channels) + (padded_bins(n_bins) + 1) * padded_channels(channels), 16);
}

// Outputs along frequency that are computed together, and the number of their products.
inline constexpr std::size_t conv_tile(const ConvShape& s) {
  return s.upsample ? 1 : s.bfloat16 ? 2 : 4;
}
inline constexpr std::size_t conv_products(const ConvShape& s) {
  return s.upsample ? 3 : conv_tile(s) + 2;
}
inline constexpr std::size_t conv_tiles(const ConvShape& s) {
  return padded_bins(s.n_bins) / conv_tile(s);
}

// Tiles that go through all steps of a row together: few enough for the cache, except where the
// weights are so large that reading them once per block would cost more.
inline constexpr std::size_t conv_block(const ConvShape& s) {
  const std::size_t in = padded_channels(s.in_channels), out = padded_channels(s.out_channels);
  const std::size_t tile_floats = conv_products(s) * (in + 2 * out);
  const std::size_t budget = in * out > 64 * 64 ? 256 * 1024 : 48 * 1024;  // floats
  const std::size_t block = round_up(budget / tile_floats + 1, 12);
  return block < conv_tiles(s) ? block : conv_tiles(s);
}

inline constexpr std::size_t conv_packed_floats(const ConvShape& s) {
  const std::size_t along_time = s.upsample ? 3 : 4;
  const std::size_t numbers = along_time * conv_products(s) * padded_channels(s.in_channels) *
                              padded_channels(s.out_channels);
  return round_up(s.bfloat16 ? numbers / 2 : numbers, 16);
}

inline constexpr std::size_t conv_stash_floats(const ConvShape& s) {
  return round_up(conv_products(s) * conv_tiles(s) * padded_channels(s.out_channels), 16);
}

inline constexpr std::size_t conv_workspace_floats(const ConvShape& s) {
  const std::size_t in = padded_channels(s.in_channels), out = padded_channels(s.out_channels);
  const std::size_t inputs = round_up((conv_products(s) * conv_block(s) + 2) * in, 16);
  return inputs + 2 * round_up(conv_products(s) * conv_block(s) * out, 16);
}

}  // namespace AUDIOGEN_ISA

}  // namespace audiogen::kernels
