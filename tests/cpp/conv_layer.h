// A layer of a generator with random weights, and its definition, for the tests of the row kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "core/aligned_floats.h"
#include "kernels/networks/conv_rows.h"

namespace audiogen::test {

using core::AlignedFloats;
using namespace kernels;

// An image [C, T, F] in rows, with a row of zeros beyond its ends.
struct Image {
  std::size_t channels, n_frames, n_bins;
  AlignedFloats floats;
  Image(std::size_t c, std::size_t t, std::size_t f)
      : channels(c), n_frames(t), n_bins(f), floats((t + 1) * row_floats(c, f)) {}
  float* row(std::size_t t) {
    return floats.data() + std::min(t, n_frames) * row_floats(channels, n_bins) +
           row_guard(channels);
  }
  float& at(std::size_t c, std::size_t t, std::size_t f) {
    return row(t)[f * padded_channels(channels) + c];
  }
};

struct Layer {
  ConvShape shape;
  std::size_t n_frames;  // of the output
  std::vector<float> weight;
  Image x;
  AlignedFloats bias, field, noise, strength, scale, shift;
  bool conditioned;
  std::size_t stride;

  // Arrays of channels are padded to a multiple of `align`.
  Layer(ConvShape s, std::size_t t, bool is_conditioned, std::mt19937& random,
        std::size_t align = kChannelAlign)
      : shape(s),
        n_frames(t << s.upsample),
        weight(s.in_channels * s.out_channels * 9),
        x(s.in_channels, t, s.n_bins),
        conditioned(is_conditioned),
        stride(round_up(s.out_channels, align)) {
    std::normal_distribution<float> normal;
    const float gain = std::sqrt(2.0f / (9.0f * static_cast<float>(s.in_channels)));
    for (float& w : weight) w = gain * normal(random);
    for (std::size_t i = 0; i < t; ++i) {
      for (std::size_t f = 0; f < s.n_bins; ++f) {
        for (std::size_t c = 0; c < s.in_channels; ++c) x.at(c, i, f) = normal(random);
      }
    }
    for (AlignedFloats* vector : {&bias, &strength, &scale, &shift}) {
      *vector = AlignedFloats(stride);
      for (std::size_t c = 0; c < s.out_channels; ++c) vector->data()[c] = normal(random);
    }
    field = AlignedFloats(out_bins() * stride);
    noise = AlignedFloats(out_bins());
    for (std::size_t f = 0; f < out_bins(); ++f) {
      noise.data()[f] = normal(random);
      for (std::size_t c = 0; c < s.out_channels; ++c)
        field.data()[f * stride + c] = normal(random);
    }
  }
  std::size_t out_bins() const { return shape.n_bins << shape.upsample; }

  double input(std::size_t c, std::ptrdiff_t t, std::ptrdiff_t f) {
    const auto bins = static_cast<std::ptrdiff_t>(out_bins());
    if (t < 0 || f < 0 || t >= static_cast<std::ptrdiff_t>(n_frames) || f >= bins) return 0.0;
    return x.at(c, static_cast<std::size_t>(t >> shape.upsample),
                static_cast<std::size_t>(f >> shape.upsample));
  }

  // The definition, in double.
  std::vector<double> pixel(std::size_t t, std::size_t f) {
    std::vector<double> y(shape.out_channels);
    double squares = 0.0;
    for (std::size_t n = 0; n < y.size(); ++n) {
      double sum = bias.data()[n];
      for (std::size_t c = 0; c < shape.in_channels; ++c) {
        for (std::size_t i = 0; i < 9; ++i) {
          const auto dt = static_cast<std::ptrdiff_t>(t + i / 3) - 1;
          const auto df = static_cast<std::ptrdiff_t>(f + i % 3) - 1;
          sum +=
              static_cast<double>(weight[(n * shape.in_channels + c) * 9 + i]) * input(c, dt, df);
        }
      }
      if (conditioned) {
        sum += field.data()[f * stride + n] + strength.data()[n] * noise.data()[f];
        sum = sum * scale.data()[n] + shift.data()[n];
      }
      y[n] = sum < 0 ? 0.2 * sum : sum;
      squares += y[n] * y[n];
    }
    const double gain = 1.0 / std::sqrt(squares / static_cast<double>(y.size()) + 1e-8);
    for (double& value : y) value *= gain;
    return y;
  }
};

}  // namespace audiogen::test
