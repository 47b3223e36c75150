// The streaming engine.
#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace audiogen::engine {

// A note that must make room for another fades out in this part of a second.
static constexpr std::uint32_t kFadePart = 200;

static const Instrument& checked(const std::shared_ptr<const Instrument>& instrument) {
  if (!instrument) throw std::invalid_argument("engine has no instrument");
  return *instrument;
}

static std::uint32_t model_rate(const Instrument& instrument) {
  return static_cast<std::uint32_t>(std::lround(instrument.sample_rate()));
}

Engine::Engine(std::shared_ptr<const Instrument> instrument, std::uint32_t sample_rate,
               std::size_t max_block, std::size_t max_voices, std::uint64_t seed)
    : instrument_(std::move(instrument)),
      resampler_(model_rate(checked(instrument_)), sample_rate),
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
  slots_.resize(max_voices);
  for (Slot& slot : slots_) slot.voice = instrument_->make_voice();
  mix_.resize(Resampler::kLargestPush);
  fading_.resize(model_rate(*instrument_) / kFadePart);
  reset(seed);
}

void Engine::reset(std::uint64_t seed) noexcept AUDIOGEN_REALTIME {
  for (Slot& slot : slots_) slot.voice->reset();
  std::fill(fading_.begin(), fading_.end(), 0.0f);
  resampler_.reset();
  seed_ = seed;
  host_time_ = model_time_ = fading_end_ = n_notes_ = n_transposed_ = n_stolen_ = 0;
}

std::size_t Engine::n_sounding() const noexcept AUDIOGEN_REALTIME {
  std::size_t n = 0;
  for (const Slot& slot : slots_) n += slot.voice->active() ? 1 : 0;
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
    for (Slot& slot : slots_) {
      if (slot.voice->active()) slot.voice->add(mix_.data(), n);
    }
    const std::uint64_t faded = std::min(fading_end_, model_time_ + n);
    for (std::uint64_t at = model_time_; at < faded; ++at) {
      mix_[at - model_time_] += std::exchange(fading_[at % fading_.size()], 0.0f);
    }
    resampler_.push(mix_.data(), n);
    model_time_ += n;
  }
}

void Engine::handle(const Event& event) noexcept AUDIOGEN_REALTIME {
  if (event.kind == EventKind::kNoteOff) {
    for (Slot& slot : slots_) {
      if (slot.id == event.id && slot.voice->active()) slot.voice->note_off();
    }
    return;
  }
  if (!std::isfinite(event.pitch) || !std::isfinite(event.velocity)) return;
  float pitch = std::clamp(event.pitch, -128.0f, 256.0f);
  const auto [lowest, highest] = instrument_->pitch_range();
  if (pitch < lowest || pitch > highest) ++n_transposed_;
  while (pitch > highest) pitch -= 12.0f;
  while (pitch < lowest) pitch += 12.0f;

  Slot& slot = free_slot();
  slot.id = event.id;
  slot.number = n_notes_++;
  Note note;
  note.timbre = event.timbre < instrument_->n_timbres() ? event.timbre : 0;
  note.pitch = std::min(pitch, highest);  // a range of less than an octave
  note.velocity = std::clamp(event.velocity, 0.0f, 1.0f);
  // What is random in a note depends on the seed and on how many notes came before it.
  note.seed = seed_ + 0x9E3779B97F4A7C15u * slot.number;
  slot.voice->note_on(note);
}

Engine::Slot& Engine::free_slot() noexcept AUDIOGEN_REALTIME {
  Slot* chosen = &slots_.front();
  for (Slot& slot : slots_) {
    if (!slot.voice->active()) return slot;
    // Released notes go first, and of those the oldest.
    const bool released = slot.voice->released();
    const bool earlier =
        released != chosen->voice->released() ? released : slot.number < chosen->number;
    if (earlier) chosen = &slot;
  }
  ++n_stolen_;
  fade_out(*chosen->voice);
  return *chosen;
}

void Engine::fade_out(Voice& voice) noexcept AUDIOGEN_REALTIME {
  const std::size_t n = fading_.size();
  std::fill_n(mix_.begin(), n, 0.0f);
  voice.add(mix_.data(), n);
  for (std::size_t i = 0; i < n; ++i) {
    const float gain = 1.0f - static_cast<float>(i + 1) / static_cast<float>(n + 1);
    fading_[(model_time_ + i) % n] += gain * mix_[i];
  }
  fading_end_ = model_time_ + n;
}

}  // namespace audiogen::engine
