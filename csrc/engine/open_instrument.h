// Makes an instrument from a preset.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/instrument.h"
#include "models/frame_table.h"
#include "models/precision.h"
#include "models/sample_table.h"
#include "presets/preset.h"

namespace audiogen::engine {

struct InstrumentOptions {
  models::Precision precision = models::Precision::kFloat32;
  // GANSynth only: the only timbre, in place of the preset's.
  std::optional<std::vector<float>> latent = std::nullopt;
  // GANSynth only: frames that something else computes, for engines that render offline.
  std::shared_ptr<models::FrameTable> frames = nullptr;
  // SampleRNN only: likewise of samples, for a network that is not conditioned on notes.
  std::shared_ptr<models::SampleTable> samples = nullptr;
};

// Instruments of the same preset and precision share the network's weights. Throws
// std::invalid_argument for a precision that the network or this CPU does not support, and for a
// latent of the wrong size, or for a preset without latents.
std::shared_ptr<Instrument> make_instrument(const presets::Preset& preset,
                                            const InstrumentOptions& options = {});

// `Instrument::initial` of the preset's instrument, without making it.
float initial_value(const presets::Description& description, Parameter parameter);

}  // namespace audiogen::engine
