// Takes a network's weights out of named arrays, and complains about those that don't fit.
#pragma once

#include <cmath>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace audiogen::models {

// Hands out arrays by name, each once.
class WeightReader {
 public:
  explicit WeightReader(const core::FloatArrays& arrays) : arrays_(arrays) {}

  // Throws core::FormatError if the array is missing, of another shape, or not finite.
  const std::vector<float>& take(const std::string& name, const std::vector<std::size_t>& shape) {
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) {
      throw core::FormatError("weight '" + name + "' of shape " + text_of(shape) +
                              " is missing; were the weights exported for another config?");
    }
    const core::FloatArray& array = found->second;
    if (array.shape != shape) {
      throw core::FormatError("weight '" + name + "' has shape " + text_of(array.shape) +
                              "; the config wants " + text_of(shape));
    }
    for (std::size_t i = 0; i < array.values.size(); ++i) {
      if (!std::isfinite(array.values[i])) {
        throw core::FormatError("weight '" + name + "' holds " + std::to_string(array.values[i]) +
                                " at index " + std::to_string(i) +
                                "; was the training stable to its end?");
      }
    }
    taken_.insert(name);
    return array.values;
  }

  // Throws core::FormatError if an array was not taken.
  void finish() const {
    for (const auto& [name, array] : arrays_) {
      if (!taken_.contains(name)) {
        throw core::FormatError("weight '" + name +
                                "' belongs to no layer of the config; were the "
                                "weights exported for another config?");
      }
    }
  }

 private:
  static std::string text_of(const std::vector<std::size_t>& shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) {
      text += (i ? ", " : "") + std::to_string(shape[i]);
    }
    return text + "]";
  }

  const core::FloatArrays& arrays_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace audiogen::models
