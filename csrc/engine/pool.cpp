// Threads that share the tasks of one caller.
#include "engine/pool.h"

#if defined(__linux__)
#include <pthread.h>
#include <unistd.h>
#endif

#include <system_error>

namespace audiogen::engine {

// Number of times that a thread polls before it sleeps: 0.1 to 0.3 ms, depending on the
// processor. An engine that renders offline calls `run` at shorter intervals, so that it wakes
// no thread.
static constexpr int kLooks = 4000;

static constexpr std::uint64_t kTaken = 0xffff;

static void pause() noexcept AUDIOGEN_REALTIME {
#if defined(__SSE__) || defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

Pool::Pool(std::size_t n_threads) {
#if defined(__linux__)
  CPU_ZERO(&processors_);
  sched_getaffinity(0, sizeof processors_, &processors_);  // none if there are more than fit
  n_processors_ = CPU_COUNT(&processors_);
#endif
  threads_.reserve(n_threads - 1);
  try {
    while (threads_.size() + 1 < n_threads) threads_.emplace_back(&Pool::work, this);
  } catch (const std::system_error&) {  // too many threads: those that were started suffice
  }
}

Pool::~Pool() {
  stop_.store(true, std::memory_order_relaxed);
  n_calls_.fetch_add(1);
  n_calls_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::run(std::size_t n, Function function, const void* context) noexcept AUDIOGEN_REALTIME {
  function_ = function;
  context_ = context;
  n_done_.store(0, std::memory_order_relaxed);
  const std::uint64_t number = (state_.load(std::memory_order_relaxed) >> 32) + 1;
  state_.store(number << 32 | static_cast<std::uint64_t>(n) << 16, std::memory_order_release);
  if (n > 1) {
    follow_caller();
    n_calls_.fetch_add(1);
    // Never blocks; a system call only if a thread sleeps.
    AUDIOGEN_OFFLINE(n_calls_.notify_all();)
  }
  while (run_one()) continue;
  int looks = 0;
  for (std::uint32_t done = n_done_.load(std::memory_order_acquire); done < n;
       done = n_done_.load(std::memory_order_acquire)) {
    if (looks < kLooks) {
      ++looks;
      pause();
    } else {  // a thread lost its core within a task; spinning could keep it from getting one
      AUDIOGEN_OFFLINE(n_done_.wait(done);)
    }
  }
}

void Pool::follow_caller() noexcept AUDIOGEN_REALTIME {
#if defined(__linux__)
  pid_t caller = 0;  // unlike a pthread_t, not that of a thread which has just ended
  AUDIOGEN_OFFLINE(caller = gettid();)
  if (caller != caller_) {
    caller_ = caller;
    int policy = SCHED_OTHER;
    sched_param priority{};
    AUDIOGEN_OFFLINE(policy = sched_getscheduler(0); sched_getparam(0, &priority);)
    for (std::thread& thread : threads_) {
      AUDIOGEN_OFFLINE(pthread_setschedparam(thread.native_handle(), policy, &priority);)
    }
  }
  if (n_processors_ < 2) return;
  int processor = -1;
  AUDIOGEN_OFFLINE(processor = sched_getcpu();)
  if (processor == caller_processor_ || processor < 0) return;
  caller_processor_ = processor;
  cpu_set_t others = processors_;
  CPU_CLR(static_cast<std::size_t>(processor), &others);
  for (std::thread& thread : threads_) {
    AUDIOGEN_OFFLINE(pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);)
  }
#endif
}

bool Pool::run_one() noexcept AUDIOGEN_REALTIME {
  std::uint64_t state = state_.load(std::memory_order_acquire);
  do {
    if ((state & kTaken) == (state >> 16 & kTaken)) return false;
  } while (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel,
                                         std::memory_order_acquire));
  const auto n = static_cast<std::uint32_t>(state >> 16 & kTaken);
  function_(context_, static_cast<std::size_t>(state & kTaken));
  // After the last task `run` may return; from then on only the pool itself is certain to exist.
  if (n_done_.fetch_add(1) + 1 == n) {
    AUDIOGEN_OFFLINE(n_done_.notify_one();)
  }
  return true;
}

void Pool::work() {
  const core::DenormalGuard guard;
  int looks = 0;
  while (true) {
    // Read before looking for the end and for a task: a later change then ends the sleep at once.
    const std::uint32_t n_calls = n_calls_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    if (run_one()) {
      looks = 0;
    } else if (looks < kLooks) {
      ++looks;
      pause();
    } else {
      n_calls_.wait(n_calls);
      looks = 0;
    }
  }
}

}  // namespace audiogen::engine
