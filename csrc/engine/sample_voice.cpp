// A note of a SampleRNN, from its first sample to the end of its release.
#include "engine/sample_voice.h"

#include <algorithm>
#include <cmath>

namespace audiogen::engine {

static constexpr float kQuiet = 1e-3f;  // of full scale
static constexpr double kQuietSeconds = 0.05;
static constexpr double kReleaseSeconds = 2.0;
static constexpr double kNoteFadeSeconds = 0.02;
static constexpr double kFreeFadeSeconds = 0.05;

static std::size_t samples(double seconds, const SampleSettings& settings) {
  return static_cast<std::size_t>(std::lround(seconds * settings.network->config().sample_rate));
}

SampleVoice::SampleVoice(const SampleSettings& settings)
    : settings_(&settings),
      stream_(settings.network),
      knows_notes_(settings.network->config().conditioning ==
                   models::SampleRNNConfig::Conditioning::kNote),
      fade_length_(samples(knows_notes_ ? kNoteFadeSeconds : kFreeFadeSeconds, settings)),
      longest_quiet_(samples(kQuietSeconds, settings)),
      longest_release_(knows_notes_ ? samples(kReleaseSeconds, settings) : 0) {}

void SampleVoice::note_on(const Note& note) noexcept AUDIOGEN_REALTIME {
  active_ = true;
  released_ = false;
  quiet_ = 0;
  release_left_ = longest_release_;
  fade_left_ = fade_length_;
  stream_.reset(note.seed);
  if (knows_notes_) {
    stream_.start_note(0, {note.pitch, note.velocity, note.timbre});
  } else if (settings_->network->config().n_classes > 0) {
    stream_.set_class(0, note.timbre);
  }
}

void SampleVoice::note_off() noexcept AUDIOGEN_REALTIME {
  if (released_) return;
  released_ = true;
  if (knows_notes_) stream_.release(0);
}

void SampleVoice::add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  const models::Sampling sampling{{&settings_->temperature, 1}, settings_->top_p};
  while (n > 0 && active_) {
    const std::size_t take = std::min(n, samples_.size());
    stream_.process(samples_.data(), take, sampling);
    for (std::size_t i = 0; i < take && active_; ++i) {
      out[i] += released_ ? released_gain(samples_[i]) * samples_[i] : samples_[i];
    }
    out += take;
    n -= take;
  }
}

float SampleVoice::released_gain(float sample) noexcept AUDIOGEN_REALTIME {
  if (release_left_ > 0) {
    --release_left_;
    quiet_ = std::abs(sample) < kQuiet ? quiet_ + 1 : 0;
    if (quiet_ == longest_quiet_) release_left_ = 0;
    return 1.0f;
  }
  const float gain = static_cast<float>(fade_left_) / static_cast<float>(fade_length_);
  active_ = --fade_left_ > 0;
  return gain;
}

}  // namespace audiogen::engine
