// Checks of an instrument's fields.
#include "engine/instrument.h"

#include <cmath>
#include <stdexcept>

namespace audiogen::engine {

static void require(bool holds, const std::string& message) {
  if (!holds) throw std::invalid_argument(message);
}

void Instrument::check() const {
  require(generator != nullptr, "instrument has no generator");
  const models::GeneratorConfig& config = generator->config();
  const Spectrogram& s = spectrogram;
  require(s.n_fft >= 16 && (s.n_fft & (s.n_fft - 1)) == 0,
          "n_fft=" + std::to_string(s.n_fft) + " is not a power of two, 16 or more");
  require(s.hop_length > 0 && s.n_fft % s.hop_length == 0 && s.n_fft / s.hop_length >= 2,
          "hop_length=" + std::to_string(s.hop_length) +
              " does not divide n_fft=" + std::to_string(s.n_fft) + " into two parts or more");
  require(config.n_bins() == s.n_bins(),
          "n_fft=" + std::to_string(s.n_fft) + " has " + std::to_string(s.n_bins()) +
              " bins, but the generator makes " + std::to_string(config.n_bins()));
  require(s.sample_rate >= 1000.0 && s.sample_rate <= 384000.0,
          "sample_rate=" + std::to_string(s.sample_rate) + " Hz; wanted 1000 to 384000");
  for (const float scale : {s.magnitude_scale, s.frequency_scale}) {
    require(std::isfinite(scale) && scale > 0.0f,
            "magnitude_scale and frequency_scale must be > 0");
  }
  require(std::isfinite(s.magnitude_offset), "magnitude_offset is not a number");
  require(sustain.loop_end >= sustain.loop_start + 2,
          "loop_end=" + std::to_string(sustain.loop_end) +
              " must be at least 2 frames after loop_start=" + std::to_string(sustain.loop_start));
  require(sustain.loop_end <= config.n_frames() && sustain.release < config.n_frames(),
          "loop_end and release must be within the note's " + std::to_string(config.n_frames()) +
              " frames");
  require(highest_pitch >= lowest_pitch, "highest_pitch is below lowest_pitch");
  require(lowest_pitch >= -128.0f && highest_pitch <= 256.0f,
          "lowest_pitch and highest_pitch must be MIDI numbers from -128 to 256");
  require(!timbres.empty(), "instrument has no timbre");
  for (const std::vector<float>& z : timbres) {
    require(z.size() == config.latent_size, "a timbre has " + std::to_string(z.size()) +
                                                " numbers; the generator wants " +
                                                std::to_string(config.latent_size));
    for (const float value : z) require(std::isfinite(value), "a timbre holds NaN or infinity");
  }
}

}  // namespace audiogen::engine
