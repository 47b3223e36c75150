// One live engine, all of its threads at once: audio, worker, two that post, one that changes
// presets and one that reads what is shown. ThreadSanitizer watches; here the sound is checked.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "engine/live_engine.h"
#include "small_instruments.h"

using namespace audiogen;
using engine::Event;
using engine::EventKind;
using engine::LiveEngine;

static constexpr std::size_t kBlocks = 250;  // of the audio thread, or more until all have come
static constexpr std::size_t kMaxBlock = 256;

static void add_up(LiveEngine& live, std::vector<float> (&out)[2], std::size_t n,
                   std::span<const Event> events) noexcept AUDIOGEN_REALTIME {
  float* const channels[] = {out[0].data(), out[1].data()};
  live.process(channels, n, events);
}

static void plays_while_all_is_changed(
    const std::vector<std::shared_ptr<const engine::Instrument>>& instruments, bool synchronous) {
  engine::LiveSettings settings;
  settings.max_block = kMaxBlock;
  settings.max_voices = 3;
  settings.synchronous = synchronous;
  LiveEngine live(instruments[0], settings);
  std::atomic<bool> over = false;
  std::atomic<std::size_t> n_swaps = 0, n_posted = 0, n_looks = 0, n_wrong = 0;
  const auto until_over = [&](auto body) {
    return std::thread([&over, body] {
      for (std::uint32_t i = 0; !over; ++i) {
        body(i);
        std::this_thread::yield();
      }
    });
  };
  std::thread threads[] = {
      until_over([&](std::uint32_t i) {
        const std::uint32_t which = i % engine::kParameterCount;
        const auto [lowest, highest] =
            std::pair(engine::kParameters[which].lowest, engine::kParameters[which].highest);
        const float part = static_cast<float>(i % 101) / 100.0f;
        n_posted += live.post(
            {0, EventKind::kParameter, which, 0, 0.0f, lowest + part * (highest - lowest)});
      }),
      until_over([&](std::uint32_t i) {
        const auto kind = i % 3 == 0 ? EventKind::kNoteOff : EventKind::kNoteOn;
        n_posted += live.post({0, kind, i / 2, i % 2, 40.0f + static_cast<float>(i % 40), 0.8f});
      }),
      until_over([&](std::uint32_t i) {
        live.swap(instruments[i % instruments.size()]);
        ++n_swaps;
      }),
      until_over([&](std::uint32_t) {
        const bool sound = std::isfinite(live.peak()) && std::isfinite(live.load());
        n_wrong += !sound || live.n_sounding() > 3 || live.latency() < live.lookahead();
        ++n_looks;
        (void)(live.ready() || live.n_dropped() + live.n_stolen() + live.n_transposed() > 0);
      }),
  };
  std::vector<float> out[2] = {std::vector<float>(kMaxBlock), std::vector<float>(kMaxBlock)};
  bool finite = true;
  const auto block = [&](std::size_t n, std::span<const Event> events) {
    add_up(live, out, n, events);
    float loudest = 0.0f;
    for (std::size_t i = 0; i < n; ++i) {
      finite = finite && std::isfinite(out[0][i]) && std::isfinite(out[1][i]);
      loudest = std::max(loudest, std::abs(out[0][i]));
    }
    return loudest;
  };
  const auto all_came = [&] { return n_swaps > 0 && n_posted > 0 && n_looks > 0; };
  for (std::uint32_t b = 0; b < kBlocks || !all_came(); ++b) {
    const Event events[] = {
        {0, EventKind::kNoteOn, 1'000'000 + b, 0, 50.0f + static_cast<float>(b % 20), 0.7f},
        {b % 64, EventKind::kNoteOff, 1'000'000 + b - b % 5, 0, 0.0f, 0.0f}};
    if (b % 16 == 0) live.set_offline(b % 32 == 0);
    block(1 + b * 97 % kMaxBlock, events);
    std::this_thread::yield();
  }
  live.set_offline(false);
  over = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(finite && n_wrong == 0);

  // When all have gone, it still plays. What they posted last may fill the queue for a few blocks.
  live.swap(instruments[0]);
  const auto settled_block = [&] {
    const float loudest = block(kMaxBlock, {});
    while (!live.ready()) std::this_thread::yield();
    return loudest;
  };
  const auto post = [&](const Event& event) {
    for (int b = 0; b < 400; ++b) {
      if (live.post(event)) return true;
      settled_block();
    }
    return false;
  };
  for (std::uint32_t which = 0; which < engine::kParameterCount; ++which) {
    CHECK(post({0, EventKind::kParameter, which, 0, 0, engine::kParameters[which].initial}));
  }
  CHECK(post({0, EventKind::kAllOff, 0, 0, 0.0f, 1.0f}));
  CHECK(post({0, EventKind::kNoteOn, 7, 0, 60.0f, 1.0f}));
  float loudest = 0.0f;
  for (int b = 0; b < 400; ++b) {
    loudest = settled_block();
    if (b > 40 && loudest > 1e-3f) break;
  }
  CHECK(finite && loudest > 1e-3f && live.n_sounding() >= 1);
}

int main() {
  using Conditioning = models::SampleRNNConfig::Conditioning;
  using Precision = models::SampleRNNWeights::Precision;
  const std::vector<std::shared_ptr<const engine::Instrument>> instruments = {
      frame_instrument(engine::PhaseChannel::kHarmonic),
      sample_instrument(Conditioning::kNote, 64, Precision::kInt8),
      frame_instrument(engine::PhaseChannel::kInstantaneousFrequency)};
  for (const bool synchronous : {false, true}) plays_while_all_is_changed(instruments, synchronous);
  return audiogen::test::finish();
}
