// What all plug-ins share, with all threads of a host at once: one plays, others open presets and
// read and write states. ThreadSanitizer watches; here the sound is checked. And states of random
// bytes.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "capi/audiogen.h"
#include "check.h"
#include "plugin/common/instance.h"

using audiogen::plugin::Instance;

static constexpr std::size_t kBlock = 128;
static constexpr std::size_t kBlocks = 150;  // of the audio thread, or more until all have come
static const std::string kFolder =
    (std::filesystem::path(AUDIOGEN_TEST_DATA) / ".." / "presets").string();
// Small ones, of both kinds.
static constexpr std::array<const char*, 3> kPresets = {"plucked", "percussion-sketch", "struck"};

struct Reader {
  const std::string* text;
  std::size_t at = 0;
};

static std::int64_t read(void* context, void* bytes, std::size_t n) {
  auto& reader = *static_cast<Reader*>(context);
  n = reader.text->copy(static_cast<char*>(bytes), n, reader.at);
  reader.at += n;
  return static_cast<std::int64_t>(n);
}

static std::int64_t write(void* context, const void* bytes, std::size_t n) {
  static_cast<std::string*>(context)->append(static_cast<const char*>(bytes), n);
  return static_cast<std::int64_t>(n);
}

static std::string state_of(Instance& instance) {
  std::string text;
  CHECK(instance.write_state(write, &text));
  return text;
}

// Plays one block; returns its peak, which is not finite if a sample is not.
static float play_block(Instance& instance, std::size_t n, bool offline) {
  std::array<float, kBlock> left{}, right{};
  float* const outputs[] = {left.data(), right.data()};
  instance.process(outputs, n, nullptr, offline);
  float peak = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    const float loudest = std::max(std::abs(left[i]), std::abs(right[i]));
    if (!std::isfinite(left[i]) || !std::isfinite(right[i])) return NAN;
    peak = std::max(peak, loudest);
  }
  return peak;
}

// Silences everything, and plays a note of the first preset until it sounds.
static bool still_plays(Instance& instance) {
  if (!instance.open_preset(kPresets[0])) return false;
  const std::uint8_t silence[] = {0xB0, 120, 0};
  instance.midi(silence, sizeof(silence), 0);
  for (std::uint32_t i = 0; i < audiogen_n_parameters(); ++i) {
    instance.set_parameter(i, audiogen_parameter_info(i)->initial, 0);
  }
  for (int b = 0; b < 50; ++b) play_block(instance, kBlock, true);
  instance.note_on(1, 60.0f, 1.0f, 0);
  for (int b = 0; b < 400; ++b) {
    if (play_block(instance, kBlock, true) > 1e-3f) return true;
  }
  return false;
}

static void plays_while_presets_are_opened() {
  Instance instance({kFolder}, true);
  instance.activate(48000, kBlock);
  std::vector<int> indices;
  for (const char* name : kPresets) {
    const auto& names = instance.presets();
    indices.push_back(static_cast<int>(std::ranges::find(names, name) - names.begin()));
  }
  std::atomic<bool> over = false;
  std::atomic<std::size_t> n_opened = 0, n_states = 0, n_looks = 0, n_wrong = 0;
  const auto until_over = [&](auto body) {
    return std::thread([&over, body] {
      for (std::size_t i = 0; !over; ++i) {
        body(i);
        std::this_thread::yield();
      }
    });
  };
  std::thread threads[] = {
      until_over([&](std::size_t i) {
        n_wrong += instance.open_preset(kPresets[i % kPresets.size()]) ? 0 : 1;
        ++n_opened;
      }),
      until_over([&](std::size_t i) {
        std::string text;
        n_wrong += instance.write_state(write, &text) ? 0 : 1;
        Reader reader{&text};
        n_wrong += instance.read_state(read, &reader) ? 0 : 1;
        instance.set_seed(i);
        const std::vector<std::string> timbres = instance.timbres();
        // The preset may have changed since.
        if (!timbres.empty()) instance.choose_timbre(timbres[i % timbres.size()]);
        ++n_states;
      }),
      until_over([&](std::size_t) {
        n_wrong += instance.preset_name().empty() || instance.latency() == 0 || instance.missing();
        (void)(instance.status().size() + instance.revision() + instance.parameter(0));
        ++n_looks;
      }),
  };
  bool finite = true;
  const auto all_came = [&] { return n_opened > 2 && n_states > 2 && n_looks > 0; };
  for (std::uint32_t b = 0; b < kBlocks || !all_came(); ++b) {
    const auto key = static_cast<std::int32_t>(b % 7);
    if (b % 8 == 0) {
      instance.note_on(key, 40.0f + static_cast<float>(b % 30), 0.8f, b % kBlock);
      instance.express(key, AUDIOGEN_NOTE_BEND, 0.1f * static_cast<float>(b % 20), b % kBlock);
    }
    if (b % 8 == 4) instance.note_off(static_cast<std::int32_t>((b - 4) % 7), 3);
    const std::uint8_t wheel[] = {0xE0, 0, static_cast<std::uint8_t>(b % 128)};
    instance.midi(wheel, sizeof(wheel), 0);
    instance.set_parameter(b % audiogen_n_parameters(), 0.01f * static_cast<float>(b % 100), 5);
    if (b % 40 == 20) instance.request_preset(indices[b / 40 % indices.size()]);
    if (b % 16 == 9) instance.choose_timbre(static_cast<int>(b % 5) - 1);
    finite = finite && std::isfinite(play_block(instance, 1 + b * 37 % kBlock, b % 64 > 48));
    std::this_thread::yield();
  }
  over = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(finite && n_wrong == 0);
  CHECK(still_plays(instance));
  instance.deactivate();
}

// Any bytes as a state: a damaged one changes nothing, and the sound stays finite.
static void random_states_are_harmless() {
  Instance instance({kFolder}, false);
  instance.activate(16000, kBlock);
  instance.set_parameter(0, 0.5f, 0);
  const std::string first = state_of(instance);
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  std::size_t n_refused = 0;
  for (int round = 0; round < 60; ++round) {
    const std::string before = state_of(instance);
    std::string text = below(4) == 0 ? std::string(below(300), '\0') : first;
    for (std::size_t i = below(4); i > 0 && !text.empty(); --i) {
      text[below(text.size())] = static_cast<char>(below(256));
    }
    if (below(3) == 0) text.resize(below(text.size() + 1));
    if (below(5) == 0) text.insert(below(text.size() + 1), text.substr(0, below(60)));
    Reader reader{&text};
    if (!instance.read_state(read, &reader)) {
      ++n_refused;
      CHECK(!instance.status().empty() && state_of(instance) == before);
    }
    if (round % 20 == 0) instance.note_on(1, 30.0f + static_cast<float>(below(60)), 0.7f, 0);
    CHECK(std::isfinite(play_block(instance, kBlock, true)));
  }
  CHECK(n_refused > 20 && n_refused < 60);
  CHECK(still_plays(instance));
}

// What the window shows of notes and program changes.
static void keys_and_the_timbre_that_plays_are_reported() {
  Instance instance({kFolder}, false);
  CHECK(instance.playing_timbre() == -1);
  instance.activate(48000, kBlock);
  const std::uint8_t chord[] = {0x90, 60, 100, 0x91, 60, 100, 0x90, 127, 100};
  instance.midi(chord, sizeof(chord), 0);
  instance.note_on(-7, 48.2f, 1.0f, 0);
  constexpr std::uint64_t kC4 = std::uint64_t{1} << 60, kC3 = std::uint64_t{1} << 48;
  constexpr std::uint64_t kG9 = std::uint64_t{1} << 63;
  CHECK((instance.keys() == Instance::Keys{kC4 | kC3, kG9}));
  CHECK(play_block(instance, kBlock, true) >= 0.0f);
  const std::uint8_t one_up[] = {0x80, 60, 0};
  instance.midi(one_up, sizeof(one_up), 0);
  CHECK((instance.keys() == Instance::Keys{kC4 | kC3, kG9}));  // channel 2 holds it, too
  const std::uint8_t other_up[] = {0x81, 60, 0};
  instance.midi(other_up, sizeof(other_up), 0);
  CHECK((instance.keys() == Instance::Keys{kC3, kG9}));
  instance.note_off(-7, 0);
  const std::uint8_t all_off[] = {0xB0, 123, 0};
  instance.midi(all_off, sizeof(all_off), 0);
  CHECK((instance.keys() == Instance::Keys{0, 0}));

  const int first = instance.playing_timbre();
  CHECK(first >= 0);
  const std::uint8_t koto[] = {0xC0, 107};
  instance.midi(koto, sizeof(koto), 0);
  const int second = instance.playing_timbre();
  CHECK(second != first && instance.timbres().at(static_cast<std::size_t>(second)) == "koto");
  instance.choose_timbre(2);
  play_block(instance, kBlock, true);
  CHECK(instance.playing_timbre() == 2);
  instance.midi(koto, sizeof(koto), 0);
  CHECK(instance.playing_timbre() == second);
  instance.choose_timbre(2);  // as before the program change
  play_block(instance, kBlock, true);
  CHECK(instance.playing_timbre() == second);
  instance.choose_timbre(2, true);
  play_block(instance, kBlock, true);
  CHECK(instance.playing_timbre() == 2);
  instance.deactivate();
  CHECK(instance.playing_timbre() == -1);
}

static void a_held_note_outlasts_many_others() {
  Instance instance({kFolder}, false);
  instance.activate(48000, kBlock);
  instance.note_on(-1, 48.0f, 1.0f, 0);
  constexpr std::uint64_t kC3 = std::uint64_t{1} << 48;
  for (std::int32_t key = 0; key < 300; ++key) {
    instance.note_on(key, 60.0f, 0.5f, 0);
    instance.note_off(key, 0);
    CHECK(play_block(instance, kBlock, true) >= 0.0f);
    CHECK((instance.keys() == Instance::Keys{kC3, 0}));
  }
  instance.note_off(-1, 0);
  CHECK((instance.keys() == Instance::Keys{0, 0}));
}

static std::size_t parameter(const std::string& name) {
  std::uint32_t i = 0;
  while (audiogen_parameter_info(i)->name != name) ++i;
  return i;
}

// A controller moves the sound and not the host's value: the same value again moves the sound back.
static void the_last_of_host_and_midi_wins() {
  Instance instance({kFolder}, false);
  instance.activate(48000, kBlock);
  const std::size_t volume = parameter("volume");
  instance.set_parameter(volume, 0.9f, 0);
  instance.note_on(1, 60.0f, 1.0f, 0);
  float peak = 0.0f;
  for (int b = 0; b < 100; ++b) peak = play_block(instance, kBlock, true);
  CHECK(peak > 1e-3f);
  const std::uint8_t silent[] = {0xB0, 7, 0};
  instance.midi(silent, sizeof(silent), 0);
  for (int b = 0; b < 50; ++b) peak = play_block(instance, kBlock, true);
  CHECK(peak < 1e-5f);
  instance.set_parameter(volume, 0.9f, 0);
  for (int b = 0; b < 50; ++b) peak = play_block(instance, kBlock, true);
  CHECK(peak > 1e-4f);
}

// A timbre that is chosen by its number takes the place of a latent, also in the state.
static void a_timbre_replaces_a_latent() {
  Instance instance({kFolder}, false);
  instance.activate(48000, kBlock);
  const std::string before = state_of(instance);
  const std::vector<float> z(16, 0.25f);
  CHECK(instance.set_latent(z.data(), z.size()));
  CHECK(state_of(instance) != before);
  instance.choose_timbre(1);
  CHECK(state_of(instance).find("latent") == before.find("latent"));
  instance.deactivate();
  instance.activate(44100, kBlock);
  play_block(instance, kBlock, true);
  CHECK(instance.playing_timbre() == 1);
}

static std::vector<float> left_of_a_note(Instance& instance) {
  std::vector<float> samples;
  instance.note_on(1, 60.0f, 0.9f, 0);
  for (int b = 0; b < 60; ++b) {
    std::array<float, kBlock> left{}, right{};
    float* const outputs[] = {left.data(), right.data()};
    instance.process(outputs, kBlock, nullptr, true);
    samples.insert(samples.end(), left.begin(), left.end());
  }
  return samples;
}

// A host suspends the plug-in, changes the sample rate and resumes: it plays as a new instance with
// the same state.
static void resumes_with_what_was_set() {
  Instance instance({kFolder}, true);
  instance.activate(48000, kBlock);
  CHECK(instance.open_preset("plucked") && instance.choose_timbre("koto"));
  instance.set_parameter(static_cast<std::size_t>(audiogen_parameter_index("attack")), -0.5f, 0);
  left_of_a_note(instance);  // which suspending cuts off
  instance.deactivate();
  CHECK(play_block(instance, kBlock, true) == 0.0f);
  instance.activate(44100, 2 * kBlock);
  const std::vector<float> resumed = left_of_a_note(instance);

  const std::string state = state_of(instance);
  Reader reader{&state};
  Instance fresh({kFolder}, true);
  CHECK(fresh.read_state(read, &reader));
  fresh.activate(44100, 2 * kBlock);
  CHECK(resumed == left_of_a_note(fresh));
  CHECK(*std::ranges::max_element(resumed) > 0.01f);
}

int main() {
  resumes_with_what_was_set();
  keys_and_the_timbre_that_plays_are_reported();
  a_held_note_outlasts_many_others();
  the_last_of_host_and_midi_wins();
  a_timbre_replaces_a_latent();
  plays_while_presets_are_opened();
  random_states_are_harmless();
  return audiogen::test::finish();
}
