// Threads that share tasks: each task is run once, and an engine's samples do not depend on them.
#include "engine/pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "engine/engine.h"
#include "small_instruments.h"

using namespace audiogen;
using engine::Event;
using engine::EventKind;

static void runs_each_task_once(std::size_t n_threads) {
  engine::Pool pool(n_threads);
  CHECK(pool.n_threads() == n_threads);
  std::vector<int> runs(40);  // of each task; plain, so that ThreadSanitizer sees who writes
  std::size_t wanted = 0;
  for (std::size_t round = 0; round < 3000; ++round) {
    const std::size_t n = round % (runs.size() + 1);
    pool.run(n, [&](std::size_t i) noexcept AUDIOGEN_REALTIME { ++runs[i]; });
    wanted += n;
    if (round % 1000 == 999) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // they nap
  }
  std::size_t total = 0;
  for (const int count : runs) total += static_cast<std::size_t>(count);
  CHECK(total == wanted);
  CHECK(std::is_sorted(runs.rbegin(), runs.rend()));  // earlier tasks were in more rounds
}

#if defined(__linux__)
// The pool's threads have the real-time priority of the thread that calls it, and lose it again.
static void threads_follow_their_caller() {
  engine::Pool pool(2);
  const auto policies = [&pool](int policy, int priority) {
    std::vector<int> of_tasks;
    std::thread caller([&] {
      const sched_param wanted{.sched_priority = priority};
      if (sched_setscheduler(0, policy, &wanted) != 0) return;  // not permitted
      std::atomic<int> n_begun = 0;
      std::vector<int> found(2);
      // Each task waits for the other, so that each thread takes one.
      pool.run(2, [&](std::size_t i) noexcept AUDIOGEN_REALTIME {
        n_begun.fetch_add(1);
        while (n_begun.load() < 2) continue;
        AUDIOGEN_OFFLINE(found[i] = sched_getscheduler(0);)
      });
      of_tasks = found;
    });
    caller.join();
    return of_tasks;
  };
  const std::vector<int> realtime = policies(SCHED_RR, 1);
  CHECK(realtime.empty() || realtime == std::vector<int>(2, SCHED_RR));
  CHECK(policies(SCHED_OTHER, 0) == std::vector<int>(2, SCHED_OTHER));
}
#endif

// Chords, releases, a bend and more notes than there are voices.
static std::vector<float> play(const std::shared_ptr<const engine::Instrument>& instrument,
                               std::size_t n_threads, bool prepares = false) {
  constexpr std::size_t kBlock = 500, kBlocks = 24;
  engine::Engine player(instrument, 48000, kBlock, 6, 3, 2, 0, n_threads);
  std::vector<float> left(kBlock * kBlocks), right(left.size());
  for (std::uint32_t b = 0; b < kBlocks; ++b) {
    std::vector<Event> events;
    for (std::uint32_t i = 0; i < (b % 6 == 0 ? 5u : 0u); ++i) {
      const float pitch = 50.0f + static_cast<float>(3 * i + b);
      events.push_back({b, EventKind::kNoteOn, 10 * b + i, i % 2, pitch, 0.5f + 0.1f * i, 0.2f});
    }
    if (b == 3) events.push_back({9, EventKind::kNoteOn, 500, 0, 60.0f, 0.9f, -0.5f});
    if (prepares) player.prepare(events);
    if (b % 6 == 4) events.push_back({77, EventKind::kNoteOff, 10 * (b - 4) + 1, 0, 0.0f, 0.0f});
    const auto bend = static_cast<std::uint32_t>(engine::Parameter::kBend);
    if (b == 7) events.push_back({100, EventKind::kParameter, bend, 0, 0.0f, 1.5f});
    float* const out[] = {&left[b * kBlock], &right[b * kBlock]};
    player.process(out, kBlock, events);
  }
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

int main() {
  for (const std::size_t n : {1, 2, 5}) runs_each_task_once(n);
#if defined(__linux__)
  threads_follow_their_caller();
#endif
  using Conditioning = models::SampleRNNConfig::Conditioning;
  for (const std::shared_ptr<const engine::Instrument>& instrument :
       std::initializer_list<std::shared_ptr<const engine::Instrument>>{
           frame_instrument(engine::PhaseChannel::kHarmonic),
           frame_instrument(engine::PhaseChannel::kInstantaneousFrequency),
           sample_instrument(Conditioning::kNote, 64,
                             models::SampleRNNWeights::Precision::kFloat32)}) {
    const std::vector<float> wanted = play(instrument, 1);
    CHECK(*std::max_element(wanted.begin(), wanted.end()) > 1e-4f);
    for (const std::size_t n : {2, 4}) {
      CHECK(play(instrument, n) == wanted && play(instrument, n, true) == wanted);
    }
  }
  return audiogen::test::finish();
}
