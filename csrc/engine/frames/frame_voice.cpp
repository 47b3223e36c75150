// A note of a generator: from spectrogram frames to samples.
#include "engine/frames/frame_voice.h"

#include <algorithm>
#include <cmath>

#include "core/math.h"
#include "kernels/spectra/overlap_add.h"
#include "kernels/spectra/phase.h"

namespace audiogen::engine {

// Bins on each side of a peak whose phases are locked to it. A Hann window's main lobe reaches 2.
static constexpr std::size_t kLobeReach = 4;

// Spreads the phases of the partials; see `reference_turns` of representation/harmonic.py.
static constexpr double kGolden = 0.6180339887498949;

// Semitones by which one frame after another may be transposed; beyond, the network generates the
// next frame at the new pitch. A fourth, a usual distance between the samples of a sampled
// instrument.
static constexpr float kTransposeReach = 5.0f;

// Frames after the first that a fast attack hastens through; recorded attacks last up to 160 ms.
static constexpr std::size_t kAttackSpan = 8;

// Frames between two moves of a note's latent. Each costs as much as the note's first frame,
// because the network has no row for the new latent yet; the windows of four frames overlap, which
// smooths the steps.
static constexpr std::size_t kMoveFrames = 2;

// Nats per decibel.
static constexpr float kDecibel = 0.115129255f;

// Bins on each side of a partial that `noise` leaves alone, the main lobe of a Hann window; one bin
// farther it has its whole gain.
static constexpr float kPartialReach = 2.0f;

// Log magnitude of a timbre that has ended while the one it is morphed with still sounds, nats.
static constexpr float kEnded = -60.0f;

FrameVoice::FrameVoice(const FrameInstrument& instrument)
    : instrument_(&instrument),
      settings_(&instrument.settings()),
      tables_(&instrument.tables()),
      kernels_(&kernels::kernels()),
      frame_scratch_(std::make_shared<models::FrameScratch>(*settings_->generator)),
      frames_(instrument.settings(), frame_scratch_),
      other_(instrument.settings(), frame_scratch_),
      bends_(settings_->spectrogram.phase == PhaseChannel::kHarmonic &&
             settings_->generator->config().conditioning == models::Conditioning::kHarmonic) {
  const std::size_t n = settings_->spectrogram.n_bins();
  for (auto* values : {&log_magnitude_, &frequency_, &other_log_magnitude_, &other_frequency_,
                       &turns_, &last_turns_, &phase_, &advance_, &lobe_, &pulled_log_magnitude_[0],
                       &pulled_log_magnitude_[1], &pulled_frequency_[0], &pulled_frequency_[1]}) {
    values->resize(n);
  }
  z_.resize(settings_->generator->config().latent_size);
  other_z_.resize(z_.size());
  spectrum_.resize(2 * (n + 1));
  scratch_.resize(tables_->fft().scratch_size());
  overlap_.resize(settings_->spectrogram.n_fft);
}

void FrameVoice::note_on(const Note& note) noexcept AUDIOGEN_REALTIME {
  active_ = true;
  const bool is_prepared = prepared_ == Prepared{true, note, shaping_, wanted_timbre_, morph_};
  prepared_.is_set = false;
  if (is_prepared) return;
  frame_ = 0;
  const std::size_t hop = settings_->spectrogram.hop_length;
  tail_left_ = settings_->spectrogram.n_fft / hop - 1;
  std::fill(overlap_.begin(), overlap_.end(), 0.0f);
  pitch_ = wanted_pitch_ = network_pitch_ = next_network_pitch_ = note.pitch;
  timbre_ = note.timbre;
  // Fixed for the whole note, even if the morph changes: moving them would detune it.
  note_.partials = models::Partials::interpolate(
      instrument_->partials(timbre_, note.key_pitch),
      instrument_->partials(wanted_timbre_, note.key_pitch), static_cast<double>(morph_));
  start_phase();
  macros_ = shaping_.macros;
  note_.z = instrument_->move_latent(settings_->timbres[timbre_], macros_, z_);
  pulled_ = 0;
  lag_ = 0.0f;
  has_pulled_ = false;
  note_.pitch = note.pitch;
  note_.velocity = note.velocity;
  note_.seed = note.seed;
  frames_.start(note_);
  morphing_ = begun_ = false;
}

// The first frames begin before the note: the note's first hop is finished when all frames that
// cover it have been added.
void FrameVoice::begin() noexcept AUDIOGEN_REALTIME {
  if (begun_ || !active_) return;
  begun_ = true;
  start_morph();
  const Spectrogram& spectrogram = settings_->spectrogram;
  for (std::size_t i = 0; i < spectrogram.n_fft / spectrogram.hop_length; ++i) add_frame();
}

void FrameVoice::prepare(const Note& note) noexcept AUDIOGEN_REALTIME {
  note_on(note);
  begin();
  active_ = false;
  prepared_ = {true, note, shaping_, wanted_timbre_, morph_};
}

void FrameVoice::add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  begin();
  const std::size_t hop = settings_->spectrogram.hop_length;
  while (n > 0 && active_) {
    if (read_ == hop) {
      if (finished() && tail_left_-- == 0) {
        active_ = false;
        return;
      }
      add_frame();
    }
    const std::size_t take = std::min(n, hop - read_);
    for (std::size_t i = 0; i < take; ++i) out[i] += overlap_[read_ + i];
    read_ += take;
    out += take;
    n -= take;
  }
}

Ahead FrameVoice::ahead() const noexcept AUDIOGEN_REALTIME {
  if (!active_) return Ahead::kNothing;
  if (!begun_) return Ahead::kFrame;
  return morphing_ ? std::max(frames_.ahead(), other_.ahead()) : frames_.ahead();
}

void FrameVoice::work_ahead() noexcept AUDIOGEN_REALTIME {
  if (!active_) return;
  begin();
  if (morphing_ && other_.ahead() > frames_.ahead()) return other_.work_ahead();
  frames_.work_ahead();
}

static double hz(float pitch) noexcept AUDIOGEN_REALTIME {
  return 440.0 * std::exp2((static_cast<double>(pitch) - 69.0) / 12.0);
}

// A phase in turns, minus its whole turns.
static float turn(double turns) noexcept AUDIOGEN_REALTIME {
  return static_cast<float>(turns - std::floor(turns + 0.5));
}

double FrameVoice::centroid(std::size_t frame) const noexcept AUDIOGEN_REALTIME {
  const std::vector<double>& centroids = tables_->onset_centroids();
  return centroids[std::min(frame, centroids.size() - 1)];
}

void FrameVoice::start_phase() noexcept AUDIOGEN_REALTIME {
  const Spectrogram& spectrogram = settings_->spectrogram;
  const std::size_t n = turns_.size();
  if (spectrogram.phase != PhaseChannel::kHarmonic) {
    std::fill(advance_.begin(), advance_.end(), 0.0f);
    std::fill(lobe_.begin(), lobe_.end(), 0.0f);
    std::fill(turns_.begin(), turns_.end(), 0.0f);
    return;
  }
  make_advance();
  const double f0 = hz(pitch_);
  const double rate = spectrogram.sample_rate;
  const double pad = static_cast<double>(spectrogram.pad_front());
  models::PartialPositions positions(note_.partials);
  for (std::size_t k = 0; k < n; ++k) {
    const double f_bin = static_cast<double>(k + 1) * rate / static_cast<double>(spectrogram.n_fft);
    const double number = positions.at(f_bin / f0).nearest();
    const double partial = note_.partials.ratio(number) * f0;
    const double lobe = (partial - f_bin) / rate;
    turns_[k] = turn(lobe * centroid(0) - partial * pad / rate + 0.5 * kGolden * number * number);
  }
}

// Computes the phase advance per frame of the partials at the current pitch, in double precision:
// high partials make hundreds of turns per frame.
void FrameVoice::make_advance() noexcept AUDIOGEN_REALTIME {
  const Spectrogram& spectrogram = settings_->spectrogram;
  const double f0 = hz(pitch_);
  const double rate = spectrogram.sample_rate;
  const double hop = static_cast<double>(spectrogram.hop_length);
  models::PartialPositions positions(note_.partials);
  for (std::size_t k = 0; k < turns_.size(); ++k) {
    const double f_bin = static_cast<double>(k + 1) * rate / static_cast<double>(spectrogram.n_fft);
    const double partial = positions.nearest_ratio(f_bin / f0) * f0;
    advance_[k] = turn(partial * hop / rate);
    lobe_[k] = static_cast<float>((partial - f_bin) / rate);
  }
}

// Phases of the next frame when the pitch has changed since the last one, so that a partial's peak
// has moved to another bin. Its phase at the window's centre of gravity is read at the old bin,
// advanced to the next centre at the mean of both frequencies, and written at the new bin.
// (Advanced from the windows' beginnings instead, overlapping frames would cancel each other.)
void FrameVoice::move_pitch() noexcept AUDIOGEN_REALTIME {
  const Spectrogram& spectrogram = settings_->spectrogram;
  const double before = hz(pitch_), f0 = hz(wanted_pitch_);
  pitch_ = wanted_pitch_;
  make_advance();
  std::copy(turns_.begin(), turns_.end(), last_turns_.begin());
  const double rate = spectrogram.sample_rate;
  const double width = rate / static_cast<double>(spectrogram.n_fft);
  const double old_centre_s = centroid(frame_ - 1) / rate, centre_s = centroid(frame_) / rate;
  const double time_s =
      static_cast<double>(spectrogram.hop_length) / rate + centre_s - old_centre_s;
  const double last = static_cast<double>(turns_.size() - 1);
  models::PartialPositions positions(note_.partials);
  for (std::size_t k = 0; k < turns_.size(); ++k) {
    const double f_bin = static_cast<double>(k + 1) * width;
    const double ratio = positions.nearest_ratio(f_bin / f0);
    const double was = std::clamp(std::floor(ratio * before / width - 0.5), 0.0, last);
    const double turns = last_turns_[static_cast<std::size_t>(was)];
    const double centre = turns + (was + 1.0) * width * old_centre_s;
    turns_[k] = turn(centre + 0.5 * ratio * (before + f0) * time_s - f_bin * centre_s +
                     0.5 * static_cast<double>(frequency_[k]));
  }
}

void FrameVoice::turn_phase() noexcept AUDIOGEN_REALTIME {
  const bool harmonic = settings_->spectrogram.phase == PhaseChannel::kHarmonic;
  if (frame_ > 0 && wanted_pitch_ != pitch_) {
    move_pitch();
  } else if (frame_ > 0 || !harmonic) {  // a harmonic note's first phases are `start_phase`'s
    const std::vector<double>& centroids = tables_->onset_centroids();
    const float shift = frame_ == 0 || frame_ >= centroids.size()
                            ? 0.0f
                            : static_cast<float>(centroids[frame_] - centroids[frame_ - 1]);
    for (std::size_t k = 0; k < turns_.size(); ++k) {
      turns_[k] = kernels::advance_turns(turns_[k] + advance_[k], lobe_[k] * shift, frequency_[k]);
    }
  }
  if (harmonic) lock_phase();
}

// Locks the phases of all bins of a partial, which would otherwise cancel each other: each bin
// takes the phase of the frame's nearest peak, minus its distance in bins times the phase slope
// that the window's centre of gravity causes. Laroche and Dolson, "Improved Phase Vocoder
// Time-Scale Modification of Audio", IEEE Trans. Speech and Audio Processing 7(3), 1999, section
// III-C, with the window's own phase in place of an analysed one.
void FrameVoice::lock_phase() noexcept AUDIOGEN_REALTIME {
  const float per_bin =
      static_cast<float>(centroid(frame_) / static_cast<double>(settings_->spectrogram.n_fft));
  const float* level = log_magnitude_.data();
  const std::size_t n = turns_.size();
  std::size_t from = 0;  // first bin that is not yet locked to a peak
  std::size_t peak = n;  // the last peak; n before the first one
  for (std::size_t k = 1; k <= n; ++k) {
    const bool is_peak =
        k < n && level[k] > level[k - 1] && (k + 1 == n || level[k] >= level[k + 1]);
    if (!is_peak && k < n) continue;
    if (peak < n) {
      const std::size_t middle = k < n ? (peak + k) / 2 + 1 : n;
      const std::size_t end = std::min(peak + kLobeReach + 1, middle);
      for (std::size_t bin = std::max(from, peak < kLobeReach ? 0 : peak - kLobeReach); bin < end;
           ++bin) {
        const float distance = static_cast<float>(bin) - static_cast<float>(peak);
        if (bin != peak) turns_[bin] = kernels::wrap_turns(turns_[peak] - distance * per_bin);
      }
      from = middle;
    }
    peak = k;
  }
}

// Half the logarithm of the power of a frame, nats.
static float frame_level(const std::vector<float>& level) noexcept AUDIOGEN_REALTIME {
  float loudest = level[0];
  for (const float value : level) loudest = std::max(loudest, value);
  double power = 0.0;
  for (const float value : level) {
    power += static_cast<double>(core::exp(2.0f * (value - loudest)));
  }
  return loudest + 0.5f * core::log(static_cast<float>(power));
}

// Changes the balance of high and low partials (`tilt`) and of partials and the noise between them
// (`noise`). The frame's power stays: attack, decay and loudness are the network's.
void FrameVoice::shape_spectrum() noexcept AUDIOGEN_REALTIME {
  if (shaping_.tilt == 0.0f && shaping_.noise == 0.0f) return;
  const Spectrogram& spectrogram = settings_->spectrogram;
  const float size = static_cast<float>(spectrogram.n_fft);
  const float per_f0 = static_cast<float>(spectrogram.sample_rate / hz(pitch_)) / size;
  const float slope = kDecibel * shaping_.tilt / 0.693147181f;  // nats per factor of e
  const float noise = kDecibel * shaping_.noise;
  const float before = frame_level(log_magnitude_);
  for (std::size_t k = 0; k < log_magnitude_.size(); ++k) {
    const float ratio = std::max(1.0f, static_cast<float>(k + 1) * per_f0);
    const float distance = std::abs(lobe_[k]) * size;  // bins from the nearest partial
    const float between = std::clamp(distance - kPartialReach, 0.0f, 1.0f);
    log_magnitude_[k] += slope * core::log(ratio) + noise * between;
  }
  const float change = before - frame_level(log_magnitude_);
  for (float& level : log_magnitude_) level += change;
}

bool FrameVoice::finished() const noexcept AUDIOGEN_REALTIME {
  return frames_.finished() && (!morphing_ || other_.finished());
}

void FrameVoice::next_frame() noexcept AUDIOGEN_REALTIME {
  if (shaping_.attack < 0.0f || shaping_.release != 0.0f || lag_ > 0.0f) {
    pull_frames();
  } else {
    has_pulled_ = false;
    pull_frame();
  }
  if (wanted_pitch_ != network_pitch_) transpose();
}

// Pulls frames at another speed than one per hop, which changes the duration of the attack or the
// release but not the pitch, because the voice integrates the phase. Frames between two pulled ones
// are interpolated; log magnitudes are, so an exponential decay stays one.
void FrameVoice::pull_frames() noexcept AUDIOGEN_REALTIME {
  float distance = 1.0f;  // from the last pulled frame to the wanted one
  if (frames_.released() && shaping_.release != 0.0f) {
    distance = stretch_of(-shaping_.release) - lag_;
  } else if (shaping_.attack < 0.0f && pulled_ > 0 && pulled_ <= kAttackSpan) {
    distance = stretch_of(-shaping_.attack) - lag_;
  }
  const float network_pitch = network_pitch_;
  for (; distance > 0.0f && !finished(); distance -= 1.0f) {
    pull_frame();
    for (auto* frames : {pulled_log_magnitude_, pulled_frequency_}) frames[0].swap(frames[1]);
    std::copy(log_magnitude_.begin(), log_magnitude_.end(), pulled_log_magnitude_[1].begin());
    std::copy(frequency_.begin(), frequency_.end(), pulled_frequency_[1].begin());
    // The frame before is missing after frames at the usual speed, and at another pitch its
    // partials lie in other bins.
    if (!has_pulled_ || network_pitch_ != network_pitch) {
      std::copy(log_magnitude_.begin(), log_magnitude_.end(), pulled_log_magnitude_[0].begin());
      std::copy(frequency_.begin(), frequency_.end(), pulled_frequency_[0].begin());
    }
    has_pulled_ = true;
  }
  lag_ = std::max(0.0f, -distance);
  for (std::size_t k = 0; k < log_magnitude_.size(); ++k) {
    const float level = pulled_log_magnitude_[1][k], frequency = pulled_frequency_[1][k];
    log_magnitude_[k] = level + lag_ * (pulled_log_magnitude_[0][k] - level);
    frequency_[k] = frequency + lag_ * kernels::wrap_frequency(pulled_frequency_[0][k] - frequency);
  }
}

// Moves the latents of a sounding note to where the macros are.
void FrameVoice::move_latents() noexcept AUDIOGEN_REALTIME {
  macros_ = shaping_.macros;
  note_.z = instrument_->move_latent(settings_->timbres[timbre_], macros_, z_);
  frames_.set_latent(note_.z);
  if (morphing_) {
    other_.set_latent(
        instrument_->move_latent(settings_->timbres[other_timbre_], macros_, other_z_));
  }
}

void FrameVoice::start_morph() noexcept AUDIOGEN_REALTIME {
  const bool was_morphing = morphing_;
  const bool wanted = morph_ > 0.0f && !frames_.finished();
  morphing_ = wanted || (was_morphing && morph_ > 0.0f);
  if (!wanted || (was_morphing && other_timbre_ == wanted_timbre_)) return;
  other_timbre_ = wanted_timbre_;
  models::NoteInput note = note_;
  note.z = instrument_->move_latent(settings_->timbres[other_timbre_], macros_, other_z_);
  note.pitch = next_network_pitch_;
  other_.start_beside(note, frames_);
}

void FrameVoice::pull_frame() noexcept AUDIOGEN_REALTIME {
  ++pulled_;
  network_pitch_ = next_network_pitch_;
  mix_timbres();
  plan_frame();
}

void FrameVoice::plan_frame() noexcept AUDIOGEN_REALTIME {
  if (std::abs(wanted_pitch_ - next_network_pitch_) > kTransposeReach) {
    next_network_pitch_ = wanted_pitch_;
    frames_.set_pitch(next_network_pitch_);
    if (morphing_) other_.set_pitch(next_network_pitch_);
  }
  if (shaping_.macros != macros_ && !settings_->macros.empty() && (frame_ + 1) % kMoveFrames == 0) {
    move_latents();
  }
  if (morphing_ && frames_.releasing()) other_.release();
  start_morph();
}

// Interpolates log magnitude and frequency between two timbres. Interpolated there instead of
// between samples, a tone halfway between two is one tone.
void FrameVoice::mix_timbres() noexcept AUDIOGEN_REALTIME {
  const bool first = !frames_.finished(), second = morphing_ && !other_.finished();
  if (first) frames_.next(log_magnitude_.data(), frequency_.data());
  if (!second && !(morphing_ && first)) return;
  if (second) other_.next(other_log_magnitude_.data(), other_frequency_.data());
  for (std::size_t k = 0; k < log_magnitude_.size(); ++k) {
    // A timbre that has ended is silent and has no frequency.
    const float from = first ? log_magnitude_[k] : kEnded;
    const float to = second ? other_log_magnitude_[k] : kEnded;
    log_magnitude_[k] = from + morph_ * (to - from);
    if (!second) continue;
    if (!first) frequency_[k] = other_frequency_[k];
    frequency_[k] += morph_ * kernels::wrap_frequency(other_frequency_[k] - frequency_[k]);
  }
}

// Transposes a frame from the network's pitch to the wanted one. At ten times the cost, the network
// could compute all its rows again for each frame of a moving pitch. Log magnitudes are
// interpolated cubically, which preserves the height of a window's lobe, nearly a parabola. Phase
// advances are those of the nearest bin, because all bins of a partial have the same.
void FrameVoice::transpose() noexcept AUDIOGEN_REALTIME {
  const std::size_t n = log_magnitude_.size();
  const double ratio = hz(network_pitch_) / hz(wanted_pitch_);
  std::copy(log_magnitude_.begin(), log_magnitude_.end(), other_log_magnitude_.begin());
  std::copy(frequency_.begin(), frequency_.end(), other_frequency_.begin());
  const std::vector<float>& level = other_log_magnitude_;
  const double last = static_cast<double>(n - 1);
  for (std::size_t k = 0; k < n; ++k) {
    const double from = std::clamp(static_cast<double>(k + 1) * ratio - 1.0, 0.0, last);
    const std::size_t i = std::min(static_cast<std::size_t>(from), n - 2);
    const float t = static_cast<float>(from - static_cast<double>(i));
    const float b = level[i], c = level[i + 1];
    float a = level[i == 0 ? 0 : i - 1], d = level[std::min(i + 2, n - 1)];
    // At least the value of the parabola through the other three: a lobe's neighbour may be empty.
    const float least_a = d + 3.0f * (b - c), least_d = a + 3.0f * (c - b);
    a = std::max(a, least_a);
    d = std::max(d, least_d);
    // Catmull-Rom.
    log_magnitude_[k] =
        b + 0.5f * t *
                (c - a + t * (2.0f * a - 5.0f * b + 4.0f * c - d + t * (3.0f * (b - c) + d - a)));
    frequency_[k] = other_frequency_[t < 0.5f ? i : i + 1];
  }
}

void FrameVoice::add_frame() noexcept AUDIOGEN_REALTIME {
  const std::size_t hop = settings_->spectrogram.hop_length;
  const std::size_t n_fft = settings_->spectrogram.n_fft;
  kernels::overlap_add_shift(overlap_.data(), n_fft, hop);
  read_ = 0;
  if (finished()) return;

  next_frame();
  turn_phase();
  shape_spectrum();
  ++frame_;
  const std::size_t n = turns_.size();
  for (std::size_t k = 0; k < n; ++k) phase_[k] = core::kTwoPi * turns_[k];
  // The DC bin is not generated: it stays 0.
  kernels_->polar_to_rectangular(log_magnitude_.data(), phase_.data(), spectrum_.data() + 2, n);
  const float* signal = core::inverse_real_fft(
      tables_->fft(), reinterpret_cast<const core::Complex<float>*>(spectrum_.data()),
      scratch_.data());
  kernels::overlap_add_frame(signal, tables_->window(), n_fft, overlap_.data());
}

}  // namespace audiogen::engine
