// Loops of a SampleRNN's step over the units of a layer, and of its softmax.
#include "kernels/sample_step.h"

#include "core/math.h"
#include "kernels/conv_rows.h"
#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

// Calls body(Vec{} or float{}, i) so that 0 .. n - 1 are covered.
template <class Body>
inline void for_all(std::size_t n, Body body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(Vec{}, i);
  for (; i < n; ++i) body(float{}, i);
}

}  // namespace

void gru_gates(const GateCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t dim = call.dim;
  for_all(dim, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const float *x = call.input + i, *r = call.recurrent + i;
    store(call.h + i, gru_step(load<V>(x), load<V>(x + dim), load<V>(x + 2 * dim), load<V>(r),
                               load<V>(r + dim), load<V>(r + 2 * dim), load<V>(call.h + i)));
  });
}

void gru_gates_gradient(const GateGradientCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t dim = call.dim;
  for_all(dim, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const float *x = call.input + i, *r = call.recurrent + i;
    const auto d = gru_step_gradient(load<V>(x), load<V>(x + dim), load<V>(x + 2 * dim), load<V>(r),
                                     load<V>(r + dim), load<V>(r + 2 * dim), load<V>(call.h + i),
                                     load<V>(call.dh + i));
    for (float* to : {call.dinput + i, call.drecurrent + i}) {
      store(to, d.reset);
      store(to + dim, d.update);
    }
    store(call.dinput + i + 2 * dim, d.candidate);
    store(call.drecurrent + i + 2 * dim, d.recurrent_candidate);
    store(call.dh + i, d.h);
  });
}

void lstm_gates(const GateCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t dim = call.dim;
  for_all(dim, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const auto sum = [&](std::size_t gate) {
      return load<V>(call.input + gate * dim + i) + load<V>(call.recurrent + gate * dim + i);
    };
    const auto next = lstm_step(sum(0), sum(1), sum(2), sum(3), load<V>(call.c + i));
    store(call.h + i, next.h);
    store(call.c + i, next.c);
  });
}

void add_rows(const float* const* rows, std::size_t n_rows, std::size_t width,
              float* y) noexcept AUDIOGEN_REALTIME {
  for_all(width, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    V sum = load<V>(rows[0] + i);
    for (std::size_t r = 1; r < n_rows; ++r) sum = sum + load<V>(rows[r] + i);
    store(y + i, sum);
  });
}

std::int32_t draw(const DrawCall& call) noexcept AUDIOGEN_REALTIME {
  const int n = static_cast<int>(call.n);
  if (!(call.temperature >= kLeastTemperature)) return likeliest(call.logits, n);
  float p[kMostLevels];
  for (std::size_t k = call.n; k < round_up(call.n, 8); ++k) p[k] = 0.0f;
  for_all(call.n, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    store(p + i, load<V>(call.logits + i) / call.temperature);
  });
  float most = p[0];
  for (int k = 1; k < n; ++k) most = p[k] > most ? p[k] : most;
  for_all(call.n, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    store(p + i, core::exp(load<V>(p + i) - most));
  });
  return draw_from(p, n, call.top_p, call.uniform);
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
