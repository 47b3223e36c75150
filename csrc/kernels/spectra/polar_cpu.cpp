// Loop of polar_to_rectangular over an array, compiled for each instruction set.
#include "kernels/spectra/polar.h"

#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

void polar_to_rectangular(const float* log_magnitude, const float* phase, float* spectrum,
                          std::size_t n) noexcept AUDIOGEN_REALTIME {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto z = to_rectangular(load<Vec>(log_magnitude + i), load<Vec>(phase + i));
    store(spectrum + 2 * i, interleave_low(z.real, z.imag));
    store(spectrum + 2 * i + kLanes, interleave_high(z.real, z.imag));
  }
  for (; i < n; ++i) {
    const auto z = to_rectangular(log_magnitude[i], phase[i]);
    spectrum[2 * i] = z.real;
    spectrum[2 * i + 1] = z.imag;
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
