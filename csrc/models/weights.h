// Checks a network's tensors against the names and shapes that its config implies.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace audiogen::models {

// Names and shapes of all tensors of a network.
using WeightShapes = std::map<std::string, std::vector<std::size_t>, std::less<>>;

// The values of a tensor whose dtype and shape are right.
using WeightValues = std::function<const std::vector<float>&(const std::string& name)>;

// One message for each tensor that is missing, unknown, not F32, of a wrong shape or not finite, in
// the order of the names; 100 at most.
std::vector<std::string> weight_faults(const WeightShapes& shapes, const core::TensorInfos& tensors,
                                       const WeightValues& values);

// Hands out the arrays of a network by name.
class WeightReader {
 public:
  // Throws core::FormatError with the first of `weight_faults`. The arrays must outlive it.
  WeightReader(const WeightShapes& shapes, const core::FloatArrays& arrays);

  // `name` is one of the shapes'.
  const std::vector<float>& take(const std::string& name) const { return arrays_.at(name).values; }

 private:
  const core::FloatArrays& arrays_;
};

}  // namespace audiogen::models
