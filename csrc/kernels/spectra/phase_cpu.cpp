// Loops of the phase kernels over arrays, for one instruction set.
#include "kernels/spectra/phase.h"

#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {

// Columns that are processed together, so that their state stays in the L1 cache (8 KiB).
static constexpr std::size_t kChunk = 1024;

// Runs `step(x, a, b)` along time for every column. `a` and `b` are the column's state, initialised
// by `first`. Rows are read in memory order.
template <class First, class Step>
static void scan(const float* x, float* y, TimeLayout layout, First first, Step step) {
  const auto [n_outer, n_frames, n_inner] = layout;
  if (n_frames == 0) return;
  alignas(64) float state_a[kChunk];
  alignas(64) float state_b[kChunk];
  for (std::size_t outer = 0; outer < n_outer; ++outer) {
    const std::size_t block = outer * n_frames * n_inner;
    if (n_inner < kLanes) {  // too narrow for vectors: one column at a time
      for (std::size_t j = 0; j < n_inner; ++j) {
        float a, b;
        const float* from = x + block + j;
        float* to = y + block + j;
        *to = first(*from, a, b);
        for (std::size_t t = 1; t < n_frames; ++t) {
          to[t * n_inner] = step(from[t * n_inner], a, b);
        }
      }
      continue;
    }
    for (std::size_t start = 0; start < n_inner; start += kChunk) {
      const std::size_t width = n_inner - start < kChunk ? n_inner - start : kChunk;
      for (std::size_t t = 0; t < n_frames; ++t) {
        const float* from = x + block + t * n_inner + start;
        float* to = y + block + t * n_inner + start;
        const auto column = [&]<class F>(std::size_t j, F) {
          F a = load<F>(state_a + j), b = load<F>(state_b + j);
          const F value = load<F>(from + j);
          store(to + j, t == 0 ? first(value, a, b) : step(value, a, b));
          store(state_a + j, a);
          store(state_b + j, b);
        };
        std::size_t j = 0;
        for (; j + kLanes <= width; j += kLanes) column(j, Vec{});
        for (; j < width; ++j) column(j, float{});
      }
    }
  }
}

void wrap(const float* x, float* y, std::size_t n) noexcept AUDIOGEN_REALTIME {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, wrap_step(load<Vec>(x + i)));
  for (; i < n; ++i) y[i] = wrap_step(x[i]);
}

void unwrap(const float* phase, float* unwrapped, TimeLayout layout) noexcept AUDIOGEN_REALTIME {
  scan(
      phase, unwrapped, layout,
      []<class F>(F x, F& previous, F& turns) {
        previous = x;
        turns = F{};
        return x;
      },
      []<class F>(F x, F& previous, F& turns) { return unwrap_step(x, previous, turns); });
}

void instantaneous_frequency(const float* phase, float* inst_freq,
                             TimeLayout layout) noexcept AUDIOGEN_REALTIME {
  scan(
      phase, inst_freq, layout,
      []<class F>(F x, F& previous, F& unused) {
        previous = x;
        unused = F{};
        return inst_freq_first(x);
      },
      []<class F>(F x, F& previous, F&) { return inst_freq_step(x, previous); });
}

void integrate(const float* inst_freq, float* phase, TimeLayout layout) noexcept AUDIOGEN_REALTIME {
  scan(
      inst_freq, phase, layout,
      []<class F>(F x, F& turns, F& unused) {
        turns = F{};
        unused = F{};
        return integrate_step(x, turns);
      },
      []<class F>(F x, F& turns, F&) { return integrate_step(x, turns); });
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
