// Applies a GRU's gates to the rows of a batch, and converts between products and floats.
#include "kernels/networks/gru_batch.h"

#include <bit>
#include <cstdint>
#include <vector>

#include "core/math.h"
#include "kernels/dispatch.h"

namespace audiogen::kernels {
namespace {

// Returns `n` numbers starting at `at` as floats: in place, or converted in `scratch`.
const float* widened(const void* numbers, std::size_t at, std::size_t n, MatrixForm form,
                     float* scratch) {
  if (form == MatrixForm::kFloat32) return static_cast<const float*>(numbers) + at;
  const auto* halves = static_cast<const std::uint16_t*>(numbers) + at;
  for (std::size_t i = 0; i < n; ++i) {
    scratch[i] = std::bit_cast<float>(static_cast<std::uint32_t>(halves[i]) << 16);
  }
  return scratch;
}

// Converts floats to `form`, to nearest, ties to even; NaN stays NaN.
void narrow(const float* floats, std::size_t at, std::size_t n, MatrixForm form, void* numbers) {
  if (form == MatrixForm::kFloat32) {
    for (std::size_t i = 0; i < n; ++i) static_cast<float*>(numbers)[at + i] = floats[i];
    return;
  }
  auto* halves = static_cast<std::uint16_t*>(numbers) + at;
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(floats[i]);
    const bool number = (bits & 0x7fffffff) <= 0x7f800000;
    const std::uint32_t word = number ? core::bfloat16_word(floats[i]) : bits | 0x400000;
    halves[i] = static_cast<std::uint16_t>(word >> 16);
  }
}

}  // namespace

void gru_batch(const GruBatch& sizes, const GruBatchCall& call) {
  const KernelTable& table = kernels();
  const std::size_t dim = sizes.dim;
  std::vector<float> scratch(6 * dim);
  for (std::size_t row = 0; row < sizes.batch; ++row) {
    float* after = call.after + row * dim;
    for (std::size_t i = 0; i < dim; ++i) after[i] = call.before[row * dim + i];
    const std::size_t at = row * 3 * dim;
    const float* x = widened(call.x, at, 3 * dim, sizes.form, scratch.data());
    const float* recurrent =
        widened(call.recurrent, at, 3 * dim, sizes.form, scratch.data() + 3 * dim);
    table.gru_gates({x, recurrent, after, nullptr, dim});
    narrow(after, row * dim, dim, sizes.form, call.factor);
  }
}

void gru_batch_gradient(const GruBatch& sizes, const GruBatchGradientCall& call) {
  const KernelTable& table = kernels();
  const std::size_t dim = sizes.dim;
  std::vector<float> scratch(13 * dim);
  float* dx = scratch.data() + 7 * dim;
  float* drecurrent = dx + 3 * dim;
  for (std::size_t row = 0; row < sizes.batch; ++row) {
    const std::size_t at = row * 3 * dim;
    float* dstate = call.dstate + row * dim;
    const float* x = widened(call.x, at, 3 * dim, sizes.form, scratch.data());
    const float* recurrent =
        widened(call.recurrent, at, 3 * dim, sizes.form, scratch.data() + 3 * dim);
    const float* passed =
        widened(call.passed, row * dim, dim, sizes.form, scratch.data() + 6 * dim);
    const float* const parts[] = {dstate, passed, call.dh + row * dim};
    table.add_rows(parts, 3, dim, dstate);
    table.gru_gates_gradient({x, recurrent, call.before + row * dim, dstate, dx, drecurrent, dim});
    narrow(dx, at, 3 * dim, sizes.form, call.dx);
    narrow(drecurrent, at, 3 * dim, sizes.form, call.drecurrent);
  }
}

}  // namespace audiogen::kernels
