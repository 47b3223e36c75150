// Interface between the engine and the voices of an instrument.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "engine/parameters.h"

namespace audiogen::engine {

struct Note {
  std::size_t timbre = 0;   // below the instrument's n_timbres
  float pitch = 60.0f;      // MIDI number, within the instrument's range
  float key_pitch = 60.0f;  // without glide, bend and vibrato
  float velocity = 1.0f;    // 0 .. 1
  std::uint64_t seed = 0;   // seed of the note's random numbers
  bool continues = false;   // continues the audio of an input channel
  std::size_t input = 0;    // index of that channel

  bool operator==(const Note&) const = default;
};

// Parameters that shape notes and move their timbres, in the units of their table; at 0 a note is
// as the preset makes it.
struct Shaping {
  float attack = 0.0f;
  float release = 0.0f;
  float tilt = 0.0f;
  float noise = 0.0f;
  std::array<float, kMacroCount> macros{};

  bool operator==(const Shaping&) const = default;
};

// Factor of a duration: an eighth at -1, 8 at 1.
inline float stretch_of(float amount) noexcept AUDIOGEN_REALTIME {
  return std::exp2(3.0f * amount);
}

// Work of later samples, the most urgent last.
enum class Ahead {
  kNothing,
  kRelease,  // for the case that the note is released next
  kFrame,    // certain to be needed, unless an event comes first
};

// Renders one note at a time, at the instrument's sample rate.
class Voice {
 public:
  virtual ~Voice() = default;

  // Starts a note and discards the one before. Expensive work may be deferred to `begin`.
  virtual void note_on(const Note& note) noexcept AUDIOGEN_REALTIME = 0;
  // Does the work that `note_on` deferred. The engine calls it before anything else of the note
  // changes, at the same time as those of other voices if `Voices::are_separate`.
  virtual void begin() noexcept AUDIOGEN_REALTIME {}
  // Does the work of a later `note_on` with this note, and with the morph and the shaping that are
  // set. If that `note_on` follows unchanged, it costs nothing; another one starts as usual. The
  // voice must not be active, and stays inactive.
  virtual void prepare(const Note& /*note*/) noexcept AUDIOGEN_REALTIME {}
  // Releases the note, which may keep sounding for a while.
  virtual void note_off() noexcept AUDIOGEN_REALTIME = 0;
  // Sets the pitch, a MIDI number, from the next sample or frame on. Has no effect on voices
  // without a pitch, or with one fixed per note.
  virtual void set_pitch(float /*pitch*/) noexcept AUDIOGEN_REALTIME {}
  // Morphs from the note's own timbre (amount 0) to another (1): by another amount from the next
  // sample or frame on, to another timbre from the frame after it.
  // Has no effect on voices that cannot morph.
  virtual void set_morph(std::size_t /*timbre*/, float /*amount*/) noexcept AUDIOGEN_REALTIME {}
  // Sets the shape of the note, from the next sample or frame on; macros a frame or two later. Has
  // no effect on voices that cannot be shaped.
  virtual void set_shaping(const Shaping& /*shaping*/) noexcept AUDIOGEN_REALTIME {}
  // Silences the voice at once.
  virtual void reset() noexcept AUDIOGEN_REALTIME = 0;

  virtual bool active() const noexcept AUDIOGEN_REALTIME = 0;
  virtual bool released() const noexcept AUDIOGEN_REALTIME = 0;

  // Adds the next `n` samples to `out`. The samples do not depend on how they are divided into
  // calls.
  virtual void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME = 0;

  // Whether the next `n` samples need new frames, rather than samples that are already computed.
  virtual bool computes(std::size_t /*n*/) const noexcept AUDIOGEN_REALTIME { return true; }

  // What `work_ahead` would do next.
  virtual Ahead ahead() const noexcept AUDIOGEN_REALTIME { return Ahead::kNothing; }
  // Does part of the work of later samples, for a caller with time to spare. Changes no sample.
  virtual void work_ahead() noexcept AUDIOGEN_REALTIME {}
};

// The voices of an engine, which may share work. Autoregressive voices can be fed an audio input
// and continue it.
class Voices {
 public:
  Voices() = default;
  virtual ~Voices() = default;
  Voices(const Voices&) = delete;
  Voices& operator=(const Voices&) = delete;

  virtual Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME = 0;

  // Whether different voices may be called on different threads at the same time.
  virtual bool are_separate() const noexcept AUDIOGEN_REALTIME { return false; }

  // Announces that the next call to each active voice is `add` with `n` samples, at most the
  // max_samples of `Instrument::make_voices`.
  virtual void prepare(std::size_t /*n*/) noexcept AUDIOGEN_REALTIME {}

  // Starts a note with voice `i`.
  virtual void note_on(std::size_t i, const Note& note) noexcept AUDIOGEN_REALTIME {
    (*this)[i].note_on(note);
  }

  // Sets the sampling temperature and the nucleus mass from the next sample on.
  virtual void set_sampling(float /*temperature*/, float /*top_p*/) noexcept AUDIOGEN_REALTIME {}

  // Discards the input so far; what follows is fed to the network as this timbre.
  virtual void start_listening(std::size_t /*timbre*/) noexcept AUDIOGEN_REALTIME {}
  // Feeds the next `n` samples of each input channel, at the instrument's rate.
  virtual void feed_input(std::span<const float* const> /*channels*/,
                          std::size_t /*n*/) noexcept AUDIOGEN_REALTIME {}
};

// Voices that share no work, all constructed with the same arguments.
template <class V>
class SeparateVoices final : public Voices {
 public:
  template <class... Arguments>
  explicit SeparateVoices(std::size_t n, const Arguments&... arguments) {
    while (voices_.size() < n) voices_.push_back(std::make_unique<V>(arguments...));
  }
  Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME override { return *voices_[i]; }
  bool are_separate() const noexcept AUDIOGEN_REALTIME override { return true; }

 private:
  std::vector<std::unique_ptr<V>> voices_;
};

}  // namespace audiogen::engine
