// Launches of the phase kernels: one thread per value, or per column for recurrences along time.
//
// Neighbouring threads process neighbouring columns, so reads of a frame are coalesced.
#include "cuda/audiogen_cuda.h"
#include "cuda/launch.h"
#include "kernels/spectra/phase.h"

namespace audiogen::kernels {

// Runs `column(x, y, stride, n)` for every column of [n_outer, n_frames, n_inner].
template <class Column>
static int for_each_column(const float* x, float* y, std::uint64_t n_outer, std::uint64_t n_frames,
                           std::uint64_t n_inner, void* stream, Column column) {
  if (n_frames == 0) return cudaSuccess;
  return cuda::for_each(n_outer * n_inner, stream, [=] __device__(std::uint64_t i) {
    const std::uint64_t start = i / n_inner * n_frames * n_inner + i % n_inner;
    column(x + start, y + start, n_inner, n_frames);
  });
}

struct UnwrapColumn {
  __device__ void operator()(const float* x, float* y, std::uint64_t stride,
                             std::uint64_t n) const {
    float previous = x[0], turns = 0.0f;
    y[0] = previous;
    for (std::uint64_t t = 1; t < n; ++t)
      y[t * stride] = unwrap_step(x[t * stride], previous, turns);
  }
};

struct InstFreqColumn {
  __device__ void operator()(const float* x, float* y, std::uint64_t stride,
                             std::uint64_t n) const {
    float previous = x[0];
    y[0] = inst_freq_first(previous);
    for (std::uint64_t t = 1; t < n; ++t) y[t * stride] = inst_freq_step(x[t * stride], previous);
  }
};

struct IntegrateColumn {
  __device__ void operator()(const float* x, float* y, std::uint64_t stride,
                             std::uint64_t n) const {
    float turns = 0.0f;
    for (std::uint64_t t = 0; t < n; ++t) y[t * stride] = integrate_step(x[t * stride], turns);
  }
};

}  // namespace audiogen::kernels

namespace kernels = audiogen::kernels;

int audiogen_cuda_wrap(const float* x, float* y, uint64_t n, void* stream) {
  return audiogen::cuda::for_each(
      n, stream, [=] __device__(std::uint64_t i) { y[i] = kernels::wrap_step(x[i]); });
}

int audiogen_cuda_unwrap(const float* phase, float* unwrapped, uint64_t n_outer, uint64_t n_frames,
                         uint64_t n_inner, void* stream) {
  return kernels::for_each_column(phase, unwrapped, n_outer, n_frames, n_inner, stream,
                                  kernels::UnwrapColumn{});
}

int audiogen_cuda_instantaneous_frequency(const float* phase, float* inst_freq, uint64_t n_outer,
                                          uint64_t n_frames, uint64_t n_inner, void* stream) {
  return kernels::for_each_column(phase, inst_freq, n_outer, n_frames, n_inner, stream,
                                  kernels::InstFreqColumn{});
}

int audiogen_cuda_integrate(const float* inst_freq, float* phase, uint64_t n_outer,
                            uint64_t n_frames, uint64_t n_inner, void* stream) {
  return kernels::for_each_column(inst_freq, phase, n_outer, n_frames, n_inner, stream,
                                  kernels::IntegrateColumn{});
}
