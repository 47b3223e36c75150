// Bytes of MIDI become events of an engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/realtime.h"
#include "engine/engine.h"
#include "engine/parameters.h"

namespace audiogen::engine {

// Reads a stream of MIDI 1.0, cut anywhere. All channels play the one instrument: each has its own
// keys and program, but they share the parameters. Notes, pitch wheel, channel pressure, programs,
// the controllers of the table of parameters, registered parameter 0 (range of the wheel), 120 and
// system reset (silence), 121 (reset, as MIDI's RP-015 has it) and 123 to 127 (all notes off) do
// what they say; system exclusive, the clock and the rest are passed over.
class MidiReader {
 public:
  static constexpr std::size_t kMostEvents = 5;  // that one byte can complete
  // Note numbers from here on are the reader's; a host that plays other notes numbers them below.
  static constexpr std::uint32_t kFirstId = 0x80000000u;

  struct Progress {
    std::size_t n_bytes;   // read
    std::size_t n_events;  // written
  };

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

  std::uint8_t status_ = 0;  // of a channel's message under way, and of those that follow without
  std::array<std::uint8_t, 2> data_{};
  std::size_t n_data_ = 0;
  std::uint32_t rpn_ = kNullRpn;  // the registered parameter that controllers 6 and 38 set
  std::array<std::uint8_t, 2> bend_range_{2, 0};  // semitones, cents
  float wheel_ = 0.0f;                            // -1 to 1
  std::uint32_t n_notes_ = 0;
  std::array<std::uint8_t, kChannels> programs_{};
  std::array<std::uint32_t, kChannels * kKeys> held_{};  // id of the key's note; 0: not held
};

}  // namespace audiogen::engine
