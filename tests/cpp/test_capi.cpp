// The C interface: presets, parameters, playing, MIDI, and a message for each failure.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "check.h"
#include "engine/open_instrument.h"
#include "presets/library.h"

namespace fs = std::filesystem;

static const fs::path kPresets = fs::path(AUDIOGEN_TEST_DATA) / ".." / "presets";

static audiogen_preset* open(const char* name) { return audiogen_open((kPresets / name).c_str()); }

static bool says(const char* text) { return std::strstr(audiogen_error(), text) != nullptr; }

static std::vector<float> play(audiogen_synth* synth, std::vector<audiogen_event> events,
                               std::size_t n, std::size_t block) {
  std::vector<float> left(n), right(n);
  std::size_t next = 0;
  for (std::size_t done = 0; done < n; done += block) {
    const std::size_t size = std::min(block, n - done);
    std::vector<audiogen_event> now;
    for (; next < events.size() && events[next].offset < done + size; ++next) {
      now.push_back(events[next]);
      now.back().offset -= static_cast<std::uint32_t>(done);
    }
    float* const channels[] = {left.data() + done, right.data() + done};
    audiogen_process(synth, channels, size, now.data(), now.size(), nullptr);
  }
  return left;
}

static audiogen_event note_on(std::uint32_t offset, std::uint32_t id, float pitch,
                              std::uint32_t timbre = 0) {
  return {offset, AUDIOGEN_NOTE_ON, id, timbre, pitch, 0.8f, 0.0f};
}

static void presets_describe_themselves() {
  audiogen_preset* preset = open("plucked");
  CHECK(preset != nullptr && std::strlen(audiogen_error()) == 0);
  CHECK(std::strcmp(audiogen_preset_name(preset), "plucked") == 0);
  CHECK(std::strcmp(audiogen_preset_kind(preset), "gansynth") == 0);
  CHECK(audiogen_preset_sample_rate(preset) == 32000 && audiogen_preset_plays_notes(preset) == 1);
  const std::size_t n = audiogen_preset_n_timbres(preset);
  CHECK(n == 15 && audiogen_preset_default_timbre(preset) < n);
  CHECK(std::strcmp(audiogen_preset_timbre(preset, 0), "acoustic-bass") == 0);
  CHECK(audiogen_preset_timbre(preset, n) == nullptr);
  audiogen_macro macro{};
  CHECK(std::strcmp(audiogen_preset_family(preset, 0), "bass") == 0);
  CHECK(audiogen_preset_family(preset, n) == nullptr);
  float x = 0.0f, y = 0.0f;
  CHECK(audiogen_preset_place(preset, 0, &x, &y) == 0 && x == 0.612f && y == 0.8939f);
  CHECK(audiogen_preset_place(preset, n, &x, &y) == -1);
  int lowest = 0, highest = 0;
  CHECK(audiogen_preset_pitch_range(preset, &lowest, &highest) == 0);
  CHECK(lowest == 24 && highest == 84);
  const std::size_t n_macros = audiogen_preset_n_macros(preset);
  CHECK(n_macros > 0 && n_macros <= 8 && audiogen_preset_macro(preset, 0, &macro) == 0);
  CHECK(std::strcmp(macro.name, "brightness") == 0 && *macro.help && *macro.effect);
  CHECK(audiogen_preset_macro(preset, n_macros, &macro) == -1);
  audiogen_close(preset);
  preset = open("speech-sketch");
  CHECK(preset != nullptr && audiogen_preset_plays_notes(preset) == 0);
  CHECK(audiogen_preset_pitch_range(preset, &lowest, &highest) == -1);
  CHECK(audiogen_preset_place(preset, 0, &x, &y) == -1);
  CHECK(std::strcmp(audiogen_preset_kind(preset), "samplernn") == 0);
  CHECK(audiogen_preset_n_macros(preset) == 0);
  audiogen_close(preset);
  audiogen_close(nullptr);
}

static void parameters_are_the_table() {
  CHECK(audiogen_n_parameters() > 10 &&
        audiogen_parameter_info(audiogen_n_parameters()) == nullptr);
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    const audiogen_parameter* row = audiogen_parameter_info(i);
    CHECK(row->lowest <= row->initial && row->initial <= row->highest && *row->help);
    CHECK(audiogen_parameter_index(row->name) == static_cast<int>(i));
  }
  CHECK(audiogen_parameter_index("temperature") > 0);
  CHECK(audiogen_parameter_index("glde") == -1 && audiogen_parameter_index(nullptr) == -1);
}

static void a_synth_plays_whatever_the_blocks() {
  for (const char* name : {"plucked", "percussion-sketch"}) {
    audiogen_preset* preset = open(name);
    audiogen_settings settings = audiogen_default_settings();
    settings.sample_rate = 0;
    std::vector<float> first;
    for (const std::size_t block : {1000u, 64u, 333u}) {
      audiogen_synth* synth = audiogen_create(preset, &settings);
      CHECK(synth != nullptr && audiogen_sample_rate(synth) == audiogen_preset_sample_rate(preset));
      audiogen_event off{3000, AUDIOGEN_NOTE_OFF, 1, 0, 0, 0, 0};
      const std::vector<float> sound = play(synth, {note_on(10, 1, 60.0f), off}, 4000, block);
      // A gate has faded out by now; a note keeps sounding.
      const std::size_t n_sounding = audiogen_preset_plays_notes(preset) ? 1 : 0;
      CHECK(audiogen_n_sounding(synth) == n_sounding && audiogen_n_late(synth) == 0);
      if (first.empty()) first = sound;
      CHECK(sound == first);
      audiogen_destroy(synth);
    }
    float loudest = 0.0f;
    for (const float x : first) loudest = std::max(loudest, std::abs(x));
    CHECK(loudest > 0.01f && loudest < 1.5f);
    audiogen_close(preset);
  }
}

static void midi_and_presets_can_change() {
  audiogen_preset* preset = open("plucked");
  audiogen_preset* other = open("woodwinds");
  audiogen_settings settings = audiogen_default_settings();
  audiogen_synth* synth = audiogen_create(preset, &settings);
  audiogen_close(preset);  // the synth keeps what it needs
  audiogen_event events[16];
  std::size_t n_events = 0;
  const std::uint8_t bytes[] = {0xC0, 107, 0x90, 60, 100, 0xB0, 1, 64};
  CHECK(audiogen_midi(synth, bytes, sizeof(bytes), 5, events, 16, &n_events) == sizeof(bytes));
  CHECK(n_events == 2 && events[0].kind == AUDIOGEN_NOTE_ON && events[0].offset == 5);
  CHECK(events[0].id >= 1u << 31 && events[1].kind == AUDIOGEN_PARAMETER);
  CHECK(events[1].id == static_cast<std::uint32_t>(audiogen_parameter_index("vibrato")));
  play(synth, {events, events + n_events}, 2000, 500);
  CHECK(audiogen_n_sounding(synth) == 1);
  CHECK(audiogen_set_preset(synth, other) == 0);
  play(synth, {note_on(0, 1, 60.0f)}, 4000, 500);
  CHECK(audiogen_n_sounding(synth) == 1);
  std::vector<float> z(16, 0.5f);
  const int index = audiogen_add_timbre(synth, z.data(), z.size());
  CHECK(index == 21 && audiogen_add_timbre(synth, z.data(), z.size()) == index);
  play(synth, {note_on(0, 2, 64.0f, static_cast<std::uint32_t>(index))}, 500, 500);
  CHECK(audiogen_n_sounding(synth) == 2);
  CHECK(audiogen_add_timbre(synth, z.data(), 3) == -1 && says("3 numbers"));
  CHECK(audiogen_add_timbre(synth, nullptr, 16) == -1 && says("NULL"));
  CHECK(audiogen_set_preset(synth, nullptr) == -1 && says("NULL"));
  audiogen_destroy(synth);
  audiogen_close(other);
}

static std::vector<float> a_note(audiogen_synth* synth, std::uint32_t timbre = 0) {
  return play(synth, {note_on(0, 1, 60.0f, timbre)}, 3000, 300);
}

static void a_seed_makes_a_synth_new() {
  audiogen_preset* preset = open("percussion-sketch");
  audiogen_settings settings = audiogen_default_settings();
  settings.seed = 5;
  audiogen_synth* synth = audiogen_create(preset, &settings);
  const std::vector<float> first = a_note(synth);
  CHECK(audiogen_set_seed(synth, 6) == 0);
  play(synth, {}, 3000, 300);  // the old note fades out, and the new engine starts
  CHECK(audiogen_n_sounding(synth) == 0);
  CHECK(a_note(synth) != first);
  CHECK(audiogen_set_seed(synth, 5) == 0);
  play(synth, {}, 3000, 300);
  CHECK(a_note(synth) == first);
  audiogen_destroy(synth);
  audiogen_close(preset);
}

static void a_timbre_is_chosen_for_midi() {
  audiogen_preset* preset = open("plucked");
  audiogen_settings settings = audiogen_default_settings();
  audiogen_synth* synth = audiogen_create(preset, &settings);
  const std::uint8_t on[] = {0x90, 60, 100}, program[] = {0xC0, 46};
  audiogen_event events[16];
  std::size_t n = 0;
  const auto timbre = [&] {
    audiogen_midi(synth, on, sizeof(on), 0, events, 16, &n);
    return events[n - 1].timbre;
  };
  CHECK(timbre() == audiogen_preset_default_timbre(preset));
  audiogen_choose_timbre(synth, 3);
  CHECK(timbre() == 3);
  audiogen_midi(synth, program, sizeof(program), 0, events, 16, &n);
  CHECK(std::strcmp(audiogen_preset_timbre(preset, timbre()), "harp") == 0);
  // A choice after a change of preset is one of the new preset's timbres.
  CHECK(audiogen_set_preset(synth, preset) == 0);
  audiogen_choose_timbre(synth, 4);
  CHECK(timbre() == 4);
  audiogen_destroy(synth);
  audiogen_close(preset);
}

static void initial_values_are_those_of_the_instrument() {
  for (const char* name : {"plucked", "speech-sketch", "percussion-sketch"}) {
    audiogen_preset* preset = open(name);
    const auto shared = audiogen::presets::open_shared(kPresets / name);
    const auto instrument = audiogen::engine::make_instrument(shared->preset);
    for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
      CHECK(audiogen_preset_initial(preset, i) ==
            instrument->initial(static_cast<audiogen::engine::Parameter>(i)));
    }
    CHECK(audiogen_preset_initial(preset, audiogen_n_parameters()) == 0.0f);
    audiogen_close(preset);
  }
}

static void events_can_be_posted() {
  audiogen_preset* preset = open("plucked");
  audiogen_settings settings = audiogen_default_settings();
  audiogen_synth* synth = audiogen_create(preset, &settings);
  const audiogen_event on = note_on(0, 1, 60.0f);
  CHECK(audiogen_post(synth, &on) == 0 && audiogen_n_sounding(synth) == 0);
  play(synth, {}, 300, 300);
  CHECK(audiogen_n_sounding(synth) == 1);
  int status = 0;
  for (int i = 0; i < 1025 && status == 0; ++i) status = audiogen_post(synth, &on);
  CHECK(status == -1 && says("1024 events"));
  audiogen_destroy(synth);
  audiogen_close(preset);
}

static void a_realtime_synth_renders_files_too() {
  audiogen_preset* preset = open("plucked");
  audiogen_settings settings = audiogen_default_settings();
  settings.max_block = 300;
  audiogen_synth* synth = audiogen_create(preset, &settings);
  const std::vector<float> wanted = a_note(synth);
  const std::uint32_t latency = audiogen_latency(synth);
  audiogen_destroy(synth);
  settings.realtime = 1;
  synth = audiogen_create(preset, &settings);
  audiogen_set_offline(synth, 1);
  const std::vector<float> sound = a_note(synth);
  const std::uint32_t later = audiogen_latency(synth) - latency;
  CHECK(later == 300 + 240 && audiogen_n_late(synth) == 0);
  CHECK(std::equal(sound.begin() + later, sound.end(), wanted.begin()));
  audiogen_destroy(synth);
  audiogen_close(preset);
}

static void presets_have_a_hash_and_share_their_weights() {
  const fs::path folder = fs::temp_directory_path() / "audiogen_test_capi" / "copy";
  fs::remove_all(folder.parent_path());
  fs::create_directories(folder);
  for (const char* name : {"preset.toml", "weights.safetensors"}) {
    fs::copy_file(kPresets / "plucked" / name, folder / name);
  }
  audiogen_preset* preset = open("plucked");
  audiogen_preset* copy = audiogen_open(folder.c_str());
  const std::string hash = audiogen_preset_hash(preset);
  CHECK(hash.size() == 64 && hash == audiogen_preset_hash(copy));
  std::ofstream(folder / "preset.toml", std::ios::app) << "# a comment\n";
  audiogen_preset* changed = audiogen_open(folder.c_str());
  CHECK(hash != audiogen_preset_hash(changed));
  // The same folder and content is the same preset; a changed one or another folder is not.
  audiogen_preset* again = open("plucked");
  CHECK(audiogen_preset_name(again) == audiogen_preset_name(preset));
  CHECK(audiogen_preset_name(copy) != audiogen_preset_name(preset));
  CHECK(audiogen_preset_name(copy) != audiogen_preset_name(changed));
  const auto shared = audiogen::presets::open_shared(kPresets / "plucked");
  const auto network = shared->preset.generator(audiogen::models::Precision::kFloat32);
  const long before = network.use_count();
  audiogen_settings settings = audiogen_default_settings();
  audiogen_synth* synths[] = {audiogen_create(preset, &settings),
                              audiogen_create(again, &settings)};
  CHECK(network.use_count() >= before + 2);
  for (audiogen_synth* synth : synths) audiogen_destroy(synth);
  for (audiogen_preset* one : {preset, copy, changed, again}) audiogen_close(one);
  CHECK(network.use_count() == before);
  fs::remove_all(folder.parent_path());
}

static void failures_have_messages() {
  CHECK(audiogen_open(nullptr) == nullptr && says("NULL"));
  CHECK(audiogen_open("/nowhere/at/all") == nullptr && says("/nowhere/at/all"));
  audiogen_preset* preset = open("plucked");
  const auto refused = [&](auto change, const char* message) {
    audiogen_settings settings = audiogen_default_settings();
    change(settings);
    CHECK(audiogen_create(preset, &settings) == nullptr && says(message));
  };
  refused([](audiogen_settings& s) { s.max_block = 0; }, "max_block=0");
  refused([](audiogen_settings& s) { s.polyphony = 0; }, "max_voices=0");
  refused([](audiogen_settings& s) { s.n_channels = 3; }, "n_channels=3");
  refused([](audiogen_settings& s) { s.n_inputs = 3; }, "n_inputs=3");
  refused([](audiogen_settings& s) { s.sample_rate = 10; }, "sample_rate=10");
  refused([](audiogen_settings& s) { s.realtime = 1, s.margin_ms = 0.0f; }, "margin_ms=");
  refused([](audiogen_settings& s) { s.precision = AUDIOGEN_INT8; }, "int8");
  CHECK(audiogen_create(nullptr, nullptr) == nullptr && says("NULL"));
  audiogen_close(preset);
}

int main() {
  presets_describe_themselves();
  parameters_are_the_table();
  a_synth_plays_whatever_the_blocks();
  midi_and_presets_can_change();
  a_seed_makes_a_synth_new();
  a_timbre_is_chosen_for_midi();
  initial_values_are_those_of_the_instrument();
  events_can_be_posted();
  a_realtime_synth_renders_files_too();
  presets_have_a_hash_and_share_their_weights();
  failures_have_messages();
  return audiogen::test::finish();
}
