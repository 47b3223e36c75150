// Fuzzer of the MIDI reader: any bytes become events that an engine understands, the same ones
// however the bytes are cut and however little room there is for events.
//
// The first byte says how the bytes are cut, the second how much room there is.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "engine/midi.h"

using audiogen::engine::Event;
using audiogen::engine::EventKind;
using audiogen::engine::MidiReader;

static void require(bool condition) {
  if (!condition) std::abort();
}

static bool understood(const Event& event) {
  if (!std::isfinite(event.pitch) || !std::isfinite(event.value)) return false;
  switch (event.kind) {
    case EventKind::kNoteOn:
      return event.pitch >= 0.0f && event.pitch <= 127.0f && event.value > 0.0f &&
             event.value <= 1.0f && event.timbre < 128;
    case EventKind::kParameter:
      return event.id < audiogen::engine::kParameterCount;
    case EventKind::kNoteBend:
      return std::abs(event.value) <= 48.0f;
    case EventKind::kNoteLevel:
      return event.value >= 1.0f && event.value <= 2.0f;
    case EventKind::kNoteSlide:
      return std::abs(event.value) <= 1.0f;
    default:
      return true;
  }
}

static std::vector<Event> read(std::span<const std::uint8_t> bytes, std::size_t piece,
                               std::size_t room) {
  MidiReader reader;
  std::vector<Event> all, now(room);
  while (!bytes.empty()) {
    const auto progress = reader.read(bytes.first(std::min(piece, bytes.size())), 7, now);
    require(progress.n_bytes <= piece && progress.n_events <= room);
    require(progress.n_bytes > 0);
    bytes = bytes.subspan(progress.n_bytes);
    all.insert(all.end(), now.begin(),
               now.begin() + static_cast<std::ptrdiff_t>(progress.n_events));
  }
  return all;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::span bytes(data + 2, size - 2);
  const std::vector<Event> whole = read(bytes, size, MidiReader::kMostEvents * size);
  const std::vector<Event> cut = read(bytes, 1 + data[0], MidiReader::kMostEvents + data[1] % 8);
  require(whole.size() == cut.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    require(std::memcmp(&whole[i], &cut[i], sizeof(Event)) == 0);
    require(understood(whole[i]) && whole[i].offset == 7);
  }
  return 0;
}
