// The streaming engine: events and a block in, samples out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/realtime.h"
#include "engine/instrument.h"
#include "engine/resampler.h"
#include "engine/voice.h"

namespace audiogen::engine {

enum class EventKind : std::uint32_t { kNoteOff = 0, kNoteOn = 1 };

// Plain data, so that it can cross threads and languages.
struct Event {
  std::uint32_t offset = 0;  // samples from the block's start, less than the block's length
  EventKind kind = EventKind::kNoteOff;
  std::uint32_t id = 0;      // names the note; a note-off ends the note-on of the same id
  std::uint32_t timbre = 0;  // index into the instrument's timbres
  float pitch = 60.0f;       // MIDI number
  float velocity = 1.0f;     // 0 .. 1
};

// Plays one instrument. Whatever the blocks, the same events at the same samples give the same
// samples, to the bit: notes start at the model's sample after the event, and a release is heard
// from its next sample or frame. A note that must make room for another fades out in 5 ms.
class Engine {
 public:
  // Allocates all that it ever needs. Throws std::invalid_argument for bad arguments.
  Engine(std::shared_ptr<const Instrument> instrument, std::uint32_t sample_rate,
         std::size_t max_block, std::size_t max_voices, std::uint64_t seed);

  Engine(const Engine&) = delete;  // voices point into it
  Engine& operator=(const Engine&) = delete;

  // As new, with this seed.
  void reset(std::uint64_t seed) noexcept AUDIOGEN_REALTIME;

  // Writes `n` <= max_block samples, mono. Events are sorted by offset; those beyond the block are
  // taken at its last sample, an unknown timbre is the first, and what isn't a number is left out.
  void process(float* out, std::size_t n, std::span<const Event> events) noexcept AUDIOGEN_REALTIME;

  // Samples from an event to its sound.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return resampler_.latency(); }
  std::size_t max_block() const noexcept AUDIOGEN_REALTIME { return max_block_; }
  std::size_t n_sounding() const noexcept AUDIOGEN_REALTIME;
  // Notes since reset that were moved by octaves into the trained range.
  std::uint64_t n_transposed() const noexcept AUDIOGEN_REALTIME { return n_transposed_; }
  // Notes since reset that another note had to make room for.
  std::uint64_t n_stolen() const noexcept AUDIOGEN_REALTIME { return n_stolen_; }

 private:
  struct Slot {
    std::unique_ptr<Voice> voice;
    std::uint32_t id = 0;      // of the note that the voice plays
    std::uint64_t number = 0;  // how many notes came before it
  };

  void advance(std::uint64_t until) noexcept AUDIOGEN_REALTIME;
  void handle(const Event& event) noexcept AUDIOGEN_REALTIME;
  Slot& free_slot() noexcept AUDIOGEN_REALTIME;
  // Sets aside how a voice would go on, to be heard while it plays another note.
  void fade_out(Voice& voice) noexcept AUDIOGEN_REALTIME;

  std::shared_ptr<const Instrument> instrument_;
  Resampler resampler_;
  std::uint64_t up_;    // host samples of a common period
  std::uint64_t down_;  // model samples of it
  std::size_t max_block_;
  std::vector<Slot> slots_;
  std::vector<float> mix_;
  std::vector<float> fading_;  // ring: sample of the model's time t at t modulo its size
  std::uint64_t seed_ = 0;
  std::uint64_t host_time_ = 0;  // samples since reset
  std::uint64_t model_time_ = 0;
  std::uint64_t fading_end_ = 0;  // model's time
  std::uint64_t n_notes_ = 0;
  std::uint64_t n_transposed_ = 0;
  std::uint64_t n_stolen_ = 0;
};

}  // namespace audiogen::engine
