// A GANSynth preset: a generator, its spectrogram's parameters and the sustain points.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/fft.h"
#include "engine/frames/mel_bands.h"
#include "engine/instrument.h"
#include "models/frame_table.h"
#include "models/gansynth.h"
#include "models/partials.h"

namespace audiogen::engine {

// The second channel of a spectrogram.
enum class PhaseChannel {
  kInstantaneousFrequency,  // the first frame holds the phase, later ones its advance
  kHarmonic,                // advance minus that of a harmonic tone at the note's pitch
};

// Parameters of `SpectrogramConfig` in audiogen/representation/config.py, with balanced padding.
struct Spectrogram {
  double sample_rate = 16000.0;  // Hz
  std::size_t n_fft = 2048;
  std::size_t hop_length = 512;
  float magnitude_scale = 1.0f;  // generator's units = scale * log magnitude + offset
  float magnitude_offset = 0.0f;
  float frequency_scale = 1.0f;
  PhaseChannel phase = PhaseChannel::kHarmonic;
  BandMap mel;  // empty where the generator's bins are linear

  std::size_t n_bins() const { return n_fft / 2; }
  std::size_t pad_front() const { return n_fft - hop_length; }
};

// Frames between which a held note loops, and the frame at which its release starts. Without a
// loop, at 0, notes play to the last frame whatever the note-off.
struct Sustain {
  std::size_t loop_start = 0;
  std::size_t loop_end = 0;
  std::size_t release = 0;

  bool loops() const noexcept AUDIOGEN_REALTIME { return loop_end > 0; }
};

// A direction in the latent space that a parameter macro_1 .. macro_8 moves the latents along.
struct Macro {
  std::vector<float> direction;  // [latent_size]
  float lowest = -1.0f;          // distance at -1, 0 or less
  float highest = 1.0f;          // distance at 1, 0 or more
};

struct FrameSettings {
  std::shared_ptr<const models::GeneratorWeights> generator;
  std::shared_ptr<models::FrameTable> frames = nullptr;  // those that something else computes
  Spectrogram spectrogram;
  Sustain sustain;
  PitchRange pitch_range;
  std::vector<std::vector<float>> timbres;  // latents
  std::vector<models::TimbrePartials>
      partials;               // of the first timbres; those of others are harmonic
  std::vector<Macro> macros;  // kMacroCount or fewer
  presets::ProgramTable programs;
};

// Tables that all voices of an instrument share.
class SynthesisTables {
 public:
  explicit SynthesisTables(const Spectrogram& spectrogram);

  const core::FftTables& fft() const { return fft_; }
  // Periodic Hann window over the sum of the squared overlapping windows, scaled for the inverse
  // transform.
  const float* window() const { return window_.data(); }
  // Centre of gravity, in samples, of the window's part after the onset, for frames 0, 1, ...; the
  // last holds for all later frames. As `onset_centroids` of representation/harmonic.py.
  const std::vector<double>& onset_centroids() const { return onset_centroids_; }

 private:
  core::FftTables fft_;
  std::vector<float> window_;
  std::vector<double> onset_centroids_;
};

class FrameInstrument final : public Instrument {
 public:
  // Throws std::invalid_argument for a field out of range.
  explicit FrameInstrument(FrameSettings settings);

  static constexpr std::size_t kMostAdded = 1024;

  // Adds a latent as a timbre for all engines of the instrument and returns its index, or that of
  // an equal latent. Not for the audio thread. Throws std::invalid_argument if the latent has the
  // wrong size or is not finite, or if kMostAdded latents were added.
  std::size_t add_timbre(const std::vector<float>& z);

  // Returns the latent `z` moved by the macros and scaled back to its length, in `moved`,
  // [latent_size]; returns `z` itself if no macro moves it.
  std::span<const float> move_latent(const std::vector<float>& z,
                                     const std::array<float, kMacroCount>& amounts,
                                     std::vector<float>& moved) const noexcept AUDIOGEN_REALTIME;

  // Partials of a timbre's notes at a pitch.
  models::Partials partials(std::size_t timbre, float pitch) const noexcept AUDIOGEN_REALTIME {
    return timbre < settings_.partials.size() ? settings_.partials[timbre].at(pitch)
                                              : models::Partials();
  }

  const FrameSettings& settings() const { return settings_; }
  const SynthesisTables& tables() const { return tables_; }

  std::unique_ptr<Voices> make_voices(std::size_t n, std::size_t max_samples,
                                      std::size_t n_inputs) const override;

 private:
  FrameSettings settings_;
  SynthesisTables tables_;
  std::mutex adding_;
};

}  // namespace audiogen::engine
