// Launches CUDA kernels with one thread per item.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace audiogen::cuda {

inline constexpr unsigned kThreads = 256;

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
  const auto grid = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
  each<<<grid, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(n, body);
  return cudaGetLastError();
}

}  // namespace audiogen::cuda
