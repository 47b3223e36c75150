// The audio thread of a sound card: the function that PortAudio calls for each block, in C++ only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "core/ring.h"
#include "engine/engine.h"
#include "engine/live_engine.h"

namespace audiogen::engine {

// The part of PortAudio's callback interface in use (portaudio.h, version 19). The library is the
// one that the caller has loaded; it is not linked.
extern "C" {
struct PortAudioTime {
  double input_s, current_s, output_s;  // by the stream's clock
};
using PortAudioCallback = int (*)(const void* input, void* output, unsigned long n,
                                  const PortAudioTime* time, unsigned long flags,
                                  void* user) noexcept AUDIOGEN_REALTIME;
}

// Estimates when blocks begin from the times of their callbacks, which have random delays: a
// second-order delay-locked loop (F. Adriaensen, "Using a DLL to filter time", Linux Audio
// Conference 2005), with a bandwidth of 0.5 Hz. After a gap it restarts.
class BlockClock {
 public:
  explicit BlockClock(double sample_rate) : rate_(sample_rate) {}

  // Returns the estimated start, s, of a block of `n` samples whose callback came at `now_s`.
  double start_of(std::size_t n, double now_s) noexcept AUDIOGEN_REALTIME;

 private:
  double rate_;
  double next_s_ = 0.0;  // estimated start of the next block
  double sample_s_ = 0.0;
  std::size_t n_settled_ = 0;  // blocks since the clock began, up to kSettling
};

// Plays a `LiveEngine` through a sound card and records what it plays. The code that opens
// the card passes `callback()` and a pointer to the object. The callback runs on the card's thread,
// and neither allocates nor waits.
//
// Events with a time (when a key was struck, by `std::chrono::steady_clock`) take effect one block
// and `kDelivery` after that time, to the sample, wherever blocks begin: the delay is constant, so
// chords and rhythms keep their timing. Events that are delivered later than that take effect at
// once and are counted.
class CardOutput {
 public:
  static constexpr std::size_t kMostTimed = 1024;  // events that wait for their time
  static constexpr double kDelivery = 1e-3;        // s; time for an event to reach `post`

  // How long after the start of its block a callback came, and how long it took.
  struct Call {
    float late_s = 0.0f;
    float lasted_s = 0.0f;
  };

  // `n_channels` of the card, 1 or 2: one channel gets the mean of the engine's two. The last
  // `n_recorded` samples per channel are kept for `read`. The engine must outlive the object.
  // Throws std::invalid_argument for an argument out of range.
  CardOutput(LiveEngine& live, std::size_t n_channels, std::size_t n_recorded = 0);

  CardOutput(const CardOutput&) = delete;  // the card holds a pointer to it
  CardOutput& operator=(const CardOutput&) = delete;

  // Audio thread.

  // Writes `n` samples of each channel, interleaved, to `out`. `card_s` is the card's time, which
  // is the same for all blocks of one period, and `now_s` that of the steady clock.
  void fill(float* out, std::size_t n, bool underflow, double card_s,
            double now_s) noexcept AUDIOGEN_REALTIME;

  // A PortAudioCallback that calls `fill`; `user` is a CardOutput.
  static PortAudioCallback callback() noexcept AUDIOGEN_REALTIME;

  // Any thread: seconds of the steady clock.
  static double now_s() noexcept AUDIOGEN_REALTIME;

  // Control threads.

  // Queues an event for its time, s of the steady clock. A time earlier than that of the
  // previous event counts as the same. Returns false if kMostTimed events are waiting.
  bool post(const Event& event, double time_s);

  // One other thread.

  // Moves recorded samples, interleaved, to `samples`; returns their number.
  std::size_t read(std::span<float> samples) noexcept { return recorded_.pop(samples); }
  std::size_t n_readable() const noexcept { return recorded_.size(); }
  // Moves the measurements of the callbacks to `calls`; returns their number.
  std::size_t read_calls(std::span<Call> calls) noexcept { return calls_.pop(calls); }

  // Any thread.

  std::size_t n_channels() const noexcept { return n_channels_; }
  std::size_t n_engine_channels() const noexcept { return live_.n_channels(); }
  std::uint64_t n_samples() const noexcept { return n_samples_.load(std::memory_order_relaxed); }
  std::uint64_t n_calls() const noexcept { return n_calls_.load(std::memory_order_relaxed); }
  // Blocks that the card missed, by its own count.
  std::uint64_t n_underflows() const noexcept {
    return n_underflows_.load(std::memory_order_relaxed);
  }
  // Events that took effect later than one block and kDelivery after their time.
  std::uint64_t n_late_events() const noexcept {
    return n_late_events_.load(std::memory_order_relaxed);
  }
  // Samples per channel that were not recorded because earlier ones were not read.
  std::uint64_t n_unrecorded() const noexcept {
    return n_unrecorded_.load(std::memory_order_relaxed);
  }
  // Length of the card's last whole period, samples.
  std::size_t period() const noexcept { return period_.load(std::memory_order_relaxed); }
  // Peak of the last blocks, falling by 20 dB per second.
  float peak() const noexcept { return peak_.load(std::memory_order_relaxed); }

 private:
  struct TimedEvent {
    Event event;
    double time_s = 0.0;
  };

  static int call(const void* input, void* output, unsigned long n, const PortAudioTime* time,
                  unsigned long flags, void* user) noexcept AUDIOGEN_REALTIME;
  void count_period(std::size_t n, double card_s) noexcept AUDIOGEN_REALTIME;
  void take_events(double start_s, std::size_t done, std::size_t n) noexcept AUDIOGEN_REALTIME;
  void write(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME;

  LiveEngine& live_;
  const std::size_t n_channels_;
  const double rate_;
  std::mutex control_;                        // of the threads that post
  core::Ring<TimedEvent> timed_{kMostTimed};  // from control threads to audio
  std::atomic<bool> lost_ = false;            // an event found it full
  core::Ring<float> recorded_;                // from audio to the thread that reads
  core::Ring<Call> calls_{4096};              // the same
  const bool records_;

  // Members of the audio thread.
  BlockClock clock_;
  std::size_t longest_ = 0;  // longest block so far, samples
  double period_s_ = -1.0;   // card's time of the current period
  std::size_t period_samples_ = 0;
  std::vector<Event> events_;  // of a piece of a block; the first n_events_
  std::size_t n_events_ = 0;
  std::vector<float> planes_;  // [n_engine_channels, max_block]
  std::vector<float*> channels_;
  std::vector<float> interleaved_;  // [max_block, n_engine_channels]

  std::atomic<std::uint64_t> n_samples_ = 0, n_calls_ = 0, n_underflows_ = 0, n_late_events_ = 0,
                             n_unrecorded_ = 0;
  std::atomic<std::size_t> period_ = 0;
  std::atomic<float> peak_ = 0.0f;
};

}  // namespace audiogen::engine
