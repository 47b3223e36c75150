// What the engine asks of anything that sounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/realtime.h"

namespace audiogen::engine {

struct Note {
  std::size_t timbre = 0;  // below the instrument's n_timbres
  float pitch = 60.0f;     // MIDI number, within the instrument's range
  float velocity = 1.0f;   // 0 .. 1
  std::uint64_t seed = 0;  // seed of the note's random numbers
  bool continues = false;  // goes on from what was heard of an input channel,
  std::size_t input = 0;   // this one
};

// The sound of one note at a time, at the instrument's sample rate.
class Voice {
 public:
  virtual ~Voice() = default;

  // Begins a note, whatever sounded before.
  virtual void note_on(const Note& note) noexcept AUDIOGEN_REALTIME = 0;
  // The note may sound on for a while.
  virtual void note_off() noexcept AUDIOGEN_REALTIME = 0;
  // What follows is heard from the next sample or frame on.
  // MIDI number; without effect on sounds that have no pitch, or only one a note.
  virtual void set_pitch(float /*pitch*/) noexcept AUDIOGEN_REALTIME {}
  // From the note's own timbre (0) to another (1); without effect on sounds that can't.
  virtual void set_morph(std::size_t /*timbre*/, float /*amount*/) noexcept AUDIOGEN_REALTIME {}
  // Silent at once.
  virtual void reset() noexcept AUDIOGEN_REALTIME = 0;

  virtual bool active() const noexcept AUDIOGEN_REALTIME = 0;
  virtual bool released() const noexcept AUDIOGEN_REALTIME = 0;

  // Adds the next `n` samples to `out`, the same ones however they are asked for.
  virtual void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME = 0;

  // Does a part of the work of the samples to come, for a caller that has time now and may not have
  // it then; false if there is none to do yet. Changes no sample.
  virtual bool work_ahead() noexcept AUDIOGEN_REALTIME { return false; }
};

// The voices of an engine, which may share work. Voices that generate audio sample by sample can
// listen to an input and continue it.
class Voices {
 public:
  Voices() = default;
  virtual ~Voices() = default;
  Voices(const Voices&) = delete;
  Voices& operator=(const Voices&) = delete;

  virtual Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME = 0;

  // Each active voice will be asked for its next `n` samples, no more than was said when they were
  // made, before anything else happens to it.
  virtual void prepare(std::size_t /*n*/) noexcept AUDIOGEN_REALTIME {}

  // Begins a note with voice `i`.
  virtual void note_on(std::size_t i, const Note& note) noexcept AUDIOGEN_REALTIME {
    (*this)[i].note_on(note);
  }

  // Sampling temperature and nucleus mass of the samples to come.
  virtual void set_sampling(float /*temperature*/, float /*top_p*/) noexcept AUDIOGEN_REALTIME {}

  // Forgets the input, and hears what follows as this timbre.
  virtual void start_listening(std::size_t /*timbre*/) noexcept AUDIOGEN_REALTIME {}
  // The next `n` samples of each input channel, at the instrument's rate.
  virtual void hear(std::span<const float* const> /*channels*/,
                    std::size_t /*n*/) noexcept AUDIOGEN_REALTIME {}
};

// Voices that have nothing to do together, all made alike.
template <class V>
class SeparateVoices final : public Voices {
 public:
  template <class... Arguments>
  explicit SeparateVoices(std::size_t n, const Arguments&... arguments) {
    while (voices_.size() < n) voices_.push_back(std::make_unique<V>(arguments...));
  }
  Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME override { return *voices_[i]; }

 private:
  std::vector<std::unique_ptr<V>> voices_;
};

}  // namespace audiogen::engine
