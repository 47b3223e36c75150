// The audio thread of a sound card: timed events, channels, recording and counts.
#include "engine/card_output.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace audiogen::engine {

static constexpr unsigned long kOutputUnderflow = 4;  // paOutputUnderflow
static constexpr int kContinue = 0;                   // paContinue
static constexpr double kClockHz = 0.5;               // bandwidth of the clock
static constexpr std::size_t kSettling = 16;  // blocks in which a new clock follows each callback
static constexpr double kGapBlocks = 8.0;     // a callback this far off is a gap
static constexpr float kPeakFall = -3.3219281f;  // log2 of 20 dB, 1 / 10, per second

double BlockClock::start_of(std::size_t n, double now_s) noexcept AUDIOGEN_REALTIME {
  const double nominal_s = 1.0 / rate_;
  const double length_s = static_cast<double>(n) * nominal_s;
  const double error_s = now_s - next_s_;
  if (n_settled_ == 0 || std::abs(error_s) > kGapBlocks * length_s) {
    n_settled_ = 1;
    sample_s_ = nominal_s;
    next_s_ = now_s + length_s;
    return now_s;
  }
  // While the clock settles, the earliest callback sets the start: the others were late.
  if (n_settled_ < kSettling) {
    ++n_settled_;
    const double start_s = std::min(next_s_, now_s);
    next_s_ = start_s + length_s;
    return start_s;
  }
  const double omega = 2.0 * std::numbers::pi * kClockHz * length_s;
  const double start_s = next_s_;
  next_s_ += std::numbers::sqrt2 * omega * error_s + static_cast<double>(n) * sample_s_;
  if (n > 0) sample_s_ += omega * omega * error_s / static_cast<double>(n);
  return start_s;
}

static std::size_t checked_channels(std::size_t n_channels) {
  if (n_channels < 1 || n_channels > 2) {
    throw std::invalid_argument("n_channels=" + std::to_string(n_channels) + " must be 1 or 2");
  }
  return n_channels;
}

CardOutput::CardOutput(LiveEngine& live, std::size_t n_channels, std::size_t n_recorded)
    : live_(live),
      n_channels_(checked_channels(n_channels)),
      rate_(live.sample_rate()),
      recorded_(std::max<std::size_t>(1, n_recorded * live.n_channels())),
      records_(n_recorded > 0),
      clock_(rate_),
      events_(kMostTimed),
      planes_(live.n_channels() * live.max_block()),
      interleaved_(planes_.size()) {
  for (std::size_t c = 0; c < live.n_channels(); ++c) {
    channels_.push_back(planes_.data() + c * live.max_block());
  }
}

PortAudioCallback CardOutput::callback() noexcept AUDIOGEN_REALTIME { return &CardOutput::call; }

// The clock is read without a system call.
double CardOutput::now_s() noexcept AUDIOGEN_REALTIME {
  double now_s = 0.0;
  AUDIOGEN_OFFLINE(
      now_s = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
                  .count();)
  return now_s;
}

int CardOutput::call(const void* /*input*/, void* output, unsigned long n,
                     const PortAudioTime* time, unsigned long flags,
                     void* user) noexcept AUDIOGEN_REALTIME {
  const double start_s = now_s();
  static_cast<CardOutput*>(user)->fill(static_cast<float*>(output), n,
                                       (flags & kOutputUnderflow) != 0,
                                       time == nullptr ? start_s : time->current_s, start_s);
  return kContinue;
}

void CardOutput::fill(float* out, std::size_t n, bool underflow, double card_s,
                      double now_s) noexcept AUDIOGEN_REALTIME {
  count_period(n, card_s);
  if (underflow) n_underflows_.fetch_add(1, std::memory_order_relaxed);
  longest_ = std::max(longest_, n);
  const double start_s = clock_.start_of(n, now_s);
  float peak = peak_.load(std::memory_order_relaxed) *
               std::exp2(kPeakFall * static_cast<float>(static_cast<double>(n) / rate_));
  for (std::size_t done = 0; done < n;) {
    const std::size_t piece = std::min(n - done, live_.max_block());
    take_events(start_s, done, piece);
    live_.process({channels_.data(), channels_.size()}, piece, {events_.data(), n_events_});
    write(out + done * n_channels_, piece);
    peak = std::max(peak, live_.peak());
    done += piece;
  }
  peak_.store(peak, std::memory_order_relaxed);
  n_samples_.fetch_add(n, std::memory_order_relaxed);
  n_calls_.fetch_add(1, std::memory_order_release);
  calls_.push(
      Call{static_cast<float>(now_s - start_s), static_cast<float>(CardOutput::now_s() - now_s)});
}

void CardOutput::count_period(std::size_t n, double card_s) noexcept AUDIOGEN_REALTIME {
  if (card_s == period_s_) {
    period_samples_ += n;
    return;
  }
  period_.store(period_samples_, std::memory_order_relaxed);
  period_s_ = card_s;
  period_samples_ = n;
}

// Takes the events of the next `n` samples; the block began at `start_s`, `done` samples ago.
void CardOutput::take_events(double start_s, std::size_t done,
                             std::size_t n) noexcept AUDIOGEN_REALTIME {
  const double delay = static_cast<double>(longest_) + kDelivery * rate_;
  n_events_ = 0;
  std::uint32_t last = 0;
  for (const TimedEvent* timed = timed_.front(); timed != nullptr && n_events_ < events_.size();
       timed = timed_.front()) {
    const double at =
        std::floor((timed->time_s - start_s) * rate_ + delay) - static_cast<double>(done);
    if (at >= static_cast<double>(n)) break;
    if (at < 0.0 && done == 0) n_late_events_.fetch_add(1, std::memory_order_relaxed);
    Event event = timed->event;
    event.offset = last = std::max(last, static_cast<std::uint32_t>(std::max(0.0, at)));
    events_[n_events_++] = event;
    timed_.skip(1);
  }
  // After the events that are left; a note-off may have been lost.
  if (timed_.front() == nullptr && n_events_ < events_.size() &&
      lost_.exchange(false, std::memory_order_acquire)) {
    events_[n_events_++] = {last, EventKind::kAllOff, 0, 0, 0.0f, 0.0f};
  }
}

void CardOutput::write(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME {
  const std::size_t n_from = channels_.size();
  for (std::size_t i = 0; i < n; ++i) {
    if (n_channels_ < n_from) {
      out[i] = 0.5f * (channels_[0][i] + channels_[1][i]);
    } else {
      for (std::size_t c = 0; c < n_channels_; ++c) {
        out[i * n_channels_ + c] = channels_[std::min(c, n_from - 1)][i];
      }
    }
  }
  if (!records_) return;
  if (recorded_.space() < n * n_from) {  // whole blocks, so that channels are not exchanged
    n_unrecorded_.fetch_add(n, std::memory_order_relaxed);
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < n_from; ++c) interleaved_[i * n_from + c] = channels_[c][i];
  }
  recorded_.push({interleaved_.data(), n * n_from});
}

bool CardOutput::post(const Event& event, double time_s) {
  const std::lock_guard lock(control_);
  const bool posted = timed_.push(TimedEvent{event, time_s});
  if (!posted) {
    live_.count_dropped();
    lost_.store(true, std::memory_order_release);
  }
  return posted;
}

}  // namespace audiogen::engine
