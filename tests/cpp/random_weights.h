// Random weights of small networks for tests.
#pragma once

#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "models/gansynth.h"
#include "models/samplernn.h"

// Adds arrays of normal random numbers with one standard deviation.
struct RandomArrays {
  explicit RandomArrays(float deviation) : normal(0.0f, deviation) {}
  void operator()(const std::string& name, std::vector<std::size_t> shape) {
    std::size_t size = 1;
    for (const std::size_t n : shape) size *= n;
    audiogen::core::FloatArray array{std::move(shape), std::vector<float>(size)};
    for (float& value : array.values) value = normal(random);
    arrays.emplace(name, std::move(array));
  }
  audiogen::core::FloatArrays arrays;
  std::mt19937 random{1};
  std::normal_distribution<float> normal;
};

inline audiogen::core::FloatArrays weights_for(const audiogen::models::GeneratorConfig& config) {
  using namespace audiogen;
  RandomArrays add(0.2f);
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
    add(name + "conditioning.noise.weight", {width, config.input_size()});
    add(name + "conditioning.noise.bias", {width});
    for (const char* style : {"style1", "style2"}) {
      add(name + "conditioning." + style + ".weight", {2 * width, config.input_size()});
      add(name + "conditioning." + style + ".bias", {2 * width});
    }
  }
  add("to_rgb.weight", {2, config.channels.back()});
  add("to_rgb.bias", {2});
  return add.arrays;
}

inline audiogen::core::FloatArrays weights_for(const audiogen::models::SampleRNNConfig& config,
                                               float deviation) {
  RandomArrays add(deviation);
  const std::size_t dim = config.dim, gates = config.n_gates() * dim,
                    n_features = config.n_features();
  const std::size_t levels = config.n_levels();
  for (std::size_t t = 0; t < config.n_tiers(); ++t) {
    const std::string tier = "tiers." + std::to_string(t) + ".";
    if (t > 0) {
      add(tier + "input.weight", {dim, config.frame_sizes[t]});
      add(tier + "input.bias", {dim});
      if (n_features > 0) add(tier + "features.weight", {dim, n_features});
    }
    for (std::size_t l = 0; l < config.n_rnn; ++l) {
      const std::string end = "." + std::to_string(l) + ".";
      const bool top = t == 0 && l == 0;
      add(tier + "ih" + end + "weight", {gates, top ? config.frame_sizes[0] + n_features : dim});
      add(tier + "ih" + end + "bias", {gates});
      add(tier + "hh" + end + "weight", {gates, dim});
      add(tier + "hh" + end + "bias", {gates});
    }
    add(tier + "h0",
        {(config.rnn == audiogen::models::SampleRNNConfig::Rnn::kGru ? 1 : 2) * config.n_rnn, dim});
    add(tier + "upsample.weight", {config.ratio(t) * dim, dim});
    add(tier + "upsample.bias", {config.ratio(t) * dim});
  }
  const auto layer = [&](const std::string& name, std::size_t rows) {
    add("sample." + name + ".weight", {rows, dim});
    add("sample." + name + ".bias", {rows});
  };
  add("sample.embedding", {levels, config.embedding_size});
  add("sample.layer1.weight", {dim, config.window() * config.embedding_size});
  if (n_features > 0) add("sample.features.weight", {dim, n_features});
  layer("layer2", dim);
  layer("layer3", dim);
  layer("output", levels);
  if (config.two_bytes()) {
    add("sample.embedding_low", {levels, config.embedding_size});
    layer("layer3_low", dim);
    layer("output_low", levels);
    add("sample.upper", {levels, dim});
  }
  return add.arrays;
}
