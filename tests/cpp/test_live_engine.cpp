// Live samples are those of the engine, `lookahead` later, to the bit; late ones fade and recover;
// instruments change without a click; and the audio thread neither allocates nor waits.
#include "engine/live_engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numbers>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "engine/frames/frame_instrument.h"
#include "engine_events.h"
#include "small_instruments.h"

using namespace audiogen;
using engine::Engine;
using engine::Event;
using engine::EventKind;
using engine::Instrument;
using engine::LiveEngine;
using engine::LiveSettings;
using engine::Parameter;

using Channels = std::vector<std::vector<float>>;

static constexpr std::uint32_t kRate = 48000;  // Hz
static constexpr std::size_t kMaxBlock = 512;
static constexpr std::size_t kFadeOut = kRate / 500, kFadeIn = kRate / 200, kSwap = kRate / 50;

// What a test and the voices of its instrument know of each other.
struct Gate {
  std::atomic<bool> open = true;  // while it is closed no voice sounds on
  std::atomic<bool> waited = false;
  std::atomic<int> gone = 0;  // voices deleted,
  std::thread::id deleter{};  // the last of them by this thread
};

static constexpr float kToneLevel = 0.5f;
static constexpr double kToneHz = 110.0;

// A tone that fades in a few ms when it is let go.
class Tone final : public engine::Voice {
 public:
  Tone(double sample_rate, Gate* gate) : sample_rate_(sample_rate), gate_(gate) {}
  ~Tone() override {
    if (gate_ == nullptr) return;
    gate_->deleter = std::this_thread::get_id();
    ++gate_->gone;
  }
  void note_on(const engine::Note& note) noexcept override {
    step_ = kToneHz * std::exp2((note.pitch - 45.0) / 12.0) / sample_rate_;
    turns_ = 0.0;
    level_ = kToneLevel;
    fade_ = 0.0f;
  }
  void note_off() noexcept override { fade_ = kToneLevel / 200.0f; }
  void reset() noexcept override { level_ = 0.0f; }
  bool active() const noexcept override { return level_ > 0.0f; }
  bool released() const noexcept override { return fade_ > 0.0f; }
  void add(float* out, std::size_t n) noexcept override {
    while (gate_ != nullptr && !gate_->open) gate_->waited = true;  // a sleep would be reported
    for (std::size_t i = 0; i < n; ++i, turns_ += step_) {
      out[i] += level_ * static_cast<float>(std::sin(2.0 * std::numbers::pi * turns_));
      level_ = std::max(0.0f, level_ - fade_);
    }
  }

 private:
  double sample_rate_;
  Gate* gate_;
  double step_ = 0.0, turns_ = 0.0;
  float level_ = 0.0f, fade_ = 0.0f;
};

class ToneInstrument final : public Instrument {
 public:
  explicit ToneInstrument(Gate* gate = nullptr, double sample_rate = kRate)
      : Instrument(sample_rate, {0.0f, 127.0f}, 1), gate_(gate) {}
  std::unique_ptr<engine::Voices> make_voices(std::size_t n, std::size_t,
                                              std::size_t) const override {
    return std::make_unique<engine::SeparateVoices<Tone>>(n, sample_rate(), gate_);
  }

 private:
  Gate* gate_;
};

static Event parameter(std::uint32_t offset, Parameter which, float value) {
  return {offset, EventKind::kParameter, static_cast<std::uint32_t>(which), 0, 0.0f, value};
}

static Event all_off(std::uint32_t offset) {
  return {offset, EventKind::kAllOff, 0, 0, 0.0f, 0.0f};
}

static LiveSettings settings_of(bool synchronous, std::size_t n_channels = 2) {
  LiveSettings settings;
  settings.sample_rate = kRate;
  settings.max_block = kMaxBlock;
  settings.max_voices = 3;
  settings.seed = 7;
  settings.n_channels = n_channels;
  settings.longest_delay = 0;  // tests come faster than real time
  settings.synchronous = synchronous;
  return settings;
}

// For a condition that another thread brings about.
template <typename Condition>
static void wait_for(const Condition& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

// Plays on, block by block, with events whose offsets count from here. The worker may fall behind,
// but never so far that samples are late.
static Channels play_live(LiveEngine& live, const std::vector<Event>& events, std::size_t n,
                          std::size_t block) {
  Channels out(live.n_channels(), std::vector<float>(n));
  std::vector<Event> now;
  std::vector<float*> at(out.size());
  std::size_t next = 0, unwaited = live.lookahead();
  for (std::size_t done = 0; done < n;) {
    const std::size_t size = std::min(block, n - done);
    now.clear();
    for (; next < events.size() && events[next].offset < done + size; ++next) {
      now.push_back(events[next]);
      now.back().offset -= static_cast<std::uint32_t>(done);
    }
    if (unwaited + size > live.lookahead()) {
      wait_for([&] { return live.ready(); });
      unwaited = 0;
    }
    for (std::size_t c = 0; c < out.size(); ++c) at[c] = out[c].data() + done;
    live.process(at, size, now);
    unwaited += size;
    done += size;
  }
  return out;
}

static Channels play_engine(Engine& engine, const std::vector<Event>& events, std::size_t n) {
  Channels out(engine.n_channels(), std::vector<float>(n));
  std::vector<float*> at;
  for (std::vector<float>& channel : out) at.push_back(channel.data());
  engine.process(at, n, events);
  return out;
}

static Channels play_engine(std::shared_ptr<const Instrument> instrument,
                            const LiveSettings& settings, const std::vector<Event>& events,
                            std::size_t n) {
  Engine engine(std::move(instrument), kRate, 65536, settings.max_voices, settings.seed,
                settings.n_channels);
  return play_engine(engine, events, n);
}

// `late` samples later.
static Channels shifted(Channels channels, std::size_t late) {
  for (std::vector<float>& channel : channels) {
    channel.insert(channel.begin(), late, 0.0f);
    channel.resize(channel.size() - late);
  }
  return channels;
}

static float loudest(const std::vector<float>& samples, std::size_t from = 0) {
  float most = 0.0f;
  for (std::size_t i = from; i < samples.size(); ++i) most = std::max(most, std::abs(samples[i]));
  return most;
}

static float steepest(const std::vector<float>& samples) {
  float most = 0.0f;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    most = std::max(most, std::abs(samples[i] - samples[i - 1]));
  }
  return most;
}

static void append(Channels& to, const Channels& more) {
  to.resize(more.size());
  for (std::size_t c = 0; c < to.size(); ++c) {
    to[c].insert(to[c].end(), more[c].begin(), more[c].end());
  }
}

static const std::vector<Event> kTune = {note_on(0, 1, 50.0f),
                                         parameter(30, Parameter::kPan, 0.5f),
                                         note_on(300, 2, 57.3f),
                                         note_off(301, 2),
                                         parameter(900, Parameter::kBend, 1.3f),
                                         note_on(1900, 3, 95.0f),
                                         note_off(2500, 1),
                                         note_on(2500, 4, 60.0f),
                                         note_on(2503, 5, 62.0f),
                                         parameter(2503, Parameter::kVolume, 0.7f),
                                         note_off(4000, 3),
                                         all_off(6000)};

static void samples_are_those_of_the_engine() {
  const auto instrument = frame_instrument(engine::PhaseChannel::kHarmonic);
  const std::size_t n = 8000;
  for (const std::size_t n_channels : {1, 2}) {
    Engine engine(instrument, kRate, 65536, 3, 7, n_channels);
    const Channels wanted = play_engine(engine, kTune, n);
    CHECK(engine.n_stolen() > 0 && engine.n_transposed() == 1);
    CHECK(loudest(wanted[0], 5000) > 1e-3f && (n_channels == 1 || wanted[0] != wanted[1]));
    for (const bool synchronous : {false, true}) {
      for (const std::size_t block : {1, 7, 64, 127, 512}) {
        LiveEngine live(instrument, settings_of(synchronous, n_channels));
        CHECK(live.lookahead() == kMaxBlock + kRate / 200);
        CHECK(play_live(live, kTune, n, block) == shifted(wanted, live.lookahead()));
        CHECK(live.n_late() == 0 && live.n_dropped() == 0);
        wait_for([&] { return live.ready(); });
        CHECK(live.n_stolen() == engine.n_stolen() && live.n_transposed() == 1);
      }
    }
  }
}

static void a_synchronous_host_may_ask_for_anything() {
  const auto instrument = frame_instrument(engine::PhaseChannel::kHarmonic);
  const std::size_t n = 8000;
  LiveSettings settings = settings_of(true);
  const Channels wanted = play_engine(instrument, settings, kTune, n);
  for (const std::size_t lookahead : {0, 1, 100, 5000}) {
    settings.lookahead = lookahead;
    for (const std::size_t block : {std::size_t{513}, std::size_t{3000}, n}) {
      LiveEngine live(instrument, settings);
      CHECK(live.lookahead() == lookahead && live.synchronous());
      CHECK(play_live(live, kTune, n, block) == shifted(wanted, lookahead));
      CHECK(live.ready() && live.n_late() == 0 && live.load() == 0.0f);
    }
  }
  // More events at once than wait for a worker.
  std::vector<Event> many(LiveEngine::kMostEvents, note_off(10, 99));
  many.insert(many.begin(), note_on(5, 1, 50.0f));
  for (std::uint32_t i = 0; i < LiveEngine::kMostEvents; ++i) {
    many.push_back(parameter(20, Parameter::kPan, static_cast<float>(i) / 10000.0f));
  }
  settings.lookahead = 0;
  LiveEngine live(instrument, settings);
  CHECK(play_live(live, many, n, n) == play_engine(instrument, settings, many, n));
  CHECK(live.n_dropped() == 0);
}

// Without waiting for the worker between blocks, and with the mode changed while notes sound.
static void a_host_may_go_offline_and_back() {
  const auto instrument = frame_instrument(engine::PhaseChannel::kHarmonic);
  const std::size_t n = 8000, block = 100;
  const LiveSettings settings = settings_of(false);
  const Channels wanted =
      shifted(play_engine(instrument, settings, kTune, n), kMaxBlock + kRate / 200);
  for (const std::size_t n_live : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
    LiveEngine live(instrument, settings);
    Channels sound(live.n_channels(), std::vector<float>(n));
    std::vector<float*> at(sound.size());
    for (std::size_t done = 0; done < n; done += block) {
      const bool offline = n_live == 0 || done / block % (2 * n_live) >= n_live;
      live.set_offline(offline);
      std::vector<Event> now;
      for (Event event : kTune) {
        if (event.offset < done || event.offset >= done + block) continue;
        event.offset -= static_cast<std::uint32_t>(done);
        now.push_back(event);
      }
      if (!offline) wait_for([&] { return live.ready(); });
      for (std::size_t c = 0; c < sound.size(); ++c) at[c] = sound[c].data() + done;
      live.process(at, block, now);
      CHECK(!offline || live.ready());
    }
    CHECK(sound == wanted);
    CHECK(live.n_late() == 0 && live.n_delayed() == 0);
    live.set_offline(true);  // and is deleted in either mode
  }
}

// As fast as it can, without saying that it is not playing.
static void a_hurried_host_loses_nothing() {
  const auto instrument = frame_instrument(engine::PhaseChannel::kHarmonic);
  const std::size_t n = 8000, block = 100;
  LiveSettings settings = settings_of(false);
  settings.longest_delay = kRate;  // a note is late only where the worker has no time for it
  const std::vector<Event> tune = {note_on(0, 1, 50.0f)};
  const Channels wanted =
      shifted(play_engine(instrument, settings, tune, n), kMaxBlock + kRate / 200);
  LiveEngine live(instrument, settings);
  Channels sound(live.n_channels(), std::vector<float>(n));
  std::vector<float*> at(sound.size());
  for (std::size_t done = 0; done < n; done += block) {
    for (std::size_t c = 0; c < sound.size(); ++c) at[c] = sound[c].data() + done;
    live.hurry(block, 1.0);
    live.process(at, block, done == 0 ? std::span(tune) : std::span<const Event>());
  }
  CHECK(sound == wanted && live.n_late() == 0);
  CHECK(loudest(sound[0]) > 1e-3f);
  // Nothing is asked of the worker while enough samples are ready.
  LiveEngine ready(instrument, settings);
  ready.hurry(kMaxBlock, 1.0);
  float* const channels[] = {sound[0].data(), sound[sound.size() - 1].data()};
  ready.process({channels, ready.n_channels()}, block, {});
  wait_for([&] { return ready.ready(); });
}

// Offsets out of order or beyond the block, and empty blocks, as the engine takes them.
static void odd_events_are_taken_as_by_the_engine() {
  const auto instrument = frame_instrument(engine::PhaseChannel::kHarmonic);
  for (const bool synchronous : {false, true}) {
    LiveSettings settings = settings_of(synchronous);
    settings.lookahead = kMaxBlock + 1;
    LiveEngine live(instrument, settings);
    Engine engine(instrument, kRate, kMaxBlock, settings.max_voices, settings.seed, 2);
    Channels got, wanted;
    const auto step = [&](std::size_t n, const std::vector<Event>& events) {
      Channels of_live(2, std::vector<float>(n)), of_engine = of_live;
      float* const live_at[] = {of_live[0].data(), of_live[1].data()};
      float* const engine_at[] = {of_engine[0].data(), of_engine[1].data()};
      wait_for([&] { return live.ready(); });
      live.process(live_at, n, events);
      engine.process(engine_at, n, events);
      append(got, of_live);
      append(wanted, of_engine);
    };
    step(100, {note_on(90, 1, 50.0f), note_on(10, 2, 53.0f), note_on(4'000'000'000u, 3, 55.0f)});
    step(0, {note_off(0, 2), note_on(7, 4, 60.0f), parameter(0, Parameter::kPan, -0.3f)});
    step(0, {});
    step(1, {note_off(5, 3)});
    for (int i = 0; i < 10; ++i) step(kMaxBlock, {});
    CHECK(got == shifted(wanted, live.lookahead()) && loudest(got[0]) > 1e-3f);
    CHECK(live.n_late() == 0);
  }
}

static void posted_events_start_with_the_next_block() {
  const auto instrument = frame_instrument(engine::PhaseChannel::kHarmonic);
  for (const bool synchronous : {false, true}) {
    const LiveSettings settings = settings_of(synchronous);
    LiveEngine live(instrument, settings);
    Channels got;
    CHECK(live.post(parameter(99, Parameter::kPan, -1.0f)) && live.post(note_on(5, 1, 50.0f)));
    append(got, play_live(live, {note_on(0, 2, 57.0f)}, 200, 200));
    append(got, play_live(live, {}, 200, 200));
    CHECK(live.post(note_off(0, 1)));
    append(got, play_live(live, {note_on(3, 3, 62.0f)}, 5000, 200));
    const std::vector<Event> same = {parameter(0, Parameter::kPan, -1.0f), note_on(0, 1, 50.0f),
                                     note_on(0, 2, 57.0f), note_off(400, 1),
                                     note_on(403, 3, 62.0f)};
    CHECK(got == shifted(play_engine(instrument, settings, same, 5400), live.lookahead()));
  }
  // More than there is room for.
  LiveEngine live(instrument, settings_of(false));
  bool taken = true;
  for (std::size_t i = 0; i < LiveEngine::kMostPosted; ++i) {
    taken &= live.post(note_on(0, static_cast<std::uint32_t>(i), 50.0f));
  }
  CHECK(taken && live.n_dropped() == 0);
  CHECK(!live.post(note_on(0, 1, 50.0f)) && live.n_dropped() == 1);
  play_live(live, {}, 1, 1);
  CHECK(live.post(all_off(0)));
}

static void events_come_from_other_threads() {
  static constexpr std::uint32_t kThreads = 3, kNotes = 20;
  LiveSettings settings = settings_of(false);
  settings.max_voices = kThreads * kNotes;
  LiveEngine live(std::make_shared<ToneInstrument>(), settings);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&live, t] {
      for (std::uint32_t i = 0; i < kNotes; ++i) {
        live.post(note_on(0, t * kNotes + i, 45.0f));
        std::this_thread::yield();
      }
    });
  }
  while (live.n_sounding() < settings.max_voices) play_live(live, {}, 64, 64);
  for (std::thread& thread : threads) thread.join();
  CHECK(live.n_late() == 0 && live.n_stolen() == 0 && live.n_dropped() == 0);
}

// The worker is held up in the middle of a note for some blocks, in which other events come.
static void late_samples_fade_and_recover(std::size_t block, std::size_t n_held_up) {
  Gate gate;
  const auto instrument = std::make_shared<ToneInstrument>(&gate);
  LiveSettings settings = settings_of(false);
  settings.lookahead = kMaxBlock + 170;  // never a whole number of blocks but of 1
  LiveEngine live(instrument, settings);
  const std::size_t lookahead = live.lookahead();

  Channels got =
      play_live(live, {note_on(0, 1, 45.0f), parameter(0, Parameter::kPan, 0.3f)}, 5000, 500);
  const std::vector<Event> unheard = {note_on(100, 2, 52.0f), note_off(300, 1)};
  std::vector<Event> all = {note_on(0, 1, 45.0f), parameter(0, Parameter::kPan, 0.3f)};
  for (Event event : unheard) {
    event.offset += 5000;
    all.push_back(event);
  }
  wait_for([&] { return live.ready(); });
  gate.open = false;
  // All that was known is there, `lookahead` samples; of what comes to be known now, nothing.
  std::size_t n_late = 0, next = 0;
  const std::size_t held_up = lookahead + n_held_up;
  for (std::size_t done = 0; done < held_up; done += block) {
    std::vector<Event> now;
    for (; next < unheard.size() && unheard[next].offset < done + block; ++next) {
      now.push_back(unheard[next]);
      now.back().offset -= static_cast<std::uint32_t>(done);
    }
    Channels some(2, std::vector<float>(block));
    float* const at[] = {some[0].data(), some[1].data()};
    live.process(at, block, now);
    append(got, some);
    wait_for([&] { return gate.waited.load(); });
    n_late += done + block > lookahead ? 1 : 0;
    CHECK(live.n_late() == n_late);
    if (live.n_late() == 0) continue;
    CHECK(!live.ready());
    CHECK(live.peak() == std::max(loudest(some[0]), loudest(some[1])));
  }
  CHECK(n_late > 0);
  const std::size_t until = got[0].size();

  gate.open = true;
  wait_for([&] { return live.ready(); });
  append(got, play_live(live, {}, 4000, 500));
  CHECK(live.n_late() == n_late);

  const std::size_t n = got[0].size();
  const Channels wanted = shifted(play_engine(instrument, settings, all, n), lookahead);
  // As wanted to the block that lacks samples; then silence in time; then back to the bit.
  const std::size_t good = 5000 + lookahead / block * block;
  const std::size_t silent = good + std::max(lookahead % block, kFadeOut);
  const std::size_t back = std::max(until, silent + 500) + kFadeIn;
  for (std::size_t c = 0; c < 2; ++c) {
    CHECK(steepest(wanted[c]) < 0.03f);
    CHECK(steepest(got[c]) < 0.03f);
    CHECK(std::equal(got[c].begin(), got[c].begin() + static_cast<std::ptrdiff_t>(good),
                     wanted[c].begin()));
    for (std::size_t i = silent; i < until; ++i) CHECK(got[c][i] == 0.0f);
    CHECK(std::equal(got[c].begin() + static_cast<std::ptrdiff_t>(back), got[c].end(),
                     wanted[c].begin() + static_cast<std::ptrdiff_t>(back)));
    CHECK(loudest(got[c], back) > 0.2f);
  }
}

// The worker is held up until no time is left.
static void notes_wait_for_the_worker(std::size_t longest_delay, bool wait) {
  Gate gate;
  LiveSettings settings = settings_of(false);
  settings.longest_delay = longest_delay;
  LiveEngine live(std::make_shared<ToneInstrument>(&gate), settings);
  play_live(live, {note_on(0, 1, 45.0f)}, 1000, 500);
  wait_for([&] { return live.ready(); });
  CHECK(live.n_delayed() == 0);
  gate.open = false;
  std::vector<float> left(kMaxBlock), right(kMaxBlock);
  float* const at[] = {left.data(), right.data()};
  const std::vector<Event> chord = {note_on(10, 2, 52.0f), note_on(10, 3, 57.0f), note_off(10, 2)};
  for (std::size_t done = 0; done < live.lookahead() + 64; done += 32) {
    live.process(at, 32, done == 32 ? chord : std::vector<Event>{});
    wait_for([&] { return gate.waited.load(); });
  }
  gate.open = true;
  wait_for([&] { return live.ready(); });
  play_live(live, {}, 1000, 64);
  wait_for([&] { return live.ready(); });
  CHECK(live.n_delayed() == (wait ? 2 : 0));
  CHECK(live.n_late() > 0 && live.n_dropped() == 0);
  CHECK(live.n_sounding() == 2);  // a note's end waited with it
}

// A step whose start takes a few ms, unless it is prepared.
class SlowStep final : public engine::Voice {
 public:
  void note_on(const engine::Note& note) noexcept override {
    if (!is_prepared_) prepare(note);
    is_prepared_ = false;
    active_ = true;
  }
  void prepare(const engine::Note&) noexcept override {
    std::atomic<int> n = 0;  // a clock would be reported
    while (n.fetch_add(1, std::memory_order_relaxed) < 1'000'000) continue;
    is_prepared_ = true;
  }
  void note_off() noexcept override { active_ = false; }
  void reset() noexcept override { active_ = is_prepared_ = false; }
  bool active() const noexcept override { return active_; }
  bool released() const noexcept override { return !active_; }
  void add(float* out, std::size_t n) noexcept override {
    for (std::size_t i = 0; i < n; ++i) out[i] += 0.1f;
  }

 private:
  bool active_ = false, is_prepared_ = false;
};

class SlowSteps final : public Instrument {
 public:
  SlowSteps() : Instrument(kRate, {0.0f, 127.0f}, 1) {}
  std::unique_ptr<engine::Voices> make_voices(std::size_t n, std::size_t,
                                              std::size_t) const override {
    return std::make_unique<engine::SeparateVoices<SlowStep>>(n);
  }
};

// However long the worker takes.
static void notes_of_a_chord_start_together() {
  LiveSettings settings = settings_of(false, 1);
  settings.max_voices = 8;
  settings.longest_delay = 100 * kRate;
  LiveEngine live(std::make_shared<SlowSteps>(), settings);
  std::vector<Event> chord;
  for (std::uint32_t i = 0; i < 6; ++i) chord.push_back(note_on(10 + 5 * i, i, 50.0f));
  std::vector<float> out;
  for (std::size_t done = 0; done < 10 * kRate && live.n_sounding() < 6; done += 256) {
    const Channels more = play_live(live, done == 0 ? chord : std::vector<Event>{}, 256, 256);
    out.insert(out.end(), more[0].begin(), more[0].end());
  }
  const Channels rest = play_live(live, {}, 2 * live.lookahead(), 256);
  out.insert(out.end(), rest[0].begin(), rest[0].end());
  CHECK(live.n_sounding() == 6 && std::abs(out.back() - 0.6f) < 0.01f);
  const auto between = [](float x) { return x > 0.05f && x < 0.55f; };
  CHECK(std::ranges::count_if(out, between) < 100);  // the steps are within 25 samples
}

static void too_many_events_let_all_notes_go() {
  Gate gate;
  LiveSettings settings = settings_of(false);
  LiveEngine live(std::make_shared<ToneInstrument>(&gate), settings);
  play_live(live, {note_on(0, 1, 45.0f)}, 1000, 500);
  wait_for([&] { return live.ready(); });
  CHECK(live.n_sounding() == 1);
  gate.open = false;
  std::vector<Event> many(LiveEngine::kMostEvents, note_off(0, 99));
  many.push_back(note_off(0, 1));  // lost
  std::vector<float> left(8), right(8);
  float* const at[] = {left.data(), right.data()};
  live.process(at, 8, many);
  wait_for([&] { return gate.waited.load(); });  // the worker has taken those already, or none
  live.process(at, 8, many);
  live.process(at, 8, many);
  CHECK(live.n_dropped() > LiveEngine::kMostEvents);
  gate.open = true;
  wait_for([&] { return live.ready(); });
  play_live(live, {note_on(0, 3, 45.0f)}, 1, 1);
  play_live(live, {}, 500, 100);
  wait_for([&] { return live.ready(); });
  CHECK(live.n_sounding() == 1);  // the new one
}

static void too_many_posted_events_let_all_notes_go() {
  LiveEngine live(std::make_shared<ToneInstrument>(), settings_of(true));
  play_live(live, {note_on(0, 1, 45.0f)}, 1000, 500);
  CHECK(live.n_sounding() == 1);
  for (std::size_t i = 0; i < LiveEngine::kMostPosted; ++i) CHECK(live.post(note_off(0, 99)));
  CHECK(!live.post(note_off(0, 1)) && live.n_dropped() == 1);
  play_live(live, {}, 1000, 500);
  CHECK(live.n_sounding() == 0);
}

// The output when another instrument replaces the first.
static void fade_over(Channels& old_sound, const Channels& new_sound, std::size_t at) {
  for (std::size_t c = 0; c < old_sound.size(); ++c) {
    for (std::size_t i = at; i < old_sound[c].size(); ++i) {
      const std::size_t since = std::min(i - at, kSwap);
      old_sound[c][i] *= static_cast<float>(kSwap - since) / static_cast<float>(kSwap + 1);
      old_sound[c][i] += new_sound[c][i - at];
    }
  }
}

static void instruments_change_without_a_click() {
  Gate before, after;
  const std::size_t n = 9000, at = 4000;
  for (const double model_rate : {48000.0, 16000.0}) {
    Channels by_worker;
    for (const bool synchronous : {false, true}) {
      before.gone = 0;
      const auto old_instrument = std::make_shared<ToneInstrument>(&before);
      const auto new_instrument = std::make_shared<ToneInstrument>(&after, model_rate);
      const LiveSettings settings = settings_of(synchronous);
      LiveEngine live(old_instrument, settings);
      const std::size_t lookahead = live.lookahead();
      Channels got = play_live(live, {note_on(0, 1, 45.0f)}, at, 250);

      std::thread::id control;
      std::thread([&] {
        control = std::this_thread::get_id();
        const auto unheard = std::make_shared<ToneInstrument>();
        live.swap(unheard);
        CHECK(unheard.use_count() == 2);
        live.swap(new_instrument);
        CHECK(unheard.use_count() == 1);
        live.post(note_on(0, 2, 49.0f));
      }).join();
      append(got, play_live(live, {}, n - at, 250));
      wait_for([&] { return live.ready(); });
      CHECK(before.gone == 0 && live.n_late() == 0);
      CHECK(old_instrument.use_count() == 2);
      std::thread([&] {
        control = std::this_thread::get_id();
        live.post(all_off(0));
      }).join();
      CHECK(before.gone == 3 && before.deleter == control && old_instrument.use_count() == 1);

      Channels wanted = play_engine(old_instrument, settings, {note_on(0, 1, 45.0f)}, n);
      const Channels added = play_engine(new_instrument, settings, {note_on(0, 2, 49.0f)}, n - at);
      fade_over(wanted, added, at);
      for (std::size_t c = 0; c < 2; ++c) {
        CHECK(steepest(got[c]) < 0.03f && loudest(got[c], n - 1000) > 0.3f);
      }
      wanted = shifted(wanted, lookahead);
      for (std::size_t i = 0; i < n; ++i) CHECK_NEAR(got[0][i], wanted[0][i], 1e-6);
      if (synchronous) CHECK(got == by_worker);
      by_worker = got;
      Engine alone(new_instrument, kRate, 64, 1, 0);
      CHECK(live.latency() == lookahead + alone.latency());
    }
  }
}

// The worker comes to the change late, in the midst of samples that it could render at once, and
// after a knob was turned that the new engine can't have seen.
static void a_change_waits_for_its_time() {
  Gate gate;
  const auto instrument = std::make_shared<ToneInstrument>(&gate);
  const auto other = std::make_shared<ToneInstrument>(nullptr, 16000.0);
  const LiveSettings settings = settings_of(false);
  LiveEngine live(instrument, settings);
  Channels got = play_live(live, {note_on(0, 1, 45.0f)}, 4000, 250);
  wait_for([&] { return live.ready(); });
  gate.open = false;
  const auto step = [&](std::size_t n, const std::vector<Event>& events) {
    Channels some(2, std::vector<float>(n));
    float* const at[] = {some[0].data(), some[1].data()};
    live.process(at, n, events);
    append(got, some);
  };
  step(10, {});
  wait_for([&] { return gate.waited.load(); });
  step(100, {parameter(50, Parameter::kVolume, 0.5f)});
  live.swap(other);
  live.post(note_on(0, 2, 49.0f));
  step(250, {});
  gate.open = true;
  append(got, play_live(live, {}, 4000, 250));
  CHECK(live.n_late() == 0);

  const std::size_t n = got[0].size(), change = 4110;
  Channels wanted = play_engine(
      instrument, settings, {note_on(0, 1, 45.0f), parameter(4060, Parameter::kVolume, 0.5f)}, n);
  const Channels added = play_engine(
      other, settings, {parameter(0, Parameter::kVolume, 0.5f), note_on(0, 2, 49.0f)}, n - change);
  fade_over(wanted, added, change);
  wanted = shifted(wanted, live.lookahead());
  for (std::size_t i = 0; i < n; ++i) CHECK_NEAR(got[0][i], wanted[0][i], 1e-6);
}

// One change after the other, in the midst of the fade of the one before.
static void instruments_change_quickly() {
  for (const bool synchronous : {false, true}) {
    Gate gate;
    LiveEngine live(std::make_shared<ToneInstrument>(&gate), settings_of(synchronous));
    Channels got = play_live(live, {note_on(0, 0, 45.0f)}, 2000, 250);
    for (std::uint32_t i = 1; i <= 8; ++i) {
      live.swap(std::make_shared<ToneInstrument>(&gate));
      live.post(note_on(0, i, 45.0f));
      append(got, play_live(live, {}, 150, 150));
    }
    append(got, play_live(live, {}, 3000, 250));
    wait_for([&] { return live.ready(); });
    CHECK(live.n_sounding() == 1 && live.n_late() == 0);
    live.post(all_off(0));
    CHECK(gate.gone == 8 * 3);
    CHECK(steepest(got[0]) < 0.1f);  // up to 8 tones at once
    CHECK_NEAR(loudest(got[0], got[0].size() - 1000), kToneLevel, 1e-3);
  }
}

static void parameters_outlive_an_instrument() {
  for (const bool synchronous : {false, true}) {
    const auto instrument = std::make_shared<ToneInstrument>();
    LiveEngine live(instrument, settings_of(synchronous));
    play_live(live, {parameter(0, Parameter::kVolume, 0.5f)}, 4000, 250);
    wait_for([&] { return live.ready(); });
    live.swap(instrument);
    live.post(note_on(0, 1, 45.0f));
    const Channels got = play_live(live, {}, 3000, 250);
    CHECK_NEAR(loudest(got[0]), 0.25f * kToneLevel, 1e-3);
  }
}

static void counts_go_on_with_another_instrument() {
  LiveEngine live(frame_instrument(engine::PhaseChannel::kHarmonic), settings_of(true));
  std::vector<Event> notes;
  for (std::uint32_t i = 0; i < 5; ++i) notes.push_back(note_on(i, i, 95.0f));
  play_live(live, notes, 100, 100);
  CHECK(live.n_stolen() == 2 && live.n_transposed() == 5 && live.n_sounding() == 3);
  live.swap(frame_instrument(engine::PhaseChannel::kHarmonic));
  play_live(live, {note_on(0, 9, 10.0f)}, 100, 100);
  CHECK(live.n_stolen() == 2 && live.n_transposed() == 6 && live.n_sounding() == 1);
}

static void nothing_is_allocated() {
  for (const bool synchronous : {false, true}) {
    LiveEngine live(frame_instrument(engine::PhaseChannel::kHarmonic), settings_of(synchronous));
    live.swap(frame_instrument(engine::PhaseChannel::kHarmonic));
    live.post(note_on(0, 1, 40.0f));
    std::vector<float> left(kMaxBlock), right(kMaxBlock);
    float* const at[] = {left.data(), right.data()};
    const int before = allocations;
    for (std::uint32_t block = 0; block < 60; ++block) {
      const Event events[] = {note_on(0, block, 30.0f + static_cast<float>(block)),
                              note_off(block % 7, block / 2),
                              parameter(block, Parameter::kBend, 0.1f)};
      live.process(at, 1 + (block * 331) % kMaxBlock, events);
      wait_for([&] { return live.ready(); });
    }
    CHECK(live.n_sounding() == 3 && live.peak() > 1e-4f);
    CHECK(allocations == before);
    CHECK(synchronous ? live.load() == 0.0f : live.load() > 0.0f);
  }
  static_assert(noexcept(std::declval<LiveEngine&>().process({}, 0, {})));
}

static void bad_settings_are_refused() {
  using std::invalid_argument;
  const auto with = [](auto change) {
    LiveSettings settings = settings_of(false);
    change(settings);
    LiveEngine live(std::make_shared<ToneInstrument>(), settings);
  };
  CHECK_THROWS(LiveEngine(nullptr, settings_of(false)), invalid_argument, "no instrument");
  CHECK_THROWS(with([](LiveSettings& s) { s.sample_rate = 0; }), invalid_argument,
               "sample_rate=0 Hz");
  CHECK_THROWS(with([](LiveSettings& s) { s.max_block = 0; }), invalid_argument, "max_block=0");
  CHECK_THROWS(with([](LiveSettings& s) { s.max_block = 65537; }), invalid_argument,
               "max_block=65537");
  CHECK_THROWS(with([](LiveSettings& s) { s.max_voices = 0; }), invalid_argument, "max_voices=0");
  CHECK_THROWS(with([](LiveSettings& s) { s.n_channels = 3; }), invalid_argument, "n_channels=3");
  CHECK_THROWS(with([](LiveSettings& s) { s.lookahead = kMaxBlock; }), invalid_argument,
               "lookahead=512 samples must be 513");
  CHECK_THROWS(with([](LiveSettings& s) { s.lookahead = 480001; }), invalid_argument, "to 480000");
  LiveEngine live(std::make_shared<ToneInstrument>(), settings_of(false));
  CHECK_THROWS(live.swap(nullptr), invalid_argument, "no instrument");
  const Channels got = play_live(live, {note_on(0, 1, 45.0f)}, 2000, 100);
  CHECK(loudest(got[0]) > 0.3f);  // as if nothing had been asked for
}

int main() {
  samples_are_those_of_the_engine();
  a_synchronous_host_may_ask_for_anything();
  a_host_may_go_offline_and_back();
  a_hurried_host_loses_nothing();
  odd_events_are_taken_as_by_the_engine();
  posted_events_start_with_the_next_block();
  events_come_from_other_threads();
  for (const std::size_t block : {1, 16, 64, 500, 512}) {
    for (const std::size_t held_up : {1, 50, 2000}) late_samples_fade_and_recover(block, held_up);
  }
  notes_wait_for_the_worker(kRate, true);
  notes_wait_for_the_worker(0, false);
  notes_of_a_chord_start_together();
  too_many_posted_events_let_all_notes_go();
  too_many_events_let_all_notes_go();
  instruments_change_without_a_click();
  a_change_waits_for_its_time();
  instruments_change_quickly();
  parameters_outlive_an_instrument();
  counts_go_on_with_another_instrument();
  nothing_is_allocated();
  bad_settings_are_refused();
  return audiogen::test::finish();
}
