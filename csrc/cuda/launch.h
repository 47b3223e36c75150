// Launches CUDA kernels: any kernel with its arguments, or one thread per item.
//
// Kernels are launched by functions of the CUDA runtime, not by <<<>>>, so that tests/cpp can
// compile the same files with its runtime for the CPU (tests/cpp/cuda_on_cpu).
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace audiogen::cuda {

inline constexpr unsigned kThreads = 256;

// Returns the status of a launch, which the runtime then forgets: others that ask it for the last
// error must not see ours.
inline int reported(cudaError_t status) {
  if (status != cudaSuccess) cudaGetLastError();
  return status;
}

// Queues a kernel and returns a cudaError_t.
template <class... Parameters>
int launch(void (*kernel)(Parameters...), unsigned n_blocks, unsigned n_threads, void* stream,
           Parameters... arguments) {
  void* pointers[] = {&arguments...};
  return reported(cudaLaunchKernel(kernel, dim3(n_blocks), dim3(n_threads), pointers, 0,
                                   static_cast<cudaStream_t>(stream)));
}

// As `launch`, with all blocks running at once, so that they can wait for each other.
template <class... Parameters>
int launch_cooperative(void (*kernel)(Parameters...), unsigned n_blocks, unsigned n_threads,
                       void* stream, Parameters... arguments) {
  void* pointers[] = {&arguments...};
  return reported(cudaLaunchCooperativeKernel(kernel, dim3(n_blocks), dim3(n_threads), pointers, 0,
                                              static_cast<cudaStream_t>(stream)));
}

// Reads a number that another block writes, past this block's cache, for a loop that waits for it.
__device__ inline std::uint32_t poll(const std::uint32_t* from) {
#ifdef AUDIOGEN_CUDA_ON_CPU
  return cuda_on_cpu::poll(from);
#else
  return *static_cast<const volatile std::uint32_t*>(from);
#endif
}

// Calls `body(i)` for i < n, in a grid-stride loop.
template <class Body>
__global__ void each(std::uint64_t n, Body body) {
  const std::uint64_t step = std::uint64_t{gridDim.x} * blockDim.x;
  for (std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    body(i);
  }
}

// Queues `body(i)` for i < n and returns a cudaError_t.
template <class Body>
int for_each(std::uint64_t n, void* stream, Body body) {
  constexpr std::uint64_t kMostBlocks = 1u << 20;
  if (n == 0) return cudaSuccess;
  const std::uint64_t blocks = (n + kThreads - 1) / kThreads;
  const auto n_blocks = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
  return launch(&each<Body>, n_blocks, kThreads, stream, n, body);
}

}  // namespace audiogen::cuda
