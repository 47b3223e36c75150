// A note of a SampleRNN, or a piece of the sound of one that knows no notes.
#pragma once

#include <array>
#include <cstddef>

#include "core/realtime.h"
#include "engine/sample_instrument.h"
#include "engine/voice.h"
#include "models/samplernn.h"

namespace audiogen::engine {

// A network that is told notes is told of the release, and sounds on until it is quiet, or too
// long. One that knows no notes runs until the note-off, whatever the pitch and the velocity.
// Either fades out at its end.
class SampleVoice final : public Voice {
 public:
  // The settings must outlive the voice. Allocates all that it ever needs.
  explicit SampleVoice(const SampleSettings& settings);

  void note_on(const Note& note) noexcept AUDIOGEN_REALTIME override;
  void note_off() noexcept AUDIOGEN_REALTIME override;
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME override {
    if (knows_notes_) stream_.set_pitch(0, pitch);
  }
  void reset() noexcept AUDIOGEN_REALTIME override { active_ = false; }

  bool active() const noexcept AUDIOGEN_REALTIME override { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME override { return released_; }

  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME override;

 private:
  // Of the next sample after the note-off; counts on to the end of the note.
  float released_gain(float sample) noexcept AUDIOGEN_REALTIME;

  const SampleSettings* settings_;
  models::SampleStream stream_;
  bool knows_notes_;
  std::size_t fade_length_;      // samples
  std::size_t longest_quiet_;    // samples
  std::size_t longest_release_;  // samples; none without notes

  bool active_ = false;
  bool released_ = false;
  std::size_t quiet_ = 0;         // samples since the note-off, without a louder one between
  std::size_t release_left_ = 0;  // samples before the fade
  std::size_t fade_left_ = 0;     // samples

  std::array<float, 256> samples_;
};

}  // namespace audiogen::engine
