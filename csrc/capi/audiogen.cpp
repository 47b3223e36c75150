// The C interface: checks, calls and messages; no DSP.
#include "capi/audiogen.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "capi/guarded.h"
#include "engine/frames/frame_instrument.h"
#include "engine/live_engine.h"
#include "engine/midi.h"
#include "engine/open_instrument.h"
#include "presets/library.h"

#ifndef AUDIOGEN_VERSION
#define AUDIOGEN_VERSION "unknown"
#endif

using namespace audiogen;
using capi::guarded;

// Events cross the interface without a copy.
static_assert(std::is_trivially_copyable_v<engine::Event> &&
              sizeof(engine::Event) == sizeof(audiogen_event) &&
              offsetof(engine::Event, offset) == offsetof(audiogen_event, offset) &&
              offsetof(engine::Event, kind) == offsetof(audiogen_event, kind) &&
              offsetof(engine::Event, id) == offsetof(audiogen_event, id) &&
              offsetof(engine::Event, timbre) == offsetof(audiogen_event, timbre) &&
              offsetof(engine::Event, pitch) == offsetof(audiogen_event, pitch) &&
              offsetof(engine::Event, value) == offsetof(audiogen_event, value) &&
              offsetof(engine::Event, pan) == offsetof(audiogen_event, pan));

struct audiogen_preset {
  std::shared_ptr<const presets::SharedPreset> shared;
};

struct audiogen_preset_list {
  std::vector<presets::FoundPreset> presets;
  std::vector<std::string> folders;
};

struct audiogen_synth {
  audiogen_settings settings;
  models::Precision precision;
  std::unique_ptr<engine::LiveEngine> engine;
  engine::MidiReader midi;
  // Tables of programs of the presets so far; the audio thread takes the newest.
  std::vector<std::unique_ptr<const presets::ProgramTable>> programs;
  std::atomic<const presets::ProgramTable*> new_programs{nullptr};
  std::mutex control;
  std::shared_ptr<engine::Instrument> instrument;
  // Kept, so that a preset opened again later shares the weights.
  std::shared_ptr<const presets::SharedPreset> preset;
};

static models::Precision precision_of(audiogen_precision precision) {
  switch (precision) {
    case AUDIOGEN_FLOAT32:
      return models::Precision::kFloat32;
    case AUDIOGEN_BFLOAT16:
      return models::Precision::kBFloat16;
    case AUDIOGEN_INT8:
      return models::Precision::kInt8;
  }
  throw std::invalid_argument("precision=" + std::to_string(precision) + " must be 0, 1 or 2");
}

static const presets::Description& description_of(const audiogen_preset* preset) {
  return preset->shared->preset.description();
}

const char* audiogen_version(void) { return AUDIOGEN_VERSION; }
const char* audiogen_error(void) { return capi::last_error().c_str(); }

audiogen_preset* audiogen_open(const char* folder) {
  return guarded<audiogen_preset*>(nullptr, [&] {
    if (!folder) throw std::invalid_argument("folder is NULL; give the folder of a preset");
    return new audiogen_preset{presets::open_shared(folder)};
  });
}

void audiogen_close(audiogen_preset* preset) { delete preset; }

const char* audiogen_preset_name(const audiogen_preset* preset) {
  return description_of(preset).name.c_str();
}

const char* audiogen_preset_kind(const audiogen_preset* preset) {
  return description_of(preset).kind == presets::Kind::kGansynth ? "gansynth" : "samplernn";
}

uint32_t audiogen_preset_sample_rate(const audiogen_preset* preset) {
  return description_of(preset).sample_rate;
}

int audiogen_preset_plays_notes(const audiogen_preset* preset) {
  return description_of(preset).plays_notes() ? 1 : 0;
}

size_t audiogen_preset_n_timbres(const audiogen_preset* preset) {
  return description_of(preset).timbres.size();
}

const char* audiogen_preset_timbre(const audiogen_preset* preset, size_t index) {
  const auto& timbres = description_of(preset).timbres;
  return index < timbres.size() ? timbres[index].name.c_str() : nullptr;
}

size_t audiogen_preset_default_timbre(const audiogen_preset* preset) {
  return description_of(preset).default_timbre;
}

const char* audiogen_preset_family(const audiogen_preset* preset, size_t index) {
  const auto& timbres = description_of(preset).timbres;
  return index < timbres.size() ? timbres[index].family.c_str() : nullptr;
}

int audiogen_preset_place(const audiogen_preset* preset, size_t index, float* x, float* y) {
  const auto& timbres = description_of(preset).timbres;
  if (index >= timbres.size() || !timbres[index].place) return -1;
  std::tie(*x, *y) = *timbres[index].place;
  return 0;
}

int audiogen_preset_pitch_range(const audiogen_preset* preset, int* lowest, int* highest) {
  const auto& range = description_of(preset).pitch_range;
  if (!range) return -1;
  std::tie(*lowest, *highest) = *range;
  return 0;
}

size_t audiogen_preset_n_macros(const audiogen_preset* preset) {
  return description_of(preset).macros.size();
}

int audiogen_preset_macro(const audiogen_preset* preset, size_t index, audiogen_macro* macro) {
  const auto& macros = description_of(preset).macros;
  if (index >= macros.size()) return -1;
  *macro = {macros[index].name.c_str(), macros[index].help.c_str(), macros[index].effect.c_str()};
  return 0;
}

const char* audiogen_preset_hash(const audiogen_preset* preset) {
  return preset->shared->hash.c_str();
}

audiogen_preset_list* audiogen_find_presets(const char* const* folders, size_t n) {
  return guarded<audiogen_preset_list*>(nullptr, [&] {
    auto list = std::make_unique<audiogen_preset_list>();
    list->presets = presets::find_presets(std::vector<std::filesystem::path>(folders, folders + n));
    for (const presets::FoundPreset& preset : list->presets) {
      list->folders.push_back(preset.folder.string());
    }
    return list.release();
  });
}

void audiogen_free_presets(audiogen_preset_list* list) { delete list; }

size_t audiogen_n_found(const audiogen_preset_list* list) { return list->presets.size(); }

const char* audiogen_found_name(const audiogen_preset_list* list, size_t index) {
  return index < list->presets.size() ? list->presets[index].name.c_str() : nullptr;
}

const char* audiogen_found_folder(const audiogen_preset_list* list, size_t index) {
  return index < list->folders.size() ? list->folders[index].c_str() : nullptr;
}

size_t audiogen_n_parameters(void) { return engine::kParameterCount; }

const audiogen_parameter* audiogen_parameter_info(size_t index) {
  static const auto table = [] {
    std::array<audiogen_parameter, engine::kParameterCount> rows;
    std::transform(std::begin(engine::kParameters), std::end(engine::kParameters), rows.begin(),
                   [](const engine::ParameterInfo& row) -> audiogen_parameter {
                     return {row.name,    row.unit,        row.lowest,     row.highest,
                             row.initial, row.smoothing_s, row.controller, row.help};
                   });
    return rows;
  }();
  return index < table.size() ? &table[index] : nullptr;
}

float audiogen_preset_initial(const audiogen_preset* preset, size_t index) {
  if (index >= engine::kParameterCount) return 0.0f;
  return engine::initial_value(description_of(preset), static_cast<engine::Parameter>(index));
}

int audiogen_parameter_index(const char* name) {
  for (std::size_t i = 0; name && i < engine::kParameterCount; ++i) {
    if (std::strcmp(engine::kParameters[i].name, name) == 0) return static_cast<int>(i);
  }
  return -1;
}

audiogen_settings audiogen_default_settings(void) {
  return {48000, 1024, 16, 2, 0, 0, AUDIOGEN_FLOAT32, 0, 5.0f};
}

audiogen_synth* audiogen_create(const audiogen_preset* preset, const audiogen_settings* settings) {
  return guarded<audiogen_synth*>(nullptr, [&] {
    if (!preset || !settings) {
      throw std::invalid_argument("preset and settings must not be NULL");
    }
    auto synth = std::make_unique<audiogen_synth>();
    synth->settings = *settings;
    audiogen_settings& s = synth->settings;
    if (s.sample_rate == 0) s.sample_rate = description_of(preset).sample_rate;
    if (s.realtime && !(s.margin_ms > 0.0f && s.margin_ms <= 5000.0f)) {
      throw std::invalid_argument("margin_ms=" + std::to_string(s.margin_ms) +
                                  " must be above 0, up to 5000");
    }
    synth->precision = precision_of(s.precision);
    synth->instrument =
        engine::make_instrument(preset->shared->preset, {.precision = synth->precision});
    synth->preset = preset->shared;
    synth->midi.set_programs(synth->instrument->programs());
    engine::LiveSettings live;
    live.sample_rate = s.sample_rate;
    live.max_block = s.max_block;
    live.max_voices = s.polyphony;
    live.seed = s.seed;
    live.n_channels = s.n_channels;
    live.n_inputs = s.n_inputs;
    live.synchronous = s.realtime == 0;
    live.lookahead = 0;
    if (s.realtime) {
      const double margin = std::lround(1e-3 * s.margin_ms * s.sample_rate);
      live.lookahead = s.max_block + std::max<std::size_t>(1, static_cast<std::size_t>(margin));
    }
    synth->engine = std::make_unique<engine::LiveEngine>(synth->instrument, live);
    return synth.release();
  });
}

void audiogen_destroy(audiogen_synth* synth) { delete synth; }

void audiogen_process(audiogen_synth* synth, float* const* outputs, size_t n,
                      const audiogen_event* events, size_t n_events, const float* const* inputs) {
  engine::LiveEngine& engine = *synth->engine;
  const std::span<const float* const> in(inputs, inputs ? engine.n_inputs() : 0);
  engine.process({outputs, engine.n_channels()}, n,
                 {reinterpret_cast<const engine::Event*>(events), n_events}, in);
}

static void take_programs(audiogen_synth* synth) {
  if (const auto* programs = synth->new_programs.exchange(nullptr, std::memory_order_acquire)) {
    synth->midi.set_programs(*programs);
  }
}

size_t audiogen_midi(audiogen_synth* synth, const uint8_t* bytes, size_t n, uint32_t offset,
                     audiogen_event* events, size_t capacity, size_t* n_events) {
  take_programs(synth);
  const auto progress =
      synth->midi.read({bytes, n}, offset, {reinterpret_cast<engine::Event*>(events), capacity});
  *n_events = progress.n_events;
  return progress.n_bytes;
}

int audiogen_set_preset(audiogen_synth* synth, const audiogen_preset* preset) {
  return guarded(-1, [&] {
    if (!preset) throw std::invalid_argument("preset must not be NULL");
    // int8 is for SampleRNNs; a GANSynth that takes over plays in float32.
    const bool is_generator = description_of(preset).kind == presets::Kind::kGansynth;
    const auto precision = is_generator && synth->precision == models::Precision::kInt8
                               ? models::Precision::kFloat32
                               : synth->precision;
    auto instrument = engine::make_instrument(preset->shared->preset, {.precision = precision});
    const std::lock_guard lock(synth->control);
    synth->engine->swap(instrument);
    synth->programs.push_back(std::make_unique<presets::ProgramTable>(instrument->programs()));
    synth->new_programs.store(synth->programs.back().get(), std::memory_order_release);
    synth->instrument = std::move(instrument);
    synth->preset = preset->shared;
    return 0;
  });
}

int audiogen_add_timbre(audiogen_synth* synth, const float* z, size_t n) {
  return guarded(-1, [&] {
    if (!z) throw std::invalid_argument("z must not be NULL");
    const std::lock_guard lock(synth->control);
    auto* frames = dynamic_cast<engine::FrameInstrument*>(synth->instrument.get());
    if (!frames) throw std::invalid_argument("latents are not supported by a SampleRNN");
    return static_cast<int>(frames->add_timbre({z, z + n}));
  });
}

int audiogen_set_seed(audiogen_synth* synth, uint64_t seed) {
  return guarded(-1, [&] {
    const std::lock_guard lock(synth->control);
    synth->engine->restart(synth->instrument, seed);
    return 0;
  });
}

int audiogen_post(audiogen_synth* synth, const audiogen_event* event) {
  return guarded(-1, [&] {
    if (synth->engine->post(reinterpret_cast<const engine::Event&>(*event))) return 0;
    throw std::runtime_error("1024 events are waiting; call audiogen_process more often");
  });
}

void audiogen_choose_timbre(audiogen_synth* synth, uint32_t timbre) {
  take_programs(synth);
  synth->midi.choose_timbre(static_cast<std::uint16_t>(std::min(timbre, 0xFFFFu)));
}

uint32_t audiogen_midi_timbre(const audiogen_synth* synth) { return synth->midi.timbre(); }

void audiogen_set_offline(audiogen_synth* synth, int offline) {
  synth->engine->set_offline(offline != 0);
}

void audiogen_hurry(audiogen_synth* synth, size_t n, double longest_s) {
  if (std::isfinite(longest_s)) synth->engine->hurry(n, std::clamp(longest_s, 0.0, 1.0));
}

uint32_t audiogen_latency(const audiogen_synth* synth) {
  return static_cast<uint32_t>(synth->engine->latency());
}

uint32_t audiogen_sample_rate(const audiogen_synth* synth) { return synth->settings.sample_rate; }

size_t audiogen_n_sounding(const audiogen_synth* synth) { return synth->engine->n_sounding(); }

uint64_t audiogen_n_late(const audiogen_synth* synth) { return synth->engine->n_late(); }
