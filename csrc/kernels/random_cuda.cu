// Launch of philox_uniform, and the library's interface number and error texts.
#include "core/random.h"
#include "cuda/audiogen_cuda.h"
#include "cuda/launch.h"

int audiogen_cuda_philox_uniform(uint64_t seed, uint32_t stream_number, uint32_t row, float* out,
                                 uint32_t n, void* stream) {
  return audiogen::cuda::for_each(n, stream, [=] __device__(std::uint64_t i) {
    out[i] =
        audiogen::core::philox_uniform(seed, stream_number, row, static_cast<std::uint32_t>(i));
  });
}

int audiogen_cuda_interface(void) { return AUDIOGEN_CUDA_INTERFACE; }

const char* audiogen_cuda_error(int status) {
  return cudaGetErrorString(static_cast<cudaError_t>(status));
}
