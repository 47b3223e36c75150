// CPU kernels of one instruction set against the shared host and device formulas.
//
// The formulas run here one value or column at a time, as a CUDA thread runs them, so that the
// arithmetic of the CUDA library is tested without a GPU. The argument names the set; without one,
// all sets are run that this machine has.
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"
#include "core/random.h"
#include "kernels/dispatch.h"
#include "kernels/networks/activation.h"

namespace core = audiogen::core;
namespace kernels = audiogen::kernels;
using kernels::KernelTable;

static std::vector<float> uniform(std::size_t n, float low, float high, std::uint32_t row) {
  std::vector<float> x(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    x[i] = low + (high - low) * core::philox_uniform(11, 0, row, i);
  }
  return x;
}

// Phases are equal up to whole turns: contraction may take a tie to the other side.
static double circle_distance(float a, float b) {
  return std::abs(std::remainder(a - b, 2 * M_PI));
}

using Layout = kernels::TimeLayout;

template <class Kernel, class Column>
static void compare_columns(Kernel kernel, float low, float high, double tolerance, Column column) {
  for (const Layout layout :
       {Layout{1, 1, 1}, Layout{2, 7, 5}, Layout{3, 40, 33}, Layout{1, 9, 2051}, Layout{2, 500, 1},
        Layout{0, 3, 3}, Layout{2, 0, 3}}) {
    const std::size_t n = layout.n_outer * layout.n_frames * layout.n_inner;
    const std::vector<float> x = uniform(n, low, high, 1);
    std::vector<float> y(n, NAN), expected(n), in_place = x;
    kernel(x.data(), y.data(), layout);
    kernel(in_place.data(), in_place.data(), layout);
    for (std::size_t i = 0; i < layout.n_outer * layout.n_inner && n != 0; ++i) {
      const std::size_t start =
          i / layout.n_inner * layout.n_frames * layout.n_inner + i % layout.n_inner;
      column(x.data() + start, expected.data() + start, layout.n_inner, layout.n_frames);
    }
    for (std::size_t i = 0; i < n; ++i) {
      CHECK_NEAR(circle_distance(y[i], expected[i]), 0.0, tolerance);
      CHECK(in_place[i] == y[i]);
    }
  }
}

static void test_phase(const KernelTable& table) {
  constexpr float kPi = core::kPi;
  compare_columns(table.unwrap, -kPi, kPi, 2e-4,
                  [](const float* x, float* y, std::size_t stride, std::size_t n) {
                    float previous = x[0], turns = 0.0f;
                    for (std::size_t t = 0; t < n; ++t) {
                      y[t * stride] = kernels::unwrap_step(x[t * stride], previous, turns);
                    }
                  });
  compare_columns(table.instantaneous_frequency, -kPi, kPi, 1e-6,
                  [](const float* x, float* y, std::size_t stride, std::size_t n) {
                    float previous = 0.0f;
                    y[0] = kernels::inst_freq_first(x[0]);
                    previous = x[0];
                    for (std::size_t t = 1; t < n; ++t) {
                      y[t * stride] = kernels::inst_freq_step(x[t * stride], previous);
                    }
                  });
  compare_columns(table.integrate, -1.0f, 1.0f, 1e-4,
                  [](const float* x, float* y, std::size_t stride, std::size_t n) {
                    float turns = 0.0f;
                    for (std::size_t t = 0; t < n; ++t) {
                      y[t * stride] = kernels::integrate_step(x[t * stride], turns);
                    }
                  });
  const std::vector<float> x = uniform(1003, -5000.0f, 5000.0f, 2);
  std::vector<float> y(x.size());
  table.wrap(x.data(), y.data(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(y[i] >= -kPi && y[i] < kPi);
    CHECK_NEAR(circle_distance(y[i], kernels::wrap_step(x[i])), 0.0, 1e-6);
    CHECK_NEAR(std::abs(std::remainder(double{x[i]} - y[i], 2 * M_PI)), 0.0, 1e-6);
  }
}

static void test_polar(const KernelTable& table) {
  const std::size_t n = 1001;
  const std::vector<float> magnitude = uniform(n, -14.0f, 10.0f, 3), phase = uniform(n, -9, 9, 4);
  std::vector<float> z(2 * n);
  table.polar_to_rectangular(magnitude.data(), phase.data(), z.data(), n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto expected = kernels::to_rectangular(magnitude[i], phase[i]);
    const double scale = 1e-6 * std::exp(magnitude[i]);
    CHECK_NEAR(z[2 * i], expected.real, scale);
    CHECK_NEAR(z[2 * i + 1], expected.imag, scale);
    CHECK_NEAR(z[2 * i], std::exp(double{magnitude[i]}) * std::cos(double{phase[i]}), scale);
  }
}

// Frame by frame, as the engine's voices add them, against the gather that a CUDA thread makes.
static void test_overlap_add() {
  using Overlap = kernels::OverlapLayout;
  for (const Overlap layout :
       {Overlap{1, 1, 1, 1}, Overlap{1, 5, 16, 4}, Overlap{1, 9, 33, 7}, Overlap{1, 3, 8, 8}}) {
    const std::size_t n_fft = layout.n_fft, hop = layout.hop_length;
    const std::vector<float> frames = uniform(layout.n_frames * n_fft, -1, 1, 5);
    const std::vector<float> window = uniform(n_fft, 0, 1, 7);
    std::vector<float> sum(n_fft, 0.0f), signal;
    for (std::size_t f = 0; f < layout.n_frames; ++f) {
      if (f != 0) {
        signal.insert(signal.end(), sum.begin(), sum.begin() + static_cast<std::ptrdiff_t>(hop));
        kernels::overlap_add_shift(sum.data(), n_fft, hop);
      }
      kernels::overlap_add_frame(frames.data() + f * n_fft, window.data(), n_fft, sum.data());
    }
    signal.insert(signal.end(), sum.begin(), sum.end());
    CHECK(signal.size() == layout.span());
    for (std::size_t t = 0; t < signal.size(); ++t) {
      const float wanted = kernels::overlap_add_at(frames.data(), window.data(), t, layout);
      CHECK_NEAR(signal[t], wanted, 1e-6);
    }
  }
}

static void test_istft(const KernelTable& table) {
  const std::size_t n_batch = 2, n_frames = 19, n_fft = 64, hop_length = 16;
  const kernels::IstftPlan plan(n_fft, hop_length, n_frames);
  const auto layout = plan.layout(n_batch);
  const std::size_t row = 2 * plan.tables().n_bins();
  const std::vector<float> spectrum = uniform(n_batch * n_frames * row, -1, 1, 6);
  std::vector<float> signal(n_batch * layout.span());
  struct alignas(64) Line {
    float floats[16];
  };
  std::vector<Line> scratch(plan.scratch_floats() / 16 + 1);
  table.istft(plan, spectrum.data(), signal.data(), n_batch, scratch[0].floats);
  // Each frame on its own, then the gather that a CUDA thread makes for its sample.
  std::vector<float> frames(n_batch * n_frames * n_fft), one(plan.tables().scratch_size());
  for (std::size_t f = 0; f < n_batch * n_frames; ++f) {
    const auto* bins = reinterpret_cast<const core::Complex<float>*>(spectrum.data() + f * row);
    const float* frame = core::inverse_real_fft(plan.tables(), bins, one.data());
    std::copy(frame, frame + n_fft, frames.begin() + static_cast<std::ptrdiff_t>(f * n_fft));
  }
  for (std::size_t i = 0; i < signal.size(); ++i) {
    const std::size_t item = i / layout.span(), t = i % layout.span();
    const float* from = frames.data() + item * n_frames * n_fft;
    const float expected = kernels::overlap_add_at(from, plan.window(), t, layout) * plan.gain()[t];
    CHECK_NEAR(signal[i], expected, 1e-5);
  }
  CHECK_THROWS(kernels::IstftPlan(64, 0, 3), std::invalid_argument, "hop_length=0");
  CHECK_THROWS(kernels::IstftPlan(64, 65, 3), std::invalid_argument, "hop_length=65");
}

static void test_activation() {
  CHECK(kernels::leaky_relu(2.0f, 0.2f) == 2.0f);
  CHECK(kernels::leaky_relu(-2.0f, 0.25f) == -0.5f);
  CHECK(std::isnan(kernels::leaky_relu(NAN, 0.2f)));
  CHECK_NEAR(kernels::pixel_norm_factor(4.0f * 9.0f, 4.0f), 1.0 / 3.0, 1e-7);
  CHECK_NEAR(kernels::pixel_norm_factor(0.0f, 4.0f), 1e4, 1e-2);
}

int main(int count, char** arguments) {
  bool ran = false;
  for (const KernelTable* table : kernels::available_kernels()) {
    if (count > 1 && std::string(arguments[1]) != table->isa) continue;
    test_phase(*table);
    test_polar(*table);
    test_istft(*table);
    ran = true;
  }
  if (!ran) return audiogen::test::kSkipped;
  test_overlap_add();
  test_activation();
  return audiogen::test::finish();
}
