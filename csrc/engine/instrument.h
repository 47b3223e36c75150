// What a preset is to the engine: a generator, what its numbers mean, and where a note sustains.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "models/gansynth.h"

namespace audiogen::engine {

// The second channel of a spectrogram.
enum class PhaseChannel {
  kInstantaneousFrequency,  // the first frame holds the phase, later ones its advance
  kHarmonic,                // advance less that of a harmonic tone at the note's pitch
};

// As `SpectrogramConfig` of audiogen/representation/config.py: linear bins, balanced padding.
struct Spectrogram {
  double sample_rate = 16000.0;  // Hz
  std::size_t n_fft = 2048;
  std::size_t hop_length = 512;
  float magnitude_scale = 1.0f;  // generator's units = scale * log magnitude + offset
  float magnitude_offset = 0.0f;
  float frequency_scale = 1.0f;
  PhaseChannel phase = PhaseChannel::kHarmonic;

  std::size_t n_bins() const { return n_fft / 2; }
  std::size_t pad_front() const { return n_fft - hop_length; }
};

// Frames between which a held note goes round, and where a released one goes on.
struct Sustain {
  std::size_t loop_start = 0;
  std::size_t loop_end = 0;
  std::size_t release = 0;
};

// Immutable, so that engines on any number of threads share one.
struct Instrument {
  std::shared_ptr<const models::GeneratorWeights> generator;
  Spectrogram spectrogram;
  Sustain sustain;
  float lowest_pitch = 24.0f;  // MIDI numbers that were trained
  float highest_pitch = 84.0f;
  std::vector<std::vector<float>> timbres;  // latents

  // Throws std::invalid_argument naming the field that is out of range.
  void check() const;
};

}  // namespace audiogen::engine
