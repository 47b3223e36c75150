// The engine plays a SampleRNN as the network's own stream sounds, from each note's first sample to
// the end of its fade.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numbers>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "engine/engine.h"
#include "engine/samples/sample_instrument.h"
#include "engine_events.h"
#include "random_weights.h"

using namespace audiogen;
using engine::Engine;
using engine::Event;
using engine::EventKind;
using engine::Parameter;
using engine::SampleInstrument;
using engine::SampleSettings;
using models::SampleRNNConfig;
using models::SampleRNNWeights;
using models::SampleStream;
using Conditioning = SampleRNNConfig::Conditioning;

static constexpr std::uint32_t kRate = 8000;  // Hz
static constexpr std::size_t kMaxBlock = 1024;
static constexpr std::size_t kHeldFeature = 2;
static constexpr std::uint64_t kNoteSeed = 0x9E3779B97F4A7C15u;  // from one note to the next

static SampleRNNConfig config_for(Conditioning conditioning) {
  SampleRNNConfig config;
  config.frame_sizes = {4, 2};
  config.dim = 8;
  config.embedding_size = 4;
  config.q_levels = 64;
  config.conditioning = conditioning;
  config.n_classes = conditioning == Conditioning::kNone ? 0 : 3;
  config.sample_rate = kRate;
  return config;
}

static SampleSettings settings_for(Conditioning conditioning) {
  const SampleRNNConfig config = config_for(conditioning);
  SampleSettings settings;
  settings.network = std::make_shared<const SampleRNNWeights>(config, weights_for(config, 0.7f));
  if (conditioning == Conditioning::kNote) settings.pitch_range = {36.0f, 84.0f};
  settings.n_timbres = std::max<std::size_t>(1, config.n_classes);
  return settings;
}

static std::shared_ptr<SampleInstrument> make_instrument(Conditioning conditioning) {
  return std::make_shared<SampleInstrument>(settings_for(conditioning));
}

// Noise while a note is held; from its release on, the level of silence is e^`silence` times as
// likely as each other.
static std::shared_ptr<SampleInstrument> make_gated_instrument(float silence) {
  const SampleRNNConfig config = config_for(Conditioning::kNote);
  core::FloatArrays arrays = weights_for(config, 0.0f);
  arrays.at("sample.features.weight").values[kHeldFeature] = 1.0f;  // unit 0 says "held"
  for (const char* layer : {"sample.layer2.weight", "sample.layer3.weight"}) {
    arrays.at(layer).values[0] = 1.0f;
  }
  const std::size_t level = config.q_levels / 2;
  arrays.at("sample.output.bias").values[level] = silence;
  arrays.at("sample.output.weight").values[level * config.dim] = -silence;
  SampleSettings settings;
  settings.network = std::make_shared<const SampleRNNWeights>(config, arrays);
  return std::make_shared<SampleInstrument>(std::move(settings));
}

static const std::vector<Event> kTune = {
    note_on(0, 1, 50.0f), note_on(100, 2, 57.3f),  note_off(101, 2),        note_on(1900, 3, 95.0f),
    note_off(2500, 1),    note_on(2500, 4, 60.0f), note_on(2503, 5, 62.0f), note_off(4000, 3)};

static void plays_without_allocating(Conditioning conditioning, std::uint32_t rate) {
  Engine engine(make_instrument(conditioning), rate, kMaxBlock, 3, 7);
  std::vector<float> out(kMaxBlock);
  const int before = allocations;
  bool finite = true;
  float loudest = 0.0f;
  for (std::uint32_t block = 0; block < 30; ++block) {
    const Event events[] = {note_on(0, block, 30.0f + 1.7f * static_cast<float>(block)),
                            note_off(block % 7, block / 2),
                            note_on(block % 7 + 3, 100 + block, 60.0f)};
    engine.process(out.data(), 1 + (block * 331) % kMaxBlock, events);
    for (const float x : out) {
      finite &= std::isfinite(x);
      loudest = std::max(loudest, std::abs(x));
    }
  }
  CHECK(engine.n_stolen() > 0 && engine.n_sounding() == 3);
  engine.reset(8);
  CHECK(engine.n_sounding() == 0);
  CHECK(allocations == before);
  CHECK(finite && loudest > 0.01f);
}

static void blocks_do_not_matter(Conditioning conditioning, std::uint32_t rate) {
  const auto instrument = make_instrument(conditioning);
  for (const std::size_t voices : {8, 2}) {  // all of them, or some are stolen
    Engine engine(instrument, rate, 65536, voices, 3);
    const std::size_t n = 7000;
    const std::vector<float> whole = play(engine, kTune, n, {n});
    CHECK((engine.n_stolen() > 0) == (voices == 2));
    for (const std::vector<std::size_t>& sizes :
         {std::vector<std::size_t>{1}, {7}, {64}, {1000}, {1, 1000, 7, 333, 64}}) {
      engine.reset(3);
      CHECK(play(engine, kTune, n, sizes) == whole);
    }
    engine.reset(4);
    CHECK(play(engine, kTune, n, {512}) != whole);
  }
}

// Sample i of the rising half of a Hann window of n samples, without its ends.
static float hann_rise(std::size_t i, std::size_t n) {
  const double cycle = static_cast<double>(i + 1) / static_cast<double>(n + 1);
  return static_cast<float>(0.5 - 0.5 * std::cos(std::numbers::pi * cycle));
}

// A note as the network's own stream plays it, with the fades of its kind.
static std::vector<float> alone(const SampleSettings& settings, const Event& on, std::size_t off,
                                std::size_t fade_from, std::size_t fade, std::uint64_t seed,
                                std::size_t n) {
  std::vector<float> out(n);
  SampleStream stream(settings.network);
  const bool has_pitch = stream.config().conditioning == Conditioning::kNote;
  stream.reset(seed);
  if (has_pitch) {
    stream.start_note(0, {on.pitch, on.value, on.timbre});
  } else if (stream.config().conditioning == Conditioning::kClass) {
    stream.set_class(0, on.timbre);
  }
  const models::Sampling sampling{{&settings.temperature, 1}, settings.top_p};
  float* from = out.data() + on.offset;
  stream.process(from, off - on.offset, sampling);
  if (has_pitch) stream.release(0);
  stream.process(from + (off - on.offset), n - off, sampling);
  const std::size_t fade_in = kRate / 200;
  for (std::size_t i = on.offset; i < n; ++i) {
    const std::size_t age = i - on.offset, faded = i < fade_from ? 0 : i - fade_from;
    if (!has_pitch) out[i] *= on.value;
    if (!has_pitch && age < fade_in) out[i] *= hann_rise(age, fade_in);
    if (i < fade_from) continue;
    if (faded >= fade) {
      out[i] = 0.0f;
    } else if (has_pitch) {
      out[i] *= static_cast<float>(fade - faded) / static_cast<float>(fade);
    } else {
      out[i] *= hann_rise(fade - 1 - faded, fade);
    }
  }
  return out;
}

static void notes_are_those_of_the_stream(Conditioning conditioning) {
  SampleSettings settings = settings_for(conditioning);
  settings.temperature = 0.8f;
  settings.top_p = 0.9f;
  const std::uint32_t first = 3, second = 500, first_off = 700, second_off = 900;
  const bool knows_notes = conditioning == Conditioning::kNote;
  // A released note of noise lasts for 2 s and fades for 20 ms; without notes, for 50 ms at once.
  const std::size_t wait = knows_notes ? 2 * kRate : 0, fade = kRate / (knows_notes ? 50 : 20);
  const std::size_t n = second_off + wait + fade + 100;

  Event on1 = note_on(first, 1, 50.2f), on2 = note_on(second, 2, 71.0f);
  if (conditioning == Conditioning::kNone) on1.timbre = on2.timbre = 0;
  const std::vector<float> one = alone(settings, on1, first_off, first_off + wait, fade, 9, n);
  const std::vector<float> two =
      alone(settings, on2, second_off, second_off + wait, fade, 9 + kNoteSeed, n);

  Engine engine(std::make_shared<SampleInstrument>(settings), kRate, kMaxBlock, 2, 9);
  const std::vector<Event> events = {on1, on2, note_off(first_off, 1), note_off(second_off, 2)};
  const std::vector<float> got = play(engine, events, n - 101, {64});
  CHECK(engine.n_sounding() == 1);  // one sample is left of the second note
  std::vector<float> last(101);
  engine.process(last.data(), last.size(), {});
  CHECK(engine.n_sounding() == 0);
  for (std::size_t i = 0; i < n; ++i) {
    const float sample = i < got.size() ? got[i] : last[i - got.size()];
    CHECK(sample == one[i] + two[i]);
  }
  CHECK(last[0] != 0.0f && last[1] == 0.0f);
  CHECK(engine.n_stolen() == 0 && engine.n_transposed() == 0);
}

static void a_release_is_heard_and_ends_a_quiet_note() {
  Engine engine(make_gated_instrument(40.0f), kRate, kMaxBlock, 1, 0);
  const auto loudest = [](std::span<const float> samples) {
    float most = 0.0f;
    for (const float x : samples) most = std::max(most, std::abs(x));
    return most;
  };
  const std::uint32_t off = 1000;
  const std::vector<float> held = play(engine, {note_on(0, 2, 60.0f)}, 8000, {256});
  CHECK(engine.n_sounding() == 1 && loudest({held.data() + 7000, 1000}) > 0.5f);

  engine.reset(0);
  const std::vector<float> released =
      play(engine, {note_on(0, 2, 60.0f), note_off(off, 2)}, 8000, {256});
  CHECK(engine.n_sounding() == 0);
  CHECK(std::equal(held.begin(), held.begin() + off, released.begin()));
  CHECK(std::abs(released[off - 1]) > 1e-3f);
  // What is left of the sound is the slow return of the DC block, without a sign change, ...
  for (std::size_t i = off; i < 8000; ++i) CHECK(released[i] * released[off] >= 0.0f);
  // ... until it has been quiet for 50 ms; then come 20 ms of a fade.
  std::size_t quiet_from = off;
  while (std::abs(released[quiet_from]) >= 1e-3f) ++quiet_from;
  const std::size_t last = quiet_from + kRate / 20 + kRate / 50;
  CHECK(quiet_from > off + 100 && quiet_from < off + kRate / 4);
  CHECK(released[last - 1] != 0.0f && loudest({released.data() + last, 1000}) == 0.0f);
}

static void a_note_that_never_sounded_is_quiet() {
  Engine engine(make_gated_instrument(40.0f), kRate, kMaxBlock, 1, 0);
  const std::vector<Event> both = {note_on(0, 2, 60.0f), note_off(0, 2)};
  for (int note = 0; note < 2; ++note) {
    const std::size_t length = kRate / 20 + kRate / 50;
    for (const float x : play(engine, both, length - 1, {64})) CHECK(x == 0.0f);
    CHECK(engine.n_sounding() == 1);
    play(engine, {}, 1, {1});
    CHECK(engine.n_sounding() == 0);
  }
}

static void a_note_that_is_quiet_now_and_then_keeps_sounding() {
  Engine engine(make_gated_instrument(7.8f), kRate, kMaxBlock, 1,
                0);  // 1 sample in 40 is not quiet
  const std::vector<float> got =
      play(engine, {note_on(0, 2, 60.0f), note_off(1, 2)}, 2 * kRate, {64});
  CHECK(engine.n_sounding() == 1);
  CHECK(std::count_if(got.begin(), got.end(), [](float x) { return std::abs(x) < 1e-3f; }) > 800);
}

static void pitches_move_by_octaves_into_the_range() {
  const auto sound = [](Conditioning conditioning, float pitch, std::uint64_t n_transposed) {
    Engine engine(make_instrument(conditioning), kRate, kMaxBlock, 1, 0);
    const std::vector<float> samples = play(engine, {note_on(0, 1, pitch)}, 500, {100});
    CHECK(engine.n_transposed() == n_transposed);
    return samples;
  };
  const auto inside = sound(Conditioning::kNote, 45.5f, 0);
  CHECK(sound(Conditioning::kNote, 21.5f, 1) == inside);
  CHECK(sound(Conditioning::kNote, 93.5f, 1) == sound(Conditioning::kNote, 81.5f, 0));
  CHECK(sound(Conditioning::kNote, 57.5f, 0) != inside);
  // Without notes all pitches are the same, and none is out of range.
  for (const Conditioning free : {Conditioning::kNone, Conditioning::kClass}) {
    CHECK(sound(free, 0.0f, 0) == sound(free, 127.0f, 0));
  }
}

static void a_timbre_is_a_class() {
  for (const Conditioning conditioning : {Conditioning::kClass, Conditioning::kNote}) {
    Engine engine(make_instrument(conditioning), kRate, kMaxBlock, 1, 0);
    const auto sound = [&](std::uint32_t timbre) {
      Event on = note_on(0, 1, 60.0f);
      on.timbre = timbre;
      engine.reset(0);
      return play(engine, {on}, 500, {100});
    };
    CHECK(sound(0) != sound(1) && sound(1) != sound(2));
    CHECK(sound(3) == sound(0));  // an unknown one
  }
}

static Event parameter(std::uint32_t offset, Parameter which, float value) {
  return {offset, EventKind::kParameter, static_cast<std::uint32_t>(which), 0, 0.0f, value};
}

// Noise with a direct current, as a recording may have it.
static std::vector<float> recording(std::size_t n) {
  std::vector<float> in(n);
  std::uint32_t state = 1;
  for (float& x : in) {
    state = state * 1664525u + 1013904223u;
    x = 0.1f + 0.4f * (static_cast<float>(state >> 8) / 16777216.0f - 0.5f);
  }
  return in;
}

// Plays one channel with an input, in blocks.
static std::vector<float> play_with(Engine& engine, const std::vector<Event>& events,
                                    const std::vector<float>& in, std::size_t n,
                                    const std::vector<std::size_t>& sizes) {
  std::vector<float> out(n), given(kMaxBlock);
  std::size_t which = 0, next = 0;
  for (std::size_t done = 0; done < n;) {
    const std::size_t size = std::min(sizes[which++ % sizes.size()], n - done);
    std::vector<Event> now;
    for (; next < events.size() && events[next].offset < done + size; ++next) {
      now.push_back(events[next]);
      now.back().offset -= static_cast<std::uint32_t>(done);
    }
    for (std::size_t i = 0; i < size; ++i) {
      given[i] = done + i < in.size() ? in[done + i] : 0.0f;
    }
    float* const to = out.data() + done;
    const float* const from = given.data();
    engine.process({&to, 1}, size, now, {&from, 1});
    done += size;
  }
  return out;
}

// At the network's own rate a note continues its input exactly.
static void a_note_continues_the_input() {
  const SampleSettings settings = settings_for(Conditioning::kNone);
  const std::size_t n_heard = 333, n = 200;
  const std::vector<float> in = recording(n_heard);
  Event on = note_on(n_heard, 1, 60.0f);
  on.timbre = 0;
  on.value = 1.0f;
  const std::vector<Event> events = {parameter(0, Parameter::kListen, 1.0f), on};
  Engine engine(std::make_shared<SampleInstrument>(settings), kRate, kMaxBlock, 1, 5, 1, 1);
  CHECK(engine.n_inputs() == 1 && engine.input_latency() == 0);
  const std::vector<float> got = play_with(engine, events, in, n_heard + n, {64});

  SampleStream stream(settings.network);
  stream.reset(5);
  std::vector<std::int32_t> levels;
  for (const float x : in) levels.push_back(models::level_of(stream.config(), x));
  stream.feed(levels.data(), n_heard);
  double step = static_cast<double>(in.back()) - stream.last_output(0);
  std::vector<float> rest(n);
  stream.process(rest.data(), n, {{&settings.temperature, 1}, settings.top_p});
  CHECK(step != 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    step *= stream.dc_pole();
    CHECK(got[n_heard + i] == rest[i] + static_cast<float>(step));
  }
  for (std::size_t i = 0; i < n_heard; ++i) CHECK(got[i] == 0.0f);

  // Without `listen` a note starts from silence, and input before `listen` is switched on has no
  // effect.
  engine.reset(5);
  CHECK(play_with(engine, {on}, in, n_heard + n, {64}) != got);
  engine.reset(5);
  const std::vector<Event> late = {parameter(100, Parameter::kListen, 1.0f), on};
  CHECK(play_with(engine, late, in, n_heard + n, {64}) != got);
}

// What was heard as one class goes on as the class of the note.
static void a_continuation_has_the_timbre_of_its_note() {
  Engine engine(make_instrument(Conditioning::kClass), kRate, kMaxBlock, 1, 5, 1, 1);
  const std::vector<float> in = recording(300);
  const auto sound = [&](std::uint32_t timbre) {
    Event on = note_on(300, 1, 60.0f);
    on.timbre = timbre;
    engine.reset(5);
    return play_with(engine, {parameter(0, Parameter::kListen, 1.0f), on}, in, 800, {64});
  };
  CHECK(sound(0) != sound(1) && sound(1) != sound(2));
}

static void blocks_do_not_matter_to_the_input() {
  for (const std::uint32_t rate : {kRate, 44100u, 5000u}) {
    Engine engine(std::make_shared<SampleInstrument>(settings_for(Conditioning::kNone)), rate,
                  kMaxBlock, 2, 5, 1, 1);
    const std::size_t n_heard = 3000;
    const std::vector<float> in = recording(n_heard);
    const auto start = static_cast<std::uint32_t>(n_heard + engine.input_latency());
    const std::vector<Event> events = {parameter(0, Parameter::kListen, 1.0f),
                                       parameter(7, Parameter::kMonitor, 0.5f),
                                       note_on(start / 2, 1, 60.0f),
                                       note_on(start, 2, 60.0f),
                                       parameter(start + 9, Parameter::kTemperature, 1.4f),
                                       note_off(start + 500, 1)};
    const std::vector<float> whole = play_with(engine, events, in, 5000, {kMaxBlock});
    for (const std::vector<std::size_t>& sizes :
         {std::vector<std::size_t>{1}, {7}, {64}, {1, kMaxBlock, 7, 333 % kMaxBlock}}) {
      engine.reset(5);
      CHECK(play_with(engine, events, in, 5000, sizes) == whole);
    }
  }
}

// At another rate the input reaches the output with both resamplers' latency, and no more.
static void the_monitor_passes_the_input() {
  const std::uint32_t rate = 24000;
  Engine engine(std::make_shared<SampleInstrument>(settings_for(Conditioning::kNone)), rate,
                kMaxBlock, 1, 0, 1, 1);
  std::vector<float> tone(4000);
  for (std::size_t i = 0; i < tone.size(); ++i) {
    tone[i] = std::sin(2.0f * std::numbers::pi_v<float> * 440.0f * static_cast<float>(i) / rate);
  }
  const std::vector<float> got =
      play_with(engine, {parameter(0, Parameter::kMonitor, 1.0f)}, tone, tone.size(), {64});
  const std::size_t latency = engine.latency() + engine.input_latency();
  for (std::size_t i = 1500; i < 3500; ++i) {
    CHECK(std::abs(got[i + latency] - tone[i]) < 1e-3f);
  }
}

static void temperature_is_a_parameter() {
  const auto instrument = std::make_shared<SampleInstrument>(settings_for(Conditioning::kNone));
  Engine engine(instrument, kRate, kMaxBlock, 1, 3);
  CHECK(engine.parameter(Parameter::kTemperature) == instrument->settings().temperature);
  SampleSettings settings = settings_for(Conditioning::kNone);
  settings.temperature = 0.0f;
  Engine greedy(std::make_shared<SampleInstrument>(settings), kRate, kMaxBlock, 1, 3);
  const std::vector<Event> set = {parameter(0, Parameter::kTemperature, 0.0f),
                                  note_on(0, 1, 60.0f)};
  const std::vector<float> by_parameter = play(engine, set, 500, {64});
  CHECK(by_parameter == play(greedy, {note_on(0, 1, 60.0f)}, 500, {64}));
  engine.reset(3);  // takes it back
  CHECK(by_parameter != play(engine, {note_on(0, 1, 60.0f)}, 500, {64}));
}

static void notes_have_a_pan() {
  const auto instrument = std::make_shared<SampleInstrument>(settings_for(Conditioning::kNone));
  Engine engine(instrument, kRate, kMaxBlock, 2, 3, 2);
  Event left = note_on(0, 1, 60.0f), right = note_on(0, 2, 60.0f);
  left.pan = -1.0f;
  right.pan = 1.0f;
  std::vector<float> out[2] = {std::vector<float>(kMaxBlock), std::vector<float>(kMaxBlock)};
  float* const to[] = {out[0].data(), out[1].data()};
  const Event events[] = {left, right};
  engine.process(to, kMaxBlock, events);
  Engine mono(instrument, kRate, kMaxBlock, 1, 3);
  CHECK(play(mono, {left}, kMaxBlock, {kMaxBlock}) == out[0]);
  mono.reset(3 + kNoteSeed);
  CHECK(play(mono, {right}, kMaxBlock, {kMaxBlock}) == out[1]);
}

static void listening_does_not_allocate() {
  Engine engine(std::make_shared<SampleInstrument>(settings_for(Conditioning::kClass)), 44100,
                kMaxBlock, 2, 0, 2, 2);
  std::vector<float> in(kMaxBlock, 0.1f), left(kMaxBlock), right(kMaxBlock);
  float* const to[] = {left.data(), right.data()};
  const float* const from[] = {in.data(), in.data()};
  const int before = allocations;
  for (std::uint32_t block = 0; block < 40; ++block) {
    const Event events[] = {parameter(0, Parameter::kListen, block % 16 == 8 ? 0.0f : 1.0f),
                            note_on(3, block, 60.0f), note_off(5, block / 2)};
    engine.process(to, kMaxBlock, events, from);
  }
  CHECK(allocations == before);
}

static void bad_instruments_are_refused() {
  using std::invalid_argument;
  const auto with = [](auto change, Conditioning conditioning = Conditioning::kNote) {
    SampleSettings settings = settings_for(conditioning);
    change(settings);
    return SampleInstrument(std::move(settings));
  };
  CHECK_THROWS(with([](SampleSettings& s) { s.network = nullptr; }), invalid_argument,
               "no network");
  for (const float temperature : {-0.1f, NAN, INFINITY}) {
    CHECK_THROWS(with([=](SampleSettings& s) { s.temperature = temperature; }), invalid_argument,
                 "temperature=");
  }
  for (const float top_p : {0.0f, 1.1f, NAN}) {
    CHECK_THROWS(with([=](SampleSettings& s) { s.top_p = top_p; }), invalid_argument, "top_p=");
  }
  CHECK_THROWS(with([](SampleSettings& s) { s.n_timbres = 0; }), invalid_argument, "no timbre");
  CHECK_THROWS(with([](SampleSettings& s) { s.n_timbres = 4; }), invalid_argument,
               "n_timbres=4 must be 1 to 3");
  CHECK_THROWS(with([](SampleSettings& s) { s.n_timbres = 2; }, Conditioning::kNone),
               invalid_argument, "n_timbres=2 must be 1 to 1");
  CHECK_THROWS(with([](SampleSettings& s) { s.pitch_range.lowest = NAN; }), invalid_argument,
               "highest_pitch must be lowest_pitch or more");
}

int main() {
  for (const Conditioning conditioning :
       {Conditioning::kNone, Conditioning::kClass, Conditioning::kNote}) {
    for (const std::uint32_t rate : {kRate, 44100u}) {
      plays_without_allocating(conditioning, rate);
      blocks_do_not_matter(conditioning, rate);
    }
    notes_are_those_of_the_stream(conditioning);
  }
  a_release_is_heard_and_ends_a_quiet_note();
  a_note_that_never_sounded_is_quiet();
  a_note_that_is_quiet_now_and_then_keeps_sounding();
  pitches_move_by_octaves_into_the_range();
  a_timbre_is_a_class();
  a_note_continues_the_input();
  a_continuation_has_the_timbre_of_its_note();
  blocks_do_not_matter_to_the_input();
  the_monitor_passes_the_input();
  temperature_is_a_parameter();
  notes_have_a_pan();
  listening_does_not_allocate();
  bad_instruments_are_refused();
  return audiogen::test::finish();
}
