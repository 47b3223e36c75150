// Bytes of MIDI become events of an engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/realtime.h"
#include "engine/engine.h"
#include "engine/parameters.h"
#include "presets/programs.h"

namespace audiogen::engine {

// Reads a stream of MIDI 1.0, cut anywhere. All channels play one instrument: each has its own keys
// and program, but they share the parameters. A program change chooses the timbre that
// `set_programs` assigns to it, for the notes of the channel that follow. Read are notes, pitch
// wheel, channel pressure, program changes, the controllers of the table of parameters, registered
// parameter 0 (range of the wheel), 120 and system reset (silence), 121 (reset, MIDI RP-015) and
// 123 to 127 (all notes off); system exclusive, the clock and the rest are ignored.
class MidiReader {
 public:
  static constexpr std::size_t kMostEvents = 5;  // that one byte can complete
  // Note numbers from here on are the reader's; a host that plays other notes numbers them below.
  static constexpr std::uint32_t kFirstId = 0x80000000u;

  struct Progress {
    std::size_t n_bytes;   // read
    std::size_t n_events;  // written
  };

  // Programs choose the timbres of this table, that of `Instrument::programs`; all choose timbre 0
  // before. Like `choose_timbre` for the thread that calls `read`.
  void set_programs(const presets::ProgramTable& programs) noexcept AUDIOGEN_REALTIME {
    table_ = programs;
  }
  // Notes of every channel play this timbre until the next program change of the channel.
  void choose_timbre(std::uint16_t timbre) noexcept AUDIOGEN_REALTIME {
    programs_.fill(std::nullopt);
    last_program_.reset();
    table_.default_timbre = timbre;
  }
  // The timbre that was chosen last, by a program change of any channel or by `choose_timbre`.
  std::uint32_t timbre() const noexcept AUDIOGEN_REALTIME { return timbre_of(last_program_); }

  // Writes events at `offset`. Stops before a byte for whose events there may be no room: with
  // kMostEvents places or more it goes on at every call.
  Progress read(std::span<const std::uint8_t> bytes, std::uint32_t offset,
                std::span<Event> events) noexcept AUDIOGEN_REALTIME;

 private:
  static constexpr std::size_t kChannels = 16, kKeys = 128;
  static constexpr std::uint32_t kNullRpn = 127 * 128 + 127;

  // Where the events of the present byte go.
  struct Sink {
    Event* next;
    std::uint32_t offset;
  };

  void take(std::uint8_t byte, Sink& sink) noexcept AUDIOGEN_REALTIME;
  void note_on(std::size_t channel, std::uint8_t key, std::uint8_t velocity,
               Sink& sink) noexcept AUDIOGEN_REALTIME;
  void note_off(std::size_t channel, std::uint8_t key, Sink& sink) noexcept AUDIOGEN_REALTIME;
  void all_off(bool silence, Sink& sink) noexcept AUDIOGEN_REALTIME;
  void control(std::uint8_t number, std::uint8_t value, Sink& sink) noexcept AUDIOGEN_REALTIME;
  void bend(Sink& sink) noexcept AUDIOGEN_REALTIME;
  std::uint32_t timbre_of(std::optional<std::uint8_t> program) const noexcept AUDIOGEN_REALTIME {
    return program ? table_.timbres[*program] : table_.default_timbre;
  }

  std::uint8_t status_ = 0;  // of a channel's message under way, and of those that follow without
  std::array<std::uint8_t, 2> data_{};
  std::size_t n_data_ = 0;
  std::uint32_t rpn_ = kNullRpn;  // the registered parameter that controllers 6 and 38 set
  std::array<std::uint8_t, 2> bend_range_{2, 0};  // semitones, cents
  float wheel_ = 0.0f;                            // -1 to 1
  std::uint32_t n_notes_ = 0;
  presets::ProgramTable table_;
  std::array<std::optional<std::uint8_t>, kChannels> programs_{};  // none: the default timbre
  std::optional<std::uint8_t> last_program_;                       // of any channel
  std::array<std::uint32_t, kChannels * kKeys> held_{};  // id of the key's note; 0: not held
};

}  // namespace audiogen::engine
