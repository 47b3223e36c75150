// Inverse short-time Fourier transform: weighted overlap-add with a periodic Hann window.
#pragma once

#include <cstddef>
#include <vector>

#include "core/fft.h"
#include "kernels/spectra/overlap_add.h"

namespace audiogen::kernels {

// Tables for spectrograms of one shape. Only the constructor allocates.
class IstftPlan {
 public:
  // Throws std::invalid_argument unless n_fft is a power of two, 16 or more, and
  // 1 <= hop_length <= n_fft.
  IstftPlan(std::size_t n_fft, std::size_t hop_length, std::size_t n_frames);

  OverlapLayout layout(std::size_t n_batch) const {
    return {n_batch, n_frames_, tables_.n_fft(), hop_length_};
  }
  const core::FftTables& tables() const { return tables_; }
  const float* window() const { return window_.data(); }  // periodic Hann * 2 / n_fft
  const float* gain() const { return gain_.data(); }      // [span], see window_gain
  std::size_t scratch_floats() const;                     // for any instruction set

 private:
  core::FftTables tables_;
  std::size_t hop_length_;
  std::size_t n_frames_;
  std::vector<float> window_;
  std::vector<float> gain_;
};

// Lower bound of the divisor, relative to its maximum. Each sample is divided by the sum of the
// squared windows that cover it (Griffin and Lim 1984, eq. 6). The sum goes to 0 at the ends of the
// signal, where an unbounded division would amplify errors of a generated spectrogram without
// limit. With 1e-3 the first and last n_fft / 15 samples fade at a hop of a quarter of n_fft.
inline constexpr float kGainFloor = 1e-3f;

// Periodic Hann window, [n_fft].
std::vector<double> hann_window(std::size_t n_fft);

// 1 / max(sum of squared windows, kGainFloor * its maximum) for each sample of the span.
std::vector<float> window_gain(std::size_t n_fft, std::size_t hop_length, std::size_t n_frames);

// spectrum [n_batch, n_frames, n_fft / 2 + 1] complex -> signal [n_batch, span]. The imaginary
// parts of the first and last bin are ignored. `scratch` has plan.scratch_floats() floats, aligned
// to 64 bytes (the widest vector).
using Istft = void(const IstftPlan& plan, const float* spectrum, float* signal, std::size_t n_batch,
                   float* scratch) noexcept AUDIOGEN_REALTIME;

}  // namespace audiogen::kernels
