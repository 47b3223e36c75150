// The scheduler of CUDA's threads, and the runtime's host functions.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda_on_cpu/cuda_runtime.h"
#include "cuda_on_cpu/fibers.h"

namespace audiogen::cuda_on_cpu {
namespace {

constexpr unsigned kLanes = 32;

struct Fiber;

// Threads that wait for each other: a block or a warp.
struct Group {
  std::vector<Fiber*> fibers;
  std::size_t n_awaited = 0;
  std::size_t n_arrived = 0;
  Wait arrived_at = Wait::kNone;
  // Alternates, so that who arrives at the next barrier is not ordered before who leaves this one.
  unsigned phase = 0;
  char order[2] = {};
  std::uint64_t slots[2][kLanes] = {};
};

struct Fiber {
  Context context;
  Place place;
  Group* block = nullptr;
  Group* warp = nullptr;
  bool is_new = true;  // its stack was never switched to
  bool finished = false;
};

// A launch, and what waits in it.
struct Launch {
  const std::function<void()>* thread = nullptr;
  std::vector<Fiber*> ready;
  std::vector<Fiber*> polling;
  std::uint64_t progress = 0;      // barriers that were reached and threads that finished
  std::uint64_t last_polled = ~0;  // progress when the polling threads last ran
  const char* fault = nullptr;
};

Context host;
Fiber* current = nullptr;
std::vector<std::unique_ptr<Fiber>> pool;
Launch launch_state;
std::uint64_t random_state = 0;
std::uint64_t switches = 0;
char begin_order, end_order, fence_order;

std::uint64_t random_number() {  // splitmix64
  std::uint64_t z = random_state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// `ready` is a stack: who is made ready last runs first, so a warp gets as far as it can.
void make_ready(const std::vector<Fiber*>& fibers) {
  auto& ready = launch_state.ready;
  const auto old = static_cast<std::ptrdiff_t>(ready.size());
  for (Fiber* const fiber : fibers) {
    if (!fiber->finished) ready.push_back(fiber);
  }
  if (device().order == Order::kForward) std::reverse(ready.begin() + old, ready.end());
}

// The fiber that runs next; null if there is none.
Fiber* next_fiber() {
  Launch& l = launch_state;
  const bool shuffled = device().order == Order::kShuffled;
  if (l.fault) return nullptr;
  if (shuffled && !l.polling.empty() && random_number() % 4 == 0) {
    // Else a thread that polls would never go on before its neighbours have done their work.
    make_ready(l.polling);
    l.polling.clear();
  }
  if (l.ready.empty()) {
    if (l.polling.empty() || l.last_polled == l.progress) return nullptr;
    l.last_polled = l.progress;
    make_ready(l.polling);
    l.polling.clear();
  }
  if (shuffled) {
    std::swap(l.ready[random_number() % l.ready.size()], l.ready.back());
  }
  Fiber* const next = l.ready.back();
  l.ready.pop_back();
  return next;
}

void thread_main();

// Runs the next fiber, or the host if there is none, until `from` is chosen again.
void go_on(Context& from) {
  release(&end_order);  // the host goes on even if this fiber never does
  Fiber* const next = next_fiber();
  if (next && next == current) return;
  Context& to = next ? next->context : host;
  if (next) {
    if (next->is_new) {
      next->is_new = false;
      next->context = make_context(&thread_main);
    }
    place = next->place;
  }
  current = next;
  ++switches;
  switch_context(from, to);
}

void open(Group& group) {
  group.n_arrived = 0;
  group.arrived_at = Wait::kNone;
  ++group.phase;
  make_ready(group.fibers);
}

void arrive(Group& group, Wait what) {
  if (group.arrived_at != Wait::kNone && group.arrived_at != what) {
    launch_state.fault = "lanes of a warp wait at different functions";
  }
  group.arrived_at = what;
  ++launch_state.progress;
  if (++group.n_arrived == group.n_awaited) open(group);
}

void thread_main() {
  entered(current->context, host);
  for (;;) {
    Fiber& self = *current;
    acquire(&begin_order);
    (*launch_state.thread)();
    self.finished = true;
    ++launch_state.progress;
    Group& block = *self.block;
    // __syncthreads waits for the threads that have not exited, a full mask for all lanes.
    if (--block.n_awaited > 0 && block.n_arrived == block.n_awaited) open(block);
    go_on(self.context);
  }
}

dim3 place_of(std::size_t i, dim3 size) {
  const auto at = static_cast<unsigned>(i);
  return {at % size.x, at / size.x % size.y, at / size.x / size.y};
}

// Runs some blocks to their end. Returns false if they don't get there.
bool run_blocks(std::size_t first, std::size_t n, dim3 grid, dim3 block) {
  const std::size_t n_threads = std::size_t{block.x} * block.y * block.z;
  const std::size_t n_warps = (n_threads + kLanes - 1) / kLanes;
  std::vector<Group> blocks(n), warps(n * n_warps);
  while (pool.size() < n * n_threads) pool.push_back(std::make_unique<Fiber>());
  std::vector<Fiber*> all;
  for (std::size_t i = 0; i < n * n_threads; ++i) {
    const std::size_t b = i / n_threads, thread = i % n_threads;
    Fiber& fiber = *pool[i];
    fiber.place = {place_of(thread, block), place_of(first + b, grid), block, grid};
    fiber.block = &blocks[b];
    fiber.warp = &warps[b * n_warps + thread / kLanes];
    fiber.finished = false;
    for (Group* const group : {fiber.block, fiber.warp}) {
      group->fibers.push_back(&fiber);
      ++group->n_awaited;
    }
    all.push_back(&fiber);
  }
  // Grows on the host's stack: ThreadSanitizer takes an allocation for a write.
  launch_state.ready.reserve(all.size());
  launch_state.polling.reserve(all.size());
  launch_state.ready.clear();
  launch_state.polling.clear();
  launch_state.last_polled = ~launch_state.progress;
  make_ready(all);
  go_on(host);
  std::size_t n_left = 0, n_at_barrier = 0;
  for (const Fiber* const fiber : all) n_left += !fiber->finished;
  if (n_left == 0) return true;
  for (const Group& group : blocks) n_at_barrier += group.n_arrived;
  std::fprintf(stderr,
               "CUDA on the CPU: %s: %zu of %zu threads are left, %zu of them at __syncthreads\n",
               launch_state.fault ? launch_state.fault : "threads wait for ever", n_left,
               all.size(), n_at_barrier);
  // The stacks of these threads are abandoned.
  for (std::size_t i = 0; i < all.size(); ++i) pool[i] = std::make_unique<Fiber>();
  return false;
}

}  // namespace

Place place;

Device& device() {
  static Device instance;
  return instance;
}

std::uint64_t n_switches() { return switches; }

cudaError_t run(const std::function<void()>& thread, dim3 grid, dim3 block, bool together) {
  const std::size_t n_blocks = std::size_t{grid.x} * grid.y * grid.z;
  const std::size_t n_threads = std::size_t{block.x} * block.y * block.z;
  if (n_blocks == 0 || n_threads == 0 ||
      n_threads > static_cast<std::size_t>(device().most_threads)) {
    return cudaErrorInvalidConfiguration;
  }
  if (together && n_blocks > static_cast<std::size_t>(device().n_multiprocessors)) {
    return cudaErrorCooperativeLaunchTooLarge;
  }
  if (host.bottom == nullptr) host = host_context();
  launch_state = {};
  launch_state.thread = &thread;
  random_state = device().seed;
  release(&begin_order);
  const std::size_t n_together = together ? n_blocks : 1;
  cudaError_t status = cudaSuccess;
  for (std::size_t i = 0; i < n_blocks && status == cudaSuccess; i += n_together) {
    const bool backward = device().order == Order::kBackward;
    const std::size_t first = backward ? n_blocks - n_together - i : i;
    if (!run_blocks(first, n_together, grid, block)) status = cudaErrorLaunchTimeout;
  }
  acquire(&end_order);
  return status;
}

static void wait_in(Group& group, Wait what) {
  void* const order = &group.order[group.phase & 1];
  if (what != Wait::kShuffle) release(order);
  Fiber& self = *current;
  arrive(group, what);
  go_on(self.context);
  if (what != Wait::kShuffle) acquire(order);
}

void wait(Wait what) {
  Fiber& self = *current;
  if (what == Wait::kPoll) {
    launch_state.polling.push_back(&self);
    go_on(self.context);
    return;
  }
  wait_in(what == Wait::kBlock ? *self.block : *self.warp, what);
}

std::uint64_t exchange(std::uint64_t bits, unsigned from_lane) {
  Group& warp = *current->warp;
  std::uint64_t* const slots = warp.slots[warp.phase & 1];
  slots[place.thread.x % kLanes] = bits;
  // A shuffle orders no memory, so that ThreadSanitizer must not see it as a barrier.
  wait_in(warp, Wait::kShuffle);
  return slots[from_lane];
}

void require_full(unsigned mask) {
  if (mask != 0xffffffffu) launch_state.fault = "a mask does not name all lanes";
}

void fence() {
  release(&fence_order);
  acquire(&fence_order);
}

std::uint32_t poll(const std::uint32_t* from) {
  wait(Wait::kPoll);
  return __atomic_load_n(from, __ATOMIC_RELAXED);
}

}  // namespace audiogen::cuda_on_cpu

using audiogen::cuda_on_cpu::device;

cudaError_t cudaGetDevice(int* number) {
  *number = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int /*number*/) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = device().most_threads;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = device().n_multiprocessors;
      break;
    case cudaDevAttrCooperativeLaunch:
      *value = device().cooperative ? 1 : 0;
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t n, cudaStream_t /*stream*/) {
  std::memset(to, value, n);
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorCooperativeLaunchTooLarge:
      return "too many blocks in cooperative launch";
    case cudaErrorLaunchTimeout:
      return "the launch timed out and was terminated";
    case cudaErrorNotSupported:
      return "operation not supported";
  }
  return "unrecognized error code";
}
