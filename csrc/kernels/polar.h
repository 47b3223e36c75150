// From log magnitude and phase to real and imaginary parts.
#pragma once

#include <cstddef>

#include "core/math.h"

namespace audiogen::kernels {

// spectrum[2 i], spectrum[2 i + 1] = exp(log_magnitude[i]) times cos, sin of phase[i] (rad,
// |phase| <= 65536, NaN beyond).
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
