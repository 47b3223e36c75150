// Checks of the fields that all instruments share.
#include "engine/instrument.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace audiogen::engine {

Instrument::Instrument(double sample_rate, PitchRange pitch_range, std::size_t n_timbres,
                       const presets::ProgramTable& programs)
    : sample_rate_(sample_rate),
      pitch_range_(pitch_range),
      n_timbres_(n_timbres),
      programs_(programs) {
  if (!(sample_rate >= 1000.0 && sample_rate <= 384000.0)) {
    throw std::invalid_argument("sample_rate=" + std::to_string(sample_rate) +
                                " Hz must be 1000 to 384000");
  }
  if (!(pitch_range.highest >= pitch_range.lowest)) {
    throw std::invalid_argument("highest_pitch must be lowest_pitch or more");
  }
  if (!(pitch_range.lowest >= -128.0f && pitch_range.highest <= 256.0f)) {
    throw std::invalid_argument(
        "lowest_pitch and highest_pitch must be MIDI numbers from -128 to 256");
  }
  if (n_timbres < 1) throw std::invalid_argument("instrument has no timbre");
  std::size_t last = programs.default_timbre;
  for (const std::uint16_t timbre : programs.timbres) last = std::max<std::size_t>(last, timbre);
  if (last >= n_timbres) {
    throw std::invalid_argument("programs choose timbre " + std::to_string(last) +
                                "; the instrument has " + std::to_string(n_timbres));
  }
}

void Instrument::set_places(std::vector<Place> places) {
  const bool finite = std::ranges::all_of(
      places, [](const Place& place) { return std::isfinite(place.x) && std::isfinite(place.y); });
  if ((!places.empty() && places.size() != n_timbres()) || !finite) {
    throw std::invalid_argument("places must be " + std::to_string(n_timbres()) +
                                " pairs of finite numbers, one for each timbre");
  }
  places_ = std::move(places);
}

Kit Kit::of(std::span<const Drum> drums, float pitch, bool have_timbres) {
  Kit kit;
  kit.timbres.fill(kSilent);
  for (Drum& drum : kit.drums) drum.pitch = pitch;
  for (std::size_t i = 0; i < drums.size(); ++i) {
    const auto key = static_cast<std::size_t>(drums[i].key);
    kit.drums.at(key) = drums[i];
    if (have_timbres) kit.timbres[key] = static_cast<std::uint16_t>(i);
  }
  if (have_timbres) kit.n_timbres = drums.size();
  return kit;
}

void Instrument::set_kit(const Kit& kit) {
  for (const std::uint16_t timbre : kit.timbres) {
    if (timbre == Kit::kSilent || timbre < n_timbres()) continue;
    throw std::invalid_argument("a key of the kit plays timbre " + std::to_string(timbre) +
                                "; the instrument has " + std::to_string(n_timbres()));
  }
  kit_ = kit;
}

}  // namespace audiogen::engine
