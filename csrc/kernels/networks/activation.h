// The activation after each convolution of the generator: leaky ReLU, then pixel norm over
// channels.
#pragma once

#include "core/target.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

// Added to the mean square over channels before the square root (Karras et al. 2018, section 4.2).
inline constexpr float kPixelNormEpsilon = 1e-8f;

template <class F>
inline F leaky_relu(F x, float slope) {
  return x < 0.0f ? x * slope : x;
}

// The factor that normalises one pixel, given the sum of its squares over `n_channels` channels.
inline float pixel_norm_factor(float sum_of_squares, float n_channels) {
  return 1.0f / __builtin_sqrtf(sum_of_squares / n_channels + kPixelNormEpsilon);
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
