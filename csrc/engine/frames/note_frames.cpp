// The spectrogram frames of one note of any length.
#include "engine/frames/note_frames.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "core/math.h"
#include "kernels/spectra/phase.h"

namespace audiogen::engine {

// Bins on each side of a bin over which its loudness is averaged before it is matched.
static constexpr std::size_t kBandReach = 16;
// Largest gain at the start of a release, nats (40 dB).
static constexpr float kLargestRise = 4.6f;
static constexpr float kFaintest = -60.0f;  // nats
// Frames over which a bin's mean change is averaged. A drop in loudness at the sustain's loop is
// reduced by that much, because it may be chance: a note whose partials flicker would fade
// otherwise.
static constexpr float kFlickerFrames = 8.0f;
// A frame whose loudest bin is below this is silent (nats; a sine of -97 dBFS at n_fft 2048). After
// the attack, a silent frame ends the note.
static constexpr float kSilence = -5.0f;
static constexpr std::size_t kAttackFrames = 16;
// Frames without a change of pitch or latent after which a release is prepared: while they move,
// the work would be discarded. Latents move every second frame (kMoveFrames of the voice).
static constexpr std::size_t kSteadyFrames = 3;

NoteFrames::NoteFrames(const FrameSettings& settings, std::shared_ptr<models::FrameScratch> scratch)
    : settings_(&settings),
      loop_fade_(
          std::min(kLoopFade, (settings.sustain.loop_end - settings.sustain.loop_start) / 2)) {
  const std::size_t n = settings.spectrogram.n_bins();
  for (Head* head : {&now_, &next_}) {
    head->stream =
        std::make_unique<models::FrameStream>(settings.generator, settings.frames, scratch);
    head->image.resize(n);
    head->phase.resize(n);
    head->offset.resize(n);
    head->log_magnitude.resize(n);
    head->frequency.resize(n);
  }
  weight_.resize(n);
  last_.resize(n);
  flicker_.resize(n);
  if (!settings.spectrogram.mel.empty()) {
    band_power_.resize(n);
    band_frequency_.resize(n);
  }
}

void NoteFrames::Head::swap(Head& other) noexcept AUDIOGEN_REALTIME {
  stream.swap(other.stream);
  std::swap(frame, other.frame);
  std::swap(fetched, other.fetched);
  image.swap(other.image);
  phase.swap(other.phase);
  offset.swap(other.offset);
  log_magnitude.swap(other.log_magnitude);
  frequency.swap(other.frequency);
}

void NoteFrames::Head::set_pitch(float pitch) noexcept AUDIOGEN_REALTIME {
  stream->set_pitch(pitch);
  fetch_again();
}

void NoteFrames::Head::set_latent(const models::NoteInput& note) noexcept AUDIOGEN_REALTIME {
  stream->set_latent(note);
  fetch_again();
}

void NoteFrames::Head::fetch_again() noexcept AUDIOGEN_REALTIME {
  if (fetched) stream->seek(frame);
  fetched = false;
}

void NoteFrames::start(const models::NoteInput& note) noexcept AUDIOGEN_REALTIME {
  note_ = note;
  now_.stream->start(note);
  now_.frame = 0;
  now_.fetched = false;
  ahead_ = kNowhere;
  std::fill(now_.offset.begin(), now_.offset.end(), 0.0f);
  std::fill(flicker_.begin(), flicker_.end(), 0.0f);
  has_last_ = false;
  frames_read_ = steady_frames_ = fade_length_ = fade_done_ = 0;
  release_wanted_ = finished_ = false;
  releasing_ = !settings_->sustain.loops();
}

void NoteFrames::start_beside(const models::NoteInput& note,
                              const NoteFrames& other) noexcept AUDIOGEN_REALTIME {
  const Head& head = other.fade_length_ != 0 ? other.next_ : other.now_;
  note_ = note;
  note_.noise_stream = other.note_.noise_stream;
  now_.stream->start(note_);
  now_.stream->seek(head.frame);
  now_.frame = head.frame;
  now_.fetched = false;
  ahead_ = kNowhere;
  std::copy(head.offset.begin(), head.offset.end(), now_.offset.begin());
  std::copy(other.flicker_.begin(), other.flicker_.end(), flicker_.begin());
  has_last_ = false;
  frames_read_ = other.frames_read_;
  steady_frames_ = 0;
  fade_length_ = fade_done_ = 0;
  release_wanted_ = other.release_wanted_;
  releasing_ = other.releasing_;
  finished_ = other.finished_;
}

void NoteFrames::set_pitch(float pitch) noexcept AUDIOGEN_REALTIME {
  note_.pitch = pitch;
  ahead_ = kNowhere;
  steady_frames_ = 0;
  has_last_ = false;  // partials move to other bins, which is no flicker
  now_.set_pitch(pitch);
  if (fade_length_ != 0) next_.set_pitch(pitch);
}

void NoteFrames::set_latent(std::span<const float> z) noexcept AUDIOGEN_REALTIME {
  note_.z = z;
  ahead_ = kNowhere;
  steady_frames_ = 0;
  has_last_ = false;  // the change is no flicker
  now_.set_latent(note_);
  if (fade_length_ != 0) next_.set_latent(note_);
}

std::size_t NoteFrames::next_step() const noexcept AUDIOGEN_REALTIME {
  const Sustain& sustain = settings_->sustain;
  if (releasing_) return kNowhere;
  if (release_wanted_) return sustain.release;
  const bool loops = fade_length_ == 0 && now_.frame + loop_fade_ == sustain.loop_end;
  return loops ? sustain.loop_start : kNowhere;
}

Ahead NoteFrames::ahead() const noexcept AUDIOGEN_REALTIME {
  if (finished_) return Ahead::kNothing;
  const std::size_t step = next_step();
  if (jumps_to(step) || !now_.fetched || (fade_length_ != 0 && !next_.fetched)) {
    return Ahead::kFrame;
  }
  const bool is_held = !releasing_ && step == kNowhere && fade_length_ == 0;
  const bool is_prepared = ahead_ == settings_->sustain.release;
  return is_held && !is_prepared && steady_frames_ >= kSteadyFrames ? Ahead::kRelease
                                                                    : Ahead::kNothing;
}

void NoteFrames::work_ahead() noexcept AUDIOGEN_REALTIME {
  const Ahead what = ahead();
  if (what == Ahead::kNothing) return;
  const std::size_t step = what == Ahead::kRelease ? settings_->sustain.release : next_step();
  if (jumps_to(step)) {
    seek_ahead(step);
    fetch(next_);
  } else {
    fetch(now_.fetched ? next_ : now_);
  }
}

void NoteFrames::next(float* log_magnitude, float* frequency) noexcept AUDIOGEN_REALTIME {
  const std::size_t n_frames = settings_->generator->config().n_frames();
  if (const std::size_t step = next_step(); step != kNowhere) {
    releasing_ = release_wanted_;
    if (fade_length_ != 0) now_.swap(next_);
    step_to(step, releasing_ ? kReleaseFade : loop_fade_);
  }

  read(now_);
  if (fade_length_ != 0) fade_frame();
  note_flicker();
  ++frames_read_;
  ++steady_frames_;

  const std::size_t n = now_.log_magnitude.size();
  float loudest = kSilence;
  for (std::size_t k = 0; k < n; ++k) loudest = std::max(loudest, now_.log_magnitude[k]);
  if (releasing_) {
    const std::size_t left =
        fade_length_ != 0 ? n_frames : n_frames - std::min(n_frames, now_.frame);
    if (left < kEndFade) {
      const float gain = std::log(static_cast<float>(left + 1) / (kEndFade + 1));
      for (float& value : now_.log_magnitude) value += gain;
    }
    if (left == 0) finished_ = true;
  }
  const bool may_end = (releasing_ && settings_->sustain.loops()) || frames_read_ > kAttackFrames;
  if (loudest <= kSilence && may_end) finished_ = true;
  std::copy(now_.log_magnitude.begin(), now_.log_magnitude.end(), log_magnitude);
  std::copy(now_.frequency.begin(), now_.frequency.end(), frequency);
}

void NoteFrames::fetch(Head& head) noexcept AUDIOGEN_REALTIME {
  head.stream->next(head.image.data(), head.phase.data());
  head.fetched = true;
}

void NoteFrames::read(Head& head) noexcept AUDIOGEN_REALTIME {
  const Spectrogram& spectrogram = settings_->spectrogram;
  if (!head.fetched) fetch(head);
  head.fetched = false;
  ++head.frame;
  const float per_magnitude = 1.0f / spectrogram.magnitude_scale;
  const float per_frequency = 1.0f / spectrogram.frequency_scale;
  for (std::size_t k = 0; k < head.offset.size(); ++k) {
    head.log_magnitude[k] = (head.image[k] - spectrogram.magnitude_offset) * per_magnitude;
    head.frequency[k] = head.phase[k] * per_frequency;
  }
  if (!spectrogram.mel.empty()) spread_bands(head);
  for (std::size_t k = 0; k < head.offset.size(); ++k) head.log_magnitude[k] += head.offset[k];
}

// Converts log powers and phase advances of mel bands to log magnitudes and phase advances of
// linear bins, as `spectrogram_to_waveform` of representation/spectrogram.py does for whole clips:
// both sums, over bands and over frames, are linear, so the bands can be summed frame by frame.
void NoteFrames::spread_bands(Head& head) noexcept AUDIOGEN_REALTIME {
  const BandMap& mel = settings_->spectrogram.mel;
  for (std::size_t b = 0; b < band_power_.size(); ++b) {
    band_power_[b] = core::exp(head.log_magnitude[b]);
    band_frequency_[b] = head.frequency[b];
  }
  for (std::size_t k = 0; k < band_power_.size(); ++k) {
    float power = mel.floor, frequency = 0.0f;
    for (std::size_t i = mel.starts[k]; i < mel.starts[k + 1]; ++i) {
      power += mel.weights[i] * band_power_[mel.bands[i]];
      frequency += mel.weights[i] * band_frequency_[mel.bands[i]];
    }
    head.log_magnitude[k] = 0.5f * core::log(power);
    head.frequency[k] = frequency;
  }
}

// Prepares the same note with other noise, starting at a frame.
void NoteFrames::seek_ahead(std::size_t frame) noexcept AUDIOGEN_REALTIME {
  models::NoteInput note = note_;
  ++note.noise_stream;
  next_.stream->start(note);
  next_.stream->seek(frame);
  next_.frame = ahead_ = frame;
  next_.fetched = false;
}

void NoteFrames::step_to(std::size_t frame, std::size_t fade) noexcept AUDIOGEN_REALTIME {
  if (frame != ahead_) seek_ahead(frame);
  ahead_ = kNowhere;
  ++note_.noise_stream;
  fade_length_ = fade;
  fade_done_ = 0;
}

void NoteFrames::fade_frame() noexcept AUDIOGEN_REALTIME {
  if (fade_done_ == 0) {
    std::fill(next_.offset.begin(), next_.offset.end(), 0.0f);
    read(next_);
    match_loudness();
    for (std::size_t k = 0; k < next_.offset.size(); ++k) {
      next_.log_magnitude[k] += next_.offset[k];
    }
  } else {
    read(next_);
  }
  ++fade_done_;
  const float part = static_cast<float>(fade_done_) / static_cast<float>(fade_length_ + 1);
  for (std::size_t k = 0; k < next_.offset.size(); ++k) {
    now_.log_magnitude[k] += part * (next_.log_magnitude[k] - now_.log_magnitude[k]);
    now_.frequency[k] += part * kernels::wrap_frequency(next_.frequency[k] - now_.frequency[k]);
  }
  if (fade_done_ == fade_length_) {
    // The mixed frame is still to be returned: keep it, and continue with the other stream.
    now_.stream.swap(next_.stream);
    std::swap(now_.frame, next_.frame);
    now_.offset.swap(next_.offset);
    fade_length_ = 0;
  }
}

void NoteFrames::note_flicker() noexcept AUDIOGEN_REALTIME {
  if (has_last_) {
    for (std::size_t k = 0; k < last_.size(); ++k) {
      const float change = std::abs(now_.log_magnitude[k] - last_[k]);
      flicker_[k] += (change - flicker_[k]) * (1.0f / kFlickerFrames);
    }
  }
  std::copy(now_.log_magnitude.begin(), now_.log_magnitude.end(), last_.begin());
  has_last_ = true;
}

void NoteFrames::match_loudness() noexcept AUDIOGEN_REALTIME {
  const std::size_t n = weight_.size();
  for (std::size_t k = 0; k < n; ++k) {
    // Never 0, so that a band that has faded away still has a mean.
    weight_[k] = core::exp(std::max(now_.log_magnitude[k], kFaintest));
  }
  for (std::size_t k = 0; k < n; ++k) {
    const std::size_t first = k < kBandReach ? 0 : k - kBandReach;
    const std::size_t end = std::min(n, k + kBandReach + 1);
    double weight = 0.0, difference = 0.0, flicker = 0.0;
    for (std::size_t i = first; i < end; ++i) {
      const double w = static_cast<double>(weight_[i]);
      weight += w;
      difference += w * (now_.log_magnitude[i] - next_.log_magnitude[i]);
      flicker += w * flicker_[i];
    }
    const double mean = difference / weight;
    if (releasing_) {
      next_.offset[k] = static_cast<float>(std::min(mean, static_cast<double>(kLargestRise)));
    } else {
      const double before = static_cast<double>(now_.offset[k]);
      double moved = mean - before;
      if (moved < 0.0) moved = std::min(moved + flicker / weight, 0.0);
      next_.offset[k] = static_cast<float>(std::min(before + moved, 0.0));
    }
  }
}

}  // namespace audiogen::engine
