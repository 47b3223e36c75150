// Opens the folder of a preset: preset.toml and weights.safetensors, both checked.
//
//   const auto preset = presets::open("presets/plucked");
//   const auto instrument = engine::make_instrument(preset);  // engine/open_instrument.h
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/safetensors.h"
#include "models/gansynth.h"
#include "models/precision.h"
#include "models/samplernn.h"
#include "presets/description.h"

namespace audiogen::presets {

inline constexpr const char* kTomlName = "preset.toml";
inline constexpr const char* kWeightsName = "weights.safetensors";

// The tensors of a preset, and the network packed from them: once for each precision as long as
// something uses it. Any number of threads may share it.
class Weights {
 public:
  explicit Weights(core::FloatArrays arrays) : arrays_(std::move(arrays)) {}

  const core::FloatArrays& arrays() const { return arrays_; }

  // Throw as the constructors of the network's weights do.
  std::shared_ptr<const models::GeneratorWeights> generator(const models::GeneratorConfig& config,
                                                            models::Precision precision) const;
  std::shared_ptr<const models::SampleRNNWeights> samplernn(const models::SampleRNNConfig& config,
                                                            models::Precision precision) const;

 private:
  static constexpr std::size_t kPrecisions = 3;

  core::FloatArrays arrays_;
  mutable std::mutex mutex_;
  mutable std::weak_ptr<const models::GeneratorWeights> generators_[kPrecisions];
  mutable std::weak_ptr<const models::SampleRNNWeights> samplernns_[kPrecisions];
};

// A description and the weights that fit it. Copies share the weights.
class Preset {
 public:
  // `weights` must be those of the description's network.
  Preset(Description description, std::shared_ptr<const Weights> weights)
      : description_(std::move(description)), weights_(std::move(weights)) {}

  const Description& description() const { return description_; }
  const Weights& weights() const { return *weights_; }

  // The same weights under another description. Throws core::FormatError unless it describes the
  // same network.
  Preset described_by(Description description) const;

  // The network, shared by all that ask for the same precision. Throws std::invalid_argument for a
  // precision that it does not support, and where the preset is of the other kind.
  std::shared_ptr<const models::GeneratorWeights> generator(models::Precision precision) const;
  std::shared_ptr<const models::SampleRNNWeights> samplernn(models::Precision precision) const;

 private:
  Description description_;
  std::shared_ptr<const Weights> weights_;
};

// Throws core::FormatError: the path, the first fault and how many more there are.
Preset open(const std::filesystem::path& folder);

// All faults of a preset's folder, each after the name of its file; none if `open` opens it.
Faults faults(const std::filesystem::path& folder);

// The description alone. Throws core::FormatError, which begins with `path`.
Description read_description(const std::filesystem::path& path);
// The fields of a preset.toml, unchecked. Throws core::FormatError, which begins with `path`.
toml::Table read_fields(const std::filesystem::path& path);

// `path: first fault (and N more)`.
std::string fault_message(std::string_view path, const Faults& faults);

}  // namespace audiogen::presets
