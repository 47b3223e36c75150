// MIDI becomes the same events however it is cut; what is broken or foreign in it does no harm.
#include "engine/midi.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "allocation_counter.h"
#include "check.h"

using namespace audiogen::engine;

using Bytes = std::vector<std::uint8_t>;

static std::vector<Event> read_on(MidiReader& reader, const Bytes& bytes, std::uint32_t offset = 0,
                                  std::size_t places = 64, std::size_t at_once = 1000) {
  std::vector<Event> events, some(places);
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t n = std::min(at_once, bytes.size() - done);
    const MidiReader::Progress progress = reader.read({bytes.data() + done, n}, offset, some);
    CHECK(progress.n_bytes > 0 && progress.n_bytes <= n && progress.n_events <= places);
    events.insert(events.end(), some.begin(),
                  some.begin() + static_cast<std::ptrdiff_t>(progress.n_events));
    done += progress.n_bytes;
  }
  return events;
}

static std::vector<Event> read(const Bytes& bytes) {
  MidiReader reader;
  return read_on(reader, bytes);
}

static bool same(const std::vector<Event>& a, const std::vector<Event>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Event& x, const Event& y) {
    return x.offset == y.offset && x.kind == y.kind && x.id == y.id && x.timbre == y.timbre &&
           x.pitch == y.pitch && x.value == y.value;
  });
}

static bool is_on(const Event& event, float pitch, int velocity, std::uint32_t timbre = 0) {
  return event.kind == EventKind::kNoteOn && event.pitch == pitch &&
         event.value == static_cast<float>(velocity) / 127.0f && event.timbre == timbre;
}

static bool is_off(const Event& event, const Event& on) {
  return event.kind == EventKind::kNoteOff && event.id == on.id;
}

static bool is_all_off(const std::vector<Event>& events, float value) {
  return events.size() == 1 && events[0].kind == EventKind::kAllOff && events[0].value == value;
}

// The one event moves this parameter, and to this value.
static bool moves(const std::vector<Event>& events, Parameter parameter, double value) {
  return events.size() == 1 && events[0].kind == EventKind::kParameter &&
         events[0].id == static_cast<std::uint32_t>(parameter) &&
         std::abs(events[0].value - value) < 1e-6;
}

static void notes() {
  MidiReader reader;
  const std::vector<Event> events = read_on(
      reader, {0x90, 60, 127, 0x93, 60, 1, 0x80, 60, 64, 0x93, 60, 0, 0x83, 60, 0, 0x85, 1, 1}, 77);
  CHECK(events.size() == 4);
  CHECK(is_on(events[0], 60.0f, 127) && is_on(events[1], 60.0f, 1));
  CHECK(events[0].id != events[1].id);
  CHECK(is_off(events[2], events[0]) && is_off(events[3], events[1]));
  for (const Event& event : events) CHECK(event.offset == 77);
}

static void struck_again() {
  // Let go before: two ids, each ended by its own note-off.
  std::vector<Event> events = read({0x90, 50, 9, 0x80, 50, 0, 0x90, 50, 8, 0x80, 50, 0});
  CHECK(events.size() == 4 && is_off(events[1], events[0]) && is_off(events[3], events[2]));
  CHECK(events[0].id != events[2].id);
  // Not let go before: the first one is, so that it can't hang.
  events = read({0x90, 50, 9, 50, 8, 50, 0, 50, 0});
  CHECK(events.size() == 4 && is_off(events[1], events[0]) && is_on(events[2], 50.0f, 8));
  CHECK(is_off(events[3], events[2]) && events[0].id != events[2].id);
}

static void ids_stay_apart() {
  MidiReader reader;
  std::vector<std::uint32_t> ids;
  for (int round = 0; round < 3; ++round) {
    for (int channel = 0; channel < 16; ++channel) {
      for (const int key : {0, 1, 127}) {
        const auto status = static_cast<std::uint8_t>(0x90 + channel);
        const auto events = read_on(
            reader, {status, static_cast<std::uint8_t>(key), 5, static_cast<std::uint8_t>(key), 0});
        CHECK(events.size() == 2 && is_off(events[1], events[0]));
        ids.push_back(events[0].id);
      }
    }
  }
  std::sort(ids.begin(), ids.end());
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end() && ids.front() > 0);
}

static void running_status_and_what_breaks_it() {
  // Clock and active sensing between any two bytes; they break nothing.
  std::vector<Event> events =
      read({0xF8, 0x90, 0xFE, 60, 0xF8, 100, 62, 0xFA, 90, 0xFC, 64, 0xF8, 0xF8, 80});
  CHECK(events.size() == 3 && is_on(events[0], 60.0f, 100) && is_on(events[1], 62.0f, 90) &&
        is_on(events[2], 64.0f, 80));
  // System exclusive, long, or cut off by another message; and what comes after it without status.
  Bytes bytes = {0x90, 60, 1, 0xF0, 0x7E};
  bytes.insert(bytes.end(), 100'000, 60);
  for (const std::uint8_t byte : {0xF7, 61, 1, 0x90, 62, 1, 0xF0, 1, 2, 0x90, 63, 1}) {
    bytes.push_back(byte);
  }
  events = read(bytes);
  CHECK(events.size() == 3 && is_on(events[0], 60.0f, 1) && is_on(events[1], 62.0f, 1) &&
        is_on(events[2], 63.0f, 1));
  // Messages of the system end the running status; a message cut off by another is dropped.
  CHECK(
      read({0x90, 60, 1, 0xF1, 5, 60, 0, 0xF2, 1, 2, 60, 0, 0xF3, 1, 60, 0, 0xF6, 60, 0}).size() ==
      1);
  events = read({0x90, 60, 0x91, 61, 7, 0xB0, 7, 0x90, 62, 7});
  CHECK(events.size() == 2 && is_on(events[0], 61.0f, 7) && is_on(events[1], 62.0f, 7));
  // Data without any status; pressure of a key.
  CHECK(read({60, 1, 0xF7, 60, 1}).empty() && read({0xA0, 60, 1, 61, 1}).empty());
}

static void programs() {
  // Without a table all programs choose timbre 0.
  const Bytes bytes = {0xC2, 5, 0x92, 60, 1, 0x90, 60, 1, 0xC2, 3, 127, 0x92, 61, 1};
  for (const Event& event : read(bytes)) CHECK(event.timbre == 0);
  audiogen::presets::ProgramTable table;
  table.timbres[5] = 3;
  table.timbres[127] = 300;
  table.default_timbre = 2;
  table.transposes[5] = -12;
  table.transposes[0] = 7;  // not of a channel without a program
  MidiReader reader;
  reader.set_programs(table);
  std::vector<Event> events = read_on(reader, bytes);
  CHECK(events.size() == 3 && is_on(events[0], 48.0f, 1, 3) && is_on(events[1], 60.0f, 1, 2) &&
        is_on(events[2], 61.0f, 1, 300));
  // Another instrument gives the same programs other timbres.
  table.timbres[127] = 1;
  reader.set_programs(table);
  events = read_on(reader, {0x92, 62, 1});
  CHECK(events.size() == 1 && is_on(events[0], 62.0f, 1, 1) && reader.timbre() == 1);
  // A timbre that is chosen otherwise holds until the next program change of a channel.
  reader.choose_timbre(7);
  CHECK(reader.timbre() == 7);
  events = read_on(reader, {0x92, 63, 1, 0xC1, 5, 0x91, 64, 1, 0x92, 65, 1});
  CHECK(is_on(events[0], 63.0f, 1, 7) && is_on(events[1], 52.0f, 1, 3) && reader.timbre() == 3);
  CHECK(is_on(events[2], 65.0f, 1, 7));
}

static void keys_of_a_program_may_be_less_than_semitones_apart() {
  audiogen::presets::ProgramTable table;
  table.semitones_per_key[116] = 0.5f;
  table.transposes[116] = -14;
  MidiReader reader;
  reader.set_programs(table);
  const std::vector<Event> events =
      read_on(reader, {0x90, 71, 1, 0xC0, 116, 0x90, 60, 1, 0x90, 72, 1, 0x90, 35, 1});
  CHECK(is_on(events[0], 71.0f, 1) && is_on(events[1], 46.0f, 1) && is_on(events[2], 52.0f, 1) &&
        is_on(events[3], 33.5f, 1));
}

static void parameters() {
  CHECK(moves(read({0xE0, 0, 64}), Parameter::kPitchWheel, 0.0));
  CHECK(moves(read({0xE0, 127, 127}), Parameter::kPitchWheel, 1.0));
  CHECK(moves(read({0xE5, 0, 0}), Parameter::kPitchWheel, -1.0));
  CHECK(moves(read({0xE0, 1, 64}), Parameter::kPitchWheel, 1.0 / 8191));
  CHECK(moves(read({0xD0, 127}), Parameter::kVibrato, 0.5));
  CHECK(moves(read({0xD0, 0}), Parameter::kVibrato, 0.0));
  CHECK(moves(read({0xB0, 7, 0}), Parameter::kVolume, 0.0));
  CHECK(moves(read({0xB0, 7, 64}), Parameter::kVolume, 0.5));
  CHECK(moves(read({0xBF, 7, 127}), Parameter::kVolume, 1.0));
  CHECK(moves(read({0xB0, 11, 64}), Parameter::kExpression, 0.5));
  CHECK(moves(read({0xB0, 10, 0}), Parameter::kPan, -1.0));
  CHECK(moves(read({0xB0, 10, 64}), Parameter::kPan, 0.0));
  CHECK(moves(read({0xB0, 10, 127}), Parameter::kPan, 1.0));
  CHECK(moves(read({0xB0, 5, 127}), Parameter::kGlide, info(Parameter::kGlide).highest));
  CHECK(moves(read({0xB0, 1, 32}), Parameter::kVibrato, 0.125));
  CHECK(moves(read({0xD0, 32}), Parameter::kVibrato, 0.125));
  CHECK(moves(read({0xB0, 16, 32}), Parameter::kMorph, 0.25));
  CHECK(moves(read({0xB0, 64, 63}), Parameter::kSustain, 0.0));
  CHECK(moves(read({0xB0, 64, 64}), Parameter::kSustain, 1.0));
  CHECK(read({0xB0, 0, 1, 2, 3, 65, 127, 119, 1, 122, 1}).empty());
  for (const ParameterInfo& parameter : kParameters) {  // ends of all others, too
    if (parameter.controller < 0) continue;
    const auto number = static_cast<std::uint8_t>(parameter.controller);
    CHECK(read({0xB0, number, 0})[0].value == parameter.lowest);
    const float highest = parameter.controller == 1 ? 0.5f : parameter.highest;  // modulation
    CHECK(read({0xB0, number, 127})[0].value == highest);
  }
}

static void bend_range() {
  MidiReader reader;
  const std::vector<Event> events =
      read_on(reader, {0xB0, 101, 0, 100, 0, 6, 12, 38, 50, 0xE0, 127, 127});
  CHECK(events.size() == 3 && moves({events[0]}, Parameter::kBendRange, 12.0) &&
        moves({events[1]}, Parameter::kBendRange, 12.5) &&
        moves({events[2]}, Parameter::kPitchWheel, 1.0));
  CHECK(moves(read_on(reader, {0xB0, 6, 127}), Parameter::kBendRange, 48.0));
  // The null parameter, another one, and a manufacturer's take no range.
  for (const Bytes& other :
       {Bytes{0xB0, 101, 127, 100, 127, 6, 7}, Bytes{0xB0, 101, 0, 100, 1, 6, 7},
        Bytes{0xB0, 101, 0, 100, 0, 98, 0, 6, 7}}) {
    CHECK(read_on(reader, other).empty());
  }
  // A reset chooses the null parameter, too.
  read_on(reader, {0xB0, 101, 0, 100, 0, 121, 0});
  CHECK(read_on(reader, {0xB0, 6, 7}).empty());
}

static void ends_of_all() {
  CHECK(is_all_off(read({0xB0, 120, 0}), 1.0f) && is_all_off(read({0xFF}), 1.0f));
  for (const std::uint8_t number : {123, 124, 125, 126, 127}) {
    CHECK(is_all_off(read({0xB3, number, 0}), 0.0f));
  }
  // No note-off follows for a note that has ended so.
  const std::vector<Event> events =
      read({0x90, 60, 1, 0x94, 60, 1, 0xB0, 123, 0, 0x80, 60, 0, 0x84, 60, 0, 0x90, 60, 2});
  CHECK(events.size() == 4 && is_on(events[3], 60.0f, 2));

  const std::vector<Event> reset = read({0xB0, 121, 0});
  CHECK(reset.size() == 4);
  for (const Parameter parameter :
       {Parameter::kPitchWheel, Parameter::kVibrato, Parameter::kSustain}) {
    CHECK(std::any_of(reset.begin(), reset.end(),
                      [&](const Event& event) { return moves({event}, parameter, 0.0); }));
  }
  CHECK(moves({reset[3]}, Parameter::kExpression, 1.0));
}

// Any bytes, cut anywhere, into any room: the same events, all within bounds.
static void any_bytes_in_any_pieces() {
  std::mt19937 random(1);
  Bytes bytes(20'000);
  for (std::uint8_t& byte : bytes) {
    byte = static_cast<std::uint8_t>(random() % 3 == 0 ? random() % 256 : random() % 128);
  }
  MidiReader first;
  const std::vector<Event> whole = read_on(first, bytes, 3, 40'000, bytes.size());
  CHECK(whole.size() > 1000);
  for (const std::size_t at_once : {1, 2, 3, 100, 20'000}) {
    for (const std::size_t places : {MidiReader::kMostEvents, std::size_t{5}, std::size_t{64}}) {
      MidiReader reader;
      CHECK(same(read_on(reader, bytes, 3, places, at_once), whole));
    }
  }
  bool fine = true;
  for (const Event& event : whole) {
    if (event.kind == EventKind::kParameter) {
      fine &= event.id < kParameterCount && event.value >= kParameters[event.id].lowest &&
              event.value <= kParameters[event.id].highest;
    } else if (event.kind == EventKind::kNoteOn) {
      fine &= event.pitch >= 0.0f && event.pitch <= 127.0f && event.value > 0.0f &&
              event.value <= 1.0f && event.id >= 2048 && event.timbre < 128;
    }
  }
  CHECK(fine);
  // Without room nothing is read, and nothing is lost.
  MidiReader reader;
  std::vector<Event> few(MidiReader::kMostEvents - 1);
  const Bytes note = {0x90, 60, 1};
  const MidiReader::Progress progress = reader.read(note, 0, few);
  CHECK(progress.n_bytes == 0 && progress.n_events == 0);
  CHECK(read_on(reader, note).size() == 1);
}

static bool expresses(const Event& event, EventKind kind, const Event& on, double value) {
  return event.kind == kind && event.id == on.id && std::abs(event.value - value) < 1e-5;
}

// Wheel, pressure and controller 74 of a member channel are those of its notes, and hold from the
// start of later ones; the master channel's are those of all.
static void members_of_a_zone_express_notes() {
  MidiReader reader;
  const auto read = [&](const Bytes& bytes) { return read_on(reader, bytes); };
  // Channels 2 to 4.
  CHECK(moves(read({0xB0, 101, 0, 100, 6, 6, 3}), Parameter::kBendRange, 2.0));
  const Event first = read({0x91, 60, 100})[0], second = read({0x92, 64, 100})[0];
  std::vector<Event> events = read({0xE1, 127, 127});
  CHECK(events.size() == 1 && expresses(events[0], EventKind::kNoteBend, first, 48.0));
  events = read({0xD2, 127});
  CHECK(events.size() == 1 && expresses(events[0], EventKind::kNoteLevel, second, 2.0));
  events = read({0xB2, 74, 0, 74, 64, 74, 127});
  CHECK(events.size() == 3 && expresses(events[0], EventKind::kNoteSlide, second, -1.0) &&
        expresses(events[1], EventKind::kNoteSlide, second, 0.0) &&
        expresses(events[2], EventKind::kNoteSlide, second, 1.0));
  CHECK(moves(read({0xE0, 127, 127}), Parameter::kPitchWheel, 1.0));
  CHECK(moves(read({0xB0, 74, 127}), Parameter::kMacro1, 1.0));
  CHECK(moves(read({0xE4, 0, 0}), Parameter::kPitchWheel, -1.0));  // channel 5 is of no zone
  CHECK(read({0xB2, 7, 1, 64, 127, 121, 0}).empty());

  events = read({0x82, 64, 0, 0x92, 65, 100});
  CHECK(events.size() == 4 && is_off(events[0], second) && is_on(events[3], 65.0f, 100));
  CHECK(expresses(events[1], EventKind::kNoteLevel, events[3], 2.0));
  CHECK(expresses(events[2], EventKind::kNoteSlide, events[3], 1.0));
  CHECK(read({0xB1, 101, 0, 100, 0, 6, 12}).empty());  // range of all members
  events = read({0xE2, 0, 0});
  CHECK(events.size() == 1 && events[0].value == -12.0f);

  // The upper zone takes the members that it needs; 0 members end a zone.
  CHECK(read({0xBF, 101, 0, 100, 6}).empty());
  events = read({0xBF, 6, 13});  // channels 3 to 15; held notes end
  CHECK(events.size() == 2 && events[0].kind == EventKind::kAllOff && events[0].value == 0.0f);
  CHECK(moves({events[1]}, Parameter::kBendRange, 2.0));
  CHECK(read({0x82, 65, 0}).empty());
  CHECK(moves(read({0xEF, 0, 0}), Parameter::kPitchWheel, -1.0));
  CHECK(read({0x9E, 50, 1, 0xEE, 0, 0}).size() == 2);
  events = read({0xBF, 6, 0, 0xB0, 6, 0});
  CHECK(events.size() == 3 && events[0].kind == EventKind::kAllOff);
  CHECK(moves(read({0xEE, 0, 0}), Parameter::kPitchWheel, -1.0));
}

static void a_crowded_member_channel_follows_its_newest_notes() {
  MidiReader reader;
  read_on(reader, {0xB0, 101, 0, 100, 6, 6, 15});
  const std::vector<Event> on = read_on(
      reader, {0x95, 60, 1, 0x95, 61, 1, 0x95, 62, 1, 0x95, 63, 1, 0x95, 64, 1, 0x95, 65, 1});
  CHECK(on.size() == 6);
  const std::vector<Event> bends = read_on(reader, {0x85, 64, 0, 0xE5, 0, 96});
  CHECK(bends.size() == 4 && is_off(bends[0], on[4]));
  for (std::size_t i = 1; i < bends.size(); ++i) {
    CHECK(expresses(bends[i], EventKind::kNoteBend, on[std::array{0, 5, 3, 2}[i]],
                    48.0 * 4096.0 / 8191.0));
  }
}

static void key_pressure_raises_a_note() {
  MidiReader reader;
  const Event on = read_on(reader, {0x90, 60, 100})[0];
  const std::vector<Event> events = read_on(reader, {0xA0, 60, 127, 0xA0, 61, 127, 0xA1, 60, 5});
  CHECK(events.size() == 1 && expresses(events[0], EventKind::kNoteLevel, on, 2.0));
}

static void never_allocates() {
  MidiReader reader;
  std::vector<Event> events(16);
  const Bytes bytes = {0x90, 60,  1, 60,  2, 0xE0, 1, 1,    0xB0, 121, 0,    123, 0,
                       0xB0, 101, 0, 100, 6, 6,    9, 0x91, 60,   9,   0xE1, 9,   9};
  const int before = allocations;
  for (int i = 0; i < 100; ++i) reader.read(bytes, 0, events);
  CHECK(allocations == before);
  static_assert(noexcept(reader.read({}, 0, {})));
}

int main() {
  notes();
  struck_again();
  ids_stay_apart();
  running_status_and_what_breaks_it();
  programs();
  keys_of_a_program_may_be_less_than_semitones_apart();
  parameters();
  bend_range();
  ends_of_all();
  members_of_a_zone_express_notes();
  a_crowded_member_channel_follows_its_newest_notes();
  key_pressure_raises_a_note();
  any_bytes_in_any_pieces();
  never_allocates();
  return audiogen::test::finish();
}
