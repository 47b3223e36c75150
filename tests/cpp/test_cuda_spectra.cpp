// The CUDA kernels of spectra, run on the CPU thread by thread, are the CPU's kernels.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/audiogen_cuda.h"
#include "kernels/dispatch.h"
#include "kernels/spectra/overlap_add.h"

using namespace audiogen;
using Floats = std::vector<float>;

static constexpr double kTurn = 6.28318530717958647692;

static Floats random_floats(std::size_t n, float lowest, float highest, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(lowest, highest);
  Floats out(n);
  for (float& x : out) x = uniform(random);
  return out;
}

// Largest difference of two arrays, of phases by whole turns; NaN is infinite.
static double apart(const Floats& a, const Floats& b, double turn = 0.0) {
  double worst = a.size() == b.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const double difference = a[i] - b[i];
    const double d = std::abs(turn > 0.0 ? std::remainder(difference, turn) : difference);
    worst = d <= worst ? worst : (std::isnan(d) ? INFINITY : d);
  }
  return worst;
}

// Calls `run` with the device's threads in each order.
template <class Run>
static void in_each_order(const Run& run) {
  using cuda_on_cpu::Order;
  for (const Order order : {Order::kForward, Order::kBackward, Order::kShuffled}) {
    cuda_on_cpu::device() = {};
    cuda_on_cpu::device().order = order;
    cuda_on_cpu::device().seed = 3;
    run();
  }
}

static void wraps() {
  for (const std::size_t n : {0, 1, 255, 256, 257, 1000}) {
    const Floats x = random_floats(n, -50.0f, 50.0f);
    Floats wanted(n), got(n, NAN), in_place = x;
    kernels::kernels().wrap(x.data(), wanted.data(), n);
    CHECK(audiogen_cuda_wrap(x.data(), got.data(), n, nullptr) == 0);
    CHECK(audiogen_cuda_wrap(in_place.data(), in_place.data(), n, nullptr) == 0);
    CHECK(apart(got, wanted, kTurn) < 5e-6);
    CHECK(in_place == got);
    for (const float y : got) CHECK(y >= -3.1415927f && y < 3.1415927f);
  }
}

using AlongTime = int(const float*, float*, std::uint64_t, std::uint64_t, std::uint64_t, void*);
using OnCpu = void(const float*, float*, kernels::TimeLayout) noexcept;

static void runs_along_time(const char* name, AlongTime* cuda, OnCpu* cpu, float range, double turn,
                            double tolerance) {
  const int before = test::failures;
  for (const kernels::TimeLayout layout : {kernels::TimeLayout{1, 1, 1},
                                           {1, 37, 1},
                                           {3, 5, 7},
                                           {2, 300, 129},
                                           {0, 4, 4},
                                           {4, 0, 4},
                                           {4, 4, 0},
                                           {70, 2, 5}}) {
    const std::size_t n = layout.n_outer * layout.n_frames * layout.n_inner;
    const Floats x = random_floats(n, -range, range, static_cast<unsigned>(n));
    Floats wanted(n), got(n, NAN), in_place = x;
    cpu(x.data(), wanted.data(), layout);
    CHECK(cuda(x.data(), got.data(), layout.n_outer, layout.n_frames, layout.n_inner, nullptr) ==
          0);
    CHECK(cuda(in_place.data(), in_place.data(), layout.n_outer, layout.n_frames, layout.n_inner,
               nullptr) == 0);
    CHECK(apart(got, wanted, turn) < tolerance);
    CHECK(in_place == got);
  }
  if (test::failures != before) std::fprintf(stderr, "  in %s\n", name);
}

static void polar_to_rectangular() {
  for (const std::size_t n : {0, 1, 300, 777}) {
    const Floats magnitude = random_floats(n, -8.0f, 3.0f);
    const Floats phase = random_floats(n, -100.0f, 100.0f, 2);
    Floats wanted(2 * n), got(2 * n, NAN);
    kernels::kernels().polar_to_rectangular(magnitude.data(), phase.data(), wanted.data(), n);
    CHECK(audiogen_cuda_polar_to_rectangular(magnitude.data(), phase.data(), got.data(), n,
                                             nullptr) == 0);
    CHECK(apart(got, wanted) < 2e-5);
  }
}

static void overlap_adds() {
  struct Shape {
    std::size_t n_batch, n_frames, n_fft, hop_length;
  };
  for (const Shape& s : {Shape{1, 1, 8, 2}, Shape{2, 9, 16, 4}, Shape{3, 5, 12, 5},
                         Shape{2, 4, 8, 11}, Shape{0, 3, 8, 2}, Shape{2, 0, 8, 2}}) {
    const std::size_t span = s.n_frames ? s.hop_length * (s.n_frames - 1) + s.n_fft : 0;
    const Floats frames = random_floats(s.n_batch * s.n_frames * s.n_fft, -1.0f, 1.0f);
    const Floats window = random_floats(s.n_fft, 0.0f, 1.0f),
                 gain = random_floats(span, 1.0f, 2.0f);
    Floats wanted(s.n_batch * span), got(s.n_batch * span, NAN);
    for (std::size_t b = 0; b < s.n_batch; ++b) {
      for (std::size_t f = 0; f < s.n_frames; ++f) {
        for (std::size_t i = 0; i < s.n_fft; ++i) {
          wanted[b * span + f * s.hop_length + i] +=
              frames[(b * s.n_frames + f) * s.n_fft + i] * window[i];
        }
      }
      for (std::size_t t = 0; t < span; ++t) wanted[b * span + t] *= gain[t];
    }
    CHECK(audiogen_cuda_overlap_add(frames.data(), window.data(), gain.data(), got.data(),
                                    s.n_batch, s.n_frames, s.n_fft, s.hop_length, nullptr) == 0);
    CHECK(apart(got, wanted) < 1e-5);
  }
  CHECK(audiogen_cuda_overlap_add(nullptr, nullptr, nullptr, nullptr, 1, 1, 8, 0, nullptr) ==
        cudaErrorInvalidValue);
}

int main() {
  const kernels::KernelTable& cpu = kernels::kernels();
  in_each_order([&] {
    wraps();
    runs_along_time("unwrap", audiogen_cuda_unwrap, cpu.unwrap, 3.1f, 0.0, 2e-4);
    runs_along_time("instantaneous frequency", audiogen_cuda_instantaneous_frequency,
                    cpu.instantaneous_frequency, 3.1f, 2.0, 5e-6);
    runs_along_time("integrate", audiogen_cuda_integrate, cpu.integrate, 1.0f, kTurn, 2e-4);
    polar_to_rectangular();
    overlap_adds();
  });
  CHECK(cuda_on_cpu::n_switches() > 10'000);
  CHECK(audiogen_cuda_interface() == AUDIOGEN_CUDA_INTERFACE);
  CHECK(std::string(audiogen_cuda_error(1)) == "invalid argument");
  return test::finish();
}
