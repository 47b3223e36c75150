// The phases that CUDA runs, done on the host one item after the other, are the CPU's stream.
#include "kernels/networks/samplernn_phases.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "folded_samplernn.h"
#include "kernels/dispatch.h"
#include "models/samplernn.h"

using namespace audiogen;
using models::SampleRNNConfig;
using models::SampleRNNWeights;
using models::SampleStream;
using test::Folded;
using test::random_arrays;
using test::small;

// Does the items of a phase in order, or from the last to the first.
struct SerialGrid {
  bool backwards = false;
  template <class Item>
  void each(int rows, int columns, Item item) {
    const int n = rows * columns;
    for (int i = 0; i < n; ++i) {
      const int k = backwards ? n - 1 - i : i;
      item(k / columns, k % columns);
    }
  }
};

using test::Result;

static constexpr std::uint64_t kSeed = (std::uint64_t{1} << 63) + 11;
static constexpr std::uint32_t kFirstStream = 7;

struct Want {
  std::size_t n_streams, n;
  std::vector<float> temperature;  // [n]
  float top_p = 1.0f;
  const std::int32_t* given = nullptr;  // [n_streams, n]
  std::vector<std::size_t> cuts = {};   // where calls end, beside n
};

// Streams of the phases, stream s of class s % n_classes.
template <int kColumns>
static Result by_phases(const SampleRNNConfig& config, const core::FloatArrays& arrays,
                        const Want& want, bool backwards) {
  const Folded folded(config, arrays);
  const std::size_t n = want.n, n_streams = want.n_streams, width = config.n_logits();
  std::size_t bytes = 0;
  kernels::lay_out_state(folded.net, static_cast<int>(n_streams), nullptr, &bytes);
  const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(256, bytes),
                                                           &std::free);
  std::memset(memory.get(), 0xff, bytes);  // NaN: a state needs no clearing
  const auto state =
      kernels::lay_out_state(folded.net, static_cast<int>(n_streams), memory.get(), &bytes);
  std::vector<std::int32_t> classes(n_streams);
  for (std::size_t s = 0; s < n_streams && config.n_classes; ++s) {
    classes[s] = static_cast<std::int32_t>(s % config.n_classes);
  }
  Result all{std::vector<std::int32_t>(n_streams * n), std::vector<float>(n_streams * n),
             std::vector<float>(n_streams * n * width)};
  std::vector<std::size_t> ends = want.cuts;
  ends.push_back(n);
  std::size_t first = 0;
  for (const std::size_t end : ends) {
    const std::size_t m = end - first;
    Result part{std::vector<std::int32_t>(n_streams * m), std::vector<float>(n_streams * m),
                std::vector<float>(n_streams * m * width)};
    std::vector<std::int32_t> given(n_streams * m);
    for (std::size_t s = 0; s < n_streams && want.given; ++s) {
      std::copy_n(want.given + s * n + first, m, given.data() + s * m);
    }
    const kernels::SamplernnRun run{.seed = kSeed,
                                    .position = first,
                                    .n = m,
                                    .first_stream = kFirstStream,
                                    .seeds = nullptr,
                                    .top_p = want.top_p,
                                    .temperature = want.temperature.data() + first,
                                    .classes = config.n_classes ? classes.data() : nullptr,
                                    .given = want.given ? given.data() : nullptr,
                                    .levels = part.levels.data(),
                                    .samples = part.samples.data(),
                                    .logits = part.logits.data()};
    SerialGrid grid{backwards};
    kernels::run_phases<kColumns>(folded.net, state, run, grid);
    for (std::size_t s = 0; s < n_streams; ++s) {
      std::copy_n(part.levels.data() + s * m, m, all.levels.data() + s * n + first);
      std::copy_n(part.samples.data() + s * m, m, all.samples.data() + s * n + first);
      std::copy_n(part.logits.data() + s * m * width, m * width,
                  all.logits.data() + (s * n + first) * width);
    }
    first = end;
  }
  return all;
}

static Result by_stream(const SampleRNNConfig& config, const core::FloatArrays& arrays,
                        const Want& want) {
  SampleStream stream(std::make_shared<const SampleRNNWeights>(config, arrays), want.n_streams);
  const auto begin = [&] {
    stream.reset(kSeed, kFirstStream);
    for (std::size_t s = 0; s < want.n_streams && config.n_classes; ++s) {
      stream.set_class(s, s % config.n_classes);
    }
  };
  const std::size_t size = want.n_streams * want.n;
  Result result{std::vector<std::int32_t>(size), std::vector<float>(size),
                std::vector<float>(size * config.n_logits())};
  begin();
  if (!want.given) {
    stream.draw(result.levels.data(), result.samples.data(), want.n,
                {want.temperature, want.top_p});
    begin();
  } else {
    std::copy_n(want.given, size, result.levels.data());
  }
  stream.logits(result.levels.data(), want.n, result.logits.data());
  return result;
}

static void same_samples(const char* name, const SampleRNNConfig& config, const Want& want) {
  const core::FloatArrays arrays = random_arrays(config);
  const Result ours = by_phases<3>(config, arrays, want, false);
  const Result theirs = by_stream(config, arrays, want);
  const int before = test::failures;
  const double worst = test::check_equal(ours, theirs, want.given != nullptr);
  // Items of a phase don't wait for each other, and streams don't share sums.
  for (const Result& other :
       {by_phases<3>(config, arrays, want, true), by_phases<1>(config, arrays, want, false),
        by_phases<8>(config, arrays, want, true)}) {
    CHECK(other.levels == ours.levels && other.samples == ours.samples &&
          other.logits == ours.logits);
  }
  if (test::failures != before) std::fprintf(stderr, "  in %s, logits apart %g\n", name, worst);
}

static void feeding_is_silent_listening() {
  const SampleRNNConfig config = small({4, 2}, 20, 2);
  const core::FloatArrays arrays = random_arrays(config);
  const Folded folded(config, arrays);
  std::size_t bytes = 0;
  kernels::lay_out_state(folded.net, 1, nullptr, &bytes);
  std::vector<float> wanted(256), got(256);
  std::vector<std::int32_t> levels(31);
  for (std::size_t i = 0; i < levels.size(); ++i) levels[i] = static_cast<int>(i * 37 % 256);
  for (const bool listens : {false, true}) {
    const std::unique_ptr<void, decltype(&std::free)> memory(std::aligned_alloc(256, bytes),
                                                             &std::free);
    const auto state = kernels::lay_out_state(folded.net, 1, memory.get(), &bytes);
    std::vector<float> logits(30 * 256);
    SerialGrid grid;
    kernels::SamplernnRun run{};
    run.n = 30;
    run.given = levels.data();
    run.logits = listens ? nullptr : logits.data();
    kernels::run_phases<1>(folded.net, state, run, grid);
    run.position = 30;
    run.n = 1;
    run.given = levels.data() + 30;
    run.logits = listens ? got.data() : wanted.data();
    kernels::run_phases<1>(folded.net, state, run, grid);
  }
  CHECK(got == wanted);
}

// Logits with many equals, so that the nucleus has to choose between them.
static void draws_are_the_cpus() {
  std::mt19937 random(3);
  int different = 0, unlike_first = 0;
  for (const std::size_t n : {2, 3, 8, 77, 256}) {
    std::vector<float> logits(n), p(kernels::kMostLevels);
    std::vector<double> segments(kernels::kWarpLanes);
    for (int i = 0; i < 400; ++i) {
      for (float& logit : logits) logit = 0.5f * static_cast<float>(random() % 6);
      const float uniform = core::to_unit(static_cast<std::uint32_t>(random()));
      const float top_p = i % 2 ? 1.0f : 0.01f + 0.98f * uniform;
      const float temperature = i % 7 ? 0.2f + 0.003f * static_cast<float>(i) : 0.0f;
      const std::int32_t theirs =
          kernels::kernels().draw({logits.data(), n, temperature, top_p, uniform});
      const int ours = kernels::lanes_draw(logits.data(), static_cast<int>(n), temperature, top_p,
                                           uniform, p.data(), segments.data());
      different += ours != theirs;
      unlike_first += theirs != 0;
    }
  }
  CHECK(different == 0);
  CHECK(unlike_first > 1000);
}

int main() {
  draws_are_the_cpus();
  const std::vector<float> warm(300, 1.0f);
  SampleRNNConfig config = small({8, 2}, 33);
  same_samples("two tiers", config, {4, 300, warm});
  same_samples("cut", config, {2, 300, warm, 1.0f, nullptr, {1, 8, 9, 111}});
  std::vector<float> curve(300);
  for (std::size_t i = 0; i < curve.size(); ++i) curve[i] = 0.005f * static_cast<float>(i);
  same_samples("temperature", config, {4, 300, curve});
  same_samples("top_p", config, {4, 300, warm, 0.7f});
  same_samples("narrow top_p", config, {2, 100, warm, 1e-6f});
  std::vector<std::int32_t> given(2 * 100);
  for (std::size_t i = 0; i < given.size(); ++i) given[i] = static_cast<int>(i * 71 % 256);
  same_samples("given", config, {2, 100, warm, 1.0f, given.data()});

  config = small({1}, 17);
  config.q_levels = 100;
  same_samples("flat", config, {5, 300, warm});
  config = small({6}, 64, 2);
  config.q_levels = 3;
  same_samples("one tier", config, {1, 300, warm, 0.9f});
  config = small({12, 4, 2}, 24, 2);
  config.rnn = SampleRNNConfig::Rnn::kLstm;
  config.q_levels = 77;
  same_samples("three tiers, LSTM", config, {4, 300, warm});
  config = small({4, 1}, 16);
  config.conditioning = SampleRNNConfig::Conditioning::kClass;
  config.n_classes = 3;
  same_samples("classes", config, {4, 300, warm});
  config = small({6, 3}, 19);
  config.rnn = SampleRNNConfig::Rnn::kLstm;
  config.conditioning = SampleRNNConfig::Conditioning::kClass;
  config.n_classes = 2;
  config.q_levels = 65536;
  same_samples("two bytes", config, {3, 200, warm, 0.95f});
  for (std::int32_t& level : given) level = level * 257 % 65536;
  same_samples("two bytes given", config, {2, 100, warm, 1.0f, given.data()});
  feeding_is_silent_listening();
  return test::finish();
}
