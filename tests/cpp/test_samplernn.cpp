// A SampleRNN stream neither allocates nor throws while it plays, and copies carry on.
#include "models/samplernn.h"

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "random_weights.h"

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

static std::shared_ptr<const SampleRNNWeights> network(Precision precision = Precision::kFloat32,
                                                       SampleRNNConfig config = small()) {
  const core::FloatArrays weights = weights_for(config, 0.2f);
  return std::make_shared<const SampleRNNWeights>(std::move(config), weights, precision);
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

// Streams play together or not, begun at different times, as each would alone.
static void some_streams_play_while_others_stand_still(Precision precision, std::size_t n_tiers,
                                                       std::size_t n_threads) {
  constexpr std::size_t kStreams = 17, kMost = 50;
  const float temperature = 0.9f;
  const models::Sampling sampling{{&temperature, 1}, 0.95f};
  SampleRNNConfig config = small();
  if (n_tiers == 1) config.frame_sizes.erase(config.frame_sizes.begin());
  const auto weights = network(precision, config);
  const auto note = [](std::size_t s) {
    return SampleNote{40.0 + 1.7 * static_cast<double>(s), 0.5, s % 2};
  };
  SampleStream stream(weights, kStreams, n_threads);
  stream.reset(5);
  std::vector<float> got[kStreams], block[kStreams];
  for (auto& samples : block) samples.resize(kMost);
  const auto start = [&](std::size_t s) {
    stream.seed_stream(s, 30 + s);
    stream.start_note(s, note(s));
  };
  const auto play = [&](const std::vector<std::size_t>& streams, std::size_t n) {
    std::vector<float*> rows;
    for (const std::size_t s : streams) rows.push_back(block[s].data());
    const int before = allocations;
    stream.process(streams, rows, n, sampling);
    CHECK(allocations == before);
    for (const std::size_t s : streams) {
      got[s].insert(got[s].end(), block[s].begin(),
                    block[s].begin() + static_cast<std::ptrdiff_t>(n));
    }
  };
  start(2);
  play({2}, 7);
  start(0);
  play({0, 2}, 20);
  play({}, 10);
  std::vector<std::size_t> all = {2, 0};  // in any order
  for (std::size_t s = 0; s < kStreams; ++s) {
    if (s == 0 || s == 2) continue;
    start(s);
    all.push_back(s);
  }
  play(all, 31);
  play({1}, 9);
  play({7, 3, 5, 11, 1, 4, 6}, 12);
  play(all, kMost);
  for (std::size_t s = 0; s < kStreams; ++s) {
    SampleStream alone(weights);
    alone.reset(30 + s);
    alone.start_note(0, note(s));
    std::vector<float> want(got[s].size());
    alone.process(want.data(), want.size(), sampling);
    CHECK(got[s] == want);
    CHECK(stream.position(s) == got[s].size());
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
    for (const std::size_t n_tiers : {1, 2}) {
      some_streams_play_while_others_stand_still(precision, n_tiers, 1);
    }
    if (audiogen::test::kRealtimeSanitizer) continue;
    plays_without_allocating(precision, 2);
    some_streams_play_while_others_stand_still(precision, 1, 2);
  }
  copies_and_moves_carry_on();
  // Threads that wait for each other are for offline work.
  if (!audiogen::test::kRealtimeSanitizer) threads_give_the_same_bits();
  return audiogen::test::finish();
}
