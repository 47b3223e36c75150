// What a preset is to the engine: the notes that it takes, and voices to play them.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "core/realtime.h"
#include "engine/parameters.h"
#include "engine/voice.h"
#include "presets/programs.h"

namespace audiogen::engine {

// MIDI numbers that were trained, both ends included.
struct PitchRange {
  float lowest = 24.0f;
  float highest = 84.0f;
};

// Engines on any number of threads share one: nothing changes but that timbres are added.
class Instrument {
 public:
  virtual ~Instrument() = default;
  Instrument(const Instrument&) = delete;
  Instrument& operator=(const Instrument&) = delete;

  double sample_rate() const noexcept AUDIOGEN_REALTIME { return sample_rate_; }  // Hz
  PitchRange pitch_range() const noexcept AUDIOGEN_REALTIME { return pitch_range_; }
  // Timbres are only ever added, each before its index is told.
  std::size_t n_timbres() const noexcept AUDIOGEN_REALTIME {
    return n_timbres_.load(std::memory_order_acquire);
  }

  // Value of a parameter until it is set.
  virtual float initial(Parameter parameter) const noexcept AUDIOGEN_REALTIME {
    return info(parameter).initial;
  }
  // The timbres that General MIDI programs choose; for `MidiReader::set_programs`.
  const presets::ProgramTable& programs() const noexcept AUDIOGEN_REALTIME { return programs_; }

  // `n` voices that the instrument must outlive, with all the memory that they ever need. They are
  // prepared for at most `max_samples` at once, and hear `n_inputs` channels.
  virtual std::unique_ptr<Voices> make_voices(std::size_t n, std::size_t max_samples,
                                              std::size_t n_inputs) const = 0;

 protected:
  // Throws std::invalid_argument naming what is out of range.
  Instrument(double sample_rate, PitchRange pitch_range, std::size_t n_timbres,
             const presets::ProgramTable& programs = {});
  void set_n_timbres(std::size_t n) { n_timbres_.store(n, std::memory_order_release); }

 private:
  double sample_rate_;
  PitchRange pitch_range_;
  std::atomic<std::size_t> n_timbres_;
  presets::ProgramTable programs_;
};

}  // namespace audiogen::engine
