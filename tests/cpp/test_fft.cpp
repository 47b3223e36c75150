// The Fourier transform against its definition in double precision, both ways, one lane and many.
#include "core/fft.h"

#include <cmath>
#include <complex>
#include <numbers>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "core/random.h"
#include "kernels/vec.h"

namespace core = audiogen::core;

static std::vector<float> noise(std::size_t n) {
  std::vector<float> x(n);
  for (std::uint32_t i = 0; i < n; ++i) x[i] = core::philox_uniform(7, 0, 0, i) - 0.5f;
  return x;
}

static std::vector<std::complex<double>> slow_transform(const std::vector<float>& x) {
  const std::size_t n = x.size();
  std::vector<std::complex<double>> spectrum(n / 2 + 1);
  for (std::size_t k = 0; k < spectrum.size(); ++k) {
    for (std::size_t t = 0; t < n; ++t) {
      spectrum[k] += double{x[t]} * std::polar(1.0, -2.0 * std::numbers::pi * ((k * t) % n) / n);
    }
  }
  return spectrum;
}

static void test_size(std::size_t n) {
  const core::FftTables tables(n);
  const std::vector<float> x = noise(n);
  const auto exact = slow_transform(x);
  std::vector<float> scratch(tables.scratch_size());
  std::vector<core::Complex<float>> spectrum(tables.n_bins());
  core::real_fft(tables, x.data(), spectrum.data(), scratch.data());
  const double tolerance = 2e-7 * std::sqrt(n) * std::log2(n);
  for (std::size_t k = 0; k < exact.size(); ++k) {
    CHECK_NEAR(spectrum[k].re, exact[k].real(), tolerance);
    CHECK_NEAR(spectrum[k].im, exact[k].imag(), tolerance);
  }
  spectrum.front().im = 5.0f;  // not to be read
  spectrum.back().im = -5.0f;
  const float* again = core::inverse_real_fft(tables, spectrum.data(), scratch.data());
  for (std::size_t t = 0; t < n; ++t) CHECK_NEAR(again[t] * 2.0 / n, x[t], 1e-6);
}

// Each lane of the vector transform equals the transform of that lane alone.
static void test_lanes(std::size_t n) {
  using audiogen::kernels::kLanes;
  using audiogen::kernels::Vec;
  const core::FftTables tables(n);
  const std::vector<float> x = noise(n * kLanes);
  std::vector<Vec> lanes(n), scratch(tables.scratch_size());
  std::vector<core::Complex<Vec>> spectra(tables.n_bins());
  for (std::size_t t = 0; t < n; ++t) {
    for (std::size_t l = 0; l < kLanes; ++l) lanes[t][l] = x[l * n + t];
  }
  core::real_fft(tables, lanes.data(), spectra.data(), scratch.data());
  std::vector<float> one_scratch(tables.scratch_size());
  std::vector<core::Complex<float>> one(tables.n_bins());
  for (std::size_t l = 0; l < kLanes; ++l) {
    core::real_fft(tables, x.data() + l * n, one.data(), one_scratch.data());
    for (std::size_t k = 0; k < one.size(); ++k) CHECK_NEAR(spectra[k].im[l], one[k].im, 1e-4);
  }
  const Vec* again = core::inverse_real_fft(tables, spectra.data(), scratch.data());
  for (std::size_t t = 0; t < n; ++t) {
    for (std::size_t l = 0; l < kLanes; ++l) CHECK_NEAR(again[t][l] * 2 / n, x[l * n + t], 1e-6);
  }
}

int main() {
  for (const std::size_t n : {16, 32, 64, 128, 1024, 2048}) test_size(n);
  for (const std::size_t n : {16, 32, 1024}) test_lanes(n);
  for (const std::size_t n : {0, 1, 8, 24, 1000}) {
    CHECK_THROWS(core::FftTables(n), std::invalid_argument, "power of two");
  }
  return audiogen::test::finish();
}
