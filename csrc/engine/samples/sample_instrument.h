// A SampleRNN preset: a network and its sampling defaults.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/instrument.h"
#include "models/samplernn.h"

namespace audiogen::engine {

struct SampleSettings {
  std::shared_ptr<const models::SampleRNNWeights> network;
  std::shared_ptr<models::SampleTable> samples = nullptr;  // those that something else computes
  float temperature = 1.0f;  // initial values of the parameters of these names
  float top_p = 1.0f;
  PitchRange pitch_range{-128.0f, 256.0f};  // any pitch if unconditional
  std::size_t n_timbres = 1;                // the network's first classes
  presets::ProgramTable programs;
};

class SampleInstrument final : public Instrument {
 public:
  // Throws std::invalid_argument for a field out of range.
  explicit SampleInstrument(SampleSettings settings);

  const SampleSettings& settings() const { return settings_; }

  float initial(Parameter parameter) const noexcept AUDIOGEN_REALTIME override;
  std::unique_ptr<Voices> make_voices(std::size_t n, std::size_t max_samples,
                                      std::size_t n_inputs) const override;

 private:
  SampleSettings settings_;
};

}  // namespace audiogen::engine
