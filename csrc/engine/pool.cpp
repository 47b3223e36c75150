// Threads that share the tasks of one caller.
#include "engine/pool.h"

#include <algorithm>
#include <chrono>
#include <system_error>

namespace audiogen::engine {

// Number of times that an idle thread polls for a task before it sleeps. The calls of `run` of an
// engine that renders offline follow each other within that time.
static constexpr int kLooks = 20000;
static constexpr std::chrono::microseconds kNap{100};

static constexpr std::uint64_t kTaken = 0xffff;

static void pause() noexcept AUDIOGEN_REALTIME {
#if defined(__SSE__) || defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

Pool::Pool(std::size_t n_threads) {
  threads_.reserve(n_threads - 1);
  try {
    while (threads_.size() + 1 < n_threads) threads_.emplace_back(&Pool::work, this);
  } catch (const std::system_error&) {  // too many threads: those that were started suffice
  }
}

Pool::~Pool() {
  stop_.store(true, std::memory_order_relaxed);
  for (std::thread& thread : threads_) thread.join();
}

void Pool::run(std::size_t n, Function function, const void* context) noexcept AUDIOGEN_REALTIME {
  function_ = function;
  context_ = context;
  n_done_.store(0, std::memory_order_relaxed);
  const std::uint64_t number = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(number << 32 | static_cast<std::uint64_t>(n) << 16, std::memory_order_release);
  while (run_one()) continue;
  while (n_done_.load(std::memory_order_acquire) < n) pause();
}

bool Pool::run_one() noexcept AUDIOGEN_REALTIME {
  std::uint64_t state = state_.load(std::memory_order_acquire);
  do {
    if ((state & kTaken) == (state >> 16 & kTaken)) return false;
  } while (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel,
                                         std::memory_order_acquire));
  function_(context_, static_cast<std::size_t>(state & kTaken));
  n_done_.fetch_add(1, std::memory_order_acq_rel);
  return true;
}

void Pool::work() {
  const core::DenormalGuard guard;
  int looks = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (run_one()) {
      looks = 0;
    } else if (looks < kLooks) {
      ++looks;
      pause();
    } else {
      std::this_thread::sleep_for(kNap);
    }
  }
}

}  // namespace audiogen::engine
