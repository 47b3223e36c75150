// Checks of a SampleRNN preset's fields.
#include "engine/samples/sample_instrument.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/samples/sample_voice.h"

namespace audiogen::engine {

static double sample_rate_of(const SampleSettings& settings) {
  if (!settings.network) throw std::invalid_argument("instrument has no network");
  return settings.network->config().sample_rate;
}

static SampleSettings checked(SampleSettings settings) {
  const auto check = [](Parameter parameter, float value) {
    const ParameterInfo& row = info(parameter);
    if (value >= row.lowest && value <= row.highest) return;
    throw std::invalid_argument(std::string(row.name) + "=" + std::to_string(value) +
                                " must be from " + std::to_string(row.lowest) + " to " +
                                std::to_string(row.highest));
  };
  check(Parameter::kTemperature, settings.temperature);
  check(Parameter::kTopP, settings.top_p);
  const std::size_t most = std::max<std::size_t>(1, settings.network->config().n_classes);
  if (settings.n_timbres > most) {
    throw std::invalid_argument("n_timbres=" + std::to_string(settings.n_timbres) +
                                " must be 1 to " + std::to_string(most));
  }
  return settings;
}

SampleInstrument::SampleInstrument(SampleSettings settings)
    : Instrument(sample_rate_of(settings), settings.pitch_range, settings.n_timbres,
                 settings.programs),
      settings_(checked(std::move(settings))) {}

float SampleInstrument::initial(Parameter parameter) const noexcept AUDIOGEN_REALTIME {
  if (parameter == Parameter::kTemperature) return settings_.temperature;
  if (parameter == Parameter::kTopP) return settings_.top_p;
  return Instrument::initial(parameter);
}

std::unique_ptr<Voices> SampleInstrument::make_voices(std::size_t n, std::size_t max_samples,
                                                      std::size_t n_inputs) const {
  return std::make_unique<SampleVoices>(settings_, n, max_samples, n_inputs);
}

}  // namespace audiogen::engine
