// The CUDA library's interface number and error texts.
#include <cuda_runtime.h>

#include "cuda/audiogen_cuda.h"

int audiogen_cuda_interface(void) { return AUDIOGEN_CUDA_INTERFACE; }

const char* audiogen_cuda_error(int status) {
  return cudaGetErrorString(static_cast<cudaError_t>(status));
}
