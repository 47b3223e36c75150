// Converts blocks of audio between NumPy's interleaved channels and the engine's separate ones.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace audiogen::bindings {

using Events = pybind11::array_t<engine::Event, pybind11::array::c_style>;
using Input = std::optional<pybind11::array_t<float, pybind11::array::c_style>>;

// Renders the next `n` samples of an engine, float32 [n, n_channels].
template <class EngineType>
pybind11::array_t<float> process_block(EngineType& engine, std::size_t n, const Events& events,
                                       const Input& input) {
  const std::size_t n_channels = engine.n_channels(), n_inputs = engine.n_inputs();
  if (input) {
    const auto rows = static_cast<std::size_t>(input->ndim() == 2 ? input->shape(0) : 0);
    const auto columns = static_cast<std::size_t>(input->ndim() == 2 ? input->shape(1) : 0);
    if (rows != n || columns != n_inputs) {
      throw std::invalid_argument("input must have the shape [" + std::to_string(n) + ", " +
                                  std::to_string(n_inputs) + "], float32");
    }
  }
  pybind11::array_t<float> out(std::vector<std::size_t>{n, n_channels});
  const std::span<const engine::Event> list(events.data(), static_cast<std::size_t>(events.size()));
  const float* const from = input ? input->data() : nullptr;
  float* const to = out.mutable_data();
  const pybind11::gil_scoped_release release;
  std::vector<float> planes((n_channels + n_inputs) * n);
  std::vector<float*> outputs;
  std::vector<const float*> inputs;
  for (std::size_t c = 0; c < n_channels; ++c) outputs.push_back(planes.data() + c * n);
  for (std::size_t c = 0; from && c < n_inputs; ++c) {
    float* plane = planes.data() + (n_channels + c) * n;
    for (std::size_t i = 0; i < n; ++i) plane[i] = from[i * n_inputs + c];
    inputs.push_back(plane);
  }
  engine.process(outputs, n, list, inputs);
  for (std::size_t c = 0; c < n_channels; ++c) {
    for (std::size_t i = 0; i < n; ++i) to[i * n_channels + c] = outputs[c][i];
  }
  return out;
}

}  // namespace audiogen::bindings
