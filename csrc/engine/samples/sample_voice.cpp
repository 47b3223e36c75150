// Voices of a SampleRNN: fades, releases and the continuation of an audio input.
#include "engine/samples/sample_voice.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace audiogen::engine {

static constexpr float kQuiet = 1e-3f;  // level below which a sample is quiet; full scale is 1
static constexpr double kQuietSeconds = 0.05;     // quiet time that ends a release
static constexpr double kReleaseSeconds = 2.0;    // longest release
static constexpr double kNoteFadeSeconds = 0.02;  // fade at the end of a release
// Fades of an unconditional network's notes.
static constexpr double kFadeInSeconds = 0.005;
static constexpr double kFadeOutSeconds = 0.05;

static std::size_t samples(double seconds, const SampleSettings& settings) {
  return static_cast<std::size_t>(std::lround(seconds * settings.network->config().sample_rate));
}

static bool is_conditioned_on_notes(const SampleSettings& settings) {
  return settings.network->config().conditioning == models::SampleRNNConfig::Conditioning::kNote;
}

// The rising half of a Hann window of n samples, without its zero and its one.
static std::vector<float> hann_rise(std::size_t n) {
  std::vector<float> gains(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double cycle = static_cast<double>(i + 1) / static_cast<double>(n + 1);
    gains[i] = static_cast<float>(0.5 - 0.5 * std::cos(std::numbers::pi * cycle));
  }
  return gains;
}

// Gains that fall linearly from 1 to 1 / n.
static std::vector<float> linear_fall(std::size_t n) {
  std::vector<float> gains(n);
  for (std::size_t i = 0; i < n; ++i) {
    gains[i] = static_cast<float>(n - i) / static_cast<float>(n);
  }
  return gains;
}

SampleVoice::SampleVoice(const SampleSettings& settings, models::SampleStream& streams,
                         std::size_t index, std::span<float> buffer,
                         const models::Sampling& sampling)
    : streams_(&streams),
      index_(index),
      buffer_(buffer),
      sampling_(&sampling),
      plays_notes_(is_conditioned_on_notes(settings)),
      longest_quiet_(samples(kQuietSeconds, settings)),
      longest_release_(plays_notes_ ? samples(kReleaseSeconds, settings) : 0) {
  if (plays_notes_) {
    fade_out_ = linear_fall(samples(kNoteFadeSeconds, settings));
  } else {
    fade_in_ = hann_rise(samples(kFadeInSeconds, settings));
    fade_out_ = hann_rise(samples(kFadeOutSeconds, settings));
    std::reverse(fade_out_.begin(), fade_out_.end());
  }
}

void SampleVoice::note_on(const Note& note) noexcept AUDIOGEN_REALTIME {
  active_ = true;
  released_ = false;
  ready_ = {};
  level_ = plays_notes_ ? 1.0f : note.velocity;
  step_ = 0.0;
  faded_in_ = quiet_ = 0;
  faded_out_ = 0.0;
  fade_step_ = 1.0;
  release_left_ = longest_release_;
  streams_->seed_stream(index_, note.seed);
  streams_->start_note(index_, {note.pitch, note.velocity, note.timbre});
}

void SampleVoice::continue_from(std::size_t stream, double step) noexcept AUDIOGEN_REALTIME {
  streams_->copy_state(stream, index_);
  step_ = step;
  faded_in_ = fade_in_.size();
}

void SampleVoice::note_off() noexcept AUDIOGEN_REALTIME {
  if (released_) return;
  released_ = true;
  if (!plays_notes_) {
    fade_step_ = 1.0 / stretch_of(release_);
    return;
  }
  streams_->release(index_);
  // The network can't release faster or slower: a shorter release is faded out, and a longer one
  // may last longer if the network still sounds.
  const double longest = static_cast<double>(longest_release_) * stretch_of(release_);
  release_left_ = release_ < 0.0f ? 0 : static_cast<std::size_t>(longest);
  if (release_ < 0.0f) fade_step_ = static_cast<double>(fade_out_.size()) / longest;
}

void SampleVoice::add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  while (n > 0 && active_) {
    if (ready_.empty()) {
      const std::size_t some = std::min(n, buffer_.size());
      float* const row = reserve(some);
      streams_->process({&index_, 1}, {&row, 1}, some, *sampling_);
    }
    const std::size_t take = std::min(n, ready_.size());
    for (std::size_t i = 0; i < take && active_; ++i) out[i] += shape(ready_[i]);
    ready_ = ready_.subspan(take);
    out += take;
    n -= take;
  }
}

float SampleVoice::shape(float sample) noexcept AUDIOGEN_REALTIME {
  if (plays_notes_) return released_ ? note_release_gain(sample) * sample : sample;
  if (step_ != 0.0) {
    step_ *= streams_->dc_pole();
    sample += static_cast<float>(step_);
  }
  sample *= level_;
  if (faded_in_ < fade_in_.size()) sample *= fade_in_[faded_in_++];
  if (released_) {
    sample *= fade_out_gain();
  }
  return sample;
}

float SampleVoice::fade_out_gain() noexcept AUDIOGEN_REALTIME {
  const auto i = static_cast<std::size_t>(faded_out_);
  const float part = static_cast<float>(faded_out_ - static_cast<double>(i));
  const float next = i + 1 < fade_out_.size() ? fade_out_[i + 1] : 0.0f;
  faded_out_ += fade_step_;
  active_ = faded_out_ < static_cast<double>(fade_out_.size());
  return fade_out_[i] + part * (next - fade_out_[i]);
}

float SampleVoice::note_release_gain(float sample) noexcept AUDIOGEN_REALTIME {
  if (release_left_ > 0) {
    --release_left_;
    quiet_ = std::abs(sample) < kQuiet ? quiet_ + 1 : 0;
    if (quiet_ == longest_quiet_) release_left_ = 0;
    return 1.0f;
  }
  return fade_out_gain();
}

SampleVoices::SampleVoices(const SampleSettings& settings, std::size_t n, std::size_t max_samples,
                           std::size_t n_inputs)
    : streams_(settings.network, n + (is_conditioned_on_notes(settings) ? 0 : n_inputs)),
      samples_(n * max_samples),
      playing_(n),
      rows_(n),
      max_samples_(max_samples) {
  if (settings.samples) streams_.set_table(settings.samples);
  set_sampling(settings.temperature, settings.top_p);
  voices_.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    voices_.emplace_back(settings, streams_, i,
                         std::span(samples_).subspan(i * max_samples, max_samples), sampling_);
  }
  for (std::size_t stream = n; stream < streams_.n_streams(); ++stream) {
    Listener& listener = listeners_.emplace_back();
    listener.stream = stream;
    listener.levels.resize(max_samples);
    listening_.push_back(stream);
  }
  for (const Listener& listener : listeners_) input_levels_.push_back(listener.levels.data());
}

void SampleVoices::set_sampling(float temperature, float top_p) noexcept AUDIOGEN_REALTIME {
  temperature_ = temperature;
  sampling_ = {{&temperature_, 1}, top_p};
}

void SampleVoices::prepare(std::size_t n) noexcept AUDIOGEN_REALTIME {
  std::size_t n_playing = 0;
  for (std::size_t i = 0; i < voices_.size(); ++i) {
    if (!voices_[i].active()) continue;
    playing_[n_playing] = i;
    rows_[n_playing++] = voices_[i].reserve(n);
  }
  streams_.process({playing_.data(), n_playing}, {rows_.data(), n_playing}, n, sampling_);
}

void SampleVoices::note_on(std::size_t i, const Note& note) noexcept AUDIOGEN_REALTIME {
  voices_[i].note_on(note);
  if (!note.continues || listeners_.empty()) return;
  const Listener& listener = listeners_[std::min(note.input, listeners_.size() - 1)];
  // The network was not trained to continue less than one frame.
  if (streams_.position(listener.stream) < streams_.config().frame_sizes[0]) return;
  voices_[i].continue_from(listener.stream,
                           listener.last_sample - streams_.last_output(listener.stream));
}

void SampleVoices::start_listening(std::size_t timbre) noexcept AUDIOGEN_REALTIME {
  for (Listener& listener : listeners_) {
    streams_.start_note(listener.stream, {.index = timbre});
    listener.last_sample = 0.0;
  }
}

void SampleVoices::feed_input(std::span<const float* const> channels,
                              std::size_t n) noexcept AUDIOGEN_REALTIME {
  if (listeners_.empty()) return;
  for (std::size_t done = 0; done < n;) {
    const std::size_t some = std::min(n - done, max_samples_);
    for (std::size_t c = 0; c < listeners_.size(); ++c) {
      const float* in = channels[std::min(c, channels.size() - 1)] + done;
      for (std::size_t i = 0; i < some; ++i) {
        const double sample = std::isfinite(in[i]) ? in[i] : 0.0;
        listeners_[c].levels[i] = models::level_of(streams_.config(), sample);
        listeners_[c].last_sample = sample;
      }
    }
    streams_.feed(listening_, input_levels_, some);
    done += some;
  }
}

}  // namespace audiogen::engine
