// Parses MIDI messages and converts them to events.
#include "engine/midi.h"

#include <algorithm>
#include <iterator>

namespace audiogen::engine {

// Controllers with a fixed meaning.
static constexpr std::uint8_t kDataEntry = 6, kDataEntryLow = 38, kUnregisteredLow = 98,
                              kUnregisteredHigh = 99, kRegisteredLow = 100, kRegisteredHigh = 101,
                              kSlide = 74, kAllSoundOff = 120, kReset = 121, kAllNotesOff = 123;
static constexpr std::uint8_t kSystemReset = 0xFF;
// Registered parameters.
static constexpr std::uint32_t kBendRange = 0, kZone = 6;

// Defaults of a zone of MPE.
static constexpr std::uint8_t kMasterSemitones = 2, kMemberSemitones = 48;

// Parameters that controller 121 resets; RP-015 excludes volume and pan, among others. Morph
// stays, as macros do: hosts and files send 121 before they play.
static constexpr Parameter kResetParameters[] = {Parameter::kPitchWheel, Parameter::kVibrato,
                                                 Parameter::kSustain, Parameter::kExpression};
static_assert(std::size(kResetParameters) <= MidiReader::kMostEvents);

// Data bytes of a channel message by its status, starting with note-off (0x8).
static constexpr std::size_t kDataBytes[] = {2, 2, 2, 2, 1, 1, 2};

static Event parameter_event(Parameter parameter, float value,
                             std::uint32_t offset) noexcept AUDIOGEN_REALTIME {
  return {offset, EventKind::kParameter, static_cast<std::uint32_t>(parameter), 0, 0.0f, value};
}

// Vibrato at the end of the modulation wheel, semitones: General MIDI 2's default.
static constexpr float kModulationDepth = 0.5f;

// Maps a controller's value, 0 .. 127, to a parameter's range; 64 is the centre.
static float parameter_value(Parameter parameter, std::uint8_t value) noexcept AUDIOGEN_REALTIME {
  if (parameter == Parameter::kSustain) return value >= 64 ? 1.0f : 0.0f;
  const float x = value;
  const float part = value <= 64 ? x / 128.0f : 0.5f + (x - 64.0f) / 126.0f;
  if (parameter == Parameter::kVibrato) return part * kModulationDepth;
  return info(parameter).lowest + part * (info(parameter).highest - info(parameter).lowest);
}

// Gain of a note by its pressure, 0 .. 127: a note without pressure has the level of its velocity,
// so that keyboards without it play as before.
static float pressed_level(std::uint8_t pressure) noexcept AUDIOGEN_REALTIME {
  return 1.0f + static_cast<float>(pressure) / 127.0f;
}

static float semitones_of(std::uint8_t semitones, std::uint8_t cents) noexcept AUDIOGEN_REALTIME {
  const float range = static_cast<float>(semitones) + static_cast<float>(cents) / 100.0f;
  return std::min(range, info(Parameter::kBendRange).highest);
}

MidiReader::Progress MidiReader::read(std::span<const std::uint8_t> bytes, std::uint32_t offset,
                                      std::span<Event> events) noexcept AUDIOGEN_REALTIME {
  Sink sink{events.data(), offset};
  std::size_t n_bytes = 0;
  const auto n_events = [&] { return static_cast<std::size_t>(sink.next - events.data()); };
  for (; n_bytes < bytes.size() && events.size() - n_events() >= kMostEvents; ++n_bytes) {
    const std::uint8_t byte = bytes[n_bytes];
    if (byte >= 0xF8) {  // real-time messages may interrupt others
      if (byte == kSystemReset) all_off(true, sink);
    } else if (byte >= 0x80) {
      status_ = byte < 0xF0 ? byte : 0;  // a system message cancels the running status
      n_data_ = 0;
    } else if (status_ != 0) {
      take(byte, sink);
    }
  }
  return {n_bytes, n_events()};
}

void MidiReader::take(std::uint8_t byte, Sink& sink) noexcept AUDIOGEN_REALTIME {
  data_[n_data_++] = byte;
  const std::size_t kind = status_ >> 4;
  if (n_data_ < kDataBytes[kind - 0x8]) return;
  n_data_ = 0;
  const std::size_t channel = status_ & 0xF;
  const auto [first, second] = data_;
  switch (kind) {
    case 0x8:
      note_off(channel, first, sink);
      break;
    case 0x9:
      if (second > 0) {
        note_on(channel, first, second, sink);
      } else {
        note_off(channel, first, sink);
      }
      break;
    case 0xA:
      if (const std::uint32_t id = held_[channel * kKeys + first]; id != 0) {
        *sink.next++ = {sink.offset, EventKind::kNoteLevel, id, 0, 0.0f, pressed_level(second)};
      }
      break;
    case 0xB:
      control(channel, first, second, sink);
      break;
    case 0xC:
      programs_[channel] = last_program_ = first;
      for (std::size_t c = 0; c < kChannels; ++c) {
        if (is_member(c) && channel == (c <= n_members_[0] ? 0 : kChannels - 1)) {
          programs_[c] = first;
        }
      }
      break;
    case 0xD:
      if (is_member(channel)) {
        Member& member = members_[channel];
        express(member, EventKind::kNoteLevel, member.level = pressed_level(first), sink);
        break;
      }
      *sink.next++ = parameter_event(Parameter::kVibrato,
                                     parameter_value(Parameter::kVibrato, first), sink.offset);
      break;
    case 0xE: {
      float wheel = static_cast<float>(first + second * 128 - 8192);
      wheel /= wheel < 0.0f ? 8192.0f : 8191.0f;
      if (is_member(channel)) {
        Member& member = members_[channel];
        member.wheel = wheel;
        express(member, EventKind::kNoteBend, member_bend(member), sink);
      } else {
        *sink.next++ = parameter_event(Parameter::kPitchWheel, wheel, sink.offset);
      }
      break;
    }
    default:
      break;
  }
}

void MidiReader::note_on(std::size_t channel, std::uint8_t key, std::uint8_t velocity,
                         Sink& sink) noexcept AUDIOGEN_REALTIME {
  note_off(channel, key, sink);  // in case the key is still held
  const std::size_t index = channel * kKeys + key;
  // Each note has its own id, because the key's last note may still be sounding.
  n_notes_ = n_notes_ % (kFirstId / held_.size() - 1) + 1;
  held_[index] = kFirstId + n_notes_ * static_cast<std::uint32_t>(held_.size()) +
                 static_cast<std::uint32_t>(index);
  Member& member = members_[channel];
  std::shift_right(member.notes.begin(), member.notes.end(), 1);
  member.notes[0] = held_[index];
  if (is_member(channel)) {  // from the note's start
    const auto begin_with = [&](EventKind kind, float value, float initial) {
      if (value != initial) *sink.next++ = {sink.offset, kind, held_[index], 0, 0.0f, value};
    };
    begin_with(EventKind::kNoteBend, member_bend(member), 0.0f);
    begin_with(EventKind::kNoteLevel, member.level, 1.0f);
    begin_with(EventKind::kNoteSlide, member.slide, 0.0f);
  }
  *sink.next++ = {sink.offset,
                  EventKind::kNoteOn,
                  held_[index],
                  timbre_of(programs_[channel]),
                  pitch_of(key, programs_[channel]),
                  velocity / 127.0f};
}

void MidiReader::note_off(std::size_t channel, std::uint8_t key,
                          Sink& sink) noexcept AUDIOGEN_REALTIME {
  std::uint32_t& id = held_[channel * kKeys + key];
  if (id == 0) return;
  *sink.next++ = {sink.offset, EventKind::kNoteOff, id, 0, 0.0f, 0.0f};
  auto& notes = members_[channel].notes;
  std::fill(std::remove(notes.begin(), notes.end(), id), notes.end(), 0u);
  id = 0;
}

void MidiReader::all_off(bool silence, Sink& sink) noexcept AUDIOGEN_REALTIME {
  held_.fill(0);
  for (Member& member : members_) member.notes.fill(0);
  *sink.next++ = {sink.offset, EventKind::kAllOff, 0, 0, 0.0f, silence ? 1.0f : 0.0f};
}

float MidiReader::member_bend(const Member& member) const noexcept AUDIOGEN_REALTIME {
  return member.wheel * semitones_of(member_bend_range_.semitones, member_bend_range_.cents);
}

void MidiReader::express(const Member& member, EventKind kind, float value,
                         Sink& sink) noexcept AUDIOGEN_REALTIME {
  for (const std::uint32_t id : member.notes) {
    if (id != 0) *sink.next++ = {sink.offset, kind, id, 0, 0.0f, value};
  }
}

// Zone 0 is the lower and zone 1 the upper one. The other keeps the members that are left.
void MidiReader::configure_zone(std::size_t zone, std::size_t n_members,
                                Sink& sink) noexcept AUDIOGEN_REALTIME {
  n_members_[zone] = std::min(n_members, kChannels - 1);
  const std::size_t left = kChannels - 2 - std::min(kChannels - 2, n_members_[zone]);
  n_members_[1 - zone] = std::min(n_members_[1 - zone], left);
  bend_range_ = {kMasterSemitones, 0};
  member_bend_range_ = {kMemberSemitones, 0};
  for (Member& member : members_) {
    member.wheel = member.slide = 0.0f;
    member.level = 1.0f;
  }
  const auto is_held = [](std::uint32_t id) noexcept AUDIOGEN_REALTIME { return id != 0; };
  if (std::any_of(held_.begin(), held_.end(), is_held)) all_off(false, sink);
  *sink.next++ = parameter_event(Parameter::kBendRange, kMasterSemitones, sink.offset);
}

void MidiReader::control(std::size_t channel, std::uint8_t number, std::uint8_t value,
                         Sink& sink) noexcept AUDIOGEN_REALTIME {
  const bool of_member = is_member(channel);
  switch (number) {
    case kUnregisteredLow:
    case kUnregisteredHigh:
      rpn_ = kNullRpn;
      return;
    case kRegisteredLow:
      rpn_ = rpn_ / 128 * 128 + value;
      return;
    case kRegisteredHigh:
      rpn_ = rpn_ % 128 + value * 128u;
      return;
    case kDataEntry:
    case kDataEntryLow:
      if (rpn_ == kBendRange) {
        BendRange& range = of_member ? member_bend_range_ : bend_range_;
        (number == kDataEntry ? range.semitones : range.cents) = value;
        if (!of_member) {
          const float most = semitones_of(range.semitones, range.cents);
          *sink.next++ = parameter_event(Parameter::kBendRange, most, sink.offset);
        }
      } else if (rpn_ == kZone && number == kDataEntry && channel % (kChannels - 1) == 0) {
        configure_zone(channel == 0 ? 0 : 1, value, sink);
      }
      return;
    case kReset:
      if (of_member) return;
      for (const Parameter parameter : kResetParameters) {
        *sink.next++ = parameter_event(parameter, info(parameter).initial, sink.offset);
      }
      rpn_ = kNullRpn;
      return;
    default:
      break;
  }
  if (number == kAllSoundOff) return all_off(true, sink);
  if (number >= kAllNotesOff)
    return all_off(false, sink);  // 124 to 127 change modes, which implies all notes off
  if (of_member) {
    if (number != kSlide) return;
    Member& member = members_[channel];
    member.slide = parameter_value(Parameter::kMacro1, value);
    return express(member, EventKind::kNoteSlide, member.slide, sink);
  }
  for (std::size_t i = 0; i < kParameterCount; ++i) {
    if (kParameters[i].controller != number) continue;
    const auto parameter = static_cast<Parameter>(i);
    *sink.next++ = parameter_event(parameter, parameter_value(parameter, value), sink.offset);
  }
}

}  // namespace audiogen::engine
