// The spectrogram frames of one note: attack, sustain for as long as it is held, release.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "engine/frames/frame_instrument.h"
#include "engine/voice.h"
#include "models/gansynth.h"

namespace audiogen::engine {

// A generator makes notes of one length. A longer note jumps from the end of the sustain back to
// its start, and a released note jumps to the release. Each jump crossfades over a few frames in
// log magnitude and frequency, never in samples. The voice integrates the phase across the jump, so
// it cannot click. The new frames are scaled, band by band, to the loudness of the old ones, so a
// decaying note goes on decaying and a release starts at the note's loudness. Random changes of a
// band from frame to frame do not count as a decay.
class NoteFrames {
 public:
  static constexpr std::size_t kLoopFade = 6;     // frames, or half the loop if that is less
  static constexpr std::size_t kReleaseFade = 2;  // frames
  static constexpr std::size_t kEndFade = 8;      // frames to silence if the release is still loud

  // Allocates everything. `scratch` is shared with notes that are computed on the same thread.
  NoteFrames(const FrameSettings& settings, std::shared_ptr<models::FrameScratch> scratch);

  // Starts a note. `note.z` must outlive the note.
  void start(const models::NoteInput& note) noexcept AUDIOGEN_REALTIME;

  // Starts at the position and the loudness of another note.
  void start_beside(const models::NoteInput& note,
                    const NoteFrames& other) noexcept AUDIOGEN_REALTIME;

  // Releases the note from the next frame on.
  void release() noexcept AUDIOGEN_REALTIME { release_wanted_ = true; }
  // Changes the pitch from the next frame on.
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME;
  // Changes the latent from the next frame on. `z` must outlive the note.
  void set_latent(std::span<const float> z) noexcept AUDIOGEN_REALTIME;

  bool released() const noexcept AUDIOGEN_REALTIME { return release_wanted_; }
  // Whether a frame of the release has been read.
  bool releasing() const noexcept AUDIOGEN_REALTIME { return releasing_; }
  bool finished() const noexcept AUDIOGEN_REALTIME { return finished_; }

  // Writes log magnitude (nats) and the phase channel (units of pi) of the next frame, [n_bins]
  // each. Must not be called when finished.
  void next(float* log_magnitude, float* frequency) noexcept AUDIOGEN_REALTIME;

  // What `work_ahead` would do next.
  Ahead ahead() const noexcept AUDIOGEN_REALTIME;
  // Computes a part of what the next call of `next` will need, or, if nothing of that is left to
  // do, what it would need after a release. Events before that call may make the work useless, but
  // never change a frame.
  void work_ahead() noexcept AUDIOGEN_REALTIME;

 private:
  static constexpr std::size_t kNowhere = ~std::size_t{0};

  struct Head {
    std::unique_ptr<models::FrameStream> stream;
    std::size_t frame = 0;     // number of the next frame
    bool fetched = false;      // that frame is in image and phase
    std::vector<float> image;  // in the generator's units
    std::vector<float> phase;
    std::vector<float> offset;         // added to log magnitudes, nats
    std::vector<float> log_magnitude;  // the last frame that was read
    std::vector<float> frequency;

    // Instead of std::swap, which moves: a vector that is moved to may free memory.
    void swap(Head& other) noexcept AUDIOGEN_REALTIME;
    // Applies from `frame` on, even if it was fetched.
    void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME;
    void set_latent(const models::NoteInput& note) noexcept AUDIOGEN_REALTIME;

   private:
    void fetch_again() noexcept AUDIOGEN_REALTIME;
  };

  void fetch(Head& head) noexcept AUDIOGEN_REALTIME;
  void read(Head& head) noexcept AUDIOGEN_REALTIME;
  void spread_bands(Head& head) noexcept AUDIOGEN_REALTIME;
  // Frame that the next step jumps to, or kNowhere.
  std::size_t next_step() const noexcept AUDIOGEN_REALTIME;
  // Whether the next call of `next` jumps to that frame, and next_ is not there yet.
  bool jumps_to(std::size_t step) const noexcept AUDIOGEN_REALTIME {
    return step != kNowhere && step != ahead_ && fade_length_ == 0;
  }
  void seek_ahead(std::size_t frame) noexcept AUDIOGEN_REALTIME;
  void step_to(std::size_t frame, std::size_t fade) noexcept AUDIOGEN_REALTIME;
  void note_flicker() noexcept AUDIOGEN_REALTIME;
  void match_loudness() noexcept AUDIOGEN_REALTIME;
  void fade_frame() noexcept AUDIOGEN_REALTIME;

  const FrameSettings* settings_;
  Head now_;
  Head next_;                     // the target of a jump
  std::size_t ahead_ = kNowhere;  // position of next_ before the jump
  std::vector<float> weight_;
  std::vector<float> last_;     // log magnitudes of the last frame
  std::vector<float> flicker_;  // mean change of each bin per frame, nats
  bool has_last_ = false;
  std::vector<float> band_power_;  // for a mel axis
  std::vector<float> band_frequency_;
  std::size_t loop_fade_;
  models::NoteInput note_;
  std::size_t frames_read_ = 0;
  std::size_t steady_frames_ = 0;  // frames read since pitch or latent last changed
  std::size_t fade_length_ = 0;    // frames; 0: no crossfade
  std::size_t fade_done_ = 0;
  bool release_wanted_ = false;
  bool releasing_ = false;
  bool finished_ = true;
};

}  // namespace audiogen::engine
