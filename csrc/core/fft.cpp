// Sines and cosines of the Fourier transform, computed in double precision.
#include "core/fft.h"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace audiogen::core {

static std::vector<float> circle(std::size_t n_points, std::size_t n_turn) {
  std::vector<float> points(2 * n_points);
  for (std::size_t k = 0; k < n_points; ++k) {
    const double angle = 2.0 * std::numbers::pi * static_cast<double>(k) / n_turn;
    points[2 * k] = static_cast<float>(std::cos(angle));
    points[2 * k + 1] = static_cast<float>(std::sin(angle));
  }
  return points;
}

FftTables::FftTables(std::size_t n_fft) : n_fft_(n_fft) {
  if (n_fft < 16 || (n_fft & (n_fft - 1)) != 0) {
    throw std::invalid_argument(
        "n_fft=" + std::to_string(n_fft) +
        " is not a power of two, 16 or more; use for instance 1024 or 2048");
  }
  half_circle_ = circle(n_fft / 2, n_fft / 2);
  split_circle_ = circle(n_fft / 4 + 1, n_fft);
}

}  // namespace audiogen::core
