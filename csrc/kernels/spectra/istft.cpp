// Window and gain of the inverse short-time Fourier transform.
#include "kernels/spectra/istft.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace audiogen::kernels {

static constexpr std::size_t kWidestLanes = 16;

std::vector<double> hann_window(std::size_t n_fft) {
  std::vector<double> window(n_fft);
  for (std::size_t i = 0; i < n_fft; ++i) {
    window[i] = 0.5 - 0.5 * std::cos(2.0 * std::numbers::pi * static_cast<double>(i) / n_fft);
  }
  return window;
}

std::vector<float> window_gain(std::size_t n_fft, std::size_t hop_length, std::size_t n_frames) {
  if (hop_length < 1 || hop_length > n_fft) {
    throw std::invalid_argument("hop_length=" + std::to_string(hop_length) +
                                " must be 1 to n_fft=" + std::to_string(n_fft) +
                                "; a quarter of n_fft is usual");
  }
  const std::vector<double> window = hann_window(n_fft);
  const OverlapLayout layout{1, n_frames, n_fft, hop_length};
  std::vector<double> sum(layout.span(), 0.0);
  for (std::size_t f = 0; f < n_frames; ++f) {
    for (std::size_t i = 0; i < n_fft; ++i) sum[f * hop_length + i] += window[i] * window[i];
  }
  const double largest = sum.empty() ? 1.0 : *std::max_element(sum.begin(), sum.end());
  std::vector<float> gain(sum.size());
  for (std::size_t t = 0; t < sum.size(); ++t) {
    gain[t] = static_cast<float>(1.0 / std::max(sum[t], kGainFloor * largest));
  }
  return gain;
}

IstftPlan::IstftPlan(std::size_t n_fft, std::size_t hop_length, std::size_t n_frames)
    : tables_(n_fft),
      hop_length_(hop_length),
      n_frames_(n_frames),
      gain_(window_gain(n_fft, hop_length, n_frames)) {
  for (const double w : hann_window(n_fft)) {
    window_.push_back(static_cast<float>(w * 2.0 / static_cast<double>(n_fft)));
  }
}

std::size_t IstftPlan::scratch_floats() const {
  return kWidestLanes * (tables_.scratch_size() + 2 * tables_.n_bins());
}

}  // namespace audiogen::kernels
