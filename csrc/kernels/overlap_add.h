// Overlap-add: frames that start `hop_length` samples apart become one signal.
#pragma once

#include <cstddef>

#include "core/target.h"

namespace audiogen::kernels {

struct OverlapLayout {
  std::size_t n_batch;
  std::size_t n_frames;
  std::size_t n_fft;       // samples in a frame
  std::size_t hop_length;  // samples from one frame's start to the next, 1 or more

  // Samples of the result; 0 without frames.
  AUDIOGEN_HD std::size_t span() const {
    return n_frames == 0 ? 0 : hop_length * (n_frames - 1) + n_fft;
  }
};

// frames [n_batch, n_frames, n_fft] -> signal [n_batch, span]; the two don't overlap.
using OverlapAdd = void(const float* frames, float* signal,
                        OverlapLayout layout) noexcept AUDIOGEN_REALTIME;

inline namespace AUDIOGEN_ISA {

// Frames whose samples meet at sample t: first <= frame < end.
struct FrameRange {
  std::size_t first;
  std::size_t end;
};

AUDIOGEN_HD inline FrameRange frames_at(std::size_t t, OverlapLayout layout) {
  const std::size_t first = t < layout.n_fft ? 0 : (t - layout.n_fft) / layout.hop_length + 1;
  const std::size_t last = t / layout.hop_length;
  return {first, (last < layout.n_frames ? last + 1 : layout.n_frames)};
}

// Sample t of one batch item; a null `window` is one of ones.
AUDIOGEN_HD inline float overlap_add_at(const float* frames, const float* window, std::size_t t,
                                        OverlapLayout layout) {
  const FrameRange range = frames_at(t, layout);
  float sum = 0.0f;
  for (std::size_t f = range.first; f < range.end; ++f) {
    const std::size_t i = t - f * layout.hop_length;
    const float x = frames[f * layout.n_fft + i];
    sum += window == nullptr ? x : x * window[i];
  }
  return sum;
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
