// Voices of a SampleRNN: notes of a network conditioned on notes, gates of one that is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "engine/sample_instrument.h"
#include "engine/voice.h"
#include "models/samplernn.h"

namespace audiogen::engine {

// A network conditioned on notes receives the release and sounds on until it is quiet, or too long.
// An unconditional one generates from note-on to note-off, at any pitch, as loud as the velocity
// says; its note fades in, unless it continues an input, and fades out.
class SampleVoice final : public Voice {
 public:
  // The voice is the stream `index`; its samples are generated into `room`. All that is referred to
  // must outlive it.
  SampleVoice(const SampleSettings& settings, models::SampleStream& streams, std::size_t index,
              std::span<float> room, const models::Sampling& sampling);

  void note_on(const Note& note) noexcept AUDIOGEN_REALTIME override;
  void note_off() noexcept AUDIOGEN_REALTIME override;
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME override {
    if (plays_notes_) streams_->set_pitch(index_, pitch);
  }
  void reset() noexcept AUDIOGEN_REALTIME override { active_ = false; }

  // Right after `note_on`: goes on from the state of another stream, from a last sample that lies
  // `step` above what the network makes of it. The step decays as the DC blocker does.
  void continue_from(std::size_t stream, double step) noexcept AUDIOGEN_REALTIME;

  bool active() const noexcept AUDIOGEN_REALTIME override { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME override { return released_; }

  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME override;

  // Where its next samples are to be generated, before anything else happens to it.
  float* generated(std::size_t n) noexcept AUDIOGEN_REALTIME {
    ready_ = room_.first(n);
    return room_.data();
  }

 private:
  float shaped(float sample) noexcept AUDIOGEN_REALTIME;
  float note_release_gain(float sample) noexcept AUDIOGEN_REALTIME;

  models::SampleStream* streams_;
  std::size_t index_;
  std::span<float> room_;
  const models::Sampling* sampling_;
  bool plays_notes_;
  std::vector<float> fade_in_;  // gains of an unconditional note's first samples
  std::vector<float> fade_out_;
  std::size_t longest_quiet_;    // samples
  std::size_t longest_release_;  // samples

  bool active_ = false;
  bool released_ = false;
  std::span<const float> ready_;  // part of the room
  float level_ = 1.0f;
  double step_ = 0.0;
  std::size_t faded_in_ = 0;      // samples
  std::size_t faded_out_ = 0;     // samples
  std::size_t quiet_ = 0;         // samples since the last louder one after the note-off
  std::size_t release_left_ = 0;  // samples before the fade
};

// Streams of one network; its weights are read once for the samples of all that sound. Beside the
// voices there is a stream for each input channel, which hears it.
class SampleVoices final : public Voices {
 public:
  // The settings must outlive the voices. Allocates all that they ever need.
  SampleVoices(const SampleSettings& settings, std::size_t n, std::size_t max_samples,
               std::size_t n_inputs);

  SampleVoices(const SampleVoices&) = delete;  // the voices point into it
  SampleVoices& operator=(const SampleVoices&) = delete;

  Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME override { return voices_[i]; }
  void prepare(std::size_t n) noexcept AUDIOGEN_REALTIME override;
  void note_on(std::size_t i, const Note& note) noexcept AUDIOGEN_REALTIME override;
  void set_sampling(float temperature, float top_p) noexcept AUDIOGEN_REALTIME override;
  void start_listening(std::size_t timbre) noexcept AUDIOGEN_REALTIME override;
  void hear(std::span<const float* const> channels,
            std::size_t n) noexcept AUDIOGEN_REALTIME override;

 private:
  struct Listener {
    std::size_t stream = 0;
    double last_sample = 0.0;
    std::vector<std::int32_t> levels;
  };

  models::SampleStream streams_;
  float temperature_ = 1.0f;
  models::Sampling sampling_;
  std::vector<float> samples_;        // [n, max_samples]
  std::vector<std::size_t> playing_;  // streams,
  std::vector<float*> rows_;          // and where their samples go
  std::vector<SampleVoice> voices_;
  std::size_t max_samples_;
  std::vector<Listener> listeners_;
  std::vector<std::size_t> listening_;      // streams,
  std::vector<const std::int32_t*> heard_;  // and what they are fed
};

}  // namespace audiogen::engine
