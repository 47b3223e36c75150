// The frames of one note of any length: attack, sustain for as long as it is held, release.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/realtime.h"
#include "engine/frame_instrument.h"
#include "models/gansynth.h"

namespace audiogen::engine {

// A generator knows notes of one length. A longer one goes back from the sustain's end to its
// start; a released one goes to the release. Each such step fades over a few frames in log
// magnitude and frequency, never in samples: phases are summed by the voice and know nothing of it,
// so no step can click. The frames stepped to are scaled, band by band, to the loudness of those
// left: a note that decays goes on decaying, and a release starts where the note is. By as much
// as a band flickers from frame to frame it doesn't sink there.
class NoteFrames {
 public:
  static constexpr std::size_t kLoopFade = 6;     // frames, or half the loop if that is less
  static constexpr std::size_t kReleaseFade = 2;  // frames
  static constexpr std::size_t kEndFade = 8;      // frames to silence if the release is still loud

  // Allocates all that it ever needs.
  explicit NoteFrames(const FrameSettings& settings);

  // Begins a note. `note.z` must stay where it is until the note has ended.
  void start(const models::NoteInput& note) noexcept AUDIOGEN_REALTIME;

  // Begins where another note is, in its attack, sustain or release, as loud as that has become.
  void start_beside(const models::NoteInput& note,
                    const NoteFrames& other) noexcept AUDIOGEN_REALTIME;

  // From the next frame on the note is released.
  void release() noexcept AUDIOGEN_REALTIME { release_wanted_ = true; }
  // From the next frame on.
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME;

  bool released() const noexcept AUDIOGEN_REALTIME { return release_wanted_; }
  // Whether a frame of the release has been read.
  bool releasing() const noexcept AUDIOGEN_REALTIME { return releasing_; }
  bool finished() const noexcept AUDIOGEN_REALTIME { return finished_; }

  // Writes log magnitude (nats) and the phase channel (units of pi) of the next frame, [n_bins]
  // each. Not to be called when finished.
  void next(float* log_magnitude, float* frequency) noexcept AUDIOGEN_REALTIME;

  // Asks the network for a part of what `next` will want; false if all is there. What happens until
  // then may make it vain, and changes no frame.
  bool work_ahead() noexcept AUDIOGEN_REALTIME;

 private:
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  struct Head {
    std::unique_ptr<models::FrameStream> stream;
    std::size_t frame = 0;     // to be read next
    bool fetched = false;      // the network has made it: it is in image and phase
    std::vector<float> image;  // in the generator's units
    std::vector<float> phase;
    std::vector<float> offset;         // added to log magnitudes, nats
    std::vector<float> log_magnitude;  // of the last frame read
    std::vector<float> frequency;

    // Not std::swap: that would move, and a vector that is moved to may give memory back.
    void swap(Head& other) noexcept AUDIOGEN_REALTIME;
    // From `frame` on, also if it was fetched.
    void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME;
  };

  void fetch(Head& head) noexcept AUDIOGEN_REALTIME;
  void read(Head& head) noexcept AUDIOGEN_REALTIME;
  void spread_bands(Head& head) noexcept AUDIOGEN_REALTIME;
  // Where the next frame steps to, or kNowhere.
  std::size_t next_step() const noexcept AUDIOGEN_REALTIME;
  void seek_ahead(std::size_t frame) noexcept AUDIOGEN_REALTIME;
  void step_to(std::size_t frame, std::size_t fade) noexcept AUDIOGEN_REALTIME;
  void note_flicker() noexcept AUDIOGEN_REALTIME;
  void match_loudness() noexcept AUDIOGEN_REALTIME;
  void fade_frame() noexcept AUDIOGEN_REALTIME;

  const FrameSettings* settings_;
  Head now_;
  Head next_;                     // stepped to
  std::size_t ahead_ = kNowhere;  // where next_ is, before the step
  std::vector<float> weight_;
  std::vector<float> last_;     // log magnitudes that were handed out
  std::vector<float> flicker_;  // mean change of each bin from frame to frame, nats
  bool has_last_ = false;
  std::vector<float> band_power_;  // of a mel axis
  std::vector<float> band_frequency_;
  std::size_t loop_fade_;
  models::NoteInput note_;
  std::size_t frames_read_ = 0;
  std::size_t fade_length_ = 0;  // 0: not fading
  std::size_t fade_done_ = 0;
  bool release_wanted_ = false;
  bool releasing_ = false;
  bool finished_ = true;
};

}  // namespace audiogen::engine
