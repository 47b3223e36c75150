// Live playing: a worker thread renders ahead of the audio thread, which only passes events to it
// and reads the rendered samples.
#pragma once

#include <algorithm>
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
  std::size_t max_block = 1024;       // largest block that `process` delivers in time, samples
  std::size_t max_voices = 16;
  std::uint64_t seed = 0;
  std::size_t n_channels = 2;
  std::size_t n_inputs = 0;  // channels of the audio input; see `Engine`
  // Delay from an event to its start in the engine, samples; default: max_block plus 5 ms. Its
  // excess over max_block is the margin: how long other programs may hold up the worker.
  std::optional<std::size_t> lookahead;
  // Longest time that a note may wait for the worker to start it, samples; default: 50 ms. With 0
  // no note waits, and samples are late instead.
  std::optional<std::size_t> longest_delay;
  // Number of rendering threads, none of which is the audio thread; voices that share work use one.
  std::size_t n_threads = 1;
  // Renders within `process`, without a worker thread: the samples and the latency are the same and
  // nothing is ever late. For hosts that render faster or slower than real time.
  bool synchronous = false;
};

// An `Engine` for a sound card. Three kinds of thread never wait for each other:
//   audio    `process`: time-stamps events, passes them to the worker, reads samples
//   worker   renders samples up to the time to which all events are known
//   control  `post` and `swap`, from any number of threads, which share a lock among themselves
// The samples are those of an `Engine` with the same events, `lookahead` later, to the bit,
// whatever the block sizes. An idle worker calls `Engine::work_ahead`.
//
// Starting a note is the most expensive work, and a chord starts many at once. Notes that the
// worker cannot start in time are delayed by some milliseconds, with the events after them; those
// of a chord wait for one another and start together. If samples are late all the same, the last
// sample is held and fades to silence, late samples are dropped, so that later events keep their
// times, and the sound fades in again.
class LiveEngine {
 public:
  static constexpr std::size_t kMostEvents = 8192;  // waiting for the worker
  static constexpr std::size_t kMostPosted = 1024;  // waiting for the audio thread

  // Allocates all memory. Throws std::invalid_argument for a setting out of range.
  LiveEngine(std::shared_ptr<const Instrument> instrument, const LiveSettings& settings);
  ~LiveEngine();

  LiveEngine(const LiveEngine&) = delete;  // the worker holds a pointer to it
  LiveEngine& operator=(const LiveEngine&) = delete;

  // Audio thread.

  // Writes the next `n` samples of each channel. Events and input are those of `Engine::process`.
  // Blocks longer than max_block may be late.
  void process(std::span<float* const> out, std::size_t n, std::span<const Event> events,
               std::span<const float* const> in = {}) noexcept AUDIOGEN_REALTIME;

  // Renders within the following calls to `process` (true) or on the worker (false), with the same
  // samples and latency, for a host that changes between playing and rendering a file. Not
  // real-time: the change to true waits until the worker has rendered what it is rendering. No
  // effect if `LiveSettings::synchronous`.
  void set_offline(bool offline) noexcept;

  // For a host that asks for the next `n` samples earlier than it can be playing them: if they
  // would be late, as after `set_offline(true)`, but waits for the worker no longer than
  // `longest_s`.
  void hurry(std::size_t n, double longest_s) noexcept AUDIOGEN_REALTIME;

  // Control threads.

  // Queues an event for the start of the next block, whatever its offset. Returns false and counts
  // the event as dropped if kMostPosted events are waiting; all notes are then released.
  bool post(const Event& event);
  // Counts an event as dropped that could not be posted in time.
  void count_dropped() noexcept AUDIOGEN_REALTIME { n_dropped_.count(); }

  // Replaces the instrument at the start of the next block: sounding notes fade out in 20 ms, and
  // events posted later play the new one. Throws std::invalid_argument as the constructor does, and
  // then keeps the old one.
  void swap(std::shared_ptr<const Instrument> instrument);
  // As `swap`, with another seed than that of the settings from here on.
  void restart(std::shared_ptr<const Instrument> instrument, std::uint64_t seed);

  // Any thread.

  // Delay from an event to its sound, samples; `swap` may change it.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return latency_.get(); }
  std::size_t lookahead() const noexcept AUDIOGEN_REALTIME { return lookahead_; }
  std::size_t max_block() const noexcept AUDIOGEN_REALTIME { return settings_.max_block; }
  std::uint32_t sample_rate() const noexcept AUDIOGEN_REALTIME { return settings_.sample_rate; }
  std::size_t n_channels() const noexcept AUDIOGEN_REALTIME { return settings_.n_channels; }
  std::size_t n_inputs() const noexcept AUDIOGEN_REALTIME { return settings_.n_inputs; }
  bool synchronous() const noexcept AUDIOGEN_REALTIME { return settings_.synchronous; }

  // True if the worker has rendered up to the time to which all events are known: the next
  // `lookahead` samples won't be late.
  bool ready() const noexcept AUDIOGEN_REALTIME {
    return rendered_.load(std::memory_order_acquire) == known_.load(std::memory_order_acquire);
  }
  // Blocks for which samples were late.
  std::uint64_t n_late() const noexcept AUDIOGEN_REALTIME { return n_late_.get(); }
  // Notes that the worker started later than their events asked for.
  std::uint64_t n_delayed() const noexcept AUDIOGEN_REALTIME { return n_delayed_.get(); }
  // Events dropped because a queue was full. All notes are then released, because a note-off may
  // have been among them.
  std::uint64_t n_dropped() const noexcept AUDIOGEN_REALTIME { return n_dropped_.get(); }
  // Peak of the last block over all channels.
  float peak() const noexcept AUDIOGEN_REALTIME { return peak_.get(); }
  // Rendering time over the duration of the rendered samples, smoothed over 0.3 s: above 1 the
  // worker can't keep up. 0 if synchronous.
  float load() const noexcept AUDIOGEN_REALTIME { return load_.get(); }
  // Counts of `Engine`; the last two are sums over all instruments so far.
  std::size_t n_sounding() const noexcept AUDIOGEN_REALTIME { return n_sounding_.get(); }
  std::uint64_t n_transposed() const noexcept AUDIOGEN_REALTIME { return n_transposed_.get(); }
  std::uint64_t n_stolen() const noexcept AUDIOGEN_REALTIME { return n_stolen_.get(); }

 private:
  // The engine of one instrument. Control threads construct and delete it, the worker plays it.
  struct Player {
    Player(std::shared_ptr<const Instrument> instrument, const LiveSettings& settings);

    Engine engine;
    double start_s = 0.0;            // duration of a note's start; not measured if synchronous
    Player* next = nullptr;          // in the list of players that fade out
    std::size_t fade_left = 0;       // samples
    std::atomic<bool> done = false;  // the worker no longer uses it
  };

  // A message from the audio thread to the worker: an event, or a player to swap to.
  struct Command {
    std::uint64_t at = 0;  // samples since construction
    Event event;
    Player* player = nullptr;  // null for an event
  };

  // A number that any thread can read.
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

  // Asks the worker to park; `has_parked` says when it has.
  void park() noexcept AUDIOGEN_REALTIME;
  bool has_parked() const noexcept AUDIOGEN_REALTIME;
  bool renders_here() const noexcept AUDIOGEN_REALTIME { return settings_.synchronous || offline_; }
  void take_posted() noexcept AUDIOGEN_REALTIME;
  void take_input(std::span<const float* const> in, std::size_t from,
                  std::size_t n) noexcept AUDIOGEN_REALTIME;
  void send(Command command) noexcept AUDIOGEN_REALTIME;
  void release_lost() noexcept AUDIOGEN_REALTIME;
  void take_samples(std::span<float* const> out, std::size_t from,
                    std::size_t n) noexcept AUDIOGEN_REALTIME;
  void fade(std::span<float* const> out, std::size_t from, std::size_t n,
            std::size_t n_real) noexcept AUDIOGEN_REALTIME;

  void work();
  // Finds the next note-ons before `until` that are within 1 ms, with only note-offs among them.
  void find_chord(std::uint64_t until) noexcept AUDIOGEN_REALTIME;
  std::size_t n_unprepared() const noexcept AUDIOGEN_REALTIME {
    return n_chord_ - std::min(n_chord_, n_prepared_);
  }
  // Whether the chord has waited for half of the longest delay.
  bool chord_is_late() const noexcept AUDIOGEN_REALTIME;
  // Notes of a chord start together: if not all of it can be started in the time of `notes_left`
  // notes, prepares as many and counts them down. Returns how many notes may be started: none while
  // the chord waits, until it is late.
  std::size_t prepare_chord(std::size_t& notes_left) noexcept AUDIOGEN_REALTIME;
  // Renders at most kRenderBlock samples before `until`, and starts at most `notes_left` notes,
  // which it counts down; returns false if there was nothing to render.
  bool render_some(std::uint64_t until, std::size_t& notes_left) noexcept AUDIOGEN_REALTIME;
  void render_all(std::uint64_t until) noexcept AUDIOGEN_REALTIME;
  void add_fading(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void start(Player* player) noexcept AUDIOGEN_REALTIME;
  void replace(std::shared_ptr<const Instrument> instrument, std::optional<std::uint64_t> seed);
  void copy_parameters(Player& player) const;
  void delete_finished_players();

  const LiveSettings settings_;
  const std::size_t lookahead_;
  const std::size_t longest_delay_;

  core::Ring<Event> posted_{kMostPosted};      // control to audio
  std::atomic<bool> lost_ = false;             // control to audio: an event was not posted
  std::atomic<Player*> incoming_ = nullptr;    // control to audio; the latest swap
  core::Ring<Command> commands_{kMostEvents};  // audio to worker
  std::atomic<std::uint64_t> known_ =
      0;  // audio to worker: all events before this sample were sent
  std::atomic<std::uint64_t> rendered_ = 0;  // samples that the worker has rendered
  // Odd: the worker is to park, or has parked. Even: it renders. Each change adds 1.
  // `parked_` is the last odd number that the worker has seen, and it renders nothing after that.
  std::atomic<std::uint32_t> offline_request_ = 0;  // audio to worker
  std::atomic<std::uint32_t> parked_ = 0;           // worker to audio
  // Worker to audio, a ring per channel; the last ring is filled last, so its size is that of all.
  std::deque<core::Ring<float>> samples_;
  std::deque<core::Ring<float>> inputs_;  // audio to worker, a ring per input channel

  // Members of the audio thread.
  std::uint64_t now_ = 0;            // samples since construction
  std::uint64_t last_event_at_ = 0;  // sample of the last event
  bool release_all_ = false;         // events were dropped: send an all-off
  bool offline_ = false;             // this thread renders, and the worker is parked
  Output output_ = Output::kPlaying;
  float gain_ = 1.0f;
  float gain_step_ = 0.0f;
  std::vector<float> held_;  // the last sample of each channel, before the gain

  // Members of the worker.
  Player* player_ = nullptr;
  Player* fading_ = nullptr;   // first of the players that fade out
  std::vector<Event> events_;  // events of the samples being rendered
  std::vector<Event> chord_;   // [max_voices]; the first n_chord_ are the next chord
  std::size_t n_chord_ = 0;
  std::size_t n_prepared_ = 0;     // notes of the next chord that are prepared, the first
  std::uint64_t chord_begin_ = 0;  // sample of its first note
  bool chord_is_next_ = false;     // no event comes before it that may change its notes
  std::vector<float> block_;       // [n_channels, kRenderBlock]
  std::vector<float> tail_;        // block of a player that fades out
  std::vector<float*> block_channels_, tail_channels_;
  std::vector<float> input_;  // [n_inputs, kRenderBlock]
  std::vector<float*> input_channels_;
  std::array<Meter<bool>, kParameterCount> is_set_;       // parameters that were ever set
  std::array<Meter<float>, kParameterCount> parameters_;  // last values
  std::uint64_t n_transposed_before_ = 0;                 // by former players
  std::uint64_t n_stolen_before_ = 0;

  // Members of the control threads.
  std::mutex control_;
  std::vector<std::unique_ptr<Player>> players_;
  std::uint64_t seed_;  // of the next player

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
