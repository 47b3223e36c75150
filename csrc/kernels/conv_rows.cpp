// The row convolution over whole images.
#include "kernels/conv_rows.h"

#include <algorithm>

#include "core/aligned_floats.h"
#include "kernels/dispatch.h"

namespace audiogen::kernels {

namespace {

constexpr std::size_t kBins = 16;  // a cache line of one channel

// One row of an image [C, T, F]: `stride` floats from channel to channel, into bins of `width`.
void interleave(const float* from, std::size_t stride, std::size_t channels, std::size_t n_bins,
                std::size_t width, float* row) {
  for (std::size_t start = 0; start < n_bins; start += kBins) {
    const std::size_t end = std::min(start + kBins, n_bins);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t f = start; f < end; ++f) row[f * width + c] = from[c * stride + f];
    }
  }
}

void separate(const float* row, std::size_t stride, std::size_t channels, std::size_t n_bins,
              std::size_t width, float* to) {
  for (std::size_t start = 0; start < n_bins; start += kBins) {
    const std::size_t end = std::min(start + kBins, n_bins);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t f = start; f < end; ++f) to[c * stride + f] = row[f * width + c];
    }
  }
}

}  // namespace

void conv_rows(const ConvImage& image, const float* x, const float* weight, const float* bias,
               float* y) {
  const std::size_t in = image.in_channels, out = image.out_channels;
  const std::size_t n_frames = image.n_frames, n_bins = image.n_bins;
  const std::size_t out_frames = n_frames << image.upsample, out_bins = n_bins << image.upsample;
  if (in == 0 || out == 0 || n_frames == 0 || n_bins == 0) return;
  const KernelTable& table = kernels();
  const ConvShape shape{in, out, n_bins, image.upsample, false};
  core::AlignedFloats packed(conv_packed_floats(shape)), padded_bias(padded_channels(out));
  core::AlignedFloats stash(conv_stash_floats(shape)), workspace(conv_workspace_floats(shape));
  core::AlignedFloats result(row_floats(out, out_bins));
  table.pack_conv(shape, weight, packed.data());
  std::copy_n(bias, out, padded_bias.data());

  // Three neighbours in a ring of four, and a row of zeros.
  const std::size_t row_size = row_floats(in, n_bins);
  core::AlignedFloats rows(5 * row_size);
  const auto slot = [&](std::size_t i) { return rows.data() + i * row_size + row_guard(in); };
  std::size_t loaded = 0;
  const auto row_at = [&](std::size_t t) -> const float* {
    if (t >= n_frames) return slot(4);  // also the one before the first
    for (; loaded <= t; ++loaded) {
      interleave(x + loaded * n_bins, n_frames * n_bins, in, n_bins, padded_channels(in),
                 slot(loaded % 4));
    }
    return slot(t % 4);
  };
  for (std::size_t t = 0; t < out_frames; ++t) {
    const std::size_t at = t >> image.upsample;
    ConvRowCall call{};
    for (std::size_t i = 0; i < 3; ++i) call.rows[i] = row_at(at + i - 1);
    call.odd = t & 1;
    call.stash_valid = call.odd;
    call.stash = stash.data();
    call.workspace = workspace.data();
    call.out = result.data() + row_guard(out);
    call.epilogue.bias = padded_bias.data();
    call.epilogue.slope = image.slope;
    call.epilogue.normalise = image.normalise;
    table.conv_row(shape, packed.data(), call);
    separate(call.out, out_frames * out_bins, out, out_bins, padded_channels(out),
             y + t * out_bins);
  }
}

}  // namespace audiogen::kernels
