// Launch of polar_to_rectangular: one thread per value.
#include "cuda/audiogen_cuda.h"
#include "cuda/launch.h"
#include "kernels/spectra/polar.h"

int audiogen_cuda_polar_to_rectangular(const float* log_magnitude, const float* phase,
                                       float* spectrum, uint64_t n, void* stream) {
  return audiogen::cuda::for_each(n, stream, [=] __device__(std::uint64_t i) {
    const auto z = audiogen::kernels::to_rectangular(log_magnitude[i], phase[i]);
    spectrum[2 * i] = z.real;
    spectrum[2 * i + 1] = z.imag;
  });
}
