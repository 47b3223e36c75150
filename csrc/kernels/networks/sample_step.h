// A step of a SampleRNN apart from its matrix products: gates, sampling of a level, DC blocker.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/math.h"
#include "core/target.h"

namespace audiogen::kernels {

inline constexpr int kMostLevels = 256;  // classes of one softmax

// Updates the states h and c, [dim], of a GRU or LSTM layer. `input` and `recurrent`, [gates *
// dim], are the products with their biases, gates in torch's order.
struct GateCall {
  const float* input;
  const float* recurrent;
  float* h;
  float* c;  // LSTM only
  std::size_t dim;
};
using GruGates = void(const GateCall& call) noexcept AUDIOGEN_REALTIME;
using LstmGates = void(const GateCall& call) noexcept AUDIOGEN_REALTIME;

// Gradients of one step of a GRU layer, for training: dinput and drecurrent, [3 dim]. `dh`, [dim],
// is the gradient of the state after the step on input, and that of the state before it on output,
// without the path through the recurrent product.
struct GateGradientCall {
  const float* input;
  const float* recurrent;
  const float* h;  // state before the step
  float* dh;
  float* dinput;
  float* drecurrent;
  std::size_t dim;
};
using GruGatesGradient = void(const GateGradientCall& call) noexcept AUDIOGEN_REALTIME;

// y [width] = sum of n_rows rows.
using AddRows = void(const float* const* rows, std::size_t n_rows, std::size_t width,
                     float* y) noexcept AUDIOGEN_REALTIME;

// Draws one of n levels (kMostLevels at most) from a softmax, with a uniform number in [0, 1).
struct DrawCall {
  const float* logits;
  std::size_t n;
  float temperature;
  float top_p;
  float uniform;
};
using Draw = std::int32_t(const DrawCall& call) noexcept AUDIOGEN_REALTIME;

inline namespace AUDIOGEN_ISA {

// Below this temperature sampling is greedy.
inline constexpr float kLeastTemperature = 1e-3f;

template <class F>
AUDIOGEN_HD inline F sigmoid(F x) {
  return 1.0f / (1.0f + core::exp(-x));
}

// State after a GRU step, from the products of the input (x) and of h (r) for the reset, update and
// new gates.
template <class F>
AUDIOGEN_HD inline F gru_step(F x_reset, F x_update, F x_new, F r_reset, F r_update, F r_new, F h) {
  const F reset = sigmoid(x_reset + r_reset), update = sigmoid(x_update + r_update);
  const F candidate = core::tanh(x_new + reset * r_new);
  return candidate + update * (h - candidate);
}

template <class F>
struct GruGradient {
  F reset, update, candidate;  // gradients of the gates' pre-activations
  F recurrent_candidate;       // gradient of the recurrent product in the candidate
  F h;
};

// Gradients of `gru_step`; dh is the gradient of its result.
template <class F>
AUDIOGEN_HD inline GruGradient<F> gru_step_gradient(F x_reset, F x_update, F x_new, F r_reset,
                                                    F r_update, F r_new, F h, F dh) {
  const F reset = sigmoid(x_reset + r_reset), update = sigmoid(x_update + r_update);
  const F candidate = core::tanh(x_new + reset * r_new);
  const F dcandidate = dh * (1.0f - update) * (1.0f - candidate * candidate);
  return {dcandidate * r_new * reset * (1.0f - reset),
          dh * (h - candidate) * update * (1.0f - update), dcandidate, dcandidate * reset,
          dh * update};
}

template <class F>
struct LstmState {
  F h;
  F c;
};

// State after an LSTM step, from the sums of both products.
template <class F>
AUDIOGEN_HD inline LstmState<F> lstm_step(F input, F forget, F cell, F output, F c) {
  const F next = sigmoid(forget) * c + sigmoid(input) * core::tanh(cell);
  return {sigmoid(output) * core::tanh(next), next};
}

// Scales a level to -2 .. 2, the input range of the recurrent tiers.
AUDIOGEN_HD inline float scaled_level(std::int32_t level, float step) {
  return static_cast<float>(level) * step - 2.0f;
}

// DC blocker: a zero at 0 Hz and a pole at `pole`.
struct DcBlock {
  double x = 0.0;
  double y = 0.0;
  AUDIOGEN_HD float step(float sample, double pole) {
    y = sample - x + pole * y;
    x = sample;
    return static_cast<float>(y);
  }
};

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
