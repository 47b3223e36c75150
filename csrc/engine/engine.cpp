// The streaming engine.
#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

namespace audiogen::engine {

static const Instrument& checked(const std::shared_ptr<const Instrument>& instrument) {
  if (!instrument) throw std::invalid_argument("engine has no instrument");
  instrument->check();
  return *instrument;
}

static std::uint32_t model_rate(const Instrument& instrument) {
  return static_cast<std::uint32_t>(std::lround(instrument.spectrogram.sample_rate));
}

Engine::Engine(std::shared_ptr<const Instrument> instrument, std::uint32_t sample_rate,
               std::size_t max_block, std::size_t max_voices, std::uint64_t seed)
    : instrument_(std::move(instrument)),
      tables_(checked(instrument_).spectrogram),
      resampler_(model_rate(*instrument_), sample_rate),
      max_block_(max_block) {
  if (max_block < 1 || max_block > 65536) {
    throw std::invalid_argument("max_block=" + std::to_string(max_block) + "; wanted 1 to 65536");
  }
  if (max_voices < 1 || max_voices > 4096) {
    throw std::invalid_argument("max_voices=" + std::to_string(max_voices) + "; wanted 1 to 4096");
  }
  const std::uint32_t common = std::gcd(model_rate(*instrument_), sample_rate);
  up_ = sample_rate / common;
  down_ = model_rate(*instrument_) / common;
  voices_.reserve(max_voices);
  for (std::size_t i = 0; i < max_voices; ++i) voices_.emplace_back(*instrument_, tables_);
  ages_.resize(max_voices);
  mix_.resize(Resampler::kLargestPush);
  reset(seed);
}

void Engine::reset(std::uint64_t seed) noexcept AUDIOGEN_REALTIME {
  for (Voice& voice : voices_) voice.reset();
  std::fill(ages_.begin(), ages_.end(), std::uint64_t{0});
  resampler_.reset();
  seed_ = seed;
  host_time_ = model_time_ = n_notes_ = n_transposed_ = n_stolen_ = 0;
}

std::size_t Engine::n_sounding() const noexcept AUDIOGEN_REALTIME {
  std::size_t n = 0;
  for (const Voice& voice : voices_) n += voice.active() ? 1 : 0;
  return n;
}

void Engine::process(float* out, std::size_t n,
                     std::span<const Event> events) noexcept AUDIOGEN_REALTIME {
  const core::DenormalGuard guard;
  std::size_t next = 0;
  // In pieces that the resampler can hold.
  const std::size_t largest =
      std::max<std::size_t>(1, static_cast<std::size_t>(Resampler::kLargestPush * up_ / down_ / 2));
  for (std::size_t done = 0; done < n;) {
    const std::size_t piece = std::min(largest, n - done);
    const std::uint64_t end = host_time_ + piece;
    for (; next < events.size(); ++next) {
      const std::size_t offset = std::min<std::size_t>(events[next].offset, n - 1);
      if (offset >= done + piece) break;
      // The first sample of the model at or after the event.
      const std::uint64_t at = host_time_ + (offset < done ? 0 : offset - done);
      advance((at * down_ + up_ - 1) / up_);
      handle(events[next]);
    }
    advance(resampler_.needed(end - 1));
    resampler_.pull(out + done, piece);
    host_time_ = end;
    done += piece;
  }
  for (; next < events.size(); ++next) {  // of an empty block
    advance((host_time_ * down_ + up_ - 1) / up_);
    handle(events[next]);
  }
}

void Engine::advance(std::uint64_t until) noexcept AUDIOGEN_REALTIME {
  while (model_time_ < until) {
    const std::size_t n =
        static_cast<std::size_t>(std::min<std::uint64_t>(until - model_time_, mix_.size()));
    std::fill_n(mix_.begin(), n, 0.0f);
    for (Voice& voice : voices_) {
      if (voice.active()) voice.add(mix_.data(), n);
    }
    resampler_.push(mix_.data(), n);
    model_time_ += n;
  }
}

void Engine::handle(const Event& event) noexcept AUDIOGEN_REALTIME {
  if (event.kind == EventKind::kNoteOff) {
    for (Voice& voice : voices_) {
      if (voice.active() && voice.id() == event.id) voice.note_off();
    }
    return;
  }
  if (!std::isfinite(event.pitch) || !std::isfinite(event.velocity)) return;
  float pitch = std::clamp(event.pitch, -128.0f, 256.0f);
  const float lowest = instrument_->lowest_pitch, highest = instrument_->highest_pitch;
  if (pitch < lowest || pitch > highest) ++n_transposed_;
  while (pitch > highest) pitch -= 12.0f;
  while (pitch < lowest) pitch += 12.0f;
  pitch = std::min(pitch, highest);  // a range of less than an octave

  Voice& voice = free_voice();
  const std::size_t timbre = event.timbre < instrument_->timbres.size() ? event.timbre : 0;
  models::NoteInput note;
  note.z = instrument_->timbres[timbre];
  note.pitch = pitch;
  note.velocity = std::clamp(event.velocity, 0.0f, 1.0f);
  // A note's noise depends on the seed and on how many notes came before it.
  note.seed = seed_ + 0x9E3779B97F4A7C15u * n_notes_;
  voice.note_on(event.id, note);
  ages_[static_cast<std::size_t>(&voice - voices_.data())] = n_notes_++;
}

Voice& Engine::free_voice() noexcept AUDIOGEN_REALTIME {
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < voices_.size(); ++i) {
    if (!voices_[i].active()) return voices_[i];
    // Released notes go first, and of those the oldest.
    const bool earlier = voices_[i].released() != voices_[chosen].released()
                             ? voices_[i].released()
                             : ages_[i] < ages_[chosen];
    if (earlier) chosen = i;
  }
  ++n_stolen_;
  return voices_[chosen];
}

}  // namespace audiogen::engine
