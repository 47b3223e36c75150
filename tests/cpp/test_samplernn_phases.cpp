// The phases that CUDA runs, done on the host one item after the other, are the CPU's stream.
#include "kernels/networks/samplernn_phases.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"
#include "models/samplernn.h"

using namespace audiogen;
using models::SampleRNNConfig;
using models::SampleRNNWeights;
using models::SampleStream;
using Numbers = std::vector<double>;

static core::FloatArrays random_arrays(const SampleRNNConfig& config) {
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

struct Result {
  std::vector<std::int32_t> levels;
  std::vector<float> samples, logits;
};

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
  CHECK(ours.levels == theirs.levels);
  double worst = 0.0, size = 0.0;
  for (std::size_t i = 0; i < ours.logits.size(); ++i) {
    const double apart = std::abs(ours.logits[i] - theirs.logits[i]);
    worst = apart <= worst ? worst : apart;  // NaN is the worst
    size = std::max(size, static_cast<double>(std::abs(theirs.logits[i])));
  }
  CHECK(worst <= 1e-4);
  CHECK(size > 0.5);
  for (std::size_t i = 0; i < ours.samples.size() && !want.given; ++i) {
    CHECK_NEAR(ours.samples[i], theirs.samples[i], 1e-6);
  }
  // Items of a phase don't wait for each other, and streams don't share sums.
  for (const Result& other :
       {by_phases<3>(config, arrays, want, true), by_phases<1>(config, arrays, want, false),
        by_phases<8>(config, arrays, want, true)}) {
    CHECK(other.levels == ours.levels && other.samples == ours.samples &&
          other.logits == ours.logits);
  }
  if (test::failures != before) std::fprintf(stderr, "  in %s, logits apart %g\n", name, worst);
}

static SampleRNNConfig small(std::vector<std::size_t> frame_sizes, std::size_t dim,
                             std::size_t n_rnn = 1) {
  SampleRNNConfig config;
  config.frame_sizes = std::move(frame_sizes);
  config.dim = dim;
  config.n_rnn = n_rnn;
  config.embedding_size = 5;
  return config;
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
