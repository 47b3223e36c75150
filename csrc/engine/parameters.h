// The one table of what can be turned while an engine plays; every door reads it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/realtime.h"

namespace audiogen::engine {

enum class Parameter : std::uint32_t {
  kVolume,
  kPan,
  kSpread,
  kBend,
  kGlide,
  kSustain,
  kVibrato,
  kExpression,
  kMorph,
  kMorphTimbre,
};

struct ParameterInfo {
  const char* name;
  const char* unit;  // empty: a bare number
  float lowest;
  float highest;
  float initial;
  double smoothing_s;  // of a move from one value to another that is heard; 0: at once
  int controller;      // of MIDI, 0 .. 127; kNoController, kPitchWheel, kChannelPressure
  const char* help;
};

inline constexpr int kNoController = -1;
inline constexpr int kPitchWheel = -2;  // +-2 semitones
inline constexpr int kChannelPressure = -3;

// In the order of `Parameter`.
inline constexpr ParameterInfo kParameters[] = {
    {"volume", "", 0.0f, 1.0f, 1.0f, 0.02, 7, "Loudness; its square is the gain."},
    {"pan", "", -1.0f, 1.0f, 0.0f, 0.02, 10, "Left to right."},
    {"spread", "", 0.0f, 1.0f, 0.0f, 0.02, kNoController, "How far apart notes are panned."},
    {"bend", "semitones", -48.0f, 48.0f, 0.0f, 0.01, kPitchWheel, "Added to all pitches."},
    {"glide", "s", 0.0f, 10.0f, 0.0f, 0.0, 5, "Time of the way from the last note's pitch."},
    {"sustain", "", 0.0f, 1.0f, 0.0f, 0.0, 64, "Pedal: from 0.5 on, notes let go sound on."},
    {"vibrato", "semitones", 0.0f, 2.0f, 0.0f, 0.05, kChannelPressure, "Depth, at 5.5 Hz."},
    {"expression", "", 0.0f, 1.0f, 1.0f, 0.02, 11, "Swells: a part of the volume."},
    {"morph", "", 0.0f, 1.0f, 0.0f, 0.03, 1, "From each note's timbre to `morph_timbre`."},
    {"morph_timbre", "", 0.0f, 4095.0f, 0.0f, 0.0, kNoController, "Where `morph` leads."},
};

inline constexpr std::size_t kParameterCount = sizeof(kParameters) / sizeof(kParameters[0]);

constexpr const ParameterInfo& info(Parameter parameter) noexcept AUDIOGEN_REALTIME {
  return kParameters[static_cast<std::size_t>(parameter)];
}

}  // namespace audiogen::engine
