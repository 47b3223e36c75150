// Nearest timbres of General MIDI programs.
#include "presets/programs.h"

#include <cstdlib>

namespace audiogen::presets {

static constexpr int kFamilySize = 8;
static_assert(kMostTimbres <= 1 << 16);

ProgramTable program_table(std::span<const Timbre> timbres, std::size_t default_timbre) {
  ProgramTable table;
  table.default_timbre = static_cast<std::uint16_t>(default_timbre);
  for (int program = 0; program < static_cast<int>(ProgramTable::kPrograms); ++program) {
    std::size_t nearest = default_timbre;
    int least = kFamilySize;
    for (std::size_t i = 0; i < timbres.size(); ++i) {
      if (!timbres[i].program || *timbres[i].program / kFamilySize != program / kFamilySize) {
        continue;
      }
      const int distance = std::abs(*timbres[i].program - program);
      if (distance >= least) continue;
      least = distance;
      nearest = i;
    }
    const auto row = static_cast<std::size_t>(program);
    table.timbres[row] = static_cast<std::uint16_t>(nearest);
    if (least < kFamilySize) {  // not the default timbre, which is no choice of a program
      table.transposes[row] = static_cast<std::int8_t>(timbres[nearest].transpose);
      table.semitones_per_key[row] = timbres[nearest].semitones_per_key;
    }
  }
  return table;
}

}  // namespace audiogen::presets
