// The engine neither allocates nor throws while it plays, gives the same samples for any blocks,
// and its resampler keeps the band and the time of what goes in.
#include "engine/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <numbers>
#include <random>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "engine/frames/frame_instrument.h"
#include "engine_events.h"
#include "random_weights.h"
#include "small_instruments.h"

using namespace audiogen;
using engine::Ahead;
using engine::Engine;
using engine::Event;
using engine::EventKind;
using engine::FrameInstrument;
using engine::FrameSettings;
using engine::Instrument;
using engine::Parameter;
using engine::PhaseChannel;
using engine::Resampler;

static constexpr std::size_t kMaxBlock = 1024;

static void counter_counts() {
  const int before = allocations;
  const auto one = std::make_unique<std::vector<int>>(3);
  const core::AlignedFloats other(5);
  CHECK(allocations - before == (AUDIOGEN_COUNTS_ALLOCATIONS ? 3 : 0));
}

static const std::vector<Event> kTune = {
    note_on(0, 1, 50.0f), note_on(100, 2, 57.3f),  note_off(101, 2),        note_on(1900, 3, 95.0f),
    note_off(2500, 1),    note_on(2500, 4, 60.0f), note_on(2503, 5, 62.0f), note_off(4000, 3)};

static void plays_without_allocating(PhaseChannel phase, std::uint32_t rate) {
  Engine engine(frame_instrument(phase), rate, kMaxBlock, 3, 7);  // a voice too few: one is stolen
  std::vector<float> out(kMaxBlock);
  const int before = allocations;
  bool finite = true;
  float loudest = 0.0f;
  for (int round = 0; round < 2; ++round) {
    for (std::uint32_t block = 0; block < 40; ++block) {
      const Event events[] = {note_on(0, block, 30.0f + 1.7f * static_cast<float>(block)),
                              note_off(block % 7, block / 2),
                              note_on(block % 7 + 3, 100 + block, 60.0f)};
      engine.process(out.data(), 1 + (block * 331) % kMaxBlock, events);
      for (const float x : out) {
        finite &= std::isfinite(x);
        loudest = std::max(loudest, std::abs(x));
      }
    }
    CHECK(engine.n_stolen() > 0 && engine.n_transposed() > 0 && engine.n_sounding() == 3);
    engine.reset(8);
    CHECK(engine.n_stolen() == 0 && engine.n_transposed() == 0 && engine.n_sounding() == 0);
  }
  CHECK(allocations == before);
  CHECK(finite && loudest > 1e-4f);
  static_assert(noexcept(engine.process(nullptr, 0, {})) && noexcept(engine.reset(0)));
}

static void blocks_do_not_matter(PhaseChannel phase, std::uint32_t rate) {
  const auto instrument = frame_instrument(phase);
  Engine engine(instrument, rate, 65536, 8, 3);
  const std::size_t n = 9000;
  const std::vector<float> whole = play(engine, kTune, n, {n});
  for (const std::vector<std::size_t>& sizes :
       {std::vector<std::size_t>{1}, {7}, {64}, {1000}, {1, 1000, 7, 333, 64}}) {
    engine.reset(3);
    CHECK(play(engine, kTune, n, sizes) == whole);
  }
  Engine fresh(instrument, rate, 65536, 8, 3);
  CHECK(play(fresh, kTune, n, {512}) == whole);
  engine.reset(4);
  CHECK(play(engine, kTune, n, {512}) != whole || phase != PhaseChannel::kHarmonic);
}

// Work ahead and prepared notes change no sample, whatever comes after them: releases, also during
// a loop's fade, repeated bends, morphs in both directions, macros, other speeds of attack and
// release, stolen notes.
static void work_ahead_does_not_matter(PhaseChannel phase, std::size_t n_threads) {
  std::mt19937 random(5);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  std::vector<Event> events;
  const std::uint32_t n = 200000;
  const auto parameter = [](std::uint32_t at, Parameter which, float value) {
    return Event{at, EventKind::kParameter, static_cast<std::uint32_t>(which), 0, 0.0f, value};
  };
  for (std::uint32_t at = 0, id = 0; at < n; at += below(400)) {
    const float amount = 0.1f * static_cast<float>(below(21)) - 1.0f;
    switch (below(9)) {
      case 0:
      case 1:
        events.push_back(note_on(at, id++, 40.0f + static_cast<float>(below(40))));
        break;
      case 2:
        events.push_back(parameter(at, Parameter::kBend, static_cast<float>(below(24)) - 12.0f));
        break;
      case 3:
        events.push_back(parameter(at, Parameter::kMorph, 0.0f));
        at += 900;  // it arrives
        break;
      case 4:
        events.push_back(parameter(at, Parameter::kMacro1, amount));
        events.push_back(parameter(at, Parameter::kMacro2, below(2) ? amount : 0.0f));
        break;
      case 5:
        events.push_back(parameter(at, below(2) ? Parameter::kRelease : Parameter::kAttack,
                                   below(2) ? amount : 0.0f));
        break;
      default:  // a morph may begin while the note ends
        events.push_back(parameter(at, Parameter::kMorphTimbre, static_cast<float>(below(2))));
        events.push_back(parameter(at, Parameter::kMorph, 0.1f * static_cast<float>(below(10))));
        at += below(60);
        events.push_back(note_off(at, id - 1 - below(4)));
    }
  }
  std::vector<Event> notes;
  std::ranges::copy_if(events, std::back_inserter(notes),
                       [](const Event& event) { return event.kind == EventKind::kNoteOn; });
  const auto instrument = frame_instrument(phase);
  Engine engine(instrument, 16000, 16, 5, 3, 1, 0, n_threads);
  CHECK(!engine.work_ahead());
  const std::vector<float> wanted = play(engine, events, n, {16});
  engine.reset(3);
  std::size_t n_ahead = 0, n_started = 0, next = 0, n_prepared = 0;
  std::uint32_t now = 0;
  const std::vector<float> got = play(engine, events, n, {16}, [&] {
    for (std::uint32_t i = below(12); i > 0 && engine.work_ahead(); --i) ++n_ahead;
    while (n_started < notes.size() && notes[n_started].offset < now) ++n_started;
    now += 16;
    next = std::max(next, n_started);
    const std::size_t n_next = std::min<std::size_t>(below(3), notes.size() - next);
    const std::size_t n_done = engine.prepare({notes.data() + next, n_next});
    CHECK(n_done <= n_next);
    next += n_done;
    n_prepared += n_done;
  });
  CHECK(got == wanted);
  CHECK(n_ahead > 1000 && n_prepared > 50);
}

// A held note has the frame that its release would need, once its pitch has been steady.
static void a_release_is_prepared() {
  const auto instrument = frame_instrument(PhaseChannel::kHarmonic);
  const auto voices = instrument->make_voices(1, kMaxBlock, 0);
  engine::Voice& voice = (*voices)[0];
  std::vector<float> out(kMaxBlock);
  const auto work_until_idle = [&voice] {
    while (voice.ahead() != Ahead::kNothing) voice.work_ahead();
  };
  CHECK(voice.ahead() == Ahead::kNothing);
  for (const bool has_time : {false, true}) {
    voice.note_on({});
    CHECK(voice.ahead() == Ahead::kFrame);
    voice.add(out.data(), 4 * 32);
    if (has_time) work_until_idle();
    voice.note_off();
    CHECK((voice.ahead() == Ahead::kNothing) == has_time);
    voice.reset();
  }
  voice.note_on({});
  for (int hop = 0; hop < 6; ++hop) {  // before the loop
    voice.set_pitch(50.0f + 20.0f * static_cast<float>(hop % 2));
    voice.add(out.data(), 32);
    work_until_idle();
  }
  voice.note_off();
  CHECK(voice.ahead() == Ahead::kFrame);  // it moved until now
}

// A morph begins with the frame after the next one, so that there is a hop's time to compute it.
static void a_morph_is_prepared() {
  const auto instrument = frame_instrument(PhaseChannel::kHarmonic);
  const auto voices = instrument->make_voices(1, kMaxBlock, 0);
  engine::Voice& voice = (*voices)[0];
  std::vector<float> out(kMaxBlock);
  const auto frames_of_a_hop = [&] {
    voice.add(out.data(), 32);
    int n = 0;
    for (; voice.ahead() == Ahead::kFrame; ++n) voice.work_ahead();
    return n;
  };
  voice.note_on({});
  voice.add(out.data(), 32);
  CHECK(frames_of_a_hop() == 1);
  voice.set_morph(1, 0.5f);
  CHECK(voice.ahead() != Ahead::kFrame);
  CHECK(frames_of_a_hop() == 2 && frames_of_a_hop() == 2);
}

// What a host may send by mistake does no harm.
static void odd_events_are_harmless() {
  Engine engine(frame_instrument(PhaseChannel::kHarmonic), 44100, kMaxBlock, 2, 0);
  std::vector<float> out(kMaxBlock);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<Event> events = {note_off(0, 77), note_on(1, 1, nan), note_on(2, 2, infinity)};
  engine.process(out.data(), kMaxBlock, events);
  CHECK(engine.n_sounding() == 0);
  events = {note_on(5, 3, 1e30f), note_on(4'000'000'000u, 4, -1e30f)};
  events[0].timbre = 999;
  events[0].value = 1e30f;
  events[1].value = -5.0f;
  engine.process(out.data(), kMaxBlock, events);
  CHECK(engine.n_sounding() == 2 && engine.n_transposed() == 2);
  engine.process(out.data(), 0, {});
  for (int i = 0; i < 8; ++i) engine.process(out.data(), kMaxBlock, {});
  for (const float x : out) CHECK(std::isfinite(x));
  events = {note_off(0, 3), note_off(0, 4), note_off(0, 3)};
  engine.process(out.data(), kMaxBlock, events);
  for (int i = 0; i < 8; ++i) engine.process(out.data(), kMaxBlock, {});
  CHECK(engine.n_sounding() == 0);
}

static Event express(std::uint32_t at, std::uint32_t id, EventKind kind, float value) {
  return {at, kind, id, 0, 0.0f, value};
}

static float difference(const std::vector<float>& a, const std::vector<float>& b) {
  float most = 0.0f;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
  return most;
}

// A note alone is bent and slid as by the parameter that all notes share; beside another one it
// moves without it, at its sample, whatever the blocks.
static void one_note_is_expressed(PhaseChannel phase) {
  const auto instrument = frame_instrument(phase);
  const std::size_t n = 9000;
  const auto sound = [&](const std::vector<Event>& events, std::size_t block = 500) {
    Engine engine(instrument, 48000, kMaxBlock, 8, 3);
    return play(engine, events, n, {block});
  };
  const auto parameter = [](std::uint32_t at, Parameter which, float value) {
    return Event{at, EventKind::kParameter, static_cast<std::uint32_t>(which), 0, 0.0f, value};
  };
  const Event on = note_on(10, 1, 60.0f), other = note_on(10, 2, 67.0f);
  const std::vector<float> plain = sound({on}), rest = sound({other});
  for (const auto& [kind, which, value] : {std::tuple{EventKind::kNoteBend, Parameter::kBend, 3.0f},
                                           {EventKind::kNoteSlide, Parameter::kMacro1, -0.7f}}) {
    const std::vector<float> moved = sound({on, express(3001, 1, kind, value)});
    CHECK(moved == sound({on, parameter(3001, which, value)}));
    CHECK(std::equal(moved.begin(), moved.begin() + 3000, plain.begin()));
    CHECK((moved != plain) == (phase == PhaseChannel::kHarmonic || kind != EventKind::kNoteBend));
    // Before its note-on, it holds from the start.
    CHECK(sound({express(5, 1, kind, value), on}) == sound({parameter(5, which, value), on}));
    CHECK(sound({express(5, 7, kind, value), on}) == plain);
  }

  const std::vector<float> both = sound({on, other});
  const std::vector<Event> script = {on,
                                     other,
                                     express(2000, 2, EventKind::kNoteLevel, 0.25f),
                                     express(2007, 1, EventKind::kNoteBend, -5.0f),
                                     express(4001, 2, EventKind::kNoteSlide, 1.0f),
                                     express(6000, 9, EventKind::kNoteBend, 5.0f)};
  const std::vector<float> mixed = sound(script);
  for (const std::size_t block : {1, 7, 333}) CHECK(sound(script, block) == mixed);
  // Each of them beside the other one at level 0, as random numbers differ by a note's number.
  const auto silent = [](std::uint32_t id) { return express(5, id, EventKind::kNoteLevel, 0.0f); };
  const std::vector<float> first = sound({silent(2), on, other, script[3]});
  const std::vector<float> second = sound({silent(1), on, other, script[2], script[4]});
  std::vector<float> sum(n);
  for (std::size_t i = 0; i < n; ++i) sum[i] = first[i] + second[i];
  const float peak = difference(mixed, std::vector<float>(n));
  CHECK(difference(sum, mixed) < 1e-6f * peak && difference(both, mixed) > 0.1f * peak);

  // Gain of a level, when it has arrived.
  const std::vector<float> loud = sound({on, express(10, 1, EventKind::kNoteLevel, 2.0f)});
  for (std::size_t i = 2000; i < n; ++i) CHECK(std::abs(loud[i] - 2.0f * plain[i]) < 1e-6f * peak);
}

// A note that ends takes its expression with it: an id that comes again is a new note.
static void expression_ends_with_its_note() {
  const auto sound = [&](std::vector<Event> events) {
    Engine engine(frame_instrument(PhaseChannel::kHarmonic), 48000, kMaxBlock, 4, 3);
    events.insert(events.begin(), note_on(0, 9, 50.0f));
    return play(engine, events, 30000, {256});
  };
  const std::vector<float> wanted = sound({note_on(20000, 1, 60.0f)});
  CHECK(sound({express(10, 1, EventKind::kNoteBend, 3.0f), note_off(11, 1),
               note_on(20000, 1, 60.0f)}) == wanted);
  CHECK(sound({express(10, 1, EventKind::kNoteBend, 3.0f),
               express(11, 2, EventKind::kNoteBend, 3.0f), note_on(20000, 1, 60.0f)}) == wanted);
  for (const float value : {INFINITY, NAN}) {
    CHECK(sound({express(10, 1, EventKind::kNoteLevel, value), note_on(20000, 1, 60.0f)}) ==
          wanted);
  }
  CHECK(sound({express(10, 1, EventKind::kNoteBend, 3.0f), note_on(20000, 1, 60.0f)}) != wanted);
  // An all-off ends the expression of a note that has not started.
  for (const float silences : {0.0f, 1.0f}) {
    const Event off{11, EventKind::kAllOff, 0, 0, 0.0f, silences};
    CHECK(sound({express(10, 1, EventKind::kNoteBend, 3.0f), off, note_on(20000, 1, 60.0f)}) ==
          sound({off, note_on(20000, 1, 60.0f)}));
  }
}

// On the map, a note has the nearest timbre and morphs to the second nearest by the distances.
static void the_map_chooses_timbres() {
  const auto instrument = frame_instrument(PhaseChannel::kHarmonic);
  const auto sound = [&](std::vector<Event> events) {
    Engine engine(instrument, 48000, kMaxBlock, 4, 3);
    return play(engine, events, 6000, {256});
  };
  const auto parameter = [](std::uint32_t at, Parameter which, float value) {
    return Event{at, EventKind::kParameter, static_cast<std::uint32_t>(which), 0, 0.0f, value};
  };
  Event first = note_on(10, 1, 60.0f), second = first;
  first.timbre = 0;
  second.timbre = 1;
  const Event on = parameter(0, Parameter::kTimbreMap, 1.0f);
  CHECK(sound({on, second}) == sound({second}));  // it has no places yet
  instrument->set_places({{0.0f, 0.5f}, {1.0f, 0.5f}});
  CHECK(sound({on, parameter(1, Parameter::kTimbreX, 0.0f), second}) == sound({first}));
  CHECK(sound({on, parameter(1, Parameter::kTimbreX, 1.0f), first}) == sound({second}));
  CHECK(sound({on, parameter(1, Parameter::kTimbreX, 0.75f), first}) ==
        sound({parameter(0, Parameter::kMorph, 0.25f), second}));
  // A note keeps its own timbre, and morphs on from there.
  CHECK(sound({on, parameter(1, Parameter::kTimbreX, 0.0f), first,
               parameter(3000, Parameter::kTimbreX, 1.0f)}) ==
        sound({parameter(1, Parameter::kMorphTimbre, 1.0f), first,
               parameter(3000, Parameter::kMorph, 1.0f)}));
  for (const auto& places :
       {std::vector<engine::Place>{{0.0f, 0.0f}}, {{0.0f, 0.0f}, {NAN, 0.0f}}}) {
    bool refused = false;
    try {
      instrument->set_places(places);
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    CHECK(refused);
  }
}

// A note of `key` held for `held` samples, as an engine of a drum kit plays it.
static std::vector<float> hit(const std::shared_ptr<FrameInstrument>& kit, float key,
                              std::uint32_t timbre, std::uint32_t held) {
  Engine engine(kit, 16000, 65536, 4, 3);
  Event start = note_on(0, 1, key);
  start.timbre = timbre;
  std::vector<float> out(4000);
  const Event events[] = {start, note_off(held, 1)};
  engine.process(out.data(), out.size(), events);
  return out;
}

static void keys_of_a_kit_choose_timbres() {
  FrameSettings settings = frame_settings(PhaseChannel::kHarmonic);
  settings.sustain = {};
  const auto kit = std::make_shared<FrameInstrument>(settings);
  std::array<engine::Drum, 2> drums{{{38, 48.0f}, {36, 48.0f}}};
  engine::Kit keys = engine::Kit::of(drums, 48.0f);
  kit->set_kit(keys);
  const auto added = static_cast<std::uint32_t>(kit->add_timbre({1.0f, 1.0f, 1.0f}));
  const auto other = static_cast<std::uint32_t>(kit->add_timbre({-1.0f, 0.5f, 1.0f}));
  const std::vector<float> low = hit(kit, 36.0f, 0, 2000), high = hit(kit, 38.0f, 0, 2000);
  CHECK(low != high && low != std::vector<float>(low.size()));
  CHECK(hit(kit, 36.4f, 1, 2000) == low);  // whatever timbre the note names
  CHECK(added == 1 && hit(kit, 37.0f, 0, 2000) == std::vector<float>(low.size()));
  CHECK(hit(kit, 37.0f, other, 2000) == hit(kit, 90.0f, other, 2000));
  CHECK(hit(kit, 36.0f, 0, 1) == low);  // to its end
  CHECK(low.back() == 0.0f);

  drums[1].pitch = 52.0f;
  kit->set_kit(engine::Kit::of(drums, 48.0f));
  CHECK(hit(kit, 36.0f, 0, 2000) != low && hit(kit, 38.0f, 0, 2000) == high);
  kit->set_kit(engine::Kit::of(drums, 48.0f, false));  // all keys play the first timbre
  CHECK(hit(kit, 38.0f, 0, 2000) == high && hit(kit, 37.0f, 0, 2000) == high);
  keys.timbres[40] = 7;
  CHECK_THROWS(kit->set_kit(keys), std::invalid_argument, "a key of the kit plays timbre 7");
}

static void drums_of_a_group_end_each_other() {
  FrameSettings settings = frame_settings(PhaseChannel::kHarmonic);
  settings.sustain = {};
  const auto kit = std::make_shared<FrameInstrument>(settings);
  static_cast<void>(kit->add_timbre({1.0f, 1.0f, 1.0f}));
  const auto n_sounding = [&](int group, int other) {
    const std::array<engine::Drum, 2> drums{{{36, 48.0f, 0.0f, group}, {38, 48.0f, 0.0f, other}}};
    kit->set_kit(engine::Kit::of(drums, 48.0f));
    Engine engine(kit, 48000, kMaxBlock, 4, 0);
    std::vector<float> out(kMaxBlock);
    const Event both[] = {note_on(0, 1, 36), note_on(8, 2, 38)};
    engine.process(out.data(), out.size(), both);
    return engine.n_sounding();
  };
  CHECK(n_sounding(0, 0) == 2 && n_sounding(1, 2) == 2 && n_sounding(1, 0) == 2);
  CHECK(n_sounding(1, 1) == 1);
}

static void drums_have_places_in_the_stereo_field() {
  FrameSettings settings = frame_settings(PhaseChannel::kHarmonic);
  settings.sustain = {};
  const auto kit = std::make_shared<FrameInstrument>(settings);
  const std::array<engine::Drum, 1> drums{{{36, 48.0f, -1.0f}}};
  kit->set_kit(engine::Kit::of(drums, 48.0f));
  Engine engine(kit, 48000, kMaxBlock, 2, 0, 2);
  std::vector<float> left(kMaxBlock), right(kMaxBlock);
  float* const out[] = {left.data(), right.data()};
  const Event hit[] = {note_on(0, 1, 36)};
  engine.process(out, kMaxBlock, hit);
  const std::vector<float> silence(kMaxBlock);
  CHECK(left != silence && right == silence);
}

static void voices_are_limited() {
  Engine engine(frame_instrument(PhaseChannel::kHarmonic), 48000, kMaxBlock, 6, 3);
  std::vector<float> out(kMaxBlock);
  const auto play_some = [&](const std::vector<Event>& events) {
    engine.process(out.data(), out.size(), events);
    return engine.n_sounding();
  };
  const auto voices = [](float n) {
    return Event{0, EventKind::kParameter, static_cast<std::uint32_t>(Parameter::kVoices), 0, 0.0f,
                 n};
  };
  std::vector<Event> many;
  for (std::uint32_t id = 0; id < 5; ++id) many.push_back(note_on(id, id, 50.0f));
  CHECK(play_some(many) == 5 && engine.n_stolen() == 0);
  CHECK(play_some({voices(3.0f)}) == 5);  // until the next note
  CHECK(play_some({note_on(0, 9, 60.0f)}) == 3 && engine.n_stolen() == 3);
  CHECK(play_some({voices(1.0f), note_on(0, 10, 60.0f)}) == 1 && engine.n_stolen() == 6);
  CHECK(play_some({voices(16.0f), note_on(0, 11, 60.0f)}) == 2 && engine.n_stolen() == 6);
}

static void bad_instruments_are_refused() {
  using std::invalid_argument;
  const auto with = [](auto change) {
    FrameSettings settings = frame_settings(PhaseChannel::kHarmonic);
    change(settings);
    return FrameInstrument(std::move(settings));
  };
  const auto start = [](std::shared_ptr<const Instrument> instrument, std::uint32_t rate = 48000,
                        std::size_t block = 64, std::size_t voices = 2) {
    return Engine(std::move(instrument), rate, block, voices, 0);
  };
  const auto good = frame_instrument(PhaseChannel::kHarmonic);
  CHECK_THROWS(start(nullptr), invalid_argument, "no instrument");
  CHECK_THROWS(start(good, 48000, 0), invalid_argument, "max_block=0");
  CHECK_THROWS(start(good, 48000, 65537), invalid_argument, "max_block=65537");
  CHECK_THROWS(start(good, 48000, 64, 0), invalid_argument, "max_voices=0");
  CHECK_THROWS(start(good, 999), invalid_argument, "sample_rate=999 Hz");
  CHECK_THROWS(start(good, 384001), invalid_argument, "sample_rate=384001 Hz");
  CHECK_THROWS(start(good, 383987), invalid_argument, "too small a common divisor");
  CHECK_THROWS(with([](FrameSettings& s) { s.generator = nullptr; }), invalid_argument,
               "no generator");
  CHECK_THROWS(with([](FrameSettings& s) { s.spectrogram.n_fft = 100; }), invalid_argument,
               "n_fft=100 must be a power of two");
  CHECK_THROWS(with([](FrameSettings& s) { s.spectrogram.hop_length = 0; }), invalid_argument,
               "hop_length=0");
  CHECK_THROWS(with([](FrameSettings& s) { s.spectrogram.n_fft = 256; }), invalid_argument,
               "has 128 bins, but the generator has 64");
  CHECK_THROWS(with([](FrameSettings& s) { s.spectrogram.sample_rate = 10.0; }), invalid_argument,
               "sample_rate=10");
  CHECK_THROWS(with([](FrameSettings& s) { s.spectrogram.magnitude_scale = 0.0f; }),
               invalid_argument, "magnitude_scale");
  CHECK_THROWS(with([](FrameSettings& s) { s.spectrogram.magnitude_offset = NAN; }),
               invalid_argument, "magnitude_offset");
  CHECK_THROWS(with([](FrameSettings& s) { s.sustain.loop_end = 7; }), invalid_argument,
               "loop_end=7 must be at least 2 frames after loop_start=6");
  CHECK_THROWS(with([](FrameSettings& s) { s.sustain.release = 32; }), invalid_argument,
               "within the note's 32 frames");
  CHECK_THROWS(with([](FrameSettings& s) { s.pitch_range.lowest = 90.0f; }), invalid_argument,
               "highest_pitch must be lowest_pitch or more");
  CHECK_THROWS(with([](FrameSettings& s) { s.timbres.clear(); }), invalid_argument, "no timbre");
  CHECK_THROWS(with([](FrameSettings& s) { s.timbres[1].pop_back(); }), invalid_argument,
               "a timbre has 2 numbers; it must have 3");
  CHECK_THROWS(with([](FrameSettings& s) { s.timbres[1][0] = NAN; }), invalid_argument,
               "NaN or infinity");
}

// A stolen note fades out in 5 ms, beside the new notes.
static void a_stolen_note_fades_out() {
  Engine engine(frame_instrument(PhaseChannel::kHarmonic), 16000, kMaxBlock, 1, 3);
  const std::size_t n = 2000, fade = 80;
  const std::vector<Event> notes = {note_on(0, 2, 50.0f), note_on(700, 4, 62.3f),
                                    note_on(730, 6, 57.0f), note_on(1400, 8, 40.0f)};
  const std::vector<float> got = play(engine, notes, n, {64});
  CHECK(engine.n_stolen() == 3 && engine.n_sounding() == 1);
  std::vector<float> wanted(n);
  for (std::size_t k = 0; k < notes.size(); ++k) {
    engine.reset(3 + 0x9E3779B97F4A7C15u * k);
    const std::vector<float> alone = play(engine, {notes[k]}, n, {64});
    const std::size_t end = k + 1 < notes.size() ? notes[k + 1].offset : n;
    for (std::size_t i = 0; i < std::min(n, end + fade); ++i) {
      const float gone = i < end ? 0.0f : static_cast<float>(i - end + 1) / (fade + 1);
      wanted[i] += (1.0f - gone) * alone[i];
    }
    CHECK(k == 3 || std::abs(alone[end + fade / 2]) > 1e-3f);
  }
  for (std::size_t i = 0; i < n; ++i) CHECK_NEAR(got[i], wanted[i], 1e-5);
  // `reset` forgets a fade that has just begun.
  play(engine, {note_on(0, 2, 50.0f), note_on(n - 2, 4, 62.3f)}, n - 1, {64});
  engine.reset(3);
  CHECK(play(engine, notes, n, {7}) == got);
}

// All of a resampler's output for an input, as the engine asks for it.
static std::vector<float> resample(Resampler& resampler, const std::vector<float>& in,
                                   std::size_t n, std::size_t block) {
  std::vector<float> out(n);
  std::uint64_t pushed = 0;
  for (std::size_t done = 0; done < n;) {
    const std::size_t size = std::min(block, n - done);
    const std::uint64_t needed = resampler.needed(done + size - 1);
    for (; pushed < needed; ++pushed) {
      const float zero = 0.0f;
      resampler.push(pushed < in.size() ? &in[pushed] : &zero, 1);
    }
    resampler.pull(out.data() + done, size);
    done += size;
  }
  return out;
}

// A sine comes out as that sine, `latency` samples later, and one above the lower rate's half as
// nothing.
static void resampler_keeps_the_band(std::uint32_t from, std::uint32_t to) {
  Resampler resampler(from, to);
  const double lower = std::min(from, to);
  const std::size_t n_in = from / 4, n = to / 5;
  for (const double part : {0.001, 0.1, 0.31, 0.45, 0.55, 0.8}) {
    const double hz = part * lower;
    if (hz > 0.49 * from) continue;
    std::vector<float> in(n_in);
    for (std::size_t i = 0; i < n_in; ++i) {
      in[i] =
          static_cast<float>(std::sin(2.0 * std::numbers::pi * hz * static_cast<double>(i) / from));
    }
    resampler.reset();
    const std::vector<float> out = resample(resampler, in, n, 100);
    double worst = 0.0;
    for (std::size_t i = n / 2; i < n; ++i) {
      const double moment = static_cast<double>(i) - static_cast<double>(resampler.latency());
      const double wanted = part > 0.5 ? 0.0 : std::sin(2.0 * std::numbers::pi * hz * moment / to);
      worst = std::max(worst, std::abs(out[i] - wanted));
    }
    // 0.01 dB is 1.2e-3; -100 dB is 1e-5.
    CHECK_NEAR(worst, 0.0, part == 0.45 ? 1.2e-3 : 1e-5);
    resampler.reset();
    CHECK(resample(resampler, in, n, 7) == out);
    Resampler fresh(from, to);
    CHECK(resample(fresh, in, n, 1) == out);
  }
}

int main() {
  counter_counts();
  for (const PhaseChannel phase :
       {PhaseChannel::kHarmonic, PhaseChannel::kInstantaneousFrequency}) {
    for (const std::uint32_t rate : {8000u, 16000u, 22050u, 44100u, 48000u, 96000u}) {
      plays_without_allocating(phase, rate);
      blocks_do_not_matter(phase, rate);
    }
    work_ahead_does_not_matter(phase, 1);
    // Waking a thread is a system call.
    if (!audiogen::test::kRealtimeSanitizer) work_ahead_does_not_matter(phase, 2);
    one_note_is_expressed(phase);
  }
  a_release_is_prepared();
  a_morph_is_prepared();
  expression_ends_with_its_note();
  the_map_chooses_timbres();
  keys_of_a_kit_choose_timbres();
  drums_of_a_group_end_each_other();
  drums_have_places_in_the_stereo_field();
  voices_are_limited();
  odd_events_are_harmless();
  a_stolen_note_fades_out();
  bad_instruments_are_refused();
  for (const auto& [from, to] : {std::pair{16000u, 16000u},
                                 {16000u, 22050u},
                                 {16000u, 44100u},
                                 {16000u, 48000u},
                                 {16000u, 96000u},
                                 {16000u, 8000u},
                                 {16000u, 11025u},
                                 {48000u, 44100u},
                                 {44100u, 16000u},
                                 {192000u, 16000u}}) {
    resampler_keeps_the_band(from, to);
  }
  return audiogen::test::finish();
}
