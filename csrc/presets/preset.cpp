// Reads the files of a preset and reports what is wrong with them.
#include "presets/preset.h"

#include <cstddef>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/file.h"

namespace audiogen::presets {
namespace {

// The network for a precision, packed if no one holds it yet.
template <class Network, class Pack>
std::shared_ptr<const Network> shared(std::weak_ptr<const Network>& kept, const Pack& pack) {
  if (auto network = kept.lock()) return network;
  auto network = std::make_shared<const Network>(pack());
  kept = network;
  return network;
}

models::SampleRNNWeights::Precision form_of(models::Precision precision) {
  using Form = models::SampleRNNWeights::Precision;
  switch (precision) {
    case models::Precision::kBFloat16:
      return Form::kBFloat16;
    case models::Precision::kInt8:
      return Form::kInt8;
    default:
      return Form::kFloat32;
  }
}

std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

toml::Table parse_file(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = core::read_file(path, toml::kMostBytes);
  try {
    return toml::parse(text_of(bytes));
  } catch (const core::FormatError& error) {
    throw core::FormatError(std::string("is not TOML: ") + error.what());
  }
}

// The tensors of the file, as far as they fit.
core::FloatArrays read_weights(const std::filesystem::path& path,
                               const models::WeightShapes& shapes, Faults& faults) {
  core::FloatArrays arrays;
  const std::vector<std::byte> bytes = core::read_file(path);
  try {
    const core::SafetensorsView view(bytes);
    faults = models::weight_faults(
        shapes, view.tensors(), [&](const std::string& name) -> const std::vector<float>& {
          return arrays.emplace(name, view.read(name)).first->second.values;
        });
  } catch (const core::FormatError& error) {
    throw core::FormatError(std::string("is not a safetensors file: ") + error.what());
  }
  return arrays;
}

// Returns the result of `read`; puts the path before the message of a FormatError.
template <class Read>
auto with_path(const std::string& path, const Read& read) {
  try {
    return read();
  } catch (const core::FormatError& error) {
    throw core::FormatError(path + ": " + error.what());
  }
}

}  // namespace

std::shared_ptr<const models::GeneratorWeights> Weights::generator(
    const models::GeneratorConfig& config, models::Precision precision) const {
  const std::lock_guard lock(mutex_);
  return shared(generators_[static_cast<std::size_t>(precision)],
                [&] { return models::GeneratorWeights(config, arrays_, precision); });
}

std::shared_ptr<const models::SampleRNNWeights> Weights::samplernn(
    const models::SampleRNNConfig& config, models::Precision precision) const {
  const std::lock_guard lock(mutex_);
  return shared(samplernns_[static_cast<std::size_t>(precision)],
                [&] { return models::SampleRNNWeights(config, arrays_, form_of(precision)); });
}

std::shared_ptr<const models::GeneratorWeights> Preset::generator(
    models::Precision precision) const {
  if (description_.kind != Kind::kGansynth) {
    throw std::invalid_argument("preset '" + description_.name + "' has no generator");
  }
  return weights_->generator(description_.generator, precision);
}

std::shared_ptr<const models::SampleRNNWeights> Preset::samplernn(
    models::Precision precision) const {
  if (description_.kind != Kind::kSamplernn) {
    throw std::invalid_argument("preset '" + description_.name + "' has no SampleRNN");
  }
  return weights_->samplernn(description_.samplernn, precision);
}

Preset Preset::described_by(Description description) const {
  const bool gansynth = description.kind == Kind::kGansynth;
  const bool same = description.kind == description_.kind &&
                    (gansynth ? description.generator == description_.generator
                              : description.samplernn == description_.samplernn);
  if (!same) {
    throw core::FormatError("the description is of another network than the weights of preset '" +
                            description_.name + "'; open the preset that it describes");
  }
  return {std::move(description), weights_};
}

toml::Table read_fields(const std::filesystem::path& path) {
  return with_path(path.string(), [&] { return parse_file(path); });
}

std::string fault_message(std::string_view path, const Faults& faults) {
  std::string message = std::string(path) + ": " + faults.front();
  if (faults.size() > 1) message += " (and " + std::to_string(faults.size() - 1) + " more)";
  return message;
}

Description read_description(const std::filesystem::path& path) {
  Faults found;
  auto description = check_fields(read_fields(path), found);
  if (!description) throw core::FormatError(fault_message(path.string(), found));
  return *std::move(description);
}

Preset open(const std::filesystem::path& folder) {
  Description description = read_description(folder / kTomlName);
  const std::filesystem::path path = folder / kWeightsName;
  Faults found;
  core::FloatArrays arrays = with_path(
      path.string(), [&] { return read_weights(path, description.weight_shapes(), found); });
  if (!found.empty()) throw core::FormatError(fault_message(path.string(), found));
  return {std::move(description), std::make_shared<const Weights>(std::move(arrays))};
}

Faults faults(const std::filesystem::path& folder) {
  const auto prefixed = [](const char* file, Faults found) {
    for (std::string& fault : found) fault.insert(0, std::string(file) + ": ");
    return found;
  };
  Faults found;
  std::optional<Description> description;
  try {
    description = check_fields(parse_file(folder / kTomlName), found);
  } catch (const core::FormatError& error) {
    found = {error.what()};
  }
  if (!description) return prefixed(kTomlName, std::move(found));
  try {
    read_weights(folder / kWeightsName, description->weight_shapes(), found);
  } catch (const core::FormatError& error) {
    found = {error.what()};
  }
  return prefixed(kWeightsName, std::move(found));
}

}  // namespace audiogen::presets
