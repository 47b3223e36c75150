// A small SampleRNN with random weights, and the same with its linear maps multiplied out, for
// tests of the phases that CUDA runs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "kernels/networks/samplernn_phases.h"
#include "models/samplernn.h"

namespace audiogen::test {

using models::SampleRNNConfig;
using Numbers = std::vector<double>;

inline core::FloatArrays random_arrays(const SampleRNNConfig& config) {
  core::FloatArrays arrays;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  const auto add = [&](const std::string& name, std::vector<std::size_t> shape) {
    const std::size_t size =
        std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
    // Products of unit variance, so that what lies far from the output still moves it.
    const bool weight = name.ends_with("weight");
    const float deviation = weight ? 1.2f / std::sqrt(static_cast<float>(shape.back())) : 0.4f;
    core::FloatArray array{std::move(shape), std::vector<float>(size)};
    for (float& value : array.values) value = deviation * normal(random);
    arrays.emplace(name, std::move(array));
  };
  const std::size_t dim = config.dim, gates = config.n_gates() * dim,
                    n_features = config.n_features();
  const auto linear = [&](const std::string& name, std::size_t n_out, std::size_t n_in) {
    add(name + ".weight", {n_out, n_in});
    add(name + ".bias", {n_out});
  };
  for (std::size_t t = 0; t < config.n_tiers(); ++t) {
    const std::string tier = "tiers." + std::to_string(t) + ".";
    if (t > 0) linear(tier + "input", dim, config.frame_sizes[t]);
    if (t > 0 && n_features) add(tier + "features.weight", {dim, n_features});
    for (std::size_t l = 0; l < config.n_rnn; ++l) {
      const std::string end = "." + std::to_string(l);
      linear(tier + "ih" + end, gates, t + l == 0 ? config.frame_sizes[0] + n_features : dim);
      linear(tier + "hh" + end, gates, dim);
    }
    add(tier + "h0", {config.n_rnn * (config.rnn == SampleRNNConfig::Rnn::kLstm ? 2 : 1), dim});
    linear(tier + "upsample", config.ratio(t) * dim, dim);
  }
  add("sample.embedding", {config.n_levels(), config.embedding_size});
  add("sample.layer1.weight", {dim, config.window() * config.embedding_size});
  if (n_features) add("sample.features.weight", {dim, n_features});
  linear("sample.layer2", dim, dim);
  linear("sample.layer3", dim, dim);
  linear("sample.output", config.n_levels(), dim);
  if (config.two_bytes()) {
    add("sample.embedding_low", {256, config.embedding_size});
    add("sample.upper", {256, dim});
    linear("sample.layer3_low", dim, dim);
    linear("sample.output_low", 256, dim);
  }
  return arrays;
}

// The network that the phases want: what follows without a non-linearity is multiplied out.
class Folded {
 public:
  Folded(const SampleRNNConfig& config, const core::FloatArrays& arrays) : arrays_(arrays) {
    const std::size_t dim = config.dim, gates = config.n_gates() * dim;
    const std::size_t n_classes = config.n_classes;
    net.n_tiers = static_cast<int>(config.n_tiers());
    net.dim = static_cast<int>(dim);
    net.n_rnn = static_cast<int>(config.n_rnn);
    net.n_gates = static_cast<int>(config.n_gates());
    net.q_levels = static_cast<int>(config.q_levels);
    const Numbers layer2 = get("sample.layer2.weight"), bias2 = get("sample.layer2.bias");
    for (std::size_t t = 0; t < config.n_tiers(); ++t) {
      kernels::SamplernnTier& tier = net.tiers[t];
      const std::string name = "tiers." + std::to_string(t) + ".";
      const std::size_t frame = config.frame_sizes[t], ratio = config.ratio(t);
      tier.frame_size = static_cast<int>(frame);
      tier.ratio = static_cast<int>(ratio);
      Numbers input_bias, input, recurrent, recurrent_bias;
      for (std::size_t l = 0; l < config.n_rnn; ++l) {
        const std::string end = "." + std::to_string(l) + ".";
        Numbers weight = get(name + "ih" + end + "weight"), bias = get(name + "ih" + end + "bias");
        if (t + l == 0) {
          tier.direct = keep(columns(weight, gates, 0, frame));
          if (n_classes) {
            tier.classes = keep(turned(columns(weight, gates, frame, n_classes), n_classes));
          }
        } else if (l == 0) {
          tier.direct = keep(product(weight, get(name + "input.weight"), gates, dim, frame));
          const Numbers more = product(weight, get(name + "input.bias"), gates, dim, 1);
          for (std::size_t i = 0; i < gates; ++i) bias[i] += more[i];
          if (n_classes) {
            const Numbers features = get(name + "features.weight");
            tier.classes =
                keep(turned(product(weight, features, gates, dim, n_classes), n_classes));
          }
          tier.above = keep(weight);
        } else {
          append(input, weight);
        }
        append(input_bias, bias);
        append(recurrent, get(name + "hh" + end + "weight"));
        append(recurrent_bias, get(name + "hh" + end + "bias"));
      }
      tier.input = keep(input);
      tier.input_bias = keep(input_bias);
      tier.recurrent = keep(recurrent);
      tier.recurrent_bias = keep(recurrent_bias);
      tier.h0 = keep(get(name + "h0"));
      Numbers up = get(name + "upsample.weight"), up_bias = get(name + "upsample.bias");
      if (t + 1 == config.n_tiers()) {
        for (std::size_t r = 0; r < ratio; ++r) {
          const auto part = [&](const Numbers& from, std::size_t n) {
            const auto first = from.begin() + static_cast<std::ptrdiff_t>(r * n);
            return Numbers(first, first + static_cast<std::ptrdiff_t>(n));
          };
          const Numbers weight = product(layer2, part(up, dim * dim), dim, dim, dim);
          Numbers bias = product(layer2, part(up_bias, dim), dim, dim, 1);
          for (std::size_t i = 0; i < dim; ++i) bias[i] += bias2[i];
          std::copy(weight.begin(), weight.end(), up.begin() + static_cast<long>(r * dim * dim));
          std::copy(bias.begin(), bias.end(), up_bias.begin() + static_cast<long>(r * dim));
        }
      }
      tier.upsample = keep(up);
      tier.upsample_bias = keep(up_bias);
    }
    const std::size_t size = config.embedding_size, n_in = config.window() * size;
    const Numbers first = product(layer2, get("sample.layer1.weight"), dim, dim, n_in);
    Numbers tables;
    for (std::size_t w = 0; w < config.window(); ++w) {
      const Numbers part = columns(first, dim, w * size, size);
      const Numbers part_turned = turned(part, size);
      const std::size_t n = config.n_levels();
      append(tables, product(get("sample.embedding"), part_turned, n, size, dim));
      if (!config.two_bytes()) continue;
      append(tables, product(get("sample.embedding_low"), part_turned, n, size, dim));
    }
    net.tables = keep(tables);
    if (n_classes) {
      const Numbers features = get("sample.features.weight");
      net.classes = keep(turned(product(layer2, features, dim, dim, n_classes), n_classes));
    }
    Numbers hidden = get("sample.layer3.weight"), hidden_bias = get("sample.layer3.bias");
    if (config.two_bytes()) {
      append(hidden, get("sample.layer3_low.weight"));
      append(hidden_bias, get("sample.layer3_low.bias"));
      net.output_low = keep(get("sample.output_low.weight"));
      net.output_low_bias = keep(get("sample.output_low.bias"));
      net.upper = keep(get("sample.upper"));
    }
    net.hidden = keep(hidden);
    net.hidden_bias = keep(hidden_bias);
    net.output = keep(get("sample.output.weight"));
    net.output_bias = keep(get("sample.output.bias"));
    Numbers samples(config.q_levels);  // linear
    for (std::size_t k = 0; k < samples.size(); ++k) {
      const double half = static_cast<double>(config.q_levels) / 2.0;
      samples[k] = (static_cast<double>(k) - std::floor(half)) / half;
    }
    net.samples = keep(samples);
    net.dc_pole = 1.0 - 2.0 * std::acos(-1.0) * 10.0 / config.sample_rate;
  }

  kernels::Samplernn net{};

 private:
  Numbers get(const std::string& name) const {
    const auto& values = arrays_.at(name).values;
    return {values.begin(), values.end()};
  }
  const float* keep(const Numbers& numbers) {
    return kept_.emplace_back(std::make_unique<Floats>(numbers.begin(), numbers.end()))->data();
  }
  static void append(Numbers& to, const Numbers& from) {
    to.insert(to.end(), from.begin(), from.end());
  }
  // a [n, m] times b [m, k].
  static Numbers product(const Numbers& a, const Numbers& b, std::size_t n, std::size_t m,
                         std::size_t k) {
    Numbers c(n * k);
    for (std::size_t i = 0; i < n * m; ++i) {
      for (std::size_t j = 0; j < k; ++j) c[i / m * k + j] += a[i] * b[i % m * k + j];
    }
    return c;
  }
  static Numbers columns(const Numbers& a, std::size_t rows, std::size_t first, std::size_t n) {
    const std::size_t width = a.size() / rows;
    Numbers c;
    for (std::size_t i = 0; i < rows * n; ++i) c.push_back(a[i / n * width + first + i % n]);
    return c;
  }
  // The transpose of a [.., n].
  static Numbers turned(const Numbers& a, std::size_t n) {
    const std::size_t rows = a.size() / n;
    Numbers c(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) c[i % n * rows + i / n] = a[i];
    return c;
  }

  using Floats = std::vector<float>;
  const core::FloatArrays& arrays_;
  std::vector<std::unique_ptr<Floats>> kept_;
};

inline SampleRNNConfig small(std::vector<std::size_t> frame_sizes, std::size_t dim,
                             std::size_t n_rnn = 1) {
  SampleRNNConfig config;
  config.frame_sizes = std::move(frame_sizes);
  config.dim = dim;
  config.n_rnn = n_rnn;
  config.embedding_size = 5;
  return config;
}

// What a run of some streams returns.
struct Result {
  std::vector<std::int32_t> levels;
  std::vector<float> samples, logits;
};

// Checks the levels, the logits and, unless the levels were given, the samples of a run. Returns
// the largest difference of logits.
inline double check_equal(const Result& ours, const Result& theirs, bool were_given) {
  CHECK(ours.levels == theirs.levels);
  double worst = 0.0, size = 0.0;
  for (std::size_t i = 0; i < ours.logits.size(); ++i) {
    const double apart = std::abs(ours.logits[i] - theirs.logits[i]);
    worst = apart <= worst ? worst : apart;  // NaN is the worst
    size = std::max(size, static_cast<double>(std::abs(theirs.logits[i])));
  }
  CHECK(worst <= 1e-4);
  CHECK(size > 0.5);
  for (std::size_t i = 0; i < ours.samples.size() && !were_given; ++i) {
    CHECK_NEAR(ours.samples[i], theirs.samples[i], 1e-6);
  }
  return worst;
}

}  // namespace audiogen::test
