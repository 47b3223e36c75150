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
// own keys and program, but they share the parameters. A program change selects the timbre and the
// transposition that `set_programs` assigns to the program, for later notes of the channel.
// Supported are notes, pitch wheel, channel pressure, program changes, the controllers of the table
// of parameters, registered parameter 0 (pitch bend range), controller 120 and system reset
// (silence), 121 (reset, MIDI RP-015) and 123 to 127 (all notes off). Key pressure raises the level
// of the key's note, to twice the gain. System exclusive, clock and other messages are ignored.
//
// Registered parameter 6 on channel 1 or 16 configures a zone of MPE ("MIDI Polyphonic Expression",
// MIDI Association, M1-100-UM, 2018): its value is the number of member channels, upwards from
// channel 2 or downwards from 15; 0 ends the zone. Held notes are released, because their channels'
// controllers no longer act on them as before. Wheel, pressure and controller 74 of a member
// channel then act on its notes alone, as bend (range 48 semitones unless registered parameter 0 on
// a member channel says otherwise), level and slide. They hold for later notes of the channel, too.
// Other controllers of member channels are ignored, except 120 and 123 to 127. A program change on
// the master channel applies to the whole zone.
class MidiReader {
 public:
  static constexpr std::size_t kMostEvents = 5;  // events of one byte at most
  // The reader's note ids start here; a host must give its own notes lower ids.
  static constexpr std::uint32_t kFirstId = 0x80000000u;

  struct Progress {
    std::size_t n_bytes;   // read
    std::size_t n_events;  // written
  };

  // Sets the timbres and transpositions of programs, as in `Instrument::programs`; initially all
  // select timbre 0. Like
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
  static constexpr float kMiddleKey = 60.0f;
  static constexpr std::uint32_t kNullRpn = 127 * 128 + 127;
  // Held notes of a member channel that its expression follows, the newest; a controller with a
  // channel for each note needs one.
  static constexpr std::size_t kFollowed = 4;
  static_assert(kFollowed <= kMostEvents);

  struct BendRange {
    std::uint8_t semitones, cents;
  };

  // A member channel of a zone.
  struct Member {
    float wheel = 0.0f;  // -1 to 1
    float level = 1.0f;
    float slide = 0.0f;
    std::array<std::uint32_t, kFollowed> notes{};  // ids, the newest first; 0: none
  };

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
  void control(std::size_t channel, std::uint8_t number, std::uint8_t value,
               Sink& sink) noexcept AUDIOGEN_REALTIME;
  void configure_zone(std::size_t zone, std::size_t n_members,
                      Sink& sink) noexcept AUDIOGEN_REALTIME;
  bool is_member(std::size_t channel) const noexcept AUDIOGEN_REALTIME {
    return (channel > 0 && channel <= n_members_[0]) ||
           (channel < kChannels - 1 && channel + n_members_[1] >= kChannels - 1);
  }
  // Emits an event of expression for the notes of a member channel.
  static void express(const Member& member, EventKind kind, float value,
                      Sink& sink) noexcept AUDIOGEN_REALTIME;
  float member_bend(const Member& member) const noexcept AUDIOGEN_REALTIME;
  std::uint32_t timbre_of(std::optional<std::uint8_t> program) const noexcept AUDIOGEN_REALTIME {
    return program ? table_.timbres[*program] : table_.default_timbre;
  }
  float pitch_of(std::uint8_t key,
                 std::optional<std::uint8_t> program) const noexcept AUDIOGEN_REALTIME {
    if (!program) return static_cast<float>(key);
    const float distance = static_cast<float>(key) - kMiddleKey;
    return kMiddleKey + table_.semitones_per_key[*program] * distance +
           static_cast<float>(table_.transposes[*program]);
  }

  std::uint8_t status_ = 0;  // running status of a channel message; 0: none
  std::array<std::uint8_t, 2> data_{};
  std::size_t n_data_ = 0;
  std::uint32_t rpn_ = kNullRpn;  // registered parameter that controllers 6 and 38 set
  BendRange bend_range_{2, 0};
  BendRange member_bend_range_{48, 0};
  std::array<std::size_t, 2> n_members_{};   // of the lower and the upper zone
  std::array<Member, kChannels> members_{};  // by channel
  std::uint32_t n_notes_ = 0;
  presets::ProgramTable table_;
  std::array<std::optional<std::uint8_t>, kChannels> programs_{};  // none: the default timbre
  std::optional<std::uint8_t> last_program_;                       // on any channel
  std::array<std::uint32_t, kChannels * kKeys> held_{};  // id of the key's note; 0: not held
};

}  // namespace audiogen::engine
