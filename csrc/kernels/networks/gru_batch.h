// A training step of a GRU layer for a batch, and its gradient, apart from the matrix products.
#pragma once

#include <cstddef>

#include "kernels/networks/matrix.h"

namespace audiogen::kernels {

// `form`, float32 or bfloat16, is the type of the products and of all void arrays; a bfloat16 is
// the upper half of a float. States and arithmetic are float32. The equations are those of torch's
// GRU.
struct GruBatch {
  std::size_t batch;
  std::size_t dim;
  MatrixForm form;
};

struct GruBatchCall {
  const void* x;          // [batch, 3 dim]: input products with bias
  const void* recurrent;  // [batch, 3 dim]: recurrent products with bias
  const float* before;    // [batch, dim]: states before the step
  float* after;           // [batch, dim]: states after the step
  void* factor;           // [batch, dim]: `after`, converted for the next product
};
void gru_batch(const GruBatch& sizes, const GruBatchCall& call);

struct GruBatchGradientCall {
  const void* x;
  const void* recurrent;
  const float* before;
  const float* dh;     // [batch, dim]: gradient of the layer's output at this step
  const void* passed;  // [batch, dim]: gradient through the next step's product
  float* dstate;       // [batch, dim]: gradient of the state; in: after the step, out: before
  void* dx;            // [batch, 3 dim]
  void* drecurrent;    // [batch, 3 dim]
};
void gru_batch_gradient(const GruBatch& sizes, const GruBatchGradientCall& call);

}  // namespace audiogen::kernels
