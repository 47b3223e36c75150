// A step of a GRU layer for all rows of a batch, and its gradient: training's part between the
// matrix products.
#pragma once

#include <cstddef>

#include "kernels/matrix.h"

namespace audiogen::kernels {

// `form`, float32 or bfloat16, is that of the products and of all arrays that are void here;
// bfloat16 as the upper halves of floats. States and what is computed are float32. Equations as
// torch's GRU.
struct GruBatch {
  std::size_t batch;
  std::size_t dim;
  MatrixForm form;
};

struct GruBatchCall {
  const void* x;          // [batch, 3 dim]: products of the inputs, with their bias
  const void* recurrent;  // [batch, 3 dim]: those of the states, with theirs
  const float* before;    // [batch, dim]: states
  float* after;           // the same
  void* factor;           // `after` for the next product
};
void gru_batch(const GruBatch& sizes, const GruBatchCall& call);

struct GruBatchGradientCall {
  const void* x;
  const void* recurrent;
  const float* before;
  const float* dh;     // [batch, dim]: of what is made of the state after this step
  const void* passed;  // [batch, dim]: what the product of the step after it passed on
  float* dstate;       // [batch, dim]: of the state, in: after this step; out: before it
  void* dx;            // [batch, 3 dim]
  void* drecurrent;    // the same
};
void gru_batch_gradient(const GruBatch& sizes, const GruBatchGradientCall& call);

}  // namespace audiogen::kernels
