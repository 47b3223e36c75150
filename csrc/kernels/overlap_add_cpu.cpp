// Loop of overlap_add over frames, for one instruction set.
#include "kernels/overlap_add.h"

#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

void overlap_add(const float* frames, float* signal,
                 OverlapLayout layout) noexcept AUDIOGEN_REALTIME {
  const std::size_t span = layout.span();
  for (std::size_t item = 0; item < layout.n_batch; ++item) {
    float* out = signal + item * span;
    for (std::size_t t = 0; t < span; ++t) out[t] = 0.0f;
    for (std::size_t f = 0; f < layout.n_frames; ++f) {
      const float* frame = frames + (item * layout.n_frames + f) * layout.n_fft;
      float* to = out + f * layout.hop_length;
      for (std::size_t i = 0; i < layout.n_fft; ++i) to[i] += frame[i];
    }
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
