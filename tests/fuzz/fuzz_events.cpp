// Fuzzer of the engine's events: whatever a host sends, sound stays finite and within its block.
//
// The first byte picks the engine. Then, block by block: two bytes of the block's length, one of
// the number of events, and the events' own bytes.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "small_instruments.h"

using namespace audiogen;

static constexpr std::size_t kMaxBlock = 512;
static constexpr std::size_t kMostSamples = 8192;  // of one input
static constexpr std::size_t kMostEvents = 8;      // of one block
static constexpr float kUntouched = 12345.0f;

static std::vector<std::unique_ptr<engine::Engine>> make_engines() {
  using engine::PhaseChannel;
  using models::SampleRNNConfig;
  using Precision = models::SampleRNNWeights::Precision;
  std::vector<std::unique_ptr<engine::Engine>> engines;
  const auto add = [&](std::shared_ptr<const engine::Instrument> instrument, std::uint32_t rate,
                       std::size_t n_voices, std::size_t n_channels) {
    engines.push_back(std::make_unique<engine::Engine>(std::move(instrument), rate, kMaxBlock,
                                                       n_voices, 1, n_channels));
  };
  add(frame_instrument(PhaseChannel::kHarmonic), 48000, 3, 2);
  add(frame_instrument(PhaseChannel::kInstantaneousFrequency), 16000, 1, 1);
  add(sample_instrument(SampleRNNConfig::Conditioning::kNote, 64, Precision::kFloat32), 44100, 2,
      2);
  add(sample_instrument(SampleRNNConfig::Conditioning::kClass, 65536, Precision::kInt8), 8000, 3,
      1);
  return engines;
}

static void require(bool condition) {
  if (!condition) std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto engines = make_engines();
  if (size == 0) return 0;
  const std::uint8_t* const end = data + size;
  engine::Engine& engine = *engines[*data++ % engines.size()];
  engine.reset(1);
  std::vector<float> out[2] = {std::vector<float>(kMaxBlock + 1),
                               std::vector<float>(kMaxBlock + 1)};
  std::vector<engine::Event> events;
  for (std::size_t done = 0; end - data >= 3 && done < kMostSamples;) {
    const std::size_t n = (data[0] + 256u * data[1]) % (kMaxBlock + 1);
    events.resize(data[2] % (kMostEvents + 1));
    data += 3;
    for (engine::Event& event : events) {
      if (static_cast<std::size_t>(end - data) < sizeof(event)) break;
      std::memcpy(&event, data, sizeof(event));
      data += sizeof(event);
    }
    for (std::vector<float>& channel : out) channel[n] = kUntouched;
    float* const channels[] = {out[0].data(), out[1].data()};
    engine.process({channels, engine.n_channels()}, n, events);
    for (std::size_t c = 0; c < engine.n_channels(); ++c) {
      for (std::size_t i = 0; i < n; ++i) require(std::isfinite(out[c][i]));
      require(out[c][n] == kUntouched);
    }
    require(engine.n_sounding() <= 3);
    done += n + 1;
  }
  return 0;
}
