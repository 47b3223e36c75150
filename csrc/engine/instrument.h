// What a preset is to the engine: the notes that it takes, and voices to play them.
#pragma once

#include <cstddef>
#include <memory>

#include "core/realtime.h"
#include "engine/voice.h"
#include "presets/programs.h"

namespace audiogen::engine {

// MIDI numbers that were trained, both ends included.
struct PitchRange {
  float lowest = 24.0f;
  float highest = 84.0f;
};

// Immutable, so that engines on any number of threads share one.
class Instrument {
 public:
  virtual ~Instrument() = default;
  Instrument(const Instrument&) = delete;
  Instrument& operator=(const Instrument&) = delete;

  double sample_rate() const noexcept AUDIOGEN_REALTIME { return sample_rate_; }  // Hz
  PitchRange pitch_range() const noexcept AUDIOGEN_REALTIME { return pitch_range_; }
  std::size_t n_timbres() const noexcept AUDIOGEN_REALTIME { return n_timbres_; }
  // The timbres that General MIDI programs choose; for `MidiReader::set_programs`.
  const presets::ProgramTable& programs() const noexcept AUDIOGEN_REALTIME { return programs_; }

  // `n` voices that the instrument must outlive, with all the memory that they ever need. They are
  // prepared for at most `most` samples.
  virtual std::unique_ptr<Voices> make_voices(std::size_t n, std::size_t most) const = 0;

 protected:
  // Throws std::invalid_argument naming what is out of range.
  Instrument(double sample_rate, PitchRange pitch_range, std::size_t n_timbres,
             const presets::ProgramTable& programs = {});

 private:
  double sample_rate_;
  PitchRange pitch_range_;
  std::size_t n_timbres_;
  presets::ProgramTable programs_;
};

}  // namespace audiogen::engine
