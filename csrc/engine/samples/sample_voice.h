// Voices of a SampleRNN, conditioned on notes or unconditional.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "engine/samples/sample_instrument.h"
#include "engine/voice.h"
#include "models/samplernn.h"

namespace audiogen::engine {

// A network conditioned on notes receives the release; the voice keeps sounding until the network
// is quiet or the longest release has passed. An unconditional network generates from note-on to
// note-off whatever the pitch, scaled by the velocity; its note fades in, unless it continues an
// input, and fades out.
class SampleVoice final : public Voice {
 public:
  // Plays stream `index` of `streams` and generates its samples into `buffer`. All referenced
  // objects must outlive the voice.
  SampleVoice(const SampleSettings& settings, models::SampleStream& streams, std::size_t index,
              std::span<float> buffer, const models::Sampling& sampling);

  void note_on(const Note& note) noexcept AUDIOGEN_REALTIME override;
  void note_off() noexcept AUDIOGEN_REALTIME override;
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME override {
    if (plays_notes_) streams_->set_pitch(index_, pitch);
  }
  // The release takes effect at the note-off; the network owns the attack.
  void set_shaping(const Shaping& shaping) noexcept AUDIOGEN_REALTIME override {
    release_ = shaping.release;
  }
  void reset() noexcept AUDIOGEN_REALTIME override { active_ = false; }

  // Continues from the state of another stream; call right after `note_on`. `step` is the last
  // input sample minus the network's output for it. It is added to the samples and decays with the
  // time constant of the DC blocker, so that the note joins the input without a click.
  void continue_from(std::size_t stream, double step) noexcept AUDIOGEN_REALTIME;

  bool active() const noexcept AUDIOGEN_REALTIME override { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME override { return released_; }

  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME override;

  // Returns where the caller must generate the voice's next `n` samples before it calls the voice.
  float* reserve(std::size_t n) noexcept AUDIOGEN_REALTIME {
    ready_ = buffer_.first(n);
    return buffer_.data();
  }

 private:
  float shape(float sample) noexcept AUDIOGEN_REALTIME;
  float note_release_gain(float sample) noexcept AUDIOGEN_REALTIME;
  // Gain of the next sample of the fade at the end.
  float fade_out_gain() noexcept AUDIOGEN_REALTIME;

  models::SampleStream* streams_;
  std::size_t index_;
  std::span<float> buffer_;
  const models::Sampling* sampling_;
  bool plays_notes_;
  std::vector<float> fade_in_;  // gains of an unconditional note's first samples
  std::vector<float> fade_out_;
  std::size_t longest_quiet_;    // samples
  std::size_t longest_release_;  // samples

  bool active_ = false;
  bool released_ = false;
  std::span<const float> ready_;  // generated samples that were not added yet, in buffer_
  float level_ = 1.0f;
  double step_ = 0.0;
  std::size_t faded_in_ = 0;      // samples
  double faded_out_ = 0.0;        // position in fade_out_
  double fade_step_ = 1.0;        // positions per sample
  float release_ = 0.0f;          // parameter of this name
  std::size_t quiet_ = 0;         // consecutive quiet samples since the note-off
  std::size_t release_left_ = 0;  // samples before the fade
};

// Streams of one network, rendered together so that the weights are read once per sample for all
// sounding voices. Each input channel has a stream of its own that it is fed to.
class SampleVoices final : public Voices {
 public:
  // The settings must outlive the voices. Allocates all memory.
  SampleVoices(const SampleSettings& settings, std::size_t n, std::size_t max_samples,
               std::size_t n_inputs);

  SampleVoices(const SampleVoices&) = delete;  // voices hold pointers to members
  SampleVoices& operator=(const SampleVoices&) = delete;

  Voice& operator[](std::size_t i) noexcept AUDIOGEN_REALTIME override { return voices_[i]; }
  void prepare(std::size_t n) noexcept AUDIOGEN_REALTIME override;
  void note_on(std::size_t i, const Note& note) noexcept AUDIOGEN_REALTIME override;
  void set_sampling(float temperature, float top_p) noexcept AUDIOGEN_REALTIME override;
  void start_listening(std::size_t timbre) noexcept AUDIOGEN_REALTIME override;
  void feed_input(std::span<const float* const> channels,
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
  std::vector<std::size_t> playing_;  // streams of the active voices
  std::vector<float*> rows_;          // buffers of those streams
  std::vector<SampleVoice> voices_;
  std::size_t max_samples_;
  std::vector<Listener> listeners_;
  std::vector<std::size_t> listening_;             // streams of the listeners
  std::vector<const std::int32_t*> input_levels_;  // levels that those streams are fed
};

}  // namespace audiogen::engine
