// Phase arithmetic along time: wrap, unwrap, instantaneous frequency and its integral.
//
// One step of each operation, for host and device; loops are in phase_cpu.cpp, launches in
// phase_cuda.cu. `F` is `float` or a vector of floats.
#pragma once

#include <cstddef>

#include "core/math.h"

namespace audiogen::kernels {

// An array as [n_outer, n_frames, n_inner] in C order, time in the middle.
struct TimeLayout {
  std::size_t n_outer;
  std::size_t n_frames;
  std::size_t n_inner;
};

// y[i] = x[i] wrapped into [-pi, pi). Input and output may be the same array, here and below.
using Wrap = void(const float* x, float* y, std::size_t n) noexcept AUDIOGEN_REALTIME;

// numpy.unwrap along time: steps larger than pi lose the multiple of 2 pi that brings them within.
using Unwrap = void(const float* phase, float* unwrapped,
                    TimeLayout layout) noexcept AUDIOGEN_REALTIME;

// First frame phase / pi, then the wrapped difference / pi, in [-1, 1].
using InstantaneousFrequency = void(const float* phase, float* inst_freq,
                                    TimeLayout layout) noexcept AUDIOGEN_REALTIME;

// Running sum of pi * inst_freq, wrapped into [-pi, pi) after each step: float32 never grows
// coarse.
using Integrate = void(const float* inst_freq, float* phase,
                       TimeLayout layout) noexcept AUDIOGEN_REALTIME;

inline namespace AUDIOGEN_ISA {

// 2 pi as a sum that misses it by 7e-15. The first parts have 8 and 11 bits, so that up to 2^13
// turns of them are exact.
inline constexpr float kTwoPiHigh = 6.28125f;
inline constexpr float kTwoPiMiddle = 1.9350051879882812e-3f;
inline constexpr float kTwoPiLow = 3.0199160505617330e-7f;
inline constexpr float kInverseTwoPi = 0.159154943091895336f;
inline constexpr float kInversePi = 0.318309886183790672f;

// x - turns * 2 pi, without the error of a rounded 2 pi.
template <class F>
AUDIOGEN_HD inline F subtract_turns(F x, F turns) {
  return ((x - turns * kTwoPiHigh) - turns * kTwoPiMiddle) - turns * kTwoPiLow;
}

// Whole turns nearest to x, for |x| < 2.6e7 rad. A step of x = +-pi has none, as in numpy: there
// the product is just under 0.5, and rounds down.
template <class F>
AUDIOGEN_HD inline F turns_in(F x) {
  return core::round_nearest(x * kInverseTwoPi).value;
}

template <class F>
AUDIOGEN_HD inline F wrap_step(F x) {
  const F y = subtract_turns(x, turns_in(x));
  const F below = y < -core::kPi ? y + core::kTwoPi : y;
  return below >= core::kPi ? below - core::kTwoPi : below;
}

// `turns` counts what earlier frames have taken off; `previous` is the frame before, wrapped.
template <class F>
AUDIOGEN_HD inline F unwrap_step(F x, F& previous, F& turns) {
  turns = turns + turns_in(x - previous);
  previous = x;
  return subtract_turns(x, turns);
}

template <class F>
AUDIOGEN_HD inline F inst_freq_step(F x, F& previous) {
  const F difference = x - previous;
  previous = x;
  return subtract_turns(difference, turns_in(difference)) * kInversePi;
}

template <class F>
AUDIOGEN_HD inline F integrate_step(F inst_freq, F& phase) {
  phase = wrap_step(phase + inst_freq * core::kPi);
  return phase;
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
