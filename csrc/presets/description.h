// The content of a preset.toml: the description of a sound and its network, checked by field.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/gansynth.h"
#include "models/partials.h"
#include "models/samplernn.h"
#include "presets/fields.h"
#include "presets/toml.h"

namespace audiogen::presets {

enum class Kind { kGansynth, kSamplernn };

// Vibrato of a timbre's recordings, which its notes have without a wheel.
struct Vibrato {
  float depth_cents = 0.0f;  // largest distance from the pitch
  float rate_hz = 5.5f;
  float rise_s = 0.0f;  // from the note's start to the whole depth
  // Level that changes with the pitch: a sine of the same rate and rise.
  float tremolo_db = 0.0f;
  float tremolo_phase = 0.0f;  // ahead of the pitch, degrees
};

// One of [[timbres]]: a point of a GANSynth's latent space, or a class of a SampleRNN.
struct Timbre {
  std::string name;
  std::string family = "other";
  std::optional<int> program;  // of General MIDI, 0 .. 127
  int transpose = 0;           // sounding pitch minus key where the program selects it, semitones
  float semitones_per_key = 1.0f;  // there, from key 60 on; percussion spreads less over the keys
  // MIDI key that plays it in a drum kit; all timbres of a kit have one, and no two the same.
  std::optional<int> key;
  std::optional<float> pitch;  // of a drum, a MIDI number; generator.pitch_min without
  float pan = 0.0f;            // of a drum, -1 .. 1
  int group = 0;               // of drums that end each other, 1 .. 127; 0 for none
  std::optional<Vibrato> vibrato;
  float gain_db = 0.0f;             // that brings the notes to the level of the recordings
  std::vector<float> z;             // GANSynth only
  models::TimbrePartials partials;  // GANSynth only
  // Place on the timbre map, x and y from 0 to 1; all timbres of a preset have one, or none has.
  std::optional<std::pair<float, float>> place;
};

// One of [[macros]]: a direction in the latent space, for a knob from -1 to 1.
struct Macro {
  std::string name;
  std::string help;
  std::vector<float> direction;
  float lowest = -1.0f;  // distance along the direction at -1
  float highest = 1.0f;  // distance at 1
  std::string effect;    // as measured; may be empty
};

// [spectrogram]: what the numbers of a generator mean. As `SpectrogramConfig` of
// audiogen/representation/config.py.
struct Spectrogram {
  enum class Frequency { kLinear, kMel, kMelReleased };
  enum class Phase { kHarmonic, kInstantaneousFrequency };

  std::size_t n_fft = 2048;
  std::size_t hop_length = 512;
  std::size_t n_frames = 128;
  double magnitude_floor = 1e-6;
  double magnitude_scale = 1.0;
  double magnitude_offset = 0.0;
  double frequency_scale = 1.0;
  Frequency frequency = Frequency::kLinear;
  Phase phase = Phase::kHarmonic;
};

// [sustain]: the frames that a held note repeats, and where its release begins.
struct Sustain {
  std::size_t loop_start_frame = 0;
  std::size_t loop_end_frame = 0;
  std::size_t release_frame = 0;
};

// [sampling]: how samples are drawn unless the player sets something else.
struct Sampling {
  double temperature = 1.0;
  double top_p = 1.0;
};

struct Description {
  Kind kind = Kind::kGansynth;
  std::string name;
  unsigned sample_rate = 16000;                    // Hz
  std::optional<std::pair<int, int>> pitch_range;  // MIDI numbers; none: plays no notes
  std::vector<Timbre> timbres;
  std::size_t default_timbre = 0;  // index; 0 without timbres

  // Fields of a GANSynth preset.
  Spectrogram spectrogram;
  models::GeneratorConfig generator;
  std::optional<Sustain> sustain;  // none: notes play to their end, whatever the note-off
  std::vector<Macro> macros;

  // Fields of a SampleRNN preset.
  models::SampleRNNConfig samplernn;
  Sampling sampling;

  // All fields, those that were left out with their defaults.
  toml::Table fields;

  bool plays_notes() const { return pitch_range.has_value(); }
  bool is_kit() const { return !timbres.empty() && timbres.front().key.has_value(); }
  // Tensors of the network.
  models::WeightShapes weight_shapes() const;
};

// Checks the fields of a preset.toml. `faults` is empty before; where it is not after, there is no
// description.
std::optional<Description> check_fields(const toml::Table& fields, Faults& faults);

}  // namespace audiogen::presets
