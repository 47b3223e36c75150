// Phase arithmetic along time: wrap, unwrap, instantaneous frequency and its integral.
//
// Each operation has one formula for host and device, a template over `float` or a vector of
// floats. The loops over arrays are in phase_cpu.cpp and the launches in phase_cuda.cu; the
// engine's voices apply the formulas to one frame at a time.
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

// y[i] = x[i] wrapped to [-pi, pi), rad. All kernels here may work in place.
using Wrap = void(const float* x, float* y, std::size_t n) noexcept AUDIOGEN_REALTIME;

// numpy.unwrap along time: subtracts from each step the multiple of 2 pi nearest to it.
using Unwrap = void(const float* phase, float* unwrapped,
                    TimeLayout layout) noexcept AUDIOGEN_REALTIME;

// Wrapped phase / pi in the first frame, then the wrapped difference / pi; all in [-1, 1].
using InstantaneousFrequency = void(const float* phase, float* inst_freq,
                                    TimeLayout layout) noexcept AUDIOGEN_REALTIME;

// Running sum of pi * inst_freq, wrapped to [-pi, pi] after each step so that rounding errors do
// not grow with the phase.
using Integrate = void(const float* inst_freq, float* phase,
                       TimeLayout layout) noexcept AUDIOGEN_REALTIME;

inline namespace AUDIOGEN_ISA {

// 2 pi as a sum of three floats, with an error of 7e-15. The first two have 8 and 11 significant
// bits, so their products with up to 2^13 turns are exact.
inline constexpr float kTwoPiHigh = 6.28125f;
inline constexpr float kTwoPiMiddle = 1.9350051879882812e-3f;
inline constexpr float kTwoPiLow = 3.0199160505617330e-7f;
inline constexpr float kInverseTwoPi = 0.159154943091895336f;
inline constexpr float kInversePi = 0.318309886183790672f;

// x - turns * 2 pi, to the precision of the three-part 2 pi.
template <class F>
AUDIOGEN_HD inline F subtract_turns(F x, F turns) {
  return ((x - turns * kTwoPiHigh) - turns * kTwoPiMiddle) - turns * kTwoPiLow;
}

// Whole turns nearest to x, for |x| < 2.6e7 rad. x = +-pi gives 0, as in numpy.unwrap: the product
// is just below 0.5.
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

// `turns` counts the turns subtracted so far; `previous` is the previous frame's wrapped phase.
template <class F>
AUDIOGEN_HD inline F unwrap_step(F x, F& previous, F& turns) {
  turns = turns + turns_in(x - previous);
  previous = x;
  return subtract_turns(x, turns);
}

template <class F>
AUDIOGEN_HD inline F inst_freq_first(F x) {
  return wrap_step(x) * kInversePi;
}

template <class F>
AUDIOGEN_HD inline F inst_freq_step(F x, F& previous) {
  const F difference = x - previous;
  previous = x;
  return subtract_turns(difference, turns_in(difference)) * kInversePi;
}

// A phase in turns, wrapped to [-0.5, 0.5]. Exact: an integer is subtracted from a number near it.
template <class F>
AUDIOGEN_HD inline F wrap_turns(F turns) {
  return turns - core::round_nearest(turns).value;
}

// A difference of instantaneous frequencies (units of pi a frame), wrapped to [-1, 1]: frequencies
// are known up to whole turns.
template <class F>
AUDIOGEN_HD inline F wrap_frequency(F difference) {
  return difference - 2.0f * core::round_nearest(0.5f * difference).value;
}

// The next frame's phase in turns: `advance` in turns plus an instantaneous frequency.
template <class F>
AUDIOGEN_HD inline F advance_turns(F turns, F advance, F inst_freq) {
  return wrap_turns(turns + advance + 0.5f * inst_freq);
}

// The next frame's phase in rad; `turns` is the running sum.
template <class F>
AUDIOGEN_HD inline F integrate_step(F inst_freq, F& turns) {
  turns = advance_turns(turns, F{}, inst_freq);
  return turns * core::kTwoPi;
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
