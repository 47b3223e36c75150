// A note of a generator: turns spectrogram frames into samples and integrates the phase.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/realtime.h"
#include "engine/frames/frame_instrument.h"
#include "engine/frames/note_frames.h"
#include "engine/voice.h"
#include "kernels/dispatch.h"

namespace audiogen::engine {

class FrameVoice final : public Voice {
 public:
  // The instrument must outlive the voice. Allocates all memory.
  explicit FrameVoice(const FrameInstrument& instrument);

  void note_on(const Note& note) noexcept AUDIOGEN_REALTIME override;
  void begin() noexcept AUDIOGEN_REALTIME override;
  void prepare(const Note& note) noexcept AUDIOGEN_REALTIME override;
  void note_off() noexcept AUDIOGEN_REALTIME override { frames_.release(); }
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME override {
    if (bends_) wanted_pitch_ = pitch;
  }
  void set_morph(std::size_t timbre, float amount) noexcept AUDIOGEN_REALTIME override {
    wanted_timbre_ = timbre;
    morph_ = amount;
  }
  void set_shaping(const Shaping& shaping) noexcept AUDIOGEN_REALTIME override {
    shaping_ = shaping;
  }
  void reset() noexcept AUDIOGEN_REALTIME override { active_ = prepared_.is_set = false; }

  bool active() const noexcept AUDIOGEN_REALTIME override { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME override { return frames_.released(); }

  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME override;
  bool computes(std::size_t n) const noexcept AUDIOGEN_REALTIME override {
    return read_ + n > settings_->spectrogram.hop_length;
  }
  Ahead ahead() const noexcept AUDIOGEN_REALTIME override;
  void work_ahead() noexcept AUDIOGEN_REALTIME override;

 private:
  // What the first frames of a note depend on.
  struct Prepared {
    bool is_set = false;
    Note note;
    Shaping shaping;
    std::size_t other_timbre = 0;
    float morph = 0.0f;

    bool operator==(const Prepared&) const = default;
  };

  void start_phase() noexcept AUDIOGEN_REALTIME;
  void add_frame() noexcept AUDIOGEN_REALTIME;
  bool finished() const noexcept AUDIOGEN_REALTIME;
  void next_frame() noexcept AUDIOGEN_REALTIME;
  void pull_frame() noexcept AUDIOGEN_REALTIME;
  void pull_frames() noexcept AUDIOGEN_REALTIME;
  // Sets the pitch, the latents and the timbres of the next frame, usually a hop before it is due:
  // where they change, the network needs milliseconds, which `work_ahead` can spend until then.
  void plan_frame() noexcept AUDIOGEN_REALTIME;
  // Starts, changes or ends the timbre that the next frame is morphed with.
  void start_morph() noexcept AUDIOGEN_REALTIME;
  void move_latents() noexcept AUDIOGEN_REALTIME;
  void mix_timbres() noexcept AUDIOGEN_REALTIME;
  void transpose() noexcept AUDIOGEN_REALTIME;
  void make_advance() noexcept AUDIOGEN_REALTIME;
  void move_pitch() noexcept AUDIOGEN_REALTIME;
  double centroid(std::size_t frame) const noexcept AUDIOGEN_REALTIME;
  void turn_phase() noexcept AUDIOGEN_REALTIME;
  void lock_phase() noexcept AUDIOGEN_REALTIME;
  void shape_spectrum() noexcept AUDIOGEN_REALTIME;

  const FrameInstrument* instrument_;
  const FrameSettings* settings_;
  const SynthesisTables* tables_;
  const kernels::KernelTable* kernels_;
  std::shared_ptr<models::FrameScratch> frame_scratch_;  // shared by both
  NoteFrames frames_;
  NoteFrames other_;       // the timbre that is morphed to; follows frames_, released a frame later
  bool morphing_ = false;  // whether the next frame needs other_
  models::NoteInput note_;  // its partials are those of the whole note
  Shaping shaping_;
  std::array<float, kMacroCount> macros_{};  // those that the latents were moved by
  std::size_t timbre_ = 0;
  std::size_t pulled_ = 0;   // frames pulled from frames_
  float lag_ = 0.0f;         // frames that the note is behind the last one, 0 .. 1
  bool has_pulled_ = false;  // pulled frames are kept
  std::size_t wanted_timbre_ = 0;
  std::size_t other_timbre_ = 0;
  float morph_ = 0.0f;
  float pitch_ = 0.0f;
  float wanted_pitch_ = 0.0f;
  float network_pitch_ = 0.0f;  // pitch of the generated frame; `transpose` does the rest
  float next_network_pitch_ = 0.0f;
  bool bends_;  // the network takes fractional pitches
  bool active_ = false;
  Prepared prepared_;          // note whose first frames are there before it starts
  bool begun_ = true;          // the frames before the note's first hop were added
  std::size_t frame_ = 0;      // number of the note's next frame, through sustain and release
  std::size_t tail_left_ = 0;  // hops left to play after the last frame
  std::size_t read_ = 0;       // samples already read of the finished hop

  std::vector<float> z_;  // moved by macros
  std::vector<float> other_z_;

  // [n_bins]; phases in turns, within [-0.5, 0.5].
  std::vector<float> log_magnitude_;
  std::vector<float> frequency_;
  std::vector<float> other_log_magnitude_;
  std::vector<float> other_frequency_;
  std::vector<float> pulled_log_magnitude_[2];  // the last two frames, while they are interpolated
  std::vector<float> pulled_frequency_[2];
  std::vector<float> turns_;
  std::vector<float> last_turns_;  // turns_ of the previous frame, while the pitch moves
  std::vector<float> phase_;       // rad
  std::vector<float> advance_;     // turns per frame of the partial nearest to the bin
  std::vector<float> lobe_;        // distance of that partial from the bin, cycles per sample
  std::vector<float> spectrum_;    // [n_bins + 1] complex
  std::vector<float> scratch_;
  std::vector<float> overlap_;  // [n_fft]; its first hop is finished
};

}  // namespace audiogen::engine
