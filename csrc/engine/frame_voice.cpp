// A note of a generator: frames become samples.
#include "engine/frame_voice.h"

#include <algorithm>
#include <cmath>

#include "core/math.h"

namespace audiogen::engine {

// Bins on each side of a partial's peak that turn with it. A Hann window's main lobe reaches 2.
static constexpr std::size_t kLobeReach = 4;

// Spreads the partials' phases, as `reference_phase` of representation/harmonic.py explains.
static constexpr double kGolden = 0.6180339887498949;

FrameVoice::FrameVoice(const FrameInstrument& instrument)
    : settings_(&instrument.settings()),
      tables_(&instrument.tables()),
      kernels_(&kernels::kernels()),
      frames_(instrument.settings()) {
  const std::size_t n = settings_->spectrogram.n_bins();
  for (auto* values : {&log_magnitude_, &frequency_, &turns_, &phase_, &advance_, &lobe_}) {
    values->resize(n);
  }
  spectrum_.resize(2 * (n + 1));
  scratch_.resize(tables_->fft().scratch_size());
  overlap_.resize(settings_->spectrogram.n_fft);
}

void FrameVoice::note_on(const Note& note) noexcept AUDIOGEN_REALTIME {
  active_ = true;
  frame_ = 0;
  const std::size_t hop = settings_->spectrogram.hop_length;
  tail_left_ = settings_->spectrogram.n_fft / hop - 1;
  std::fill(overlap_.begin(), overlap_.end(), 0.0f);
  start_phase(note.pitch);
  models::NoteInput input;
  input.z = settings_->timbres[note.timbre];
  input.pitch = note.pitch;
  input.velocity = note.velocity;
  input.seed = note.seed;
  frames_.start(input);
  // The first frames begin before the note: the hop that starts with it is ready when all of the
  // frames that cover it are.
  for (std::size_t i = 0; i < settings_->spectrogram.n_fft / hop; ++i) add_frame();
}

void FrameVoice::add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  const std::size_t hop = settings_->spectrogram.hop_length;
  while (n > 0 && active_) {
    if (read_ == hop) {
      if (frames_.finished() && tail_left_-- == 0) {
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

void FrameVoice::start_phase(float pitch) noexcept AUDIOGEN_REALTIME {
  const Spectrogram& spectrogram = settings_->spectrogram;
  const std::size_t n = turns_.size();
  if (spectrogram.phase != PhaseChannel::kHarmonic) {
    std::fill(advance_.begin(), advance_.end(), 0.0f);
    std::fill(lobe_.begin(), lobe_.end(), 0.0f);
    std::fill(turns_.begin(), turns_.end(), 0.0f);
    return;
  }
  // Double precision: high partials turn hundreds of times a frame.
  const double f0 = 440.0 * std::exp2((static_cast<double>(pitch) - 69.0) / 12.0);
  const double rate = spectrogram.sample_rate;
  const double hop = static_cast<double>(spectrogram.hop_length);
  const double pad = static_cast<double>(spectrogram.pad_front());
  const double centroid = tables_->onset_centroids().front();
  for (std::size_t k = 0; k < n; ++k) {
    const double f_bin = static_cast<double>(k + 1) * rate / static_cast<double>(spectrogram.n_fft);
    const double number = std::max(1.0, std::floor(f_bin / f0 + 0.5));
    const double harmonic = number * f0;
    const double advance = harmonic * hop / rate;
    const double lobe = (harmonic - f_bin) / rate;
    const double start = lobe * centroid - harmonic * pad / rate + 0.5 * kGolden * number * number;
    advance_[k] = static_cast<float>(advance - std::floor(advance + 0.5));
    lobe_[k] = static_cast<float>(lobe);
    turns_[k] = static_cast<float>(start - std::floor(start + 0.5));
  }
}

void FrameVoice::turn_phase() noexcept AUDIOGEN_REALTIME {
  const bool harmonic = settings_->spectrogram.phase == PhaseChannel::kHarmonic;
  if (frame_ > 0 || !harmonic) {  // a harmonic note's first phases are `start_phase`'s
    const std::vector<double>& centroids = tables_->onset_centroids();
    const float shift = frame_ == 0 || frame_ >= centroids.size()
                            ? 0.0f
                            : static_cast<float>(centroids[frame_] - centroids[frame_ - 1]);
    for (std::size_t k = 0; k < turns_.size(); ++k) {
      const float turns = turns_[k] + advance_[k] + lobe_[k] * shift + 0.5f * frequency_[k];
      turns_[k] = turns - core::round_nearest(turns).value;
    }
  }
  if (harmonic) lock_phase();
}

// All bins of one partial turn together, or it would beat with itself and fade: each bin takes the
// phase of the nearest peak of the frame, less what the window's centre of gravity makes of the
// distance. Laroche and Dolson, "Improved Phase Vocoder Time-Scale Modification of Audio", IEEE
// Trans. Speech and Audio Processing 7(3), 1999, section III-C, with the window's own phase in the
// place of an analysed one.
void FrameVoice::lock_phase() noexcept AUDIOGEN_REALTIME {
  const std::vector<double>& centroids = tables_->onset_centroids();
  const float per_bin = static_cast<float>(centroids[std::min(frame_, centroids.size() - 1)] /
                                           static_cast<double>(settings_->spectrogram.n_fft));
  const float* level = log_magnitude_.data();
  const std::size_t n = turns_.size();
  std::size_t from = 0;  // first bin that no peak has yet
  std::size_t peak = n;  // the last one found; n for none
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
        const float turns = turns_[peak] - distance * per_bin;
        if (bin != peak) turns_[bin] = turns - core::round_nearest(turns).value;
      }
      from = middle;
    }
    peak = k;
  }
}

void FrameVoice::add_frame() noexcept AUDIOGEN_REALTIME {
  const std::size_t hop = settings_->spectrogram.hop_length;
  const std::size_t n_fft = settings_->spectrogram.n_fft;
  std::copy(overlap_.begin() + static_cast<std::ptrdiff_t>(hop), overlap_.end(), overlap_.begin());
  std::fill(overlap_.end() - static_cast<std::ptrdiff_t>(hop), overlap_.end(), 0.0f);
  read_ = 0;
  if (frames_.finished()) return;

  frames_.next(log_magnitude_.data(), frequency_.data());
  turn_phase();
  ++frame_;
  const std::size_t n = turns_.size();
  for (std::size_t k = 0; k < n; ++k) phase_[k] = core::kTwoPi * turns_[k];
  // The constant bin is not generated: it stays 0.
  kernels_->polar_to_rectangular(log_magnitude_.data(), phase_.data(), spectrum_.data() + 2, n);
  const float* signal = core::inverse_real_fft(
      tables_->fft(), reinterpret_cast<const core::Complex<float>*>(spectrum_.data()),
      scratch_.data());
  const float* window = tables_->window();
  for (std::size_t i = 0; i < n_fft; ++i) overlap_[i] += window[i] * signal[i];
}

}  // namespace audiogen::engine
