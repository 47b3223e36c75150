// Error messages for the tensors of a network.
#include "models/weights.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/errors.h"
#include "core/nearest_names.h"
#include "core/utf8.h"

namespace audiogen::models {
namespace {

constexpr std::size_t kMostFaults = 100;
constexpr std::size_t kMostShown = 80;  // characters of a name in a message

std::string text_of(const std::vector<std::size_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string tensor_fault(const std::string& name, const core::TensorInfo& tensor,
                         const std::vector<std::size_t>& shape, const WeightValues& values) {
  if (tensor.dtype != "F32") return " has dtype " + tensor.dtype + "; it must be F32";
  if (tensor.shape != shape) {
    return " has shape " + text_of(tensor.shape) + "; the network needs " + text_of(shape);
  }
  const std::vector<float>& numbers = values(name);
  const auto broken =
      std::ranges::count_if(numbers, [](const float value) { return !std::isfinite(value); });
  if (broken == 0) return "";
  return " has " + std::to_string(broken) +
         " values that are NaN or infinite; train or export the preset again";
}

}  // namespace

std::vector<std::string> weight_faults(const WeightShapes& shapes, const core::TensorInfos& tensors,
                                       const WeightValues& values) {
  std::set<std::string, std::less<>> names;
  std::vector<std::string> known, missing;
  for (const auto& [name, shape] : shapes) {
    names.insert(name);
    known.push_back(name);
    if (!tensors.contains(name)) missing.push_back(name);
  }
  for (const auto& [name, tensor] : tensors) names.insert(name);

  std::vector<std::string> faults;
  for (const std::string& name : names) {
    if (faults.size() == kMostFaults) break;
    const auto wanted = shapes.find(name);
    const auto tensor = tensors.find(name);
    std::string fault;
    if (tensor == tensors.end()) {
      fault = " is missing; the network needs it, of shape " + text_of(wanted->second);
    } else if (wanted == shapes.end()) {
      fault = " not found in the network" +
              core::nearest_names(name, missing.empty() ? known : missing);
    } else {
      fault = tensor_fault(name, tensor->second, wanted->second, values);
    }
    if (!fault.empty()) faults.push_back("tensor " + core::shortened(name, kMostShown) + fault);
  }
  return faults;
}

WeightReader::WeightReader(const WeightShapes& shapes, const core::FloatArrays& arrays)
    : arrays_(arrays) {
  core::TensorInfos tensors;
  for (const auto& [name, array] : arrays) tensors[name] = {"F32", array.shape, 0, 0};
  const auto faults = weight_faults(
      shapes, tensors,
      [&](const std::string& name) -> const std::vector<float>& { return arrays.at(name).values; });
  if (!faults.empty()) throw core::FormatError(faults.front());
}

}  // namespace audiogen::models
