// CUDA's language on the CPU: threads, barriers, shuffles and atomics work, and a barrier that is
// missing, or that some threads don't reach, is found.
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/launch.h"

using namespace audiogen;
using cuda_on_cpu::device;
using cuda_on_cpu::Order;

#ifdef AUDIOGEN_TSAN
static constexpr bool kThreadSanitizer = true;
#else
static constexpr bool kThreadSanitizer = false;
#endif

static constexpr Order kOrders[] = {Order::kForward, Order::kBackward, Order::kShuffled};

// ---- Kernels ----

static __global__ void number_threads(std::int32_t* numbers, std::int32_t* lanes) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  numbers[i] = static_cast<std::int32_t>(100000 * gridDim.x + 100 * blockIdx.x + threadIdx.x);
  int sum = static_cast<int>(threadIdx.x);
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  lanes[i] = sum;
}

// Reverses a block's numbers through shared memory; without the barrier a thread may read what
// another one has not written yet.
template <bool kBarrier>
static __global__ void reverse(const std::int32_t* from, std::int32_t* to) {
  __shared__ std::int32_t numbers[64];
  numbers[threadIdx.x] = from[threadIdx.x];
  if (kBarrier) __syncthreads();
  to[threadIdx.x] = numbers[blockDim.x - 1 - threadIdx.x];
}

// Rotates a warp's numbers through memory.
template <bool kBarrier>
static __global__ void rotate(std::int32_t* numbers) {
  const unsigned i = threadIdx.x, next = i / 32 * 32 + (i + 1) % 32;
  const std::int32_t mine = numbers[next];
  if (kBarrier) __syncwarp();
  numbers[i] = mine;
}

static __global__ void count(std::uint32_t* counter) { atomicAdd(counter, 1u); }

// A barrier over all blocks, as that of samplernn_cuda.cu; then each block reads the others.
template <bool kBarrier>
static __global__ void sum_of_blocks(std::uint32_t* arrived, const std::int32_t* from,
                                     std::int32_t* parts, std::int32_t* sums) {
  if (threadIdx.x == 0) parts[blockIdx.x] = from[blockIdx.x];
  if (kBarrier) {
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(arrived, 1u);
      while (cuda::poll(arrived) < gridDim.x) {
      }
      __threadfence();
    }
    __syncthreads();
  }
  if (threadIdx.x != blockDim.x - 1) return;
  sums[blockIdx.x] = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sums[blockIdx.x] += parts[b];
}

static __global__ void wait_in_half_of_a_warp() {
  if (threadIdx.x < 16) __syncwarp();
}

static __global__ void wait_for_nobody(std::uint32_t* counter) {
  while (cuda::poll(counter) == 0) {
  }
}

static __global__ void wait_at_two_places() {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __shfl_xor_sync(0xffffffffu, 1, 1);
  }
}

static __global__ void exit_before_a_barrier(std::int32_t* done) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  done[threadIdx.x] = 1;
}

// ---- Tests ----

static std::vector<std::int32_t> rising(std::size_t n) {
  std::vector<std::int32_t> numbers(n);
  for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<std::int32_t>(i) + 7;
  return numbers;
}

static void threads_know_their_place() {
  std::vector<std::int32_t> numbers(3 * 64), lanes(3 * 64);
  CHECK(cuda::launch(&number_threads, 3, 64, nullptr, numbers.data(), lanes.data()) == cudaSuccess);
  for (int i = 0; i < 3 * 64; ++i) {
    CHECK(numbers[static_cast<std::size_t>(i)] == 300000 + i / 64 * 100 + i % 64);
    CHECK(lanes[static_cast<std::size_t>(i)] == 31 * 16 + i % 64 / 32 * 32 * 32);
  }
  std::uint32_t counter = 5;
  CHECK(cuda::launch(&count, 7, 50, nullptr, &counter) == cudaSuccess);
  CHECK(counter == 5 + 7 * 50);
}

// Orders of threads, of 10, in which a kernel gives the right result.
template <class Run>
static int right_orders(const Run& run) {
  int right = 0;
  for (int i = 0; i < 10; ++i) {
    device().order = kOrders[i < 2 ? i : 2];
    device().seed = static_cast<std::uint64_t>(i);
    right += run() ? 1 : 0;
  }
  return right;
}

template <bool kBarrier>
static int right_reversals() {
  return right_orders([] {
    const auto from = rising(64);
    std::vector<std::int32_t> to(64);
    // Clears what the block before has left in shared memory.
    const std::vector<std::int32_t> zeros(64);
    cuda::launch(&reverse<kBarrier>, 1, 64, nullptr, zeros.data(), to.data());
    CHECK(cuda::launch(&reverse<kBarrier>, 1, 64, nullptr, from.data(), to.data()) == cudaSuccess);
    return to == std::vector<std::int32_t>(from.rbegin(), from.rend());
  });
}

template <bool kBarrier>
static int right_rotations() {
  return right_orders([] {
    auto numbers = rising(64);
    auto wanted = numbers;
    for (std::size_t i = 0; i < 64; ++i) wanted[i] = numbers[i / 32 * 32 + (i + 1) % 32];
    CHECK(cuda::launch(&rotate<kBarrier>, 1, 64, nullptr, numbers.data()) == cudaSuccess);
    return numbers == wanted;
  });
}

template <bool kBarrier>
static int right_sums() {
  device().n_multiprocessors = 4;
  return right_orders([] {
    const auto from = rising(4);
    std::uint32_t arrived = 0;
    std::vector<std::int32_t> parts(4), sums(4);
    CHECK(cuda::launch_cooperative(&sum_of_blocks<kBarrier>, 4, 64, nullptr, &arrived, from.data(),
                                   parts.data(), sums.data()) == cudaSuccess);
    return sums == std::vector<std::int32_t>(4, 7 + 8 + 9 + 10);
  });
}

static void barriers_order_threads() {
  CHECK(right_reversals<true>() == 10);
  CHECK(right_rotations<true>() == 10);
  CHECK(right_sums<true>() == 10);
}

static void missing_barriers_change_results() {
  CHECK(right_reversals<false>() == 0);
  CHECK(right_rotations<false>() < 10);
  CHECK(right_sums<false>() < 10);
}

static void endless_waits_are_found() {
  for (const Order order : kOrders) {
    device().order = order;
    std::uint32_t zero = 0;
    CHECK(cuda::launch(&wait_in_half_of_a_warp, 1, 32, nullptr) == cudaErrorLaunchTimeout);
    CHECK(cuda::launch(&wait_for_nobody, 1, 32, nullptr, &zero) == cudaErrorLaunchTimeout);
    CHECK(cuda::launch(&wait_at_two_places, 1, 32, nullptr) == cudaErrorLaunchTimeout);
    std::vector<std::int32_t> done(64);
    CHECK(cuda::launch(&exit_before_a_barrier, 1, 64, nullptr, done.data()) == cudaSuccess);
    CHECK(done[39] == 1 && done[40] == 0);
  }
}

static void launches_out_of_range_are_refused() {
  std::uint32_t counter = 0;
  device() = {};
  CHECK(cuda::launch(&count, 1, 257, nullptr, &counter) == cudaErrorInvalidConfiguration);
  CHECK(cuda::launch(&count, 0, 1, nullptr, &counter) == cudaErrorInvalidConfiguration);
  CHECK(cuda::launch_cooperative(&count, 3, 32, nullptr, &counter) ==
        cudaErrorCooperativeLaunchTooLarge);
  CHECK(counter == 0);
}

int main(int argc, char** argv) {
  // One race, for ctest to see that ThreadSanitizer reports it.
  if (argc == 2 && std::strcmp(argv[1], "block") == 0) return right_reversals<false>() == 10;
  if (argc == 2 && std::strcmp(argv[1], "warp") == 0) return right_rotations<false>() == 10;
  if (argc == 2 && std::strcmp(argv[1], "grid") == 0) return right_sums<false>() == 10;
  threads_know_their_place();
  barriers_order_threads();
  if (!kThreadSanitizer) missing_barriers_change_results();  // it would stop there
  endless_waits_are_found();
  launches_out_of_range_are_refused();
  return test::finish();
}
