// Streaming sample rate conversion by a rational factor.
#include "engine/resampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>

namespace audiogen::engine {

// Kaiser window with 110 dB of stop-band attenuation; with 72 taps the transition band is 0.1 of
// the lower rate wide.
static constexpr double kBeta = 11.2;
static constexpr std::size_t kTaps = 72;
static constexpr std::size_t kLargestTable = std::size_t{1} << 24;  // floats

// Modified Bessel function of the first kind, order 0, by its power series.
static double bessel_i0(double x) {
  double sum = 1.0, term = 1.0;
  for (int k = 1; term > 1e-12 * sum; ++k) {
    term *= (x / (2.0 * k)) * (x / (2.0 * k));
    sum += term;
  }
  return sum;
}

Resampler::Resampler(std::uint32_t from_hz, std::uint32_t to_hz) {
  for (const std::uint32_t rate : {from_hz, to_hz}) {
    if (rate < 1000 || rate > 384000) {
      throw std::invalid_argument("sample_rate=" + std::to_string(rate) +
                                  " Hz must be 1000 to 384000, for instance 48000");
    }
  }
  const std::uint32_t common = std::gcd(from_hz, to_hz);
  up_ = to_hz / common;
  down_ = from_hz / common;
  if (from_hz == to_hz) {
    taps_ = 0;
    mask_ = 2 * kLargestPush - 1;
    history_.resize(2 * (mask_ + 1));
    return;
  }
  // When the rate is reduced, the filter is longer in proportion to its narrower pass band.
  const double band = std::min(1.0, static_cast<double>(to_hz) / from_hz);
  taps_ = 2 * static_cast<std::size_t>(std::ceil(kTaps / (2.0 * band)));
  if (up_ * taps_ > kLargestTable) {
    throw std::invalid_argument("sample_rate=" + std::to_string(to_hz) + " Hz and the model's " +
                                std::to_string(from_hz) +
                                " Hz have too small a common divisor; use a usual rate");
  }
  // Rounded up to whole output samples; covers the later half of the filter.
  latency_ = static_cast<std::size_t>((taps_ / 2 * up_ + down_ - 1) / down_);
  filter_.resize(up_ * taps_);
  const double half = static_cast<double>(taps_) / 2.0;
  for (std::uint64_t phase = 0; phase < up_; ++phase) {
    const double fraction = static_cast<double>(phase) / static_cast<double>(up_);
    double sum = 0.0;
    std::vector<double> row(taps_);
    for (std::size_t t = 0; t < taps_; ++t) {
      // Input samples from half - 1 before the output's time to half after it.
      const double x = static_cast<double>(t) - (half - 1.0) - fraction;
      const double position = x / half;
      const double window = bessel_i0(kBeta * std::sqrt(std::max(0.0, 1.0 - position * position)));
      const double angle = std::numbers::pi * x * band;
      row[t] = window * (std::abs(angle) < 1e-12 ? 1.0 : std::sin(angle) / angle);
      sum += row[t];
    }
    for (std::size_t t = 0; t < taps_; ++t) {
      filter_[phase * taps_ + t] = static_cast<float>(row[t] / sum);
    }
  }
  std::size_t ring = 1;
  while (ring < taps_ + kLargestPush * 2) ring *= 2;
  mask_ = ring - 1;
  history_.resize(2 * ring);
}

void Resampler::reset() noexcept AUDIOGEN_REALTIME {
  std::fill(history_.begin(), history_.end(), 0.0f);
  pushed_ = pulled_ = 0;
}

void Resampler::push(const float* in, std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = static_cast<std::size_t>(pushed_++) & mask_;
    history_[at] = history_[at + mask_ + 1] = in[i];
  }
}

void Resampler::pull(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (std::size_t i = 0; i < n; ++i, ++pulled_) {
    if (taps_ == 0) {
      out[i] = history_[static_cast<std::size_t>(pulled_) & mask_];
      continue;
    }
    // Times count from `taps` input samples before the start, so that they stay unsigned.
    const std::uint64_t shifted = pulled_ * down_ + taps_ * up_ - latency_ * down_;
    const std::uint64_t whole = shifted / up_;
    const float* row = filter_.data() + (shifted % up_) * taps_;
    // First input sample under the filter: time - (taps / 2 - 1).
    const std::size_t first = static_cast<std::size_t>(whole - taps_ - taps_ / 2 + 1) & mask_;
    const float* x = history_.data() + first;
    float sum = 0.0f;
    for (std::size_t t = 0; t < taps_; ++t) sum += row[t] * x[t];
    out[i] = sum;
  }
}

}  // namespace audiogen::engine
