// Converts MIDI bytes to events of an engine.
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

// Parses a MIDI 1.0 stream in pieces of any size. All channels play one instrument: each has its
// own keys and program, but they share the parameters. A program change selects the timbre that
// `set_programs` assigns to the program, for later notes of the channel. Supported are notes, pitch
// wheel, channel pressure, program changes, the controllers of the table of parameters, registered
// parameter 0 (pitch bend range), controller 120 and system reset (silence), 121 (reset, MIDI
// RP-015) and 123 to 127 (all notes off). System exclusive, clock and other messages are ignored.
class MidiReader {
 public:
  static constexpr std::size_t kMostEvents = 5;  // events of one byte at most
  // The reader's note ids start here; a host must give its own notes lower ids.
  static constexpr std::uint32_t kFirstId = 0x80000000u;

  struct Progress {
    std::size_t n_bytes;   // read
    std::size_t n_events;  // written
  };

  // Sets the timbres of programs, as in `Instrument::programs`; initially all select timbre 0. Like
  // `choose_timbre`, only for the thread that calls `read`.
  void set_programs(const presets::ProgramTable& programs) noexcept AUDIOGEN_REALTIME {
    table_ = programs;
  }
  // Sets the timbre of every channel until the channel's next program change.
  void choose_timbre(std::uint16_t timbre) noexcept AUDIOGEN_REALTIME {
    programs_.fill(std::nullopt);
    last_program_.reset();
    table_.default_timbre = timbre;
  }
  // Timbre of the last program change on any channel, or of a later `choose_timbre`.
  std::uint32_t timbre() const noexcept AUDIOGEN_REALTIME { return timbre_of(last_program_); }

  // Writes events with this offset. Stops before a byte if fewer than kMostEvents places are left
  // in `events`; with kMostEvents places or more each call reads at least one byte.
  Progress read(std::span<const std::uint8_t> bytes, std::uint32_t offset,
                std::span<Event> events) noexcept AUDIOGEN_REALTIME;

 private:
  static constexpr std::size_t kChannels = 16, kKeys = 128;
  static constexpr std::uint32_t kNullRpn = 127 * 128 + 127;

  // Destination of the events of the current byte.
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

  std::uint8_t status_ = 0;  // running status of a channel message; 0: none
  std::array<std::uint8_t, 2> data_{};
  std::size_t n_data_ = 0;
  std::uint32_t rpn_ = kNullRpn;  // registered parameter that controllers 6 and 38 set
  std::array<std::uint8_t, 2> bend_range_{2, 0};  // semitones, cents
  float wheel_ = 0.0f;                            // -1 to 1
  std::uint32_t n_notes_ = 0;
  presets::ProgramTable table_;
  std::array<std::optional<std::uint8_t>, kChannels> programs_{};  // none: the default timbre
  std::optional<std::uint8_t> last_program_;                       // on any channel
  std::array<std::uint32_t, kChannels * kKeys> held_{};  // id of the key's note; 0: not held
};

}  // namespace audiogen::engine
