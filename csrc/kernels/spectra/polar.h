// Log magnitude and phase to real and imaginary part.
#pragma once

#include <cstddef>

#include "core/math.h"

namespace audiogen::kernels {

// spectrum[2 i] and spectrum[2 i + 1] are exp(log_magnitude[i]) times the cosine and the sine of
// phase[i] in rad; NaN for |phase| > 65536.
using PolarToRectangular = void(const float* log_magnitude, const float* phase, float* spectrum,
                                std::size_t n) noexcept AUDIOGEN_REALTIME;

inline namespace AUDIOGEN_ISA {

template <class F>
struct Rectangular {
  F real;
  F imag;
};

template <class F>
AUDIOGEN_HD inline Rectangular<F> to_rectangular(F log_magnitude, F phase) {
  const F magnitude = core::exp(log_magnitude);
  const auto turn = core::sincos(phase);
  return {magnitude * turn.cos, magnitude * turn.sin};
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
