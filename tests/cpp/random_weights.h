// Weights of a small generator for tests: every array that the config wants, from one seed.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "models/gansynth.h"

inline audiogen::core::FloatArrays weights_for(const audiogen::models::GeneratorConfig& config) {
  using namespace audiogen;
  core::FloatArrays arrays;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const auto add = [&](const std::string& name, std::vector<std::size_t> shape) {
    std::size_t size = 1;
    for (const std::size_t n : shape) size *= n;
    core::FloatArray array{std::move(shape), std::vector<float>(size)};
    for (float& value : array.values) value = 0.2f * normal(random);
    arrays.emplace(name, std::move(array));
  };
  for (std::size_t b = 0; b < config.n_blocks(); ++b) {
    const std::string name = "blocks." + std::to_string(b) + ".";
    const std::size_t width = config.channels[b];
    if (b == 0) {
      add(name + "conv1.weight",
          {width, config.input_size(), config.start_frames, config.start_bins});
    } else {
      add(name + "conv1.weight", {width, config.channels[b - 1], 3, 3});
    }
    add(name + "conv2.weight", {width, width, 3, 3});
    for (const char* layer : {"conv1.bias", "conv2.bias"}) add(name + layer, {width});
    if (config.conditioning == models::Conditioning::kOneHot) continue;
    add(name + "conditioning.maps.weight", {width, 8});
    add(name + "conditioning.time.weight", {width, 7});
    add(name + "conditioning.noise", {width});
    for (const char* style : {"style1", "style2"}) {
      add(name + "conditioning." + style + ".weight", {2 * width, config.input_size()});
      add(name + "conditioning." + style + ".bias", {2 * width});
    }
  }
  add("to_rgb.weight", {2, config.channels.back()});
  add("to_rgb.bias", {2});
  return arrays;
}
