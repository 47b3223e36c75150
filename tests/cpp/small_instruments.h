// Instruments of both kinds for tests, small enough to play under any sanitizer.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "engine/frames/frame_instrument.h"
#include "engine/samples/sample_instrument.h"
#include "random_weights.h"

inline audiogen::engine::FrameSettings frame_settings(audiogen::engine::PhaseChannel phase) {
  using namespace audiogen;
  models::GeneratorConfig config;
  config.conditioning = phase == engine::PhaseChannel::kHarmonic ? models::Conditioning::kHarmonic
                                                                 : models::Conditioning::kOneHot;
  config.latent_size = 3;
  config.channels = {8, 6, 5, 4};
  config.start_frames = 4;
  config.start_bins = 8;
  config.note_off_frame = 24;
  engine::FrameSettings settings;
  settings.generator =
      std::make_shared<const models::GeneratorWeights>(config, weights_for(config));
  settings.spectrogram = {16000.0, 128, 32, 0.1f, 0.121f, 0.8f, phase, {}};
  settings.sustain = {6, 20, 24};
  settings.pitch_range = {36.0f, 84.0f};
  settings.timbres = {{0.5f, -1.0f, 2.0f}, {1.0f, 1.0f, 1.0f}};
  settings.macros = {{{0.0f, 1.0f, 0.0f}, -1.5f, 1.0f}, {{0.6f, 0.0f, -0.8f}, -1.0f, 2.0f}};
  return settings;
}

inline std::shared_ptr<audiogen::engine::FrameInstrument> frame_instrument(
    audiogen::engine::PhaseChannel phase) {
  return std::make_shared<audiogen::engine::FrameInstrument>(frame_settings(phase));
}

inline std::shared_ptr<audiogen::engine::SampleInstrument> sample_instrument(
    audiogen::models::SampleRNNConfig::Conditioning conditioning, std::size_t q_levels,
    audiogen::models::SampleRNNWeights::Precision precision) {
  using namespace audiogen;
  models::SampleRNNConfig config;
  config.frame_sizes = {4, 2};
  config.dim = 8;
  config.embedding_size = 4;
  config.q_levels = q_levels;
  config.conditioning = conditioning;
  config.n_classes = 3;
  config.sample_rate = 8000.0;
  engine::SampleSettings settings;
  settings.network = std::make_shared<const models::SampleRNNWeights>(
      config, weights_for(config, 0.7f), precision);
  settings.temperature = 0.9f;
  settings.top_p = 0.95f;
  settings.pitch_range = {36.0f, 84.0f};
  settings.n_timbres = 3;
  return std::make_shared<engine::SampleInstrument>(std::move(settings));
}
