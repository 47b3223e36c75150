// Which timbre of a preset plays a General MIDI program.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "presets/description.h"

namespace audiogen::presets {

// Timbre indices by General MIDI program, and that of channels which have sent no program change.
struct ProgramTable {
  ProgramTable() { semitones_per_key.fill(1.0f); }

  static constexpr std::size_t kPrograms = 128;
  std::array<std::uint16_t, kPrograms> timbres{};
  std::array<std::int8_t, kPrograms> transposes{};  // sounding pitch minus key, at key 60
  std::array<float, kPrograms> semitones_per_key{};
  std::uint16_t default_timbre = 0;
};

// The timbre whose program is nearest within the same family of eight programs, the first of equal
// distance; the default timbre where the family has none. The rule of `timbre_of_program` of
// audiogen/presets/programs.py, for one preset.
ProgramTable program_table(std::span<const Timbre> timbres, std::size_t default_timbre);

}  // namespace audiogen::presets
