// The callback of a sound card: its samples are the engine's, timed events keep their distances
// however the blocks come, what is late is counted, and nothing in it may wait.
#include "engine/card_output.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "engine_events.h"
#include "small_instruments.h"

using namespace audiogen;
using engine::BlockClock;
using engine::CardOutput;
using engine::Engine;
using engine::Event;
using engine::LiveEngine;
using engine::LiveSettings;
using engine::PortAudioTime;

static constexpr std::uint32_t kRate = 48000;  // Hz
static constexpr std::size_t kBlock = 64, kBlocks = 120;
static constexpr std::size_t kDelivery = 48;  // CardOutput::kDelivery, samples

static LiveSettings settings() {
  LiveSettings settings;
  settings.sample_rate = kRate;
  settings.max_block = kBlock;
  settings.max_voices = 4;
  settings.synchronous = true;
  settings.lookahead = 0;
  return settings;
}

// As PortAudio calls it.
static int call(CardOutput& output, std::vector<float>& out, std::size_t n, double card_s,
                unsigned long flags = 0) noexcept AUDIOGEN_REALTIME {
  const PortAudioTime time{0.0, card_s, 0.0};
  return CardOutput::callback()(nullptr, out.data(), n, &time, flags, &output);
}

// Samples [n, 2] of an engine.
static std::vector<float> engine_samples(const std::vector<Event>& events, std::size_t n) {
  Engine engine(frame_instrument(engine::PhaseChannel::kHarmonic), kRate, 65536, 4, 0, 2);
  std::vector<float> left(n), right(n), both;
  float* const channels[] = {left.data(), right.data()};
  engine.process(channels, n, events);
  for (std::size_t i = 0; i < n; ++i) {
    both.push_back(left[i]);
    both.push_back(right[i]);
  }
  return both;
}

static const std::vector<Event> kPosted = {
    note_on(0, 1, 50.0f), note_on(0, 2, 57.0f),
    Event{0, engine::EventKind::kParameter, static_cast<std::uint32_t>(engine::Parameter::kPan), 0,
          0.0f, 0.5f}};

static void samples_are_those_of_the_engine() {
  const std::vector<float> wanted = engine_samples(kPosted, kBlock * kBlocks);
  CHECK(*std::max_element(wanted.begin(), wanted.end()) > 1e-3f);
  for (const std::size_t n_channels : {2, 1}) {
    for (const std::size_t block : {kBlock, 3 * kBlock, std::size_t{5}}) {
      LiveEngine live(frame_instrument(engine::PhaseChannel::kHarmonic), settings());
      CardOutput output(live, n_channels, kBlock * kBlocks);
      for (const Event& event : kPosted) live.post(event);
      std::vector<float> out(block * n_channels), got, recorded(wanted.size());
      const std::size_t n_calls = kBlock * kBlocks / block;
      const int before = allocations;
      int n_allocations = 0;
      for (std::size_t b = 0; b < n_calls; ++b) {
        const int start = allocations;
        CHECK(call(output, out, block, static_cast<double>(b)) == 0);
        n_allocations += allocations - start;
        got.insert(got.end(), out.begin(), out.end());
      }
      CHECK(n_allocations == 0);
      CHECK(allocations > before || !AUDIOGEN_COUNTS_ALLOCATIONS);  // it counts those of `got`
      bool same = true;
      for (std::size_t i = 0; i < n_calls * block; ++i) {
        const float left = wanted[2 * i], right = wanted[2 * i + 1];
        same = same && (n_channels == 1 ? got[i] == 0.5f * (left + right)
                                        : got[2 * i] == left && got[2 * i + 1] == right);
      }
      CHECK(same);
      const std::size_t n_read = output.read(recorded);
      CHECK(n_read == 2 * n_calls * block);
      CHECK(std::equal(recorded.begin(), recorded.begin() + static_cast<std::ptrdiff_t>(n_read),
                       wanted.begin()));
      CHECK(output.n_samples() == n_calls * block && output.n_calls() == n_calls);
      CHECK(output.n_underflows() == 0 && output.n_unrecorded() == 0 && output.peak() > 1e-3f);
    }
  }
}

// Times of notes, s, relative to the first callback.
static constexpr std::array<double, 4> kStruck = {0.0101, 0.0104, 0.0237, 0.05001};

// The samples with notes that are posted at their times, and callbacks that are `jitter_s` late.
static std::vector<float> timed_samples(double jitter_s, double origin_s) {
  LiveEngine live(frame_instrument(engine::PhaseChannel::kHarmonic), settings());
  CardOutput output(live, 2);
  std::mt19937 random(1);
  std::uniform_real_distribution<double> late(0.0, jitter_s);
  std::vector<float> out(2 * kBlock), got;
  std::size_t next = 0;
  for (std::size_t b = 0; b < kBlocks; ++b) {
    const double start_s = origin_s + static_cast<double>(b * kBlock) / kRate;
    const double now_s = start_s + (b < 4 || jitter_s == 0.0 ? 0.0 : late(random));
    for (; next < kStruck.size() && origin_s + kStruck[next] < now_s; ++next) {
      const auto id = static_cast<std::uint32_t>(next);
      output.post(note_on(0, id, 50.0f + 4.0f * static_cast<float>(id)), origin_s + kStruck[next]);
    }
    output.fill(out.data(), kBlock, false, start_s, now_s);
    got.insert(got.end(), out.begin(), out.end());
  }
  CHECK(output.n_late_events() == 0);
  return got;
}

static void timed_events_keep_their_distances() {
  std::vector<Event> events;
  for (std::size_t i = 0; i < kStruck.size(); ++i) {
    const auto at = static_cast<std::uint32_t>(std::floor(kStruck[i] * kRate + 1e-6));
    const auto id = static_cast<std::uint32_t>(i);
    events.push_back(note_on(at + kBlock + kDelivery, id, 50.0f + 4.0f * static_cast<float>(id)));
  }
  const std::vector<float> wanted = engine_samples(events, kBlock * kBlocks);
  CHECK(timed_samples(0.0, 1.0 + 1e-7) == wanted);
  // Callbacks that come up to 0.7 of a block late move no note by more than some samples.
  const std::vector<float> got = timed_samples(0.7 * kBlock / kRate, 1.0 + 1e-7);
  std::size_t first = 0, first_wanted = 0;
  while (first < got.size() && got[first] == 0.0f) ++first;
  while (first_wanted < wanted.size() && wanted[first_wanted] == 0.0f) ++first_wanted;
  CHECK(first_wanted / 2 >= events[0].offset);
  CHECK(std::abs(static_cast<double>(first) - static_cast<double>(first_wanted)) < 2 * 12);
}

static void the_clock_follows() {
  // A card that is 100 ppm fast, callbacks up to 0.5 ms late: the starts are regular within 0.1 ms.
  std::mt19937 random(2);
  std::uniform_real_distribution<double> late(0.0, 0.5e-3);
  BlockClock clock(kRate);
  const double length_s = 256.0 / (kRate * 1.0001);
  double worst = 0.0, before = 0.0;
  for (int b = 0; b < 3000; ++b) {
    const double start_s = clock.start_of(256, 5.0 + b * length_s + late(random));
    if (b > 1500) worst = std::max(worst, std::abs(start_s - before - length_s));
    before = start_s;
  }
  CHECK(worst < 0.1e-3);
  CHECK_NEAR(before, 5.0 + 2999 * length_s + 0.25e-3, 0.3e-3);
  // After a pause it begins anew.
  CHECK(clock.start_of(256, 100.0) == 100.0);
}

static void faults_are_counted() {
  LiveEngine live(frame_instrument(engine::PhaseChannel::kHarmonic), settings());
  CardOutput output(live, 2, kBlock);
  std::vector<float> out(2 * kBlock);
  call(output, out, kBlock, 1.0, 4);  // paOutputUnderflow
  call(output, out, kBlock, 1.0, 1);  // another flag
  CHECK(output.n_underflows() == 1 && output.n_unrecorded() == kBlock);
  call(output, out, kBlock, 2.0);
  CHECK(output.period() == 2 * kBlock);  // two blocks at one time
  output.post(note_on(0, 1, 60.0f), 0.0);
  call(output, out, kBlock, 3.0);
  CHECK(output.n_late_events() == 1 && live.n_sounding() == 1);
  std::size_t n = 0;
  while (output.post(note_on(0, 2, 60.0f), 1e9)) ++n;
  CHECK(n == CardOutput::kMostTimed);
  call(output, out, kBlock, 4.0);
  CHECK(!output.post(note_on(0, 2, 60.0f), 1e9));  // none of them is due
  std::array<CardOutput::Call, 8> calls;
  CHECK(output.read_calls(calls) == 5);
  CHECK(calls[3].lasted_s > 0.0f && calls[0].late_s == 0.0f);
  CHECK_THROWS(CardOutput(live, 3), std::invalid_argument, "n_channels=3 must be 1 or 2");
}

// A worker renders, one thread is the card's, one posts and one reads.
static void threads_share_it() {
  LiveSettings shared = settings();
  shared.synchronous = false;
  shared.lookahead.reset();
  LiveEngine live(frame_instrument(engine::PhaseChannel::kHarmonic), shared);
  CardOutput output(live, 2, kRate);
  std::atomic<bool> stop = false;
  std::thread card([&] {
    std::vector<float> out(2 * kBlock);
    for (int b = 0; !stop; ++b) {
      call(output, out, kBlock, b);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  std::thread poster([&] {
    for (std::uint32_t i = 0; !stop; ++i) {
      output.post(i % 2 == 0 ? note_on(0, i / 2, 60.0f) : note_off(0, i / 2), CardOutput::now_s());
      live.post(note_off(0, 99));
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
  });
  std::vector<float> samples(4096);
  std::array<CardOutput::Call, 64> calls;
  std::size_t n_read = 0;
  while (output.n_calls() < 300 || output.peak() == 0.0f) {
    n_read += output.read(samples);
    output.read_calls(calls);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stop = true;
  card.join();
  poster.join();
  while (const std::size_t n = output.read(samples)) n_read += n;
  CHECK(n_read == 2 * output.n_samples() && output.n_unrecorded() == 0);
}

int main() {
  samples_are_those_of_the_engine();
  timed_events_keep_their_distances();
  the_clock_follows();
  faults_are_counted();
  threads_share_it();
  return test::finish();
}
