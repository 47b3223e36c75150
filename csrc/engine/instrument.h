// An opened preset: its pitch range and timbres, and a factory of voices.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/realtime.h"
#include "engine/parameters.h"
#include "engine/voice.h"
#include "presets/programs.h"

namespace audiogen::engine {

// Trained pitches as MIDI numbers, both ends included.
struct PitchRange {
  float lowest = 24.0f;
  float highest = 84.0f;
};

// Place of a timbre on the timbre map, 0 to 1: x from left to right, y from top to bottom.
struct Place {
  float x, y;
};

// One sound of a drum kit.
struct Drum {
  int key = 0;          // MIDI key that plays it
  float pitch = 60.0f;  // MIDI number, for the network
  float pan = 0.0f;     // -1 .. 1
  int group = 0;        // a drum ends those of its group; 0 for none
};

// A drum kit: each key plays a timbre of its own.
struct Kit {
  static constexpr std::uint16_t kSilent = 0xFFFF;

  std::size_t n_timbres = 0;      // the first timbres, which keys choose; others play on any key
  std::array<Drum, 128> drums{};  // by MIDI key
  std::array<std::uint16_t, 128> timbres{};  // by MIDI key, or kSilent

  // The kit whose drums have the first timbres in order, or none of their own. Keys without a drum
  // have `pitch`. Throws std::out_of_range.
  static Kit of(std::span<const Drum> drums, float pitch, bool have_timbres = true);
};

// Can be shared by engines on any number of threads: it is immutable, except that timbres are
// added.
class Instrument {
 public:
  virtual ~Instrument() = default;
  Instrument(const Instrument&) = delete;
  Instrument& operator=(const Instrument&) = delete;

  double sample_rate() const noexcept AUDIOGEN_REALTIME { return sample_rate_; }  // Hz
  PitchRange pitch_range() const noexcept AUDIOGEN_REALTIME { return pitch_range_; }
  // Only grows: a timbre is complete before it is counted.
  std::size_t n_timbres() const noexcept AUDIOGEN_REALTIME {
    return n_timbres_.load(std::memory_order_acquire);
  }

  // Initial value of a parameter.
  virtual float initial(Parameter parameter) const noexcept AUDIOGEN_REALTIME {
    return info(parameter).initial;
  }
  // Timbres and transpositions of the General MIDI programs, for `MidiReader::set_programs`.
  const presets::ProgramTable& programs() const noexcept AUDIOGEN_REALTIME { return programs_; }

  // Places of the preset's timbres; empty if it has no map.
  std::span<const Place> places() const noexcept AUDIOGEN_REALTIME { return places_; }
  // Before any engine plays the instrument. Throws std::invalid_argument unless there is a finite
  // place for each timbre, or none at all.
  void set_places(std::vector<Place> places);

  // Vibrato of a timbre's notes; null if they have none.
  const presets::Vibrato* vibrato(std::size_t timbre) const noexcept AUDIOGEN_REALTIME {
    const bool has_one = timbre < vibratos_.size() && vibratos_[timbre];
    return has_one ? &*vibratos_[timbre] : nullptr;
  }
  // By how long a change of pitch sounds later than one of the level, s.
  double pitch_delay_s() const noexcept AUDIOGEN_REALTIME { return pitch_delay_s_; }
  // Before any engine plays the instrument: those of the first timbres. Phases of tremolos allow
  // for the pitch's delay at the vibratos' own rates.
  void set_vibratos(std::vector<std::optional<presets::Vibrato>> vibratos, double pitch_delay_s) {
    vibratos_ = std::move(vibratos);
    pitch_delay_s_ = pitch_delay_s;
  }

  // Gain of a timbre's notes; 1 of one that the preset doesn't name.
  float gain(std::size_t timbre) const noexcept AUDIOGEN_REALTIME {
    return timbre < gains_.size() ? gains_[timbre] : 1.0f;
  }
  // Before any engine plays the instrument: those of the first timbres.
  void set_gains(std::vector<float> gains) { gains_ = std::move(gains); }

  // The drum kit that the instrument is; null if it is none.
  const Kit* kit() const noexcept AUDIOGEN_REALTIME { return kit_ ? &*kit_ : nullptr; }
  // Before any engine plays the instrument. Throws std::invalid_argument for a timbre that is not
  // there.
  void set_kit(const Kit& kit);

  // Makes `n` voices, which the instrument must outlive, and allocates all their memory. They
  // render at most `max_samples` at once and are fed `n_inputs` input channels.
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
  std::vector<Place> places_;
  std::vector<std::optional<presets::Vibrato>> vibratos_;
  double pitch_delay_s_ = 0.0;
  std::vector<float> gains_;
  std::optional<Kit> kit_;
};

}  // namespace audiogen::engine
