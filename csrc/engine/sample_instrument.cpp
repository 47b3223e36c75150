// Checks of a SampleRNN preset's fields.
#include "engine/sample_instrument.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/sample_voice.h"

namespace audiogen::engine {

static double sample_rate_of(const SampleSettings& settings) {
  if (!settings.network) throw std::invalid_argument("instrument has no network");
  return settings.network->config().sample_rate;
}

static SampleSettings checked(SampleSettings settings) {
  if (!std::isfinite(settings.temperature) || settings.temperature < 0.0f) {
    throw std::invalid_argument("temperature=" + std::to_string(settings.temperature) +
                                " is not 0 or more");
  }
  if (!(settings.top_p > 0.0f && settings.top_p <= 1.0f)) {
    throw std::invalid_argument("top_p=" + std::to_string(settings.top_p) +
                                " is not above 0 and at most 1");
  }
  const std::size_t most = std::max<std::size_t>(1, settings.network->config().n_classes);
  if (settings.n_timbres > most) {
    throw std::invalid_argument("n_timbres=" + std::to_string(settings.n_timbres) +
                                "; the network knows " + std::to_string(most));
  }
  return settings;
}

SampleInstrument::SampleInstrument(SampleSettings settings)
    : Instrument(sample_rate_of(settings), settings.pitch_range, settings.n_timbres,
                 settings.programs),
      settings_(checked(std::move(settings))) {}

std::unique_ptr<Voices> SampleInstrument::make_voices(std::size_t n, std::size_t most) const {
  return std::make_unique<SampleVoices>(settings_, n, most);
}

}  // namespace audiogen::engine
