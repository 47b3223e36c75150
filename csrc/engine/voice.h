// One sounding note: frames become samples here, and the phase is kept here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/fft.h"
#include "core/realtime.h"
#include "engine/instrument.h"
#include "engine/note_frames.h"

namespace audiogen::engine {

// Tables that all voices of an instrument share.
class SynthesisTables {
 public:
  explicit SynthesisTables(const Spectrogram& spectrogram);

  const core::FftTables& fft() const { return fft_; }
  // Periodic Hann, scaled for the inverse transform and divided by the squared windows that meet.
  const float* window() const { return window_.data(); }
  // Centre of gravity, in samples, of the window's part after the onset, for frames 0, 1, ...; the
  // last holds for all later frames. As `onset_centroids` of representation/harmonic.py.
  const std::vector<double>& onset_centroids() const { return onset_centroids_; }

 private:
  core::FftTables fft_;
  std::vector<float> window_;
  std::vector<double> onset_centroids_;
};

// Sound at the model's own sample rate.
class Voice {
 public:
  // Both must outlive the voice. Allocates all that it ever needs.
  Voice(const Instrument& instrument, const SynthesisTables& tables);

  void note_on(std::uint32_t id, const models::NoteInput& note) noexcept AUDIOGEN_REALTIME;
  void note_off() noexcept AUDIOGEN_REALTIME { frames_.release(); }
  void reset() noexcept AUDIOGEN_REALTIME { active_ = false; }

  bool active() const noexcept AUDIOGEN_REALTIME { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME { return frames_.released(); }
  std::uint32_t id() const noexcept AUDIOGEN_REALTIME { return id_; }

  // Adds `n` samples to `out`.
  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME;

 private:
  void start_phase(float pitch) noexcept AUDIOGEN_REALTIME;
  void add_frame() noexcept AUDIOGEN_REALTIME;
  void turn_phase() noexcept AUDIOGEN_REALTIME;
  void lock_phase() noexcept AUDIOGEN_REALTIME;

  const Instrument* instrument_;
  const SynthesisTables* tables_;
  const kernels::KernelTable* kernels_;
  NoteFrames frames_;
  std::uint32_t id_ = 0;
  bool active_ = false;
  std::size_t frame_ = 0;      // of the note, counted on through sustain and release
  std::size_t tail_left_ = 0;  // hops that sound after the last frame
  std::size_t read_ = 0;       // of the hop that is ready, in samples

  // [n_bins]; phases in turns, within [-0.5, 0.5].
  std::vector<float> log_magnitude_;
  std::vector<float> frequency_;
  std::vector<float> turns_;
  std::vector<float> phase_;     // rad
  std::vector<float> advance_;   // turns a frame of the harmonic nearest to the bin
  std::vector<float> lobe_;      // its distance from the bin, cycles a sample
  std::vector<float> spectrum_;  // [n_bins + 1] complex
  std::vector<float> scratch_;
  std::vector<float> overlap_;  // [n_fft]; the first hop is ready
};

}  // namespace audiogen::engine
