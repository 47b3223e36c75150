// The CUDA launch of SampleRNN, run on the CPU thread by thread, makes the CPU's samples.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "check.h"
#include "cuda/audiogen_cuda.h"
#include "folded_samplernn.h"

using namespace audiogen;
using cuda_on_cpu::Device;
using cuda_on_cpu::Order;
using models::SampleRNNConfig;
using models::SampleStream;
using test::small;

static constexpr std::uint64_t kSeed = (std::uint64_t{1} << 63) + 11;
static constexpr std::uint32_t kFirstStream = 7;

static audiogen_cuda_samplernn struct_of(const kernels::Samplernn& net) {
  audiogen_cuda_samplernn out{};
  const auto whole = [](int n) { return static_cast<std::uint64_t>(n); };
  out.n_tiers = whole(net.n_tiers);
  out.dim = whole(net.dim);
  out.n_rnn = whole(net.n_rnn);
  out.n_gates = whole(net.n_gates);
  out.q_levels = whole(net.q_levels);
  for (int t = 0; t < net.n_tiers; ++t) {
    const kernels::SamplernnTier& from = net.tiers[t];
    out.tiers[t] = {
        whole(from.frame_size), from.direct,    from.classes,        from.above, from.input,
        from.input_bias,        from.recurrent, from.recurrent_bias, from.h0,    from.upsample,
        from.upsample_bias};
  }
  out.tables = net.tables;
  out.classes = net.classes;
  out.hidden = net.hidden;
  out.hidden_bias = net.hidden_bias;
  out.output = net.output;
  out.output_bias = net.output_bias;
  out.output_low = net.output_low;
  out.output_low_bias = net.output_low_bias;
  out.upper = net.upper;
  out.samples = net.samples;
  out.dc_pole = net.dc_pole;
  return out;
}

using test::Result;

struct Want {
  std::size_t n_streams, n;
  float temperature = 1.0f;
  float top_p = 1.0f;
  const std::int32_t* given = nullptr;   // [n_streams, n]
  const std::uint64_t* seeds = nullptr;  // [n_streams]
};

// States of streams, as the caller of the C interface keeps them.
class State {
 public:
  State(const audiogen_cuda_samplernn& network, std::size_t n_streams) {
    CHECK(audiogen_cuda_samplernn_state_bytes(&network, n_streams, &n_bytes_) == 0);
    memory_.reset(std::aligned_alloc(256, n_bytes_));
    std::memset(memory_.get(), 0xff, n_bytes_);  // NaN: a state needs no clearing
  }
  void* get() const { return memory_.get(); }

 private:
  std::uint64_t n_bytes_ = 0;
  std::unique_ptr<void, decltype(&std::free)> memory_{nullptr, &std::free};
};

// Two launches: the second goes on where the first ended.
static Result by_cuda(const SampleRNNConfig& config, const core::FloatArrays& arrays,
                      const Want& want) {
  const test::Folded folded(config, arrays);
  const audiogen_cuda_samplernn network = struct_of(folded.net);
  const State state(network, want.n_streams);
  std::vector<std::int32_t> classes(want.n_streams);
  for (std::size_t s = 0; s < want.n_streams && config.n_classes; ++s) {
    classes[s] = static_cast<std::int32_t>(s % config.n_classes);
  }
  const std::size_t n = want.n, width = config.n_logits();
  const std::vector<float> temperature(n, want.temperature);
  Result all{std::vector<std::int32_t>(want.n_streams * n), std::vector<float>(want.n_streams * n),
             std::vector<float>(want.n_streams * n * width)};
  std::size_t first = 0;
  for (const std::size_t m : {n / 3, n - n / 3}) {
    Result part{std::vector<std::int32_t>(want.n_streams * m),
                std::vector<float>(want.n_streams * m),
                std::vector<float>(want.n_streams * m * width)};
    std::vector<std::int32_t> given(want.n_streams * m);
    for (std::size_t s = 0; s < want.n_streams && want.given; ++s) {
      std::copy_n(want.given + s * n + first, m, given.data() + s * m);
    }
    const audiogen_cuda_samplernn_run run{.seed = kSeed,
                                          .position = first,
                                          .n = m,
                                          .first_stream = kFirstStream,
                                          .top_p = want.top_p,
                                          .seeds = want.seeds,
                                          .temperature = temperature.data(),
                                          .classes = config.n_classes ? classes.data() : nullptr,
                                          .given = want.given ? given.data() : nullptr,
                                          .levels = part.levels.data(),
                                          .samples = part.samples.data(),
                                          .logits = part.logits.data()};
    CHECK(audiogen_cuda_samplernn_draw(&network, &run, state.get(), want.n_streams, nullptr) == 0);
    for (std::size_t s = 0; s < want.n_streams; ++s) {
      std::copy_n(part.levels.data() + s * m, m, all.levels.data() + s * n + first);
      std::copy_n(part.samples.data() + s * m, m, all.samples.data() + s * n + first);
      std::copy_n(part.logits.data() + s * m * width, m * width,
                  all.logits.data() + (s * n + first) * width);
    }
    first += m;
  }
  return all;
}

static Result by_stream(const SampleRNNConfig& config, const core::FloatArrays& arrays,
                        const Want& want) {
  SampleStream stream(std::make_shared<const models::SampleRNNWeights>(config, arrays),
                      want.n_streams);
  const auto begin = [&] {
    stream.reset(kSeed, kFirstStream);
    for (std::size_t s = 0; s < want.n_streams && want.seeds; ++s) {
      stream.seed_stream(s, want.seeds[s]);
    }
    for (std::size_t s = 0; s < want.n_streams && config.n_classes; ++s) {
      stream.set_class(s, s % config.n_classes);
    }
  };
  const std::size_t size = want.n_streams * want.n;
  Result result{std::vector<std::int32_t>(size), std::vector<float>(size),
                std::vector<float>(size * config.n_logits())};
  begin();
  if (want.given) {
    std::copy_n(want.given, size, result.levels.data());
  } else {
    stream.draw(result.levels.data(), result.samples.data(), want.n,
                {{&want.temperature, 1}, want.top_p});
    begin();
  }
  stream.logits(result.levels.data(), want.n, result.logits.data());
  return result;
}

static Device device_of(int n_multiprocessors, int threads, Order order, std::uint64_t seed = 0) {
  Device device;
  device.n_multiprocessors = n_multiprocessors;
  device.most_threads = threads;
  device.order = order;
  device.seed = seed;
  return device;
}

static void same_samples(const char* name, const SampleRNNConfig& config, const Want& want) {
  const core::FloatArrays arrays = test::random_arrays(config);
  const Result theirs = by_stream(config, arrays, want);
  const int before = test::failures;
  Result first;
  for (const Device& device :
       {device_of(1, 32, Order::kForward), device_of(2, 64, Order::kBackward),
        device_of(3, 96, Order::kShuffled, 1)}) {
    cuda_on_cpu::device() = device;
    const std::uint64_t switches = cuda_on_cpu::n_switches();
    const Result ours = by_cuda(config, arrays, want);
    CHECK(cuda_on_cpu::n_switches() - switches > 1000);
    test::check_equal(ours, theirs, want.given != nullptr);
    // Neither the grid's size nor the threads' order changes a bit.
    if (first.levels.empty()) first = ours;
    CHECK(ours.samples == first.samples && ours.logits == first.logits);
  }
  if (test::failures != before) std::fprintf(stderr, "  in %s\n", name);
}

static void arguments_out_of_range_are_refused() {
  cuda_on_cpu::device() = {};
  const SampleRNNConfig config = small({4, 2}, 8);
  const core::FloatArrays arrays = test::random_arrays(config);
  const test::Folded folded(config, arrays);
  const audiogen_cuda_samplernn network = struct_of(folded.net);
  const State state(network, 1);
  std::uint64_t n_bytes = 0;
  for (const std::uint64_t n_streams : {0, (1 << 16) + 1}) {
    CHECK(audiogen_cuda_samplernn_state_bytes(&network, n_streams, &n_bytes) ==
          cudaErrorInvalidValue);
  }
  audiogen_cuda_samplernn broken = network;
  broken.tiers[0].frame_size = 5;  // no multiple of the next tier's
  CHECK(audiogen_cuda_samplernn_state_bytes(&broken, 1, &n_bytes) == cudaErrorInvalidValue);
  audiogen_cuda_samplernn_run run{};
  CHECK(audiogen_cuda_samplernn_draw(&network, &run, state.get(), 1, nullptr) == 0);
  run.n = 1;
  CHECK(audiogen_cuda_samplernn_draw(&broken, &run, state.get(), 1, nullptr) ==
        cudaErrorInvalidValue);
  cuda_on_cpu::device().cooperative = false;
  CHECK(audiogen_cuda_samplernn_draw(&network, &run, state.get(), 1, nullptr) ==
        cudaErrorNotSupported);
}

// Small, since a warp switches fibers 160 times in a tile of a matrix product.
int main() {
  SampleRNNConfig config = small({8, 2}, 17);
  config.q_levels = 16;
  same_samples("two tiers", config, {9, 12});
  same_samples("one stream", config, {1, 24});
  same_samples("top_p", config, {2, 10, 0.8f, 0.7f});
  same_samples("greedy", config, {2, 10, 0.0f});
  std::vector<std::int32_t> given(2 * 10);
  for (std::size_t i = 0; i < given.size(); ++i) given[i] = static_cast<int>(i * 7 % 16);
  same_samples("given", config, {2, 10, 1.0f, 1.0f, given.data()});

  const std::uint64_t seeds[] = {5, kSeed, ~std::uint64_t{0}};
  same_samples("a seed for each stream", config, {3, 10, 1.0f, 1.0f, nullptr, seeds});

  config = small({1}, 33);
  config.q_levels = 70;
  same_samples("flat", config, {1, 9, 1.0f, 0.9f});
  config = small({4, 2, 1}, 8, 2);
  config.rnn = SampleRNNConfig::Rnn::kLstm;
  config.q_levels = 7;
  same_samples("three tiers, LSTM", config, {2, 10});
  config = small({4, 1}, 10);
  config.conditioning = SampleRNNConfig::Conditioning::kClass;
  config.n_classes = 3;
  config.q_levels = 8;
  same_samples("classes", config, {4, 10});
  config = small({6, 3}, 9);
  config.rnn = SampleRNNConfig::Rnn::kLstm;
  config.conditioning = SampleRNNConfig::Conditioning::kClass;
  config.n_classes = 2;
  config.q_levels = 65536;
  same_samples("two bytes", config, {1, 7, 1.0f, 0.95f});
  arguments_out_of_range_are_refused();
  return test::finish();
}
