// Overlap-add: frames that start `hop_length` samples apart are summed to one signal.
//
// Two forms of one sum: `overlap_add_at` gathers one sample from all frames (CUDA, and the tests'
// oracle), and `overlap_add_frame` scatters one frame at a time (the engine's voices).
#pragma once

#include <cstddef>

#include "core/target.h"

namespace audiogen::kernels {

struct OverlapLayout {
  std::size_t n_batch;
  std::size_t n_frames;
  std::size_t n_fft;       // samples of a frame
  std::size_t hop_length;  // samples from one frame's start to the next one's, 1 or more

  // Samples of the signal; 0 without frames.
  AUDIOGEN_HD std::size_t span() const {
    return n_frames == 0 ? 0 : hop_length * (n_frames - 1) + n_fft;
  }
};

inline namespace AUDIOGEN_ISA {

// The frames that cover a sample: first <= frame < end.
struct FrameRange {
  std::size_t first;
  std::size_t end;
};

AUDIOGEN_HD inline FrameRange frames_at(std::size_t t, OverlapLayout layout) {
  const std::size_t first = t < layout.n_fft ? 0 : (t - layout.n_fft) / layout.hop_length + 1;
  const std::size_t last = t / layout.hop_length;
  return {first, (last < layout.n_frames ? last + 1 : layout.n_frames)};
}

// Sample t of one batch item: frames [n_frames, n_fft], each multiplied by window [n_fft].
AUDIOGEN_HD inline float overlap_add_at(const float* frames, const float* window, std::size_t t,
                                        OverlapLayout layout) {
  const FrameRange range = frames_at(t, layout);
  float sum = 0.0f;
  for (std::size_t f = range.first; f < range.end; ++f) {
    const std::size_t i = t - f * layout.hop_length;
    sum += frames[f * layout.n_fft + i] * window[i];
  }
  return sum;
}

// Moves `sum` [n_fft] on by one hop: its first hop_length samples are finished and dropped, zeros
// follow at the end.
inline void overlap_add_shift(float* sum, std::size_t n_fft,
                              std::size_t hop_length) noexcept AUDIOGEN_REALTIME {
  for (std::size_t i = hop_length; i < n_fft; ++i) sum[i - hop_length] = sum[i];
  for (std::size_t i = n_fft - hop_length; i < n_fft; ++i) sum[i] = 0.0f;
}

// Adds a frame [n_fft], multiplied by window [n_fft], to `sum`; its first hop_length samples are
// then finished. All frames of a note are added by the caller's own instruction set, so the
// engine's samples do not depend on the set that `dispatch.h` chooses.
inline void overlap_add_frame(const float* frame, const float* window, std::size_t n_fft,
                              float* sum) noexcept AUDIOGEN_REALTIME {
  for (std::size_t i = 0; i < n_fft; ++i) sum[i] += window[i] * frame[i];
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
