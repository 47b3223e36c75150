// Names and ports of the LV2 plug-in, shared by the plug-in and the program that describes it.
#pragma once

#include <cstdint>

namespace audiogen::plugin::lv2 {

inline constexpr const char* kUri = "urn:audiogen:synth";
inline constexpr const char* kUiUri = "urn:audiogen:synth#editor";
inline constexpr const char* kPresetUri = "urn:audiogen:synth#preset";    // a string
inline constexpr const char* kMissingUri = "urn:audiogen:synth#missing";  // a boolean
inline constexpr const char* kTimbreUri = "urn:audiogen:synth#timbre";    // a string
// From the plug-in to its window: the timbre that plays, an integer, and the keys that are held,
// two long integers of which bit k is pitch k, or 64 + k.
inline constexpr const char* kPlayingUri = "urn:audiogen:synth#playing";
inline constexpr const char* kKeysUri = "urn:audiogen:synth#keys";
inline constexpr const char* kStateUri = "urn:audiogen:synth#state";  // a string

// Hosts keep settings by symbol, so that these numbers may change with the version.
enum Port : std::uint32_t {
  kMidiIn,
  kNotify,
  kLeft,
  kRight,
  kSideLeft,
  kSideRight,
  kFreewheel,
  kLatency,
  kTimbre,
  kLevelLeft,
  kLevelRight,
  kFirstParameter,  // then one for each row of the table of parameters
};

}  // namespace audiogen::plugin::lv2
