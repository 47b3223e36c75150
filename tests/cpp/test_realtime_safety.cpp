// The engine, driven through a long script at many block sizes, does nothing on the audio thread
// that may wait: no allocation (counted), no lock, no system call (RealtimeSanitizer).
//
// With the name of a fault as argument, an instrument with that fault is played instead. Under
// RealtimeSanitizer the program then ends with its report, which ctest looks for.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "allocation_counter.h"
#include "check.h"
#include "engine/engine.h"
#include "small_instruments.h"

using namespace audiogen;
using engine::Engine;
using engine::Event;
using engine::EventKind;
using engine::Instrument;

static constexpr std::uint32_t kRate = 48000;   // Hz
static constexpr std::size_t kSamples = 30000;  // of the script
static constexpr std::size_t kLargestBlock = 4096;
static constexpr std::size_t kVoices = 4;

// Everything that can happen to an engine, often; offsets count from the first sample.
static std::vector<Event> make_script() {
  std::mt19937 random(3);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  std::vector<Event> script;
  std::uint32_t n_notes = 0;
  for (std::uint32_t at = 0; at < kSamples; at += below(300)) {  // chords, too: steps of 0
    const std::uint32_t what = below(20);
    if (what < 9) {  // more notes than voices
      const float pitch = 20.0f + static_cast<float>(below(800)) / 10.0f;
      script.push_back({at, EventKind::kNoteOn, n_notes++, below(4), pitch,
                        static_cast<float>(below(128)) / 127.0f});
    } else if (what < 13) {
      script.push_back({at, EventKind::kNoteOff, n_notes - std::min(n_notes, below(8)), 0, 0, 0});
    } else if (what < 19) {
      const std::uint32_t which = below(engine::kParameterCount + 1);  // one that isn't there
      const float part = static_cast<float>(below(1001)) / 1000.0f;
      float value = 4.0f * part;
      if (which < engine::kParameterCount) {
        const engine::ParameterInfo& info = engine::kParameters[which];
        value = info.lowest + part * (info.highest - info.lowest);
      }
      if (which == static_cast<std::uint32_t>(engine::Parameter::kVolume))
        value = 0.5f + 0.5f * part;
      script.push_back({at, EventKind::kParameter, which, 0, 0.0f, value});
    } else if (below(2) == 0) {
      script.push_back({at, static_cast<EventKind>(4 + below(3)), n_notes - std::min(n_notes, 1u),
                        0, 0.0f, 2.0f * static_cast<float>(below(1001)) / 1000.0f - 1.0f});
    } else {
      script.push_back({at, EventKind::kAllOff, 0, 0, 0.0f, static_cast<float>(below(2))});
    }
  }
  return script;
}

// A script cut into blocks.
struct Cut {
  Cut(const std::vector<Event>& script, std::size_t size) : block(size), events(script) {
    std::size_t next = 0;
    for (std::size_t start = 0; start < kSamples; start += block) {
      firsts.push_back(next);
      while (next < events.size() && events[next].offset < start + block) {
        events[next++].offset -= static_cast<std::uint32_t>(start);
      }
    }
    firsts.push_back(next);
  }
  std::size_t block;
  std::vector<Event> events;
  std::vector<std::size_t> firsts;  // event of each block, and the end
};

// The audio thread.
static void play(Engine& engine, const Cut& cut,
                 std::vector<float> (&out)[2]) noexcept AUDIOGEN_REALTIME {
  std::size_t start = 0;
  for (std::size_t b = 0; b + 1 < cut.firsts.size(); ++b) {
    float* const channels[] = {out[0].data() + start, out[1].data() + start};
    const std::size_t first = cut.firsts[b];
    const std::size_t n = std::min(cut.block, kSamples - start);
    engine.process({channels, engine.n_channels()}, n,
                   {cut.events.data() + first, cut.firsts[b + 1] - first});
    start += n;
  }
}

static void restart(Engine& engine) noexcept AUDIOGEN_REALTIME { engine.reset(5); }

static void plays_safely(const std::shared_ptr<Instrument>& instrument, std::size_t n_channels,
                         const std::vector<Event>& script) {
  Engine engine(instrument, kRate, kLargestBlock, kVoices, 5, n_channels);
  std::vector<float> out[2], first[2];
  for (std::vector<float>& channel : out) channel.resize(kSamples);
  for (const std::size_t block : {1, 16, 64, 127, 512, 4096}) {
    const Cut cut(script, block);
    const int before = allocations;
    play(engine, cut, out);
    const std::uint64_t n_stolen = engine.n_stolen(), n_transposed = engine.n_transposed();
    restart(engine);
    CHECK(allocations == before);
    CHECK(n_stolen > 0 && n_transposed > 0 && engine.n_sounding() == 0);
    if (block == 1) std::copy_n(out, 2, first);
    CHECK(out[0] == first[0] && out[1] == first[1]);
  }
  float loudest = 0.0f;
  bool finite = true;
  for (const float x : first[n_channels - 1]) {
    loudest = std::max(loudest, std::abs(x));
    finite = finite && std::isfinite(x);
  }
  CHECK(finite && loudest > 1e-3f);
}

// A voice that does on the audio thread what it must not.
class FaultyVoice final : public engine::Voice {
 public:
  explicit FaultyVoice(std::string_view fault) : fault_(fault) {}
  void note_on(const engine::Note&) noexcept AUDIOGEN_REALTIME override { active_ = true; }
  void note_off() noexcept AUDIOGEN_REALTIME override {}
  void reset() noexcept AUDIOGEN_REALTIME override { active_ = false; }
  bool active() const noexcept AUDIOGEN_REALTIME override { return active_; }
  bool released() const noexcept AUDIOGEN_REALTIME override { return false; }
  void add(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME override {
    AUDIOGEN_OFFLINE(commit();)
    std::fill_n(out, n, 1.0f);
  }

 private:
  void commit() {
    if (fault_ == "allocation") kept_.push_back(1.0f);
    if (fault_ == "lock") const std::lock_guard guard(mutex_);
    if (fault_ == "system_call") usleep(1);
  }
  std::string_view fault_;
  std::vector<float> kept_;
  std::mutex mutex_;
  bool active_ = false;
};

class FaultyInstrument final : public Instrument {
 public:
  explicit FaultyInstrument(std::string_view fault)
      : Instrument(48000.0, {36.0f, 84.0f}, 1), fault_(fault) {}
  std::unique_ptr<engine::Voices> make_voices(std::size_t n, std::size_t,
                                              std::size_t) const override {
    return std::make_unique<engine::SeparateVoices<FaultyVoice>>(n, fault_);
  }

 private:
  std::string_view fault_;
};

// What an instrument with a fault allocates while the script plays.
static int allocations_with(std::string_view fault, const std::vector<Event>& script) {
  Engine engine(std::make_shared<FaultyInstrument>(fault), kRate, kLargestBlock, kVoices, 5);
  std::vector<float> out[2] = {std::vector<float>(kSamples), std::vector<float>(kSamples)};
  const Cut cut(script, 64);
  const int before = allocations;
  play(engine, cut, out);
  return allocations - before;
}

int main(int n_arguments, char** arguments) {
  const std::vector<Event> script = make_script();
  if (n_arguments == 2) {
    allocations_with(arguments[1], script);
    return audiogen::test::finish();
  }
  using Conditioning = models::SampleRNNConfig::Conditioning;
  using Precision = models::SampleRNNWeights::Precision;
  for (const std::size_t n_channels : {1, 2}) {
    plays_safely(frame_instrument(engine::PhaseChannel::kHarmonic), n_channels, script);
    plays_safely(sample_instrument(Conditioning::kNote, 64, Precision::kInt8), n_channels, script);
  }
  plays_safely(frame_instrument(engine::PhaseChannel::kInstantaneousFrequency), 2, script);
  plays_safely(sample_instrument(Conditioning::kClass, 65536, Precision::kFloat32), 2, script);
  if (!audiogen::test::kRealtimeSanitizer && AUDIOGEN_COUNTS_ALLOCATIONS) {
    CHECK(allocations_with("allocation", script) > 0);
    CHECK(allocations_with("none", script) == 0);
  }
  return audiogen::test::finish();
}
