// Launch of overlap_add: one thread per sample of the signal, which gathers its frames.
#include "cuda/audiogen_cuda.h"
#include "cuda/launch.h"
#include "kernels/spectra/overlap_add.h"

int audiogen_cuda_overlap_add(const float* frames, const float* window, const float* gain,
                              float* signal, uint64_t n_batch, uint64_t n_frames, uint64_t n_fft,
                              uint64_t hop_length, void* stream) {
  if (hop_length == 0) return cudaErrorInvalidValue;
  const audiogen::kernels::OverlapLayout layout{n_batch, n_frames, n_fft, hop_length};
  const std::uint64_t span = layout.span();
  return audiogen::cuda::for_each(n_batch * span, stream, [=] __device__(std::uint64_t i) {
    const std::uint64_t t = i % span;
    const float* item = frames + i / span * n_frames * n_fft;
    signal[i] = audiogen::kernels::overlap_add_at(item, window, t, layout) * gain[t];
  });
}
