// The generator's stream neither allocates nor throws while it plays; a test sees the counter
// count.
#include "models/gansynth.h"

#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "random_weights.h"

using namespace audiogen;
using models::Conditioning;
using models::FrameStream;
using models::GeneratorConfig;
using models::GeneratorWeights;

static GeneratorConfig small(Conditioning conditioning) {
  GeneratorConfig config;
  config.conditioning = conditioning;
  config.latent_size = 3;
  config.channels = {20, 9, 5};
  config.start_frames = 2;
  config.start_bins = 8;
  config.note_off_frame = 5;
  return config;
}

static void counter_counts() {
  const int before = allocations;
  const auto one = std::make_unique<std::vector<int>>(3);
  const core::AlignedFloats other(5);
  CHECK(allocations - before == (AUDIOGEN_COUNTS_ALLOCATIONS ? 3 : 0));
}

static void plays_without_allocating(Conditioning conditioning) {
  const GeneratorConfig config = small(conditioning);
  const auto weights = std::make_shared<const GeneratorWeights>(config, weights_for(config));
  FrameStream stream(weights);
  const std::vector<float> z = {0.5f, -1.0f, 2.0f};
  std::vector<float> magnitude(config.n_bins()), phase(config.n_bins());
  const int before = allocations;
  bool inside = true;
  for (int note = 0; note < 3; ++note) {
    stream.start({z, 40.0f + 0.25f * static_cast<float>(note), 0.8f, 7, 1});
    for (std::size_t i = 0; i < 3 * config.n_frames(); ++i) {
      if (i % 5 == 4) stream.seek((7 * i) % config.n_frames());
      stream.next(magnitude.data(), phase.data());
      for (std::size_t f = 0; f < config.n_bins(); ++f) {
        inside &= magnitude[f] >= -1.0f && magnitude[f] <= 1.0f;
        inside &= phase[f] >= -1.0f && phase[f] <= 1.0f;
      }
    }
  }
  CHECK(allocations == before);
  CHECK(inside);
  static_assert(noexcept(stream.start({})) && noexcept(stream.next(nullptr, nullptr)));
}

// Streams share weights, not state, and can be moved while they play.
static void streams_are_independent() {
  const GeneratorConfig config = small(Conditioning::kHarmonic);
  const auto weights = std::make_shared<const GeneratorWeights>(config, weights_for(config));
  const std::vector<float> z = {0.5f, -1.0f, 2.0f}, other_z = {1.0f, 1.0f, 1.0f};
  const auto frames_of = [&](FrameStream& stream, std::size_t n, std::vector<float>& out) {
    for (std::size_t i = 0; i < n; ++i) {
      out.resize(out.size() + 2 * config.n_bins());
      stream.next(out.data() + out.size() - 2 * config.n_bins(),
                  out.data() + out.size() - config.n_bins());
    }
  };
  FrameStream alone(weights);
  alone.start({z, 50.0f, 1.0f, 3, 0});
  std::vector<float> want, got, ignored;
  frames_of(alone, config.n_frames(), want);

  FrameStream first(weights), second(weights);
  first.start({z, 50.0f, 1.0f, 3, 0});
  second.start({other_z, 61.0f, 0.2f, 4, 1});
  frames_of(first, 3, got);
  frames_of(second, 2, ignored);
  FrameStream moved(std::move(first));
  frames_of(moved, config.n_frames() - 3, got);
  CHECK(got == want);
  second.start({z, 50.0f, 1.0f, 3, 0});  // a used stream starts afresh
  got.clear();
  frames_of(second, config.n_frames(), got);
  CHECK(got == want);

  // Streams that share scratch memory may have different pitches, and take turns.
  const auto scratch = std::make_shared<models::FrameScratch>(*weights);
  FrameStream low(weights, nullptr, scratch), high(weights, nullptr, scratch);
  low.start({z, 50.0f, 1.0f, 3, 0});
  high.start({other_z, 61.0f, 0.2f, 4, 1});
  got.clear();
  for (std::size_t i = 0; i < config.n_frames(); ++i) {
    frames_of(low, 1, got);
    frames_of(high, 1, ignored);
    if (i == 3) high.set_pitch(64.0f);
  }
  CHECK(got == want);
}

int main() {
  counter_counts();
  plays_without_allocating(Conditioning::kOneHot);
  plays_without_allocating(Conditioning::kHarmonic);
  streams_are_independent();
  return audiogen::test::finish();
}
