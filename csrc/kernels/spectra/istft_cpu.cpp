// Inverse short-time Fourier transform, compiled for each instruction set. Each vector lane
// transforms a frame of its own.
#include "kernels/spectra/istft.h"

#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

// to[i][l] = rows[l][i] for i < n and each lane l; a null row is zeros.
static void rows_to_lanes(const float* const* rows, Vec* to, std::size_t n) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Vec block[kLanes];
    for (std::size_t l = 0; l < kLanes; ++l) block[l] = rows[l] ? load<Vec>(rows[l] + i) : Vec{};
    transpose(block);
    for (std::size_t l = 0; l < kLanes; ++l) to[i + l] = block[l];
  }
  for (; i < n; ++i) {
    for (std::size_t l = 0; l < kLanes; ++l) to[i][l] = rows[l] ? rows[l][i] : 0.0f;
  }
}

void istft(const IstftPlan& plan, const float* spectrum, float* signal, std::size_t n_batch,
           float* scratch) noexcept AUDIOGEN_REALTIME {
  const OverlapLayout layout = plan.layout(n_batch);
  const std::size_t span = layout.span();
  const std::size_t n_total = n_batch * layout.n_frames;
  const std::size_t row = 2 * plan.tables().n_bins();
  Vec* const bins = reinterpret_cast<Vec*>(scratch);
  float* const work = scratch + row * kLanes;
  for (std::size_t t = 0; t < n_batch * span; ++t) signal[t] = 0.0f;
  for (std::size_t group = 0; group < n_total; group += kLanes) {
    const float* rows[kLanes];
    float* outs[kLanes];
    for (std::size_t l = 0; l < kLanes; ++l) {
      const std::size_t frame = group + l;
      const bool present = frame < n_total;
      rows[l] = present ? spectrum + frame * row : nullptr;
      outs[l] = present ? signal + (frame / layout.n_frames) * span +
                              (frame % layout.n_frames) * layout.hop_length
                        : nullptr;
    }
    rows_to_lanes(rows, bins, row);
    const Vec* frames =
        core::inverse_real_fft(plan.tables(), reinterpret_cast<const core::Complex<Vec>*>(bins),
                               reinterpret_cast<Vec*>(work));
    for (std::size_t i = 0; i + kLanes <= layout.n_fft; i += kLanes) {
      Vec block[kLanes];
      for (std::size_t l = 0; l < kLanes; ++l) block[l] = frames[i + l];
      transpose(block);
      const Vec window = load<Vec>(plan.window() + i);
      for (std::size_t l = 0; l < kLanes && outs[l] != nullptr; ++l) {
        store(outs[l] + i, load<Vec>(outs[l] + i) + block[l] * window);
      }
    }
  }
  for (std::size_t item = 0; item < n_batch; ++item) {
    float* out = signal + item * span;
    for (std::size_t t = 0; t < span; ++t) out[t] *= plan.gain()[t];
  }
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
