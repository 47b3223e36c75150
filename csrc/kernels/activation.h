// What follows each convolution of the generator: leaky ReLU, then pixel norm over channels.
#pragma once

#include "core/target.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

// Added to the mean square of the channels before its root is taken (Karras et al. 2018, 4.2).
inline constexpr float kPixelNormEpsilon = 1e-8f;

template <class F>
AUDIOGEN_HD inline F leaky_relu(F x, float slope) {
  return x < 0.0f ? x * slope : x;
}

// The factor for one pixel whose squares over `n_channels` channels sum to `sum_of_squares`. The
// root is a host's or device's own: correctly rounded on the host, within 1 ulp on CUDA.
AUDIOGEN_HD inline float pixel_norm_factor(float sum_of_squares, float n_channels) {
  return 1.0f / __builtin_sqrtf(sum_of_squares / n_channels + kPixelNormEpsilon);
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
