// The streaming engine: renders a block of samples from a block of events.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/realtime.h"
#include "core/smoother.h"
#include "engine/instrument.h"
#include "engine/parameters.h"
#include "engine/pool.h"
#include "engine/resampler.h"
#include "engine/reverb.h"
#include "engine/voice.h"

namespace audiogen::engine {

enum class EventKind : std::uint32_t {
  kNoteOff = 0,
  kNoteOn = 1,
  kParameter = 2,
  kAllOff = 3,
  // Expression of one note. Events before the note-on of their id hold from the note's start; the
  // engine keeps them for one such note at a time, until the id's note-off or an all-off.
  kNoteBend = 4,
  kNoteLevel = 5,
  kNoteSlide = 6,
};

// Plain data, so that it can cross threads and languages.
struct Event {
  std::uint32_t offset = 0;  // samples from the block's start, less than the block's length
  EventKind kind = EventKind::kNoteOff;
  std::uint32_t id = 0;      // parameter: its index; note-on, note-off, expression: id of the note
  std::uint32_t timbre = 0;  // note-on: index of its timbre; `listen`: timbre of the input
  float pitch = 60.0f;       // note-on: MIDI number
  float value = 1.0f;        // note-on: velocity, 0 .. 1; parameter: its new value; all-off: 0
                             // releases all notes, 1 silences them in 5 ms; bend: semitones,
                             // -48 .. 48; level: gain, 0 .. 4; slide: added to macro_1, -1 .. 1
  float pan = 0.0f;          // note-on: added to the parameter `pan`, -1 .. 1
};

// Plays one instrument. The output does not depend on the block sizes: the same events at the same
// samples give the same samples, to the bit. A note starts at the first model sample at or after
// its event, and a release takes effect from the next model sample or frame. Parameters change at
// ticks of 16 model samples. A stolen note fades out in 5 ms.
class Engine {
 public:
  // Allocates all memory. Throws std::invalid_argument for an argument out of range. `n_channels`
  // is 1 or 2; a centred note has the same level in one channel as in each of two. `n_inputs`, 0 to
  // 2, is the number of channels of the audio input, which notes continue while `listen` is on.
  // `n_threads`, 1 to 64, render voices that share no work, with the same samples; with more than
  // one, `process` is not for the audio thread.
  Engine(std::shared_ptr<const Instrument> instrument, std::uint32_t sample_rate,
         std::size_t max_block, std::size_t max_voices, std::uint64_t seed,
         std::size_t n_channels = 1, std::size_t n_inputs = 0, std::size_t n_threads = 1);

  Engine(const Engine&) = delete;  // voices hold pointers to members
  Engine& operator=(const Engine&) = delete;

  // Restores the state after construction, parameters included, with this seed.
  void reset(std::uint64_t seed) noexcept AUDIOGEN_REALTIME;

  // Writes `n` <= max_block samples to each of n_channels pointers. Events must be sorted by
  // offset. An offset beyond the block counts as the last sample and an unknown timbre as the
  // first; events with an unknown parameter or a value that is not finite are ignored. `in` has
  // n_inputs pointers to `n` samples, or none for silence. Outputs must not be inputs.
  void process(std::span<float* const> out, std::size_t n, std::span<const Event> events,
               std::span<const float* const> in = {}) noexcept AUDIOGEN_REALTIME;
  // Renders one channel without input.
  void process(float* out, std::size_t n,
               std::span<const Event> events) noexcept AUDIOGEN_REALTIME {
    process({&out, 1}, n, events);
  }

  // Does the work of starting notes that no event has started yet, on all threads: `events` are the
  // next note-ons, after those that are prepared. Returns how many of the first were prepared: none
  // while parameters move or voices share work, and no more than there are free voices. Changes no
  // sample: a note that comes with other parameters is started as usual.
  std::size_t prepare(std::span<const Event> events) noexcept AUDIOGEN_REALTIME;

  // Does part of the work of later blocks, one piece on each thread: frames that are certain to be
  // needed, then those of the case that a note is released. Returns false if there is none yet.
  // Changes no sample.
  bool work_ahead() noexcept AUDIOGEN_REALTIME;

  // Delay from an event to its sound, samples.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return resamplers_.front().latency(); }
  // Delay from an input sample to the first note-on that continues it, samples.
  std::size_t input_latency() const noexcept AUDIOGEN_REALTIME { return input_latency_; }
  std::size_t max_block() const noexcept AUDIOGEN_REALTIME { return max_block_; }
  std::size_t n_inputs() const noexcept AUDIOGEN_REALTIME { return inputs_.size(); }
  // Threads that render; 1 if the voices share work.
  std::size_t n_threads() const noexcept AUDIOGEN_REALTIME {
    return pool_ ? pool_->n_threads() : 1;
  }
  std::size_t n_channels() const noexcept AUDIOGEN_REALTIME { return resamplers_.size(); }
  // Value of a parameter; its target while it is smoothed.
  float parameter(Parameter which) const noexcept AUDIOGEN_REALTIME {
    return parameters_[static_cast<std::size_t>(which)].target();
  }
  std::size_t n_sounding() const noexcept AUDIOGEN_REALTIME;
  // Notes since reset that were transposed by octaves into the trained range.
  std::uint64_t n_transposed() const noexcept AUDIOGEN_REALTIME { return n_transposed_; }
  // Notes since reset that were stolen for a new note.
  std::uint64_t n_stolen() const noexcept AUDIOGEN_REALTIME { return n_stolen_; }

 private:
  static constexpr std::size_t kMostChannels = 2;
  using Gains = std::array<float, kMostChannels>;
  static constexpr std::size_t kMostInputs = 2;
  static constexpr std::uint64_t kTick = 16;  // model samples

  // Expression of one note: bend, level and slide, in the order of their event kinds.
  static constexpr std::size_t kExpressions = 3;
  enum : std::size_t { kBend, kLevel, kSlide };

  // Expression of a note that has not started.
  struct EarlyExpression {
    bool is_set = false;
    std::uint32_t id = 0;
    std::array<float, kExpressions> values{};
  };

  struct Slot {
    Voice* voice = nullptr;
    std::size_t voice_index = 0;   // of `voice` in voices_
    std::size_t timbre = 0;        // timbre of the note
    std::uint32_t id = 0;          // id of the note that the voice plays
    std::uint64_t number = 0;      // notes since reset before this one
    std::uint64_t start = 0;       // model time of the note's start
    double vibrato_lead = 0.0;     // the engine's at the note's start
    bool is_prepared = false;      // for the note of this number
    bool pedalled = false;         // released, and held by the pedal
    float pitch = 60.0f;           // target of the glide, MIDI number
    float glide = 0.0f;            // distance left to the target, semitones
    float glide_step = 0.0f;       // semitones per tick
    float sounding_pitch = 60.0f;  // last pitch that was passed to the voice
    float pan = 0.0f;              // pan of the note-on and of a kit's drum, -1 .. 1
    int group = 0;                 // of drums that end each other; 0 for none
    float spread = 0.0f;           // position at full `spread`, -1 .. 1
    float rise = 1.0f;             // gain of the fade-in by `attack`
    float rise_step = 0.0f;        // gain per tick
    std::array<core::Smoother, kExpressions> expression;
    // Gains at the last tick and at the next one.
    Gains gain = {1.0f, 1.0f};
    Gains next_gain = {1.0f, 1.0f};
  };

  struct Sound {
    std::size_t timbre;
    float pitch;
    float pan;
    int group = 0;
    bool is_transposed = false;
  };

  void advance(std::uint64_t until) noexcept AUDIOGEN_REALTIME;
  void push_input(std::span<const float* const> in, std::size_t from,
                  std::size_t n) noexcept AUDIOGEN_REALTIME;
  void pull_input(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void feed_input(std::size_t n) noexcept AUDIOGEN_REALTIME;
  // Whether an event changes a note whose voice has not finished its `note_on`.
  bool changes_begun(const Event& event) const noexcept AUDIOGEN_REALTIME;
  // Calls task(0) to task(n - 1) on all threads.
  template <typename Task>
  void on_threads(std::size_t n, const Task& task) noexcept AUDIOGEN_REALTIME {
    if (pool_ && n > 1) return pool_->run(n, task);
    for (std::size_t i = 0; i < n; ++i) task(i);
  }
  // Finishes what `note_on` deferred; see `Voice::begin`.
  void begin_notes() noexcept AUDIOGEN_REALTIME;
  // Renders the next samples of voices on all threads, into `ahead_`, if that is worth while.
  void render_voices(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void mix(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void mix_voice(const Slot& slot, const float* samples, std::size_t n) noexcept AUDIOGEN_REALTIME;
  void add_reverb(std::size_t n) noexcept AUDIOGEN_REALTIME;
  // Whether a parameter, gain or pitch changes at the next tick.
  bool moving() const noexcept AUDIOGEN_REALTIME;
  void tick() noexcept AUDIOGEN_REALTIME;
  Gains gains_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME;
  double vibrato_speed() const noexcept AUDIOGEN_REALTIME;
  float vibrato_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME;
  float tremolo_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME;
  // Cycles of a timbre's vibrato, whose phase differs from note to note, and share of its depth.
  std::pair<double, float> progress_of(const Slot& slot, const presets::Vibrato& own) const noexcept
      AUDIOGEN_REALTIME;
  float pitch_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME;
  Shaping shaping() const noexcept AUDIOGEN_REALTIME;
  static Shaping shaping_of(const Slot& slot, Shaping shape) noexcept AUDIOGEN_REALTIME;
  void set_morph(const Slot& slot) noexcept AUDIOGEN_REALTIME;
  bool maps() const noexcept AUDIOGEN_REALTIME {
    return value(Parameter::kTimbreMap) >= 0.5f && !instrument_->places().empty();
  }
  // Distance on the map from timbre_x and timbre_y to a timbre.
  float map_distance(std::size_t timbre) const noexcept AUDIOGEN_REALTIME;
  // The nearest timbre but `except`, which is returned if there is no other.
  std::size_t nearest_timbre(std::size_t except) const noexcept AUDIOGEN_REALTIME;

  void handle(const Event& event) noexcept AUDIOGEN_REALTIME;
  // Timbre, pitch within the trained range, pan and group of a note; none for a key without a drum
  // and for numbers that are not finite.
  std::optional<Sound> sound_of(const Event& event) const noexcept AUDIOGEN_REALTIME;
  void note_on(const Event& event) noexcept AUDIOGEN_REALTIME;
  // Sets a slot up for a note and returns what its voice plays.
  Note set_up(Slot& slot, const Event& event, const Sound& sound,
              std::uint64_t number) noexcept AUDIOGEN_REALTIME;
  void note_off(Slot& slot) noexcept AUDIOGEN_REALTIME;
  void set(const Event& event) noexcept AUDIOGEN_REALTIME;
  void express(const Event& event) noexcept AUDIOGEN_REALTIME;
  Slot& free_slot() noexcept AUDIOGEN_REALTIME;
  void steal() noexcept AUDIOGEN_REALTIME;
  void end_group(int group) noexcept AUDIOGEN_REALTIME;
  // Renders the voice's next 5 ms, faded out, into `fading_`; the voice is then free.
  void fade_out(Slot& slot) noexcept AUDIOGEN_REALTIME;
  float value(Parameter which) const noexcept AUDIOGEN_REALTIME {
    return parameters_[static_cast<std::size_t>(which)].value();
  }
  bool listens() const noexcept AUDIOGEN_REALTIME { return value(Parameter::kListen) >= 0.5f; }

  std::shared_ptr<const Instrument> instrument_;
  std::vector<Resampler> resamplers_;  // one per channel, from the model's rate to the host's
  std::vector<Resampler> inputs_;      // one per input, from the host's rate to the model's
  std::size_t input_latency_ = 0;
  std::vector<core::Smoother> parameters_;
  std::uint64_t up_;  // host rate over model rate is up_ / down_, in lowest terms
  std::uint64_t down_;
  std::size_t max_block_;
  Reverb reverb_;
  float send_ = 0.0f;  // gain into the reverb at the last tick, and at the next one
  float next_send_ = 0.0f;
  std::unique_ptr<Voices> voices_;
  std::vector<Slot> slots_;
  EarlyExpression early_;
  std::vector<float> voice_;        // samples of one voice
  std::unique_ptr<Pool> pool_;      // null if one thread renders all voices
  std::vector<float> ahead_;        // [max_voices, kShared] samples of voices
  std::vector<std::size_t> begun_;  // the first n_begun_ are slots with notes to begin
  std::size_t n_begun_ = 0;
  std::vector<Note> prepared_notes_;   // [max_voices], of the slots in `begun_` while they prepare
  std::uint64_t n_prepared_ = 0;       // notes after the last one that are prepared
  std::vector<std::size_t> computed_;  // the first n_computed_ are slots rendered in `ahead_`
  std::size_t n_computed_ = 0;
  std::vector<float> mix_[kMostChannels];
  std::vector<float> silence_;             // input of a host that passes none
  std::vector<float> input_[kMostInputs];  // at the model's rate
  // Tails of stolen notes: rings with model sample t at t modulo size.
  std::vector<float> fading_[kMostChannels];
  std::uint64_t seed_ = 0;
  std::uint64_t host_time_ = 0;           // host samples since reset
  std::uint64_t model_time_ = 0;          // model samples since reset
  double vibrato_lead_ = 0.0;             // seconds by which `vibrato_rate` advanced vibratos
  std::uint64_t fading_end_ = 0;          // model time at which the last tail ends
  std::vector<std::size_t> ahead_slots_;  // slots that work ahead, one for each thread
  std::size_t ahead_slot_ = 0;            // the last of them
  std::size_t last_slot_ = 0;             // slot of the last note, where a glide starts
  bool tick_needed_ = false;              // gains or voices lag behind the parameters
  std::uint64_t n_notes_ = 0;
  std::uint64_t n_transposed_ = 0;
  std::uint64_t n_stolen_ = 0;
};

}  // namespace audiogen::engine
