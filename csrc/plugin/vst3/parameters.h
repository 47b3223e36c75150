// Numbers of the VST3 plug-in's parameters, which projects and automation keep.
#pragma once

#include <pluginterfaces/vst/ivstnoteexpression.h>

#include <cstdint>
#include <string_view>

#include "capi/audiogen.h"
#include "plugin/common/instance.h"

namespace audiogen::plugin::vst3 {

// No parameter has the number 0, which some hosts take for a controller that means "all notes off".
inline constexpr std::uint32_t kPresetId = 100;   // 0: as it is; k: the preset number k - 1
inline constexpr std::uint32_t kTimbreId = 101;   // 0: the preset's default; k: timbre k - 1
inline constexpr std::uint32_t kMissingId = 102;  // read only: 1 if the preset is missing
inline constexpr std::uint32_t kLevelLeftId = 103, kLevelRightId = 104;  // read only: peaks
inline constexpr std::uint32_t kLatencyId = 105;  // read only: latency / kLongestLatency
inline constexpr std::uint32_t kMidiId = 200;     // plus a MIDI controller, or one of:
inline constexpr std::uint32_t kPressure = 128, kWheel = 129;
inline constexpr std::uint32_t kFirstTableId = 1000;

inline constexpr int kMostTimbres = 127;
inline constexpr double kLongestLatency = 65536.0;  // samples

// The message for a note of the window's keyboard, and its attributes; velocity 0 is note off.
inline constexpr const char* kNoteMessage = "note";
inline constexpr const char* kNotePitch = "pitch";
inline constexpr const char* kNoteVelocity = "velocity";

// The window asks which keys are held, and the processor answers with two integers: bit k is pitch
// k, or 64 + k.
inline constexpr const char* kKeysMessage = "keys";
inline constexpr const char* kLowKeys = "low";
inline constexpr const char* kHighKeys = "high";

// Note expression besides the format's own types: 0 .. 1 raises the level to twice the gain.
inline constexpr std::uint32_t kPressureType = Steinberg::Vst::kCustomStart;

// Number of a row of the table of parameters: a hash of its name (FNV-1a), so that it does not
// depend on the other rows.
constexpr std::uint32_t id_of(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 16777619u;
  return kFirstTableId + hash % 1'000'000'000u;
}

// Whether the engine reads this controller, or kPressure or kWheel.
inline bool is_read(std::uint32_t controller) {
  constexpr std::uint32_t kOthers[] = {6, 38, 98, 99, 100, 101, 120, 121, 123, kPressure, kWheel};
  for (const std::uint32_t other : kOthers) {
    if (controller == other) return true;
  }
  for (std::size_t i = 0; i < audiogen_n_parameters(); ++i) {
    if (audiogen_parameter_info(i)->controller == static_cast<int>(controller)) return true;
  }
  return false;
}

}  // namespace audiogen::plugin::vst3
