// The streaming engine: events and a block in, samples out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "core/smoother.h"
#include "engine/instrument.h"
#include "engine/parameters.h"
#include "engine/resampler.h"
#include "engine/voice.h"

namespace audiogen::engine {

enum class EventKind : std::uint32_t { kNoteOff = 0, kNoteOn = 1, kParameter = 2, kAllOff = 3 };

// Plain data, so that it can cross threads and languages.
struct Event {
  std::uint32_t offset = 0;  // samples from the block's start, less than the block's length
  EventKind kind = EventKind::kNoteOff;
  std::uint32_t id = 0;      // note-on, note-off: number of the note; parameter: its index
  std::uint32_t timbre = 0;  // note-on: index of its timbre; `listen`: timbre to hear the input as
  float pitch = 60.0f;       // note-on: MIDI number
  float value = 1.0f;        // note-on: velocity, 0 .. 1; parameter: its new value; all-off: 0
                             // releases all notes, 1 silences them in 5 ms
  float pan = 0.0f;          // note-on: added to the parameter `pan`, -1 .. 1
};

// Plays one instrument. Whatever the blocks, the same events at the same samples give the same
// samples, to the bit: notes start at the model's sample after the event, and a release is heard
// from its next sample or frame. Parameters move at ticks of 16 of the model's samples. A note that
// must make room for another fades out in 5 ms.
class Engine {
 public:
  // Allocates all that it ever needs. Throws std::invalid_argument for bad arguments. `n_channels`
  // is 1 or 2; a note in the middle is as loud in one channel as in each of two. `n_inputs`, 0 to
  // 2, are the channels of audio that the parameter `listen` lets notes continue.
  Engine(std::shared_ptr<const Instrument> instrument, std::uint32_t sample_rate,
         std::size_t max_block, std::size_t max_voices, std::uint64_t seed,
         std::size_t n_channels = 1, std::size_t n_inputs = 0);

  Engine(const Engine&) = delete;  // voices point into it
  Engine& operator=(const Engine&) = delete;

  // As new, with this seed; parameters, too.
  void reset(std::uint64_t seed) noexcept AUDIOGEN_REALTIME;

  // Writes `n` <= max_block samples to each of n_channels pointers. Events are sorted by offset;
  // those beyond the block are taken at its last sample, an unknown timbre is the first, and what
  // isn't a number or unknown is left out. `in` has n_inputs pointers to `n` samples, or none for
  // silence. Outputs may not be inputs.
  void process(std::span<float* const> out, std::size_t n, std::span<const Event> events,
               std::span<const float* const> in = {}) noexcept AUDIOGEN_REALTIME;
  // The same with one channel.
  void process(float* out, std::size_t n,
               std::span<const Event> events) noexcept AUDIOGEN_REALTIME {
    process({&out, 1}, n, events);
  }

  // Does a part of the work of blocks to come; false if there is none to do yet. Changes no sample.
  bool work_ahead() noexcept AUDIOGEN_REALTIME;

  // Samples from an event to its sound.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return resamplers_.front().latency(); }
  // Samples from an input to the first note-on that continues all of it.
  std::size_t input_latency() const noexcept AUDIOGEN_REALTIME { return input_latency_; }
  std::size_t max_block() const noexcept AUDIOGEN_REALTIME { return max_block_; }
  std::size_t n_inputs() const noexcept AUDIOGEN_REALTIME { return inputs_.size(); }
  std::size_t n_channels() const noexcept AUDIOGEN_REALTIME { return resamplers_.size(); }
  // Where a parameter is, or is on its way to.
  float parameter(Parameter which) const noexcept AUDIOGEN_REALTIME {
    return parameters_[static_cast<std::size_t>(which)].target();
  }
  std::size_t n_sounding() const noexcept AUDIOGEN_REALTIME;
  // Notes since reset that were moved by octaves into the trained range.
  std::uint64_t n_transposed() const noexcept AUDIOGEN_REALTIME { return n_transposed_; }
  // Notes since reset that another note had to make room for.
  std::uint64_t n_stolen() const noexcept AUDIOGEN_REALTIME { return n_stolen_; }

 private:
  static constexpr std::size_t kMostChannels = 2;
  static constexpr std::size_t kMostInputs = 2;
  static constexpr std::uint64_t kTick = 16;  // samples of the model's time

  struct Slot {
    Voice* voice = nullptr;
    std::uint32_t id = 0;      // of the note that the voice plays
    std::uint64_t number = 0;  // how many notes came before it
    bool pedalled = false;     // let go, and held by the pedal
    float pitch = 60.0f;       // that the note goes to
    float away = 0.0f;         // semitones by which it isn't there yet
    float step = 0.0f;         // semitones a tick that it comes nearer
    float sounding = 60.0f;    // pitch that the voice was told
    float pan = 0.0f;          // -1 .. 1: the note's own
    float place = 0.0f;        // -1 .. 1: where `spread` puts it
    // At the last tick and at the next.
    float gain[kMostChannels] = {1.0f, 1.0f};
    float next_gain[kMostChannels] = {1.0f, 1.0f};
  };

  void advance(std::uint64_t until) noexcept AUDIOGEN_REALTIME;
  void push_input(std::span<const float* const> in, std::size_t from,
                  std::size_t n) noexcept AUDIOGEN_REALTIME;
  void pull_input(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void hear(std::size_t n) noexcept AUDIOGEN_REALTIME;
  void mix(std::size_t n) noexcept AUDIOGEN_REALTIME;
  // Whether anything is on its way, so that ticks matter.
  bool moving() const noexcept AUDIOGEN_REALTIME;
  void tick() noexcept AUDIOGEN_REALTIME;
  float gain_of(const Slot& slot, std::size_t channel) const noexcept AUDIOGEN_REALTIME;
  float pitch_of(const Slot& slot) const noexcept AUDIOGEN_REALTIME;
  std::size_t morph_timbre() const noexcept AUDIOGEN_REALTIME;

  void handle(const Event& event) noexcept AUDIOGEN_REALTIME;
  void note_on(const Event& event) noexcept AUDIOGEN_REALTIME;
  void note_off(Slot& slot) noexcept AUDIOGEN_REALTIME;
  void set(const Event& event) noexcept AUDIOGEN_REALTIME;
  Slot& free_slot() noexcept AUDIOGEN_REALTIME;
  // Sets aside how a voice would go on, to be heard while it plays another note, or none.
  void fade_out(Slot& slot) noexcept AUDIOGEN_REALTIME;
  float value(Parameter which) const noexcept AUDIOGEN_REALTIME {
    return parameters_[static_cast<std::size_t>(which)].value();
  }
  bool listens() const noexcept AUDIOGEN_REALTIME { return value(Parameter::kListen) >= 0.5f; }

  std::shared_ptr<const Instrument> instrument_;
  std::vector<Resampler> resamplers_;  // one for each channel
  std::vector<Resampler> inputs_;      // from the host's rate to the model's
  std::size_t input_latency_ = 0;
  std::vector<core::Smoother> parameters_;
  std::uint64_t up_;    // host samples of a common period
  std::uint64_t down_;  // model samples of it
  std::size_t max_block_;
  std::unique_ptr<Voices> voices_;
  std::vector<Slot> slots_;
  std::vector<float> voice_;  // of one voice
  std::vector<float> mix_[kMostChannels];
  std::vector<float> silence_;             // one piece of the host's time
  std::vector<float> heard_[kMostInputs];  // next samples of the model's time
  std::vector<float>
      fading_[kMostChannels];  // rings: sample of the model's time t at t modulo size
  std::uint64_t seed_ = 0;
  std::uint64_t host_time_ = 0;  // samples since reset
  std::uint64_t model_time_ = 0;
  std::uint64_t fading_end_ = 0;  // model's time
  std::size_t ahead_ = 0;         // slot that last worked ahead
  std::size_t last_ = 0;          // slot of the last note, where a glide begins
  bool stale_ = false;            // a tick has something to do
  std::uint64_t n_notes_ = 0;
  std::uint64_t n_transposed_ = 0;
  std::uint64_t n_stolen_ = 0;
};

}  // namespace audiogen::engine
