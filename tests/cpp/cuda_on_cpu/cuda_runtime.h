// CUDA's language and runtime on the CPU: runs the kernels of .cu files in tests without a GPU.
//
// The build compiles the same .cu files as C++ with this header in front, as nvcc puts its own.
// Each CUDA thread is a fiber, a stack of its own on one thread of the host, so a launch is
// deterministic and a debugger and the sanitizers see ordinary code. A fiber runs until it waits:
// at
// __syncthreads, at __syncwarp, at a shuffle, or where it polls memory. An ordinary launch runs its
// blocks one after another; a cooperative launch keeps all of them alive. `device().order` decides
// which fiber runs next, so a missing barrier changes a result under one of the orders, and
// ThreadSanitizer reports it as a data race: only barriers, fences and atomics order fibers for it.
//
// Covered: what csrc/ uses. Warps have 32 lanes and masks must name all of them. Static __shared__
// arrays are shared by all blocks, so a cooperative launch of a kernel with one must have one
// block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>

#define AUDIOGEN_CUDA_ON_CPU 1
#define __CUDA_ARCH__ 800  // selects the device's side of `#ifdef __CUDA_ARCH__`
#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorCooperativeLaunchTooLarge = 82,
  cudaErrorLaunchTimeout = 702,  // threads wait for each other for ever
  cudaErrorNotSupported = 801,
};

enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrCooperativeLaunch = 95,
};

using cudaStream_t = void*;

namespace audiogen::cuda_on_cpu {

enum class Order {
  kForward,   // lowest thread first, as far as it gets
  kBackward,  // highest thread first
  kShuffled,  // by `seed`
};

// What the runtime reports of the device, and how it schedules.
struct Device {
  int n_multiprocessors = 2;
  int most_threads = 256;  // threads per block
  bool cooperative = true;
  Order order = Order::kForward;
  std::uint64_t seed = 0;
};
Device& device();

// Place of a thread in its launch.
struct Place {
  dim3 thread, block, n_threads, n_blocks;
};
extern Place place;  // of the running thread

// Switches since the start of the program, by which tests see that a kernel ran in fibers.
std::uint64_t n_switches();

// Runs all threads of a launch; one block after another unless they run together.
cudaError_t run(const std::function<void()>& thread, dim3 grid, dim3 block, bool together);

enum class Wait { kNone, kBlock, kWarp, kShuffle, kPoll };
void wait(Wait what);
// Gives `bits` to the warp and returns those of another lane.
std::uint64_t exchange(std::uint64_t bits, unsigned from_lane);
void require_full(unsigned mask);
void fence();
std::uint32_t poll(const std::uint32_t* from);

template <class... Parameters>
cudaError_t launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, void** arguments,
                   bool together) {
  const auto thread = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return run([&] { kernel(*static_cast<Parameters*>(arguments[I])...); }, grid, block, together);
  };
  return thread(std::index_sequence_for<Parameters...>{});
}

}  // namespace audiogen::cuda_on_cpu

// ---- Device functions ----

#define threadIdx (audiogen::cuda_on_cpu::place.thread)
#define blockIdx (audiogen::cuda_on_cpu::place.block)
#define blockDim (audiogen::cuda_on_cpu::place.n_threads)
#define gridDim (audiogen::cuda_on_cpu::place.n_blocks)

inline void __syncthreads() { audiogen::cuda_on_cpu::wait(audiogen::cuda_on_cpu::Wait::kBlock); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  audiogen::cuda_on_cpu::require_full(mask);
  audiogen::cuda_on_cpu::wait(audiogen::cuda_on_cpu::Wait::kWarp);
}
inline void __threadfence() { audiogen::cuda_on_cpu::fence(); }

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  audiogen::cuda_on_cpu::require_full(mask);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = audiogen::cuda_on_cpu::exchange(bits, threadIdx.x % 32 ^ static_cast<unsigned>(lane_mask));
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline float __ldg(const float* from) { return *from; }
inline std::uint32_t atomicAdd(std::uint32_t* to, std::uint32_t n) {
  return __atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

// ---- Host functions ----

cudaError_t cudaGetDevice(int* number);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int number);
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t n, cudaStream_t stream);
const char* cudaGetErrorString(cudaError_t status);
inline cudaError_t cudaGetLastError() { return cudaSuccess; }  // launches return their status

template <class... Parameters>
cudaError_t cudaLaunchKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block, void** arguments,
                             std::size_t /*shared*/ = 0, cudaStream_t /*stream*/ = nullptr) {
  return audiogen::cuda_on_cpu::launch(kernel, grid, block, arguments, false);
}

template <class... Parameters>
cudaError_t cudaLaunchCooperativeKernel(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                                        void** arguments, std::size_t /*shared*/ = 0,
                                        cudaStream_t /*stream*/ = nullptr) {
  return audiogen::cuda_on_cpu::launch(kernel, grid, block, arguments, true);
}
