// Live playing: a worker thread renders ahead of the audio thread, which only hands over events and
// takes samples.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/realtime.h"
#include "core/ring.h"
#include "engine/engine.h"
#include "engine/instrument.h"
#include "engine/parameters.h"

namespace audiogen::engine {

struct LiveSettings {
  std::uint32_t sample_rate = 48000;  // Hz
  std::size_t max_block = 1024;       // samples; of what `process` is asked for at once
  std::size_t max_voices = 16;
  std::uint64_t seed = 0;
  std::size_t n_channels = 2;
  std::size_t n_inputs = 0;  // channels of audio that notes may continue; see `Engine`
  // Samples from an event to its start in the engine; default: max_block and 5 ms. The margin, what
  // it is more than max_block, is how long the worker may be held up by other programs.
  std::optional<std::size_t> lookahead;
  // Samples that a note may wait until the worker has time to start it; default: 50 ms. With 0 none
  // waits, and samples are late in its place.
  std::optional<std::size_t> longest_delay;
  // No thread: `process` renders in place, with the same samples and the same latency, and nothing
  // is ever late. For hosts that render faster, or slower, than real time.
  bool synchronous = false;
};

// An `Engine` for a sound card. Three threads, none of which ever waits for another:
//   audio    `process`: stamps events with their sample and passes them on, takes samples
//   worker   renders them, up to the end of the time whose events are known, and never further
//   control  `post` and `swap`, from any number of threads, which share a lock among themselves
// So the samples are those of an `Engine` given the same events, `lookahead` later, to the bit,
// whatever the blocks. While it has time it does what it can of the work to come.
//
// A note's start takes the most time, and a chord's all at once. Notes that the worker can't start
// without being late wait for it, with the events after them, some milliseconds: so a large chord
// is strummed. When it is late all the same, what has been heard last fades to silence; what comes
// too late is dropped, so that events keep sounding at their times; then sound fades in again.
class LiveEngine {
 public:
  static constexpr std::size_t kMostEvents = 8192;  // that wait for the worker
  static constexpr std::size_t kMostPosted = 1024;  // that wait for the audio thread

  // Allocates all that it ever needs. Throws std::invalid_argument naming what is out of range.
  LiveEngine(std::shared_ptr<const Instrument> instrument, const LiveSettings& settings);
  ~LiveEngine();

  LiveEngine(const LiveEngine&) = delete;  // the worker points into it
  LiveEngine& operator=(const LiveEngine&) = delete;

  // The audio thread's side.

  // Writes the next `n` samples of each channel. Events and input are taken as `Engine::process`
  // takes them. More than max_block samples at once may be late.
  void process(std::span<float* const> out, std::size_t n, std::span<const Event> events,
               std::span<const float* const> in = {}) noexcept AUDIOGEN_REALTIME;

  // The control side.

  // An event for the start of the next block, whatever its offset. False, and counted, if
  // kMostPosted of them wait already.
  bool post(const Event& event);

  // From the next block's start on another instrument plays: notes that sound fade out in 20 ms,
  // and an event posted later plays on the new one. Throws std::invalid_argument as the constructor
  // does; then nothing has changed.
  void swap(std::shared_ptr<const Instrument> instrument);

  // Any thread.

  // Samples from an event to its sound; a new instrument may change it.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return latency_.get(); }
  std::size_t lookahead() const noexcept AUDIOGEN_REALTIME { return lookahead_; }
  std::size_t max_block() const noexcept AUDIOGEN_REALTIME { return settings_.max_block; }
  std::size_t n_channels() const noexcept AUDIOGEN_REALTIME { return settings_.n_channels; }
  std::size_t n_inputs() const noexcept AUDIOGEN_REALTIME { return settings_.n_inputs; }
  bool synchronous() const noexcept AUDIOGEN_REALTIME { return settings_.synchronous; }

  // True once all is rendered whose events are known: the next `lookahead` samples won't be late.
  bool ready() const noexcept AUDIOGEN_REALTIME {
    return rendered_.load(std::memory_order_acquire) == known_.load(std::memory_order_acquire);
  }
  // Blocks that lacked samples.
  std::uint64_t n_late() const noexcept AUDIOGEN_REALTIME { return n_late_.get(); }
  // Notes that waited until the worker had time to start them.
  std::uint64_t n_delayed() const noexcept AUDIOGEN_REALTIME { return n_delayed_.get(); }
  // Events that found no room. If the worker was given too many, all notes are let go after them,
  // since a note-off may be among those lost.
  std::uint64_t n_dropped() const noexcept AUDIOGEN_REALTIME { return n_dropped_.get(); }
  // Of the last block, over all channels.
  float peak() const noexcept AUDIOGEN_REALTIME { return peak_.get(); }
  // The time that the worker takes to render over the time that its samples last, smoothed over
  // 0.3 s: above 1 it can't keep up. 0 if synchronous.
  float load() const noexcept AUDIOGEN_REALTIME { return load_.get(); }
  // As `Engine` counts them; the last two over all instruments.
  std::size_t n_sounding() const noexcept AUDIOGEN_REALTIME { return n_sounding_.get(); }
  std::uint64_t n_transposed() const noexcept AUDIOGEN_REALTIME { return n_transposed_.get(); }
  std::uint64_t n_stolen() const noexcept AUDIOGEN_REALTIME { return n_stolen_.get(); }

 private:
  // The engine of one instrument. Made and deleted on the control side, played by the worker.
  struct Player {
    Player(std::shared_ptr<const Instrument> instrument, const LiveSettings& settings);

    Engine engine;
    Player* next = nullptr;          // among those that fade out
    std::size_t fade_left = 0;       // samples
    std::atomic<bool> done = false;  // the worker knows it no longer
  };

  // What the audio thread tells the worker.
  struct Command {
    std::uint64_t at = 0;  // samples since construction
    Event event;
    Player* player = nullptr;  // to play from then on; without one it's the event
  };

  // A number to be read by any thread.
  template <typename T>
  class Meter {
   public:
    T get() const noexcept AUDIOGEN_REALTIME { return value_.load(std::memory_order_relaxed); }
    void set(T value) noexcept AUDIOGEN_REALTIME { value_.store(value, std::memory_order_relaxed); }
    void count() noexcept AUDIOGEN_REALTIME { value_.fetch_add(1, std::memory_order_relaxed); }

   private:
    static_assert(std::atomic<T>::is_always_lock_free);
    std::atomic<T> value_{};
  };

  enum class Output { kPlaying, kFadingOut, kSilent, kFadingIn };

  void take_posted() noexcept AUDIOGEN_REALTIME;
  void take_input(std::span<const float* const> in, std::size_t from,
                  std::size_t n) noexcept AUDIOGEN_REALTIME;
  void send(Command command) noexcept AUDIOGEN_REALTIME;
  void take_samples(std::span<float* const> out, std::size_t from,
                    std::size_t n) noexcept AUDIOGEN_REALTIME;
  void fade(std::span<float* const> out, std::size_t from, std::size_t n,
            std::size_t n_real) noexcept AUDIOGEN_REALTIME;

  void work();
  // Renders a few samples, none from `until` on, and starts `most_notes` in them, which it counts
  // down; false if there was nothing to do.
  bool render_some(std::uint64_t until, std::size_t& most_notes) noexcept AUDIOGEN_REALTIME;
  void render_all(std::uint64_t until) noexcept AUDIOGEN_REALTIME;
  void add_fading(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void start(Player* player) noexcept AUDIOGEN_REALTIME;
  void settle(Player& player) const;
  void forget_players();

  const LiveSettings settings_;
  const std::size_t lookahead_;
  const std::size_t longest_delay_;

  core::Ring<Event> posted_{kMostPosted};      // control to audio
  std::atomic<Player*> incoming_ = nullptr;    // control to audio; the latest counts
  core::Ring<Command> commands_{kMostEvents};  // audio to worker
  std::atomic<std::uint64_t> known_ = 0;  // audio to worker: all events before this sample are sent
  std::atomic<std::uint64_t> rendered_ = 0;  // samples that the worker has rendered
  // Worker to audio, a ring for each channel; the last one is filled last and tells what is there.
  std::deque<core::Ring<float>> samples_;
  std::deque<core::Ring<float>> inputs_;  // audio to worker, a ring for each input channel

  // The audio thread's.
  std::uint64_t now_ = 0;         // samples that were asked for
  std::uint64_t last_event_ = 0;  // its sample
  bool events_lost_ = false;      // since the worker was last told
  Output output_ = Output::kPlaying;
  float gain_ = 1.0f;
  float gain_step_ = 0.0f;
  std::vector<float> held_;  // the last sample of each channel, before the gain

  // The worker's.
  Player* player_ = nullptr;
  Player* fading_ = nullptr;   // the first of a list
  std::vector<Event> events_;  // of the samples being rendered
  std::vector<float> block_;   // [n_channels, kRenderBlock]
  std::vector<float> tail_;    // the same, of a player that fades out
  std::vector<float*> block_channels_, tail_channels_;
  std::vector<float> input_;  // [n_inputs, kRenderBlock]
  std::vector<float*> input_channels_;
  std::array<Meter<bool>, kParameterCount> is_set_;       // parameters that were ever set,
  std::array<Meter<float>, kParameterCount> parameters_;  // and their values
  std::uint64_t n_transposed_before_ = 0;                 // of former players
  std::uint64_t n_stolen_before_ = 0;

  // The control side's.
  std::mutex control_;
  std::vector<std::unique_ptr<Player>> players_;

  Meter<std::size_t> latency_;
  Meter<std::uint64_t> n_late_;
  Meter<std::uint64_t> n_delayed_;
  Meter<std::uint64_t> n_dropped_;
  Meter<float> peak_;
  Meter<float> load_;
  Meter<std::size_t> n_sounding_;
  Meter<std::uint64_t> n_transposed_;
  Meter<std::uint64_t> n_stolen_;

  std::atomic<bool> stop_ = false;
  std::thread worker_;
};

}  // namespace audiogen::engine
