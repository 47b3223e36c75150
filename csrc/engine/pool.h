// Threads that share the tasks of one caller, for work that is divided many times a second.
#pragma once

#if defined(__linux__)
#include <sched.h>
#endif

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "core/realtime.h"

namespace audiogen::engine {

// The caller takes part in its own tasks, so that nothing is lost if the other threads are held up
// before they take one. Threads without a task spin for a few hundred microseconds, then sleep
// until `run` wakes them: an idle pool takes no processor time. On Linux they have the priority of
// the caller, whichever thread made the pool, and keep off its processor, where the scheduler may
// wake them otherwise: there they would wait for milliseconds until the caller has done their
// tasks.
//
// `run` waits for other threads, so it is for a worker thread. It locks and allocates nothing, and
// makes system calls only to learn which thread calls, to follow another one or one that has
// changed its processor, to wake a thread that sleeps, and to sleep until the last task is done.
class Pool {
 public:
  static constexpr std::size_t kMostTasks = 65535;

  // Starts n_threads - 1 threads, or as many as the system allows.
  explicit Pool(std::size_t n_threads);
  ~Pool();
  Pool(const Pool&) = delete;  // its threads hold pointers to it
  Pool& operator=(const Pool&) = delete;

  std::size_t n_threads() const noexcept AUDIOGEN_REALTIME { return threads_.size() + 1; }

  // Calls task(0) to task(n - 1), n <= kMostTasks, in any order on any of the threads, and returns
  // when all have returned. Only one thread at a time may call it, and not from within a task.
  template <typename Task>
  void run(std::size_t n, const Task& task) noexcept AUDIOGEN_REALTIME {
    run(
        n,
        [](const void* context, std::size_t i) noexcept AUDIOGEN_REALTIME {
          (*static_cast<const Task*>(context))(i);
        },
        &task);
  }

 private:
  using Function = void (*)(const void*, std::size_t) noexcept AUDIOGEN_REALTIME;

  void run(std::size_t n, Function function, const void* context) noexcept AUDIOGEN_REALTIME;
  // Lets the threads run on all processors but the caller's, with its priority.
  void follow_caller() noexcept AUDIOGEN_REALTIME;
  // Takes the next task, if one is left, and runs it.
  bool run_one() noexcept AUDIOGEN_REALTIME;
  void work();

  // Number of the call of `run` (32 bits), its tasks (16) and those that were taken (16). Whoever
  // takes a task keeps `run` from returning, so function_ and context_ are those of the task.
  std::atomic<std::uint64_t> state_ = 0;
  std::atomic<std::uint32_t> n_done_ = 0;
  // Calls of `run` so far; sleeping threads wait for a change. Futexes compare 32 bits.
  std::atomic<std::uint32_t> n_calls_ = 0;
  Function function_ = nullptr;
  const void* context_ = nullptr;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
#if defined(__linux__)
  cpu_set_t processors_;  // that the thread which made the pool may use
  int n_processors_ = 0;
  pid_t caller_ = 0;           // whose priority the threads have
  int caller_processor_ = -1;  // that the threads keep off
#endif
};

}  // namespace audiogen::engine
