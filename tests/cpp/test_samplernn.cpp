// A SampleRNN stream neither allocates nor throws while it plays, and copies carry on.
#include "models/samplernn.h"

#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "check.h"

using namespace audiogen;
using models::SampleNote;
using models::SampleRNNConfig;
using models::SampleRNNWeights;
using models::SampleStream;
using Precision = SampleRNNWeights::Precision;

static SampleRNNConfig small() {
  SampleRNNConfig config;
  config.frame_sizes = {6, 2};
  config.dim = 70;
  config.n_rnn = 2;
  config.embedding_size = 4;
  config.q_levels = 65536;
  config.conditioning = SampleRNNConfig::Conditioning::kNote;
  config.n_classes = 2;
  return config;
}

static core::FloatArrays weights_for(const SampleRNNConfig& config) {
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
  const std::size_t dim = config.dim, gates = config.n_gates() * dim, told = config.n_features();
  for (std::size_t t = 0; t < config.n_tiers(); ++t) {
    const std::string name = "tiers." + std::to_string(t) + ".";
    for (std::size_t l = 0; l < config.n_rnn; ++l) {
      const std::string end = "." + std::to_string(l) + ".";
      const bool top = t == 0 && l == 0;
      add(name + "ih" + end + "weight", {gates, top ? config.frame_sizes[0] + told : dim});
      add(name + "ih" + end + "bias", {gates});
      add(name + "hh" + end + "weight", {gates, dim});
      add(name + "hh" + end + "bias", {gates});
    }
    if (t > 0) {
      add(name + "input.weight", {dim, config.frame_sizes[t]});
      add(name + "input.bias", {dim});
      add(name + "features.weight", {dim, told});
    }
    add(name + "h0", {config.n_rnn, dim});
    add(name + "upsample.weight", {config.ratio(t) * dim, dim});
    add(name + "upsample.bias", {config.ratio(t) * dim});
  }
  add("sample.features.weight", {dim, told});
  add("sample.layer1.weight", {dim, config.window() * config.embedding_size});
  for (const char* embedding : {"embedding", "embedding_low"}) {
    add(std::string("sample.") + embedding, {256, config.embedding_size});
  }
  for (const char* layer : {"layer2", "layer3", "layer3_low"}) {
    add(std::string("sample.") + layer + ".weight", {dim, dim});
    add(std::string("sample.") + layer + ".bias", {dim});
  }
  for (const char* output : {"output", "output_low"}) {
    add(std::string("sample.") + output + ".weight", {256, dim});
    add(std::string("sample.") + output + ".bias", {256});
  }
  add("sample.upper", {256, dim});
  return arrays;
}

static std::shared_ptr<const SampleRNNWeights> network(Precision precision = Precision::kFloat32) {
  return std::make_shared<const SampleRNNWeights>(small(), weights_for(small()), precision);
}

static std::vector<float> taken(SampleStream& stream, std::size_t n) {
  std::vector<float> samples(stream.n_streams() * n);
  const float temperature = 0.9f;
  stream.process(samples.data(), n, {{&temperature, 1}, 0.95f});
  return samples;
}

static void plays_without_allocating(Precision precision, std::size_t n_threads) {
  SampleStream stream(network(precision), 3, n_threads);
  constexpr std::size_t kSamples = 64;
  std::vector<float> samples(3 * kSamples), logits(3 * kSamples * stream.config().n_logits());
  std::vector<std::int32_t> levels(3 * kSamples);
  const float temperature = 1.0f;
  const models::Sampling sampling{{&temperature, 1}, 0.9f};
  const int before = allocations;
  stream.reset(5, 2);
  stream.start_note(1, {50.0, 0.5, 1});
  stream.process(samples.data(), kSamples, sampling);
  stream.set_pitch(1, 51.0);
  stream.set_class(2, 1);
  stream.draw(levels.data(), samples.data(), kSamples, sampling);
  stream.release(1);
  stream.feed(levels.data(), kSamples);
  stream.logits(levels.data(), kSamples, logits.data());
  CHECK(allocations == before);
  CHECK(stream.position(0) == 4 * kSamples);
  static_assert(noexcept(stream.process(nullptr, 0, {})) && noexcept(stream.feed(nullptr, 0)));
  static_assert(noexcept(stream.reset(0)) && noexcept(stream.start_note(0, {})));
}

static void copies_and_moves_carry_on() {
  SampleStream stream(network(), 2);
  stream.start_note(0, {61.0, 0.5, 1});
  taken(stream, 35);
  SampleStream copy(stream), assigned(network(Precision::kInt8));
  assigned = stream;
  const auto want = taken(stream, 40);
  CHECK(taken(copy, 40) == want);
  CHECK(assigned.n_streams() == 2);
  const auto first = taken(assigned, 11);
  SampleStream moved(std::move(assigned));
  const auto rest = taken(moved, 29);
  for (std::size_t s = 0; s < 2; ++s) {
    for (std::size_t i = 0; i < 40; ++i) {
      CHECK((i < 11 ? first[s * 11 + i] : rest[s * 29 + i - 11]) == want[s * 40 + i]);
    }
  }
}

static void threads_give_the_same_bits() {
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8}) {
    SampleStream one(network(precision), 2, 1), two(network(precision), 2, 2);
    CHECK(taken(one, 100) == taken(two, 100));
    SampleStream copy(two), moved(std::move(two));
    const auto want = taken(one, 100);
    CHECK(taken(copy, 100) == want);
    CHECK(taken(moved, 100) == want);
  }
  CHECK_THROWS(SampleStream(network(), 0), std::invalid_argument, "n_streams=0");
  CHECK_THROWS(SampleStream(network(), 1, 3), std::invalid_argument, "n_threads=3");
}

int main() {
  for (const auto precision : {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8}) {
    plays_without_allocating(precision, 1);
    plays_without_allocating(precision, 2);
  }
  copies_and_moves_carry_on();
  threads_give_the_same_bits();
  return audiogen::test::finish();
}
