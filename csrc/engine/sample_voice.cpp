// Notes of a SampleRNN, from their first samples to the ends of their releases.
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

static models::Sampling sampling_of(const SampleSettings& settings) noexcept AUDIOGEN_REALTIME {
  return {{&settings.temperature, 1}, settings.top_p};
}

SampleVoice::SampleVoice(const SampleSettings& settings, models::SampleStream& streams,
                         std::size_t index, std::span<float> room)
    : settings_(&settings),
      streams_(&streams),
      index_(index),
      room_(room),
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
  ready_ = {};
  streams_->seed_stream(index_, note.seed);
  streams_->start_note(index_, {note.pitch, note.velocity, note.timbre});
}

void SampleVoice::note_off() noexcept AUDIOGEN_REALTIME {
  if (released_) return;
  released_ = true;
  if (knows_notes_) streams_->release(index_);
}

void SampleVoice::add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  while (n > 0 && active_) {
    if (ready_.empty()) {
      const std::size_t some = std::min(n, room_.size());
      float* const row = draws(some);
      streams_->process({&index_, 1}, {&row, 1}, some, sampling_of(*settings_));
    }
    const std::size_t take = std::min(n, ready_.size());
    for (std::size_t i = 0; i < take && active_; ++i) {
      out[i] += released_ ? released_gain(ready_[i]) * ready_[i] : ready_[i];
    }
    ready_ = ready_.subspan(take);
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

SampleVoices::SampleVoices(const SampleSettings& settings, std::size_t n, std::size_t most)
    : settings_(&settings),
      streams_(settings.network, n),
      samples_(n * most),
      playing_(n),
      rows_(n) {
  voices_.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    voices_.emplace_back(settings, streams_, i, std::span(samples_).subspan(i * most, most));
  }
}

void SampleVoices::prepare(std::size_t n) noexcept AUDIOGEN_REALTIME {
  std::size_t n_playing = 0;
  for (std::size_t i = 0; i < voices_.size(); ++i) {
    if (!voices_[i].active()) continue;
    playing_[n_playing] = i;
    rows_[n_playing++] = voices_[i].draws(n);
  }
  streams_.process({playing_.data(), n_playing}, {rows_.data(), n_playing}, n,
                   sampling_of(*settings_));
}

}  // namespace audiogen::engine
