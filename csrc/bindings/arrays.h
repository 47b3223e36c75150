// Converts a dict of Python arrays to weights of a model.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "core/safetensors.h"

namespace audiogen::bindings {

// Throws std::invalid_argument for a weight that isn't an array of numbers.
inline core::FloatArrays arrays_from(const pybind11::dict& weights) {
  core::FloatArrays arrays;
  for (const auto& [key, value] : weights) {
    const auto array =
        pybind11::array_t<float, pybind11::array::c_style | pybind11::array::forcecast>::ensure(
            value);
    const auto name = pybind11::cast<std::string>(key);
    if (!array) {
      PyErr_Clear();
      throw std::invalid_argument("weight '" + name + "' must be an array of numbers");
    }
    arrays[name] = {{array.shape(), array.shape() + array.ndim()},
                    {array.data(), array.data() + array.size()}};
  }
  return arrays;
}

}  // namespace audiogen::bindings
