// Notes of a SampleRNN, or pieces of the sound of one that knows no notes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

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
  // A voice is the stream of this index. All that is referred to must outlive it; its samples are
  // drawn into `room`.
  SampleVoice(const SampleSettings& settings, models::SampleStream& streams, std::size_t index,
              std::span<float> room);

  void note_on(const Note& note) noexcept AUDIOGEN_REALTIME override;
  void note_off() noexcept AUDIOGEN_REALTIME override;
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME override {
    if (knows_notes_) streams_->set_pitch(index_, pitch);
  }
  void reset() noexcept AUDIOGEN_REALTIME override { active_ = false; }

  bool active() const noexcept AUDIOGEN_REALTIME override { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME override { return released_; }

  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME override;

  // Where its next samples are to be drawn, before anything else happens to it.
  float* draws(std::size_t n) noexcept AUDIOGEN_REALTIME {
    ready_ = room_.first(n);
    return room_.data();
  }

 private:
  // Of the next sample after the note-off; counts on to the end of the note.
  float released_gain(float sample) noexcept AUDIOGEN_REALTIME;

  const SampleSettings* settings_;
  models::SampleStream* streams_;
  std::size_t index_;
  std::span<float> room_;
  bool knows_notes_;
  std::size_t fade_length_;      // samples
  std::size_t longest_quiet_;    // samples
  std::size_t longest_release_;  // samples; none without notes

  bool active_ = false;
  bool released_ = false;
  std::span<const float> ready_;  // of the room
  std::size_t quiet_ = 0;         // samples since the note-off, without a louder one between
  std::size_t release_left_ = 0;  // samples before the fade
  std::size_t fade_left_ = 0;     // samples
};

// Streams of one network, whose weights are read once for the samples of all that sound.
class SampleVoices final : public Voices {
 public:
  // The settings must outlive the voices. Allocates all that they ever need.
  SampleVoices(const SampleSettings& settings, std::size_t n, std::size_t most);

  Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME override { return voices_[i]; }
  void prepare(std::size_t n) noexcept AUDIOGEN_REALTIME override;

 private:
  const SampleSettings* settings_;
  models::SampleStream streams_;
  std::vector<float> samples_;        // [n, most]
  std::vector<std::size_t> playing_;  // streams,
  std::vector<float*> rows_;          // and where their samples go
  std::vector<SampleVoice> voices_;
};

}  // namespace audiogen::engine
