// SampleRNN: checks, multiplies out and packs weights, and computes samples.
#include "models/samplernn.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "core/random.h"
#include "kernels/networks/conv_rows.h"
#include "models/arena.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace audiogen::models {
namespace {

constexpr double kMu = 255.0;       // ITU-T G.711's, for any number of levels
constexpr double kDcCorner = 10.0;  // Hz

// Constants of audiogen/representation/note_features.py.
constexpr std::size_t kHarmonics = 12;
constexpr double kAttacks[] = {0.01, 0.1, 0.5, 2.0};  // s
constexpr double kReleases[] = {0.05, 0.3};           // s
constexpr std::size_t kNoteFeatures =
    3 + std::size(kAttacks) + std::size(kReleases) + 2 * kHarmonics;

std::int32_t silence(const SampleRNNConfig& config) {
  return static_cast<std::int32_t>(config.q_levels / 2);  // silence in both quantisations
}

// `dequantise` of representation/levels.py for one level.
float sample_of(std::size_t level, const SampleRNNConfig& config) {
  const auto q = static_cast<double>(level), n = static_cast<double>(config.q_levels);
  if (config.quantisation == SampleRNNConfig::Quantisation::kLinear) {
    return static_cast<float>((q - static_cast<double>(config.q_levels / 2)) / (0.5 * n));
  }
  const double y = 2.0 * q / (n - 1.0) - 1.0;
  return static_cast<float>(std::copysign(std::expm1(std::abs(y) * std::log1p(kMu)) / kMu, y));
}

// A matrix in double precision, C order, for multiplying out weights.
struct Wide {
  std::size_t rows;
  std::size_t columns;
  std::vector<double> numbers;

  Wide(std::size_t r, std::size_t c) : rows(r), columns(c), numbers(r * c) {}
  Wide(std::size_t r, std::size_t c, const std::vector<float>& from)
      : rows(r), columns(c), numbers(from.begin(), from.end()) {}
  double& at(std::size_t r, std::size_t c) { return numbers[r * columns + c]; }
};

Wide product(const kernels::KernelTable& kernels, const Wide& a, const Wide& b) {
  Wide c(a.rows, b.columns);
  kernels.fold({a.rows, a.columns, b.columns}, a.numbers.data(), b.numbers.data(),
               c.numbers.data());
  return c;
}

// Transposes to float, each row padded for `linear_row`.
core::AlignedFloats padded_transpose(Wide& matrix) {
  const std::size_t stride = kernels::round_up(matrix.rows, 16);
  core::AlignedFloats out(matrix.columns * stride);
  for (std::size_t r = 0; r < matrix.rows; ++r) {
    for (std::size_t c = 0; c < matrix.columns; ++c) {
      out.data()[c * stride + r] = static_cast<float>(matrix.at(r, c));
    }
  }
  return out;
}

std::vector<float> rounded(const std::vector<double>& numbers) {
  return {numbers.begin(), numbers.end()};
}

// weight x + bias.
std::vector<double> affine(const kernels::KernelTable& kernels, const Wide& weight,
                           const std::vector<float>& x, const std::vector<float>& bias) {
  Wide sum = product(kernels, weight, Wide(x.size(), 1, x));
  for (std::size_t i = 0; i < bias.size(); ++i) sum.numbers[i] += bias[i];
  return sum.numbers;
}

// `note_features` of representation/note_features.py at one time.
void note_features(double phase, double f0_over_rate, const SampleNote& note, double since_on_s,
                   double since_off_s, float* to) {
  const bool held = since_off_s < 0.0;
  *to++ = static_cast<float>((note.pitch - 60.0) / 24.0);
  *to++ = static_cast<float>(2.0 * note.velocity - 1.0);
  *to++ = held ? 1.0f : 0.0f;
  for (const double tau : kAttacks) *to++ = static_cast<float>(std::exp(-since_on_s / tau));
  for (const double tau : kReleases) {
    *to++ = held ? 0.0f : static_cast<float>(std::exp(-since_off_s / tau));
  }
  // Sine and cosine of k x by rotating those of (k - 1) x by x.
  const double turn = 2.0 * std::numbers::pi * phase;
  const double sin1 = std::sin(turn), cos1 = std::cos(turn);
  double sin_k = 0.0, cos_k = 1.0;
  for (std::size_t k = 1; k <= kHarmonics; ++k) {
    const double turned = sin_k * cos1 + cos_k * sin1;
    cos_k = cos_k * cos1 - sin_k * sin1;
    sin_k = turned;
    const double room = (0.5 - static_cast<double>(k) * f0_over_rate) / 0.05;
    const double audible = std::clamp(room, 0.0, 1.0);
    *to++ = static_cast<float>(audible * sin_k);
    *to++ = static_cast<float>(audible * cos_k);
  }
}

double pitch_to_hz(double pitch) { return 440.0 * std::exp2((pitch - 69.0) / 12.0); }

}  // namespace

// ---- Config ----

std::size_t SampleRNNConfig::n_features() const {
  return n_classes + (conditioning == Conditioning::kNote ? kNoteFeatures : 0);
}

std::size_t SampleRNNConfig::ratio(std::size_t tier) const {
  return frame_sizes[tier] / (tier + 1 < n_tiers() ? frame_sizes[tier + 1] : 1);
}

std::vector<std::string> SampleRNNConfig::faults() const {
  std::vector<std::string> found;
  const auto require = [&](bool holds, const std::string& fault) {
    if (!holds) found.push_back(fault);
  };
  const auto whole = [&](const char* name, std::size_t value, std::size_t most) {
    require(value >= 1 && value <= most, std::string(name) + "=" + std::to_string(value) +
                                             " must be a whole number from 1 to " +
                                             std::to_string(most));
  };
  std::string sizes;
  bool falling = !frame_sizes.empty() && frame_sizes.size() <= kMostTiers;
  for (std::size_t i = 0; i < frame_sizes.size(); ++i) {
    sizes += (i ? ", " : "") + std::to_string(frame_sizes[i]);
    falling = falling && frame_sizes[i] >= 1 && frame_sizes[i] <= kLargest &&
              (i == 0 ||
               (frame_sizes[i] < frame_sizes[i - 1] && frame_sizes[i - 1] % frame_sizes[i] == 0));
  }
  require(falling, "frame_sizes=[" + sizes + "] must be 1 to " + std::to_string(kMostTiers) +
                       " sizes that fall, each a multiple of the next, such as [8, 2]");
  whole("dim", dim, kLargest);
  whole("n_rnn", n_rnn, kMostLayers);
  whole("embedding_size", embedding_size, kLargest);
  require((q_levels >= 2 && q_levels <= 256) || q_levels == 65536,
          "q_levels=" + std::to_string(q_levels) + " must be 2 to 256, or 65536");
  if (conditioning == Conditioning::kNone) {
    require(n_classes == 0, "n_classes=" + std::to_string(n_classes) +
                                " is not supported by conditioning='none'; use 0");
  } else {
    const bool by_class = conditioning == Conditioning::kClass;
    require(n_classes >= (by_class ? 2 : 1) && n_classes <= kLargest,
            "n_classes=" + std::to_string(n_classes) + " must be " + (by_class ? "2" : "1") +
                " to " + std::to_string(kLargest) +
                " with conditioning=" + (by_class ? "'class'" : "'note'"));
  }
  require(std::isfinite(sample_rate) && sample_rate > 2.0 * std::numbers::pi * kDcCorner,
          "sample_rate=" + std::to_string(sample_rate) + " must be a number of Hz above 63");
  return found;
}

void SampleRNNConfig::check() const {
  if (const auto found = faults(); !found.empty()) throw std::invalid_argument(found.front());
}

WeightShapes weight_shapes(const SampleRNNConfig& config) {
  WeightShapes shapes;
  using Shape = std::vector<std::size_t>;
  const auto add = [&](const std::string& name, Shape shape) {
    shapes.emplace(name, std::move(shape));
  };
  const std::size_t dim = config.dim, gates = config.n_gates() * dim;
  const std::size_t n_features = config.n_features(), n_levels = config.n_levels();
  const auto linear = [&](const std::string& name, std::size_t n_out, std::size_t n_in) {
    add(name + ".weight", {n_out, n_in});
    add(name + ".bias", {n_out});
  };
  for (std::size_t t = 0; t < config.n_tiers(); ++t) {
    const std::string tier = "tiers." + std::to_string(t) + ".";
    const std::size_t frame = config.frame_sizes[t];
    if (t > 0) {
      linear(tier + "input", dim, frame);
      if (n_features > 0) add(tier + "features.weight", {dim, n_features});
    }
    for (std::size_t l = 0; l < config.n_rnn; ++l) {
      const std::string layer = std::to_string(l);
      linear(tier + "ih." + layer, gates, t == 0 && l == 0 ? frame + n_features : dim);
      linear(tier + "hh." + layer, gates, dim);
    }
    const std::size_t n_states = config.rnn == SampleRNNConfig::Rnn::kLstm ? 2 : 1;
    add(tier + "h0", {n_states * config.n_rnn, dim});
    linear(tier + "upsample", config.ratio(t) * dim, dim);
  }
  add("sample.embedding", {n_levels, config.embedding_size});
  add("sample.layer1.weight", {dim, config.window() * config.embedding_size});
  if (n_features > 0) add("sample.features.weight", {dim, n_features});
  linear("sample.layer2", dim, dim);
  linear("sample.layer3", dim, dim);
  linear("sample.output", n_levels, dim);
  if (config.two_bytes()) {
    add("sample.embedding_low", {n_levels, config.embedding_size});
    linear("sample.layer3_low", dim, dim);
    linear("sample.output_low", n_levels, dim);
    add("sample.upper", {n_levels, dim});
  }
  return shapes;
}

// ---- Weights ----

SampleRNNWeights::SampleRNNWeights(SampleRNNConfig config, const core::FloatArrays& arrays,
                                   Precision precision)
    : config_(std::move(config)), precision_(precision), kernels_(&kernels::kernels()) {
  config_.check();
  tiles_ = precision_ == Precision::kInt8 && kernels::has_byte_tiles(*kernels_);
  const std::size_t dim = config_.dim, gates = config_.n_gates() * dim;
  const std::size_t n_features = config_.n_features(), n_levels = config_.n_levels();
  const auto matrix = [&](std::size_t rows, const std::vector<float>& weight,
                          const std::vector<float>& bias, kernels::MatrixShape shape = {}) {
    shape.rows = rows;
    shape.depth = dim;
    shape.form = precision_;
    kernels::Matrix packed{shape, {}};
    packed.packed = core::AlignedFloats(kernels::matrix_packed_floats(packed.shape));
    kernels_->pack_matrix(packed.shape, weight.data(), bias.data(), packed.packed.data());
    return packed;
  };
  // Rounding errors of a state accumulate in the recurrence of a single tier; with several tiers
  // they stay small (docs/decisions.md).
  const bool fine = precision_ != Precision::kFloat32 && config_.n_tiers() == 1;
  const WeightReader reader(weight_shapes(config_), arrays);
  const Wide layer2(dim, dim, reader.take("sample.layer2.weight"));
  const auto& bias2 = reader.take("sample.layer2.bias");

  for (std::size_t t = 0; t < config_.n_tiers(); ++t) {
    Tier& tier = tiers_.emplace_back();
    const std::string name = "tiers." + std::to_string(t) + ".";
    const std::size_t frame = config_.frame_sizes[t], ratio = config_.ratio(t);
    for (std::size_t l = 0; l < config_.n_rnn; ++l) {
      Layer& layer = tier.layers.emplace_back();
      const std::string end = "." + std::to_string(l) + ".";
      const auto& ih_bias = reader.take(name + "ih" + end + "bias");
      if (t == 0 && l == 0) {
        const std::size_t n_in = frame + n_features;
        Wide ih(gates, n_in, reader.take(name + "ih" + end + "weight"));
        tier.direct = padded_transpose(ih);
        tier.bias = core::AlignedFloats(kernels::round_up(gates, 16));
        std::copy(ih_bias.begin(), ih_bias.end(), tier.bias.data());
      } else {
        const auto& weight = reader.take(name + "ih" + end + "weight");
        if (l > 0) {
          layer.input = matrix(gates, weight, ih_bias);
        } else {
          const Wide ih(gates, dim, weight);
          const auto& input = reader.take(name + "input.weight");
          const auto& bias = reader.take(name + "input.bias");
          layer.input = matrix(gates, weight, rounded(affine(*kernels_, ih, bias, ih_bias)));
          Wide direct(dim, frame + n_features);
          for (std::size_t r = 0; r < dim; ++r) {
            for (std::size_t c = 0; c < frame; ++c) direct.at(r, c) = input[r * frame + c];
          }
          if (n_features) {
            const auto& features = reader.take(name + "features.weight");
            for (std::size_t r = 0; r < dim; ++r) {
              for (std::size_t c = 0; c < n_features; ++c) {
                direct.at(r, frame + c) = features[r * n_features + c];
              }
            }
          }
          Wide folded = product(*kernels_, ih, direct);
          tier.direct = padded_transpose(folded);
        }
      }
      layer.recurrent = matrix(gates, reader.take(name + "hh" + end + "weight"),
                               reader.take(name + "hh" + end + "bias"), {.parts = fine ? 2u : 1u});
    }
    tier.h0 = reader.take(name + "h0");
    const auto& up = reader.take(name + "upsample.weight");
    const auto& up_bias = reader.take(name + "upsample.bias");
    if (t + 1 < config_.n_tiers()) {
      tier.upsample = matrix(ratio * dim, up, up_bias);
      continue;
    }
    std::vector<float> weight, bias;
    for (std::size_t r = 0; r < ratio; ++r) {
      Wide part(dim, dim);
      std::copy_n(up.begin() + static_cast<std::ptrdiff_t>(r * dim * dim), dim * dim,
                  part.numbers.begin());
      const std::vector<float> part_bias(
          up_bias.begin() + static_cast<std::ptrdiff_t>(r * dim),
          up_bias.begin() + static_cast<std::ptrdiff_t>((r + 1) * dim));
      const auto folded = rounded(product(*kernels_, layer2, part).numbers);
      const auto folded_bias = rounded(affine(*kernels_, layer2, part_bias, bias2));
      weight.insert(weight.end(), folded.begin(), folded.end());
      bias.insert(bias.end(), folded_bias.begin(), folded_bias.end());
    }
    tier.upsample = matrix(ratio * dim, weight, bias);
  }

  const std::size_t window = config_.window(), size = config_.embedding_size;
  const auto& layer1 = reader.take("sample.layer1.weight");
  std::vector<std::string> embeddings = {"sample.embedding"};
  if (config_.two_bytes()) embeddings.push_back("sample.embedding_low");
  const std::size_t stride = kernels::round_up(dim, 16), n_bytes = embeddings.size();
  tables_ = core::AlignedFloats(window * n_bytes * n_levels * stride);
  for (std::size_t b = 0; b < n_bytes; ++b) {
    const auto& embedding = reader.take(embeddings[b]);
    Wide turned(size, n_levels);
    for (std::size_t k = 0; k < n_levels; ++k) {
      for (std::size_t e = 0; e < size; ++e) turned.at(e, k) = embedding[k * size + e];
    }
    for (std::size_t w = 0; w < window; ++w) {
      Wide part(dim, size);
      for (std::size_t r = 0; r < dim; ++r) {
        for (std::size_t e = 0; e < size; ++e) {
          part.at(r, e) = layer1[(r * window + w) * size + e];
        }
      }
      Wide table = product(*kernels_, layer2, product(*kernels_, part, turned));
      const core::AlignedFloats rows = padded_transpose(table);
      std::copy_n(rows.data(), rows.size(), tables_.data() + (w * n_bytes + b) * n_levels * stride);
    }
  }
  if (n_features) {
    const Wide features(dim, n_features, reader.take("sample.features.weight"));
    Wide folded = product(*kernels_, layer2, features);
    features_ = padded_transpose(folded);
  }
  std::vector<float> weight = reader.take("sample.layer3.weight");
  std::vector<float> bias = reader.take("sample.layer3.bias");
  if (config_.two_bytes()) {
    const auto& low = reader.take("sample.layer3_low.weight");
    const auto& low_bias = reader.take("sample.layer3_low.bias");
    weight.insert(weight.end(), low.begin(), low.end());
    bias.insert(bias.end(), low_bias.begin(), low_bias.end());
    const auto& upper = reader.take("sample.upper");
    upper_ = core::AlignedFloats(n_levels * stride);
    for (std::size_t k = 0; k < n_levels; ++k) {
      std::copy_n(upper.data() + k * dim, dim, upper_.data() + k * stride);
    }
    output_low_ = matrix(n_levels, reader.take("sample.output_low.weight"),
                         reader.take("sample.output_low.bias"), {.rectified = true});
  }
  hidden_ = matrix(bias.size(), weight, bias, {.rectified = true});
  output_ = matrix(n_levels, reader.take("sample.output.weight"), reader.take("sample.output.bias"),
                   {.rectified = true});
  samples_.resize(config_.q_levels);
  for (std::size_t k = 0; k < samples_.size(); ++k) samples_[k] = sample_of(k, config_);
}

// ---- Stream ----

// Columns from which on tiles are faster, as measured with the shipped presets and the paper's
// sizes (docs/speed.md): with 4 they took up to 1.1 times as long, with 6 at most as long.
static constexpr std::size_t kFewestTileColumns = 6;

// A second thread, which computes the lower rows of each product. It sleeps between runs and spins
// during them, because a product takes microseconds only.
class SampleStream::Helper {
 public:
  Helper() : thread_([this] { work(); }) {}
  ~Helper() {
    stops_ = true;
    wake();
    thread_.join();
  }
  void wake() noexcept {
    awake_ = true;
    awake_.notify_one();
  }
  void rest() noexcept { awake_ = false; }

  // Computes a product on both threads. `wake` must have been called.
  void multiply(kernels::Multiply* kernel, const kernels::MatrixShape& shape,
                const kernels::ProductCall& call) noexcept {
    const std::size_t cut = kernels::padded_rows(shape) / kernels::kBlockRows / 2;
    if (cut == 0) return kernel(shape, call);
    kernel_ = kernel;
    shape_ = shape;
    call_ = call;
    call_.first_row = cut * kernels::kBlockRows;
    call_.n_next = 0;  // the other thread starts there
    const std::uint64_t number = posted_.load(std::memory_order_relaxed) + 1;
    posted_.store(number, std::memory_order_release);
    kernels::ProductCall own = call;
    own.last_row = cut * kernels::kBlockRows;
    kernel(shape, own);
    spin_until([&] { return done_.load(std::memory_order_acquire) == number; });
  }

 private:
  template <class Condition>
  static void spin_until(Condition condition) noexcept {
    for (unsigned turn = 1; !condition(); ++turn) {
      if (turn % 1024 == 0)
        std::this_thread::yield();  // in case there are fewer cores than threads
#if defined(__SSE2__)
      _mm_pause();
#endif
    }
  }
  void work() noexcept {
    const core::DenormalGuard guard;
    std::uint64_t seen = 0;
    for (;;) {
      awake_.wait(false);
      if (stops_) return;
      const auto posted = [&] { return posted_.load(std::memory_order_acquire) != seen; };
      spin_until([&] { return posted() || !awake_ || stops_; });
      if (!posted()) continue;
      kernel_(shape_, call_);
      done_.store(++seen, std::memory_order_release);
    }
  }

  std::atomic<bool> awake_ = false, stops_ = false;
  alignas(64) std::atomic<std::uint64_t> posted_ = 0;
  kernels::Multiply* kernel_ = nullptr;
  kernels::MatrixShape shape_;
  kernels::ProductCall call_{};
  alignas(64) std::atomic<std::uint64_t> done_ = 0;
  std::thread thread_;  // last member, so that the others are constructed first
};

SampleStream::SampleStream(std::shared_ptr<const SampleRNNWeights> weights, std::size_t n_streams,
                           std::size_t n_threads)
    : weights_(std::move(weights)) {
  if (n_streams < 1 || n_streams > SampleRNNConfig::kLargest) {
    throw std::invalid_argument("n_streams=" + std::to_string(n_streams) +
                                " must be a whole number from 1 to 65536");
  }
  if (n_threads < 1 || n_threads > 2) {
    throw std::invalid_argument("n_threads=" + std::to_string(n_threads) + " must be 1 or 2");
  }
  const SampleRNNConfig& config = weights_->config();
  const std::size_t dim = config.dim, n_tiers = config.n_tiers();
  const auto padded = [](std::size_t n) { return kernels::round_up(n, 16); };
  gates_stride_ = padded(config.n_gates() * dim);
  features_stride_ = padded(config.n_features());
  hidden_stride_ = padded(weights_->hidden_.shape.rows);
  logits_stride_ = padded(config.n_logits());
  dc_pole_ = 1.0 - 2.0 * std::numbers::pi * kDcCorner / config.sample_rate;

  voices_.resize(n_streams);
  random_.resize(n_streams);
  std::size_t most_columns = 1;
  up_stride_ = 0;
  for (std::size_t t = 0; t < n_tiers; ++t) {
    const std::size_t ratio = config.ratio(t), n_states = weights_->tiers_[t].h0.size() / dim;
    const bool last = t + 1 == n_tiers;
    TierOffsets& offsets = offsets_.emplace_back();
    offsets.states = stream_floats_;
    offsets.output = offsets.states + padded(n_states * dim);
    stream_floats_ = offsets.output + (last ? padded(ratio * dim) : ratio * gates_stride_);
    if (last) continue;
    most_columns = std::max(most_columns, ratio);
    up_stride_ = std::max(up_stride_, padded(ratio * dim));
  }
  state_ = core::AlignedFloats(n_streams * stream_floats_);
  history_size_ = std::bit_ceil(config.frame_sizes[0]);
  history_.resize(n_streams * history_size_);
  const std::size_t column =
      std::max(kernels::column_floats(weights_->tiers_[0].layers[0].recurrent.shape),
               kernels::column_floats(weights_->output_.shape));
  // Called twice: to count the floats, then to offsets the arrays.
  const auto lay_out = [&](float* memory) {
    Arena arena(memory);
    columns_ = arena.take(n_streams * most_columns * column);
    features_ = arena.take(n_streams * features_stride_);
    direct_ = arena.take(config.frame_sizes[0] + config.n_features());
    gates_ = arena.take(n_streams * gates_stride_);
    recurrent_ = arena.take(n_streams * gates_stride_);
    up_ = arena.take(n_streams * up_stride_);
    hidden_ = arena.take(n_streams * hidden_stride_);
    logits_ = arena.take(n_streams * logits_stride_);
    return arena.used();
  };
  scratch_ = core::AlignedFloats(lay_out(nullptr));
  lay_out(scratch_.data());
  targets_.resize(n_streams * most_columns);
  rows_.resize(1 + config.window() * (config.two_bytes() ? 2 : 1));
  all_.resize(n_streams);
  std::iota(all_.begin(), all_.end(), std::size_t{0});
  rows_of_all_.resize(n_streams);
  given_of_all_.resize(n_streams);
  stepping_.resize(n_streams);
  drawn_.resize(n_streams);
  if (n_threads == 2) helper_ = std::make_unique<Helper>();
  reset(0);
}

SampleStream::SampleStream(const SampleStream& other)
    : SampleStream(other.weights_, other.n_streams(), other.helper_ ? 2 : 1) {
  voices_ = other.voices_;
  random_ = other.random_;
  history_ = other.history_;
  std::copy_n(other.state_.data(), other.state_.size(), state_.data());
}

SampleStream& SampleStream::operator=(const SampleStream& other) {
  if (this != &other) *this = SampleStream(other);
  return *this;
}

SampleStream::SampleStream(SampleStream&&) noexcept = default;
SampleStream& SampleStream::operator=(SampleStream&&) noexcept = default;
SampleStream::~SampleStream() = default;

std::int32_t level_of(const SampleRNNConfig& config, double sample) noexcept AUDIOGEN_REALTIME {
  const double n = static_cast<double>(config.q_levels);
  const double x = std::clamp(sample, -1.0, 1.0);
  double level = 0.0;
  if (config.quantisation == SampleRNNConfig::Quantisation::kLinear) {
    level = std::floor(0.5 * n * x + 0.5) + static_cast<double>(config.q_levels / 2);
  } else {
    const double compressed = std::log1p(kMu * std::abs(x)) / std::log1p(kMu);
    level = std::floor(0.5 * (std::copysign(compressed, x) + 1.0) * (n - 1.0) + 0.5);
  }
  return static_cast<std::int32_t>(std::clamp(level, 0.0, n - 1.0));
}

void SampleStream::reset(std::uint64_t seed,
                         std::uint32_t first_stream) noexcept AUDIOGEN_REALTIME {
  for (const std::size_t s : all_) {
    random_[s] = {seed, first_stream + static_cast<std::uint32_t>(s)};
    start_note(s, {});
  }
}

void SampleStream::set_table(std::shared_ptr<SampleTable> table) {
  table_ = std::move(table);
  in_table_.assign(n_streams(), SampleTable::kNone);
}

void SampleStream::seed_stream(std::size_t stream, std::uint64_t seed) noexcept AUDIOGEN_REALTIME {
  random_[stream] = {seed, 0};
}

void SampleStream::restart(std::size_t stream) noexcept AUDIOGEN_REALTIME {
  voices_[stream] = {};
  for (std::size_t i = 0; i < history_size_; ++i) past(stream, i) = silence(config());
  float* floats = state(stream);
  std::fill_n(floats, stream_floats_, 0.0f);
  for (std::size_t t = 0; t < offsets_.size(); ++t) {
    const std::vector<float>& h0 = weights_->tiers_[t].h0;
    std::copy_n(h0.data(), h0.size(), floats + offsets_[t].states);
  }
}

void SampleStream::start_note(std::size_t stream,
                              const SampleNote& note) noexcept AUDIOGEN_REALTIME {
  if (table_) in_table_[stream] = table_->find(random_[stream].seed, note.index);
  restart(stream);
  voices_[stream].note = note;
  set_pitch(stream, note.pitch);
}

void SampleStream::set_class(std::size_t stream, std::size_t index) noexcept AUDIOGEN_REALTIME {
  voices_[stream].note.index = index;
}

void SampleStream::set_pitch(std::size_t stream, double pitch) noexcept AUDIOGEN_REALTIME {
  voices_[stream].note.pitch = pitch;
  voices_[stream].increment = pitch_to_hz(pitch) / config().sample_rate;
}

void SampleStream::release(std::size_t stream) noexcept AUDIOGEN_REALTIME {
  Voice& voice = voices_[stream];
  if (voice.released_at == kHeld) voice.released_at = voice.position;
}

std::uint64_t SampleStream::position(std::size_t stream) const noexcept AUDIOGEN_REALTIME {
  return voices_[stream].position;
}

void SampleStream::feed(const std::int32_t* levels, std::size_t n) noexcept AUDIOGEN_REALTIME {
  run({.streams = all_, .n = n, .given = rows_of(levels, n), .sampling = {}});
}

void SampleStream::feed(std::span<const std::size_t> streams,
                        std::span<const std::int32_t* const> levels,
                        std::size_t n) noexcept AUDIOGEN_REALTIME {
  run({.streams = streams, .n = n, .given = levels, .sampling = {}});
}

std::span<const std::int32_t* const> SampleStream::rows_of(
    const std::int32_t* levels, std::size_t n) noexcept AUDIOGEN_REALTIME {
  for (const std::size_t s : all_) given_of_all_[s] = levels + s * n;
  return given_of_all_;
}

void SampleStream::copy_state(std::size_t from, std::size_t to) noexcept AUDIOGEN_REALTIME {
  const SampleNote note = voices_[to].note;
  voices_[to] = voices_[from];
  voices_[to].note = note;
  std::copy_n(state(from), stream_floats_, state(to));
  for (std::size_t i = 0; i < history_size_; ++i) past(to, i) = past(from, i);
}

void SampleStream::process(float* samples, std::size_t n,
                           const Sampling& sampling) noexcept AUDIOGEN_REALTIME {
  draw(nullptr, samples, n, sampling);
}

void SampleStream::process(std::span<const std::size_t> streams, std::span<float* const> samples,
                           std::size_t n, const Sampling& sampling) noexcept AUDIOGEN_REALTIME {
  if (table_) {
    for (std::size_t c = 0; c < streams.size(); ++c) {
      std::uint64_t& position = voices_[streams[c]].position;
      table_->read(in_table_[streams[c]], position, sampling.temperature.data(),
                   sampling.temperature.size() == 1, sampling.top_p, n, samples[c]);
      position += n;
    }
    return;
  }
  run({.streams = streams, .n = n, .samples = samples, .sampling = sampling});
}

void SampleStream::draw(std::int32_t* levels, float* samples, std::size_t n,
                        const Sampling& sampling) noexcept AUDIOGEN_REALTIME {
  std::span<float* const> rows;
  if (samples) {
    for (const std::size_t s : all_) rows_of_all_[s] = samples + s * n;
    rows = rows_of_all_;
  }
  run({.streams = all_, .n = n, .levels = levels, .samples = rows, .sampling = sampling});
}

void SampleStream::logits(const std::int32_t* levels, std::size_t n,
                          float* logits) noexcept AUDIOGEN_REALTIME {
  run({.streams = all_, .n = n, .given = rows_of(levels, n), .logits = logits, .sampling = {}});
}

void SampleStream::run(const Run& run) noexcept AUDIOGEN_REALTIME {
  if (run.streams.empty()) return;
  const core::DenormalGuard guard;
  const SampleRNNConfig& config = weights_->config();
  AUDIOGEN_OFFLINE(if (helper_) helper_->wake();)
  for (std::size_t i = 0; i < run.n; ++i) {
    for (const std::size_t s : run.streams) update_features(s);
    for (std::size_t t = 0; t < offsets_.size(); ++t) {
      n_stepping_ = 0;
      for (const std::size_t s : run.streams) {
        if (voices_[s].position % config.frame_sizes[t] == 0) stepping_[n_stepping_++] = s;
      }
      if (n_stepping_ == 0) continue;
      step_tier(t);
      upsample(t);
    }
    for (std::size_t c = 0; c < run.given.size(); ++c) drawn_[run.streams[c]] = run.given[c][i];
    if (run.given.empty() || run.logits) step_samples(run, i);
    for (std::size_t c = 0; c < run.streams.size(); ++c) {
      const std::size_t s = run.streams[c];
      Voice& voice = voices_[s];
      const float sample = weights_->samples_[static_cast<std::size_t>(drawn_[s])];
      const float clean = voice.dc_block.step(sample, dc_pole_);
      if (!run.samples.empty()) run.samples[c][i] = clean;
      if (run.levels) run.levels[s * run.n + i] = drawn_[s];
      past(s, voice.position) = drawn_[s];
      ++voice.position;
      voice.phase += voice.increment;
      voice.phase -= std::floor(voice.phase);
    }
  }
  if (helper_) helper_->rest();
}

void SampleStream::update_features(std::size_t stream) noexcept AUDIOGEN_REALTIME {
  const SampleRNNConfig& config = weights_->config();
  if (config.n_features() == 0) return;
  const Voice& voice = voices_[stream];
  float* to = features_ + stream * features_stride_;
  if (config.conditioning == SampleRNNConfig::Conditioning::kNote) {
    const auto seconds = [&](std::uint64_t samples) {
      return static_cast<double>(samples) / config.sample_rate;
    };
    const double since_off_s =
        voice.released_at == kHeld ? -1.0 : seconds(voice.position - voice.released_at);
    note_features(voice.phase, voice.increment, voice.note, seconds(voice.position), since_off_s,
                  to);
    to += kNoteFeatures;
  }
  std::fill_n(to, config.n_classes, 0.0f);
  to[voice.note.index] = 1.0f;
}

void SampleStream::pack(const kernels::Matrix& matrix, std::size_t column,
                        const float* x) noexcept AUDIOGEN_REALTIME {
  const std::size_t at = column * kernels::column_floats(matrix.shape);
  weights_->kernels_->pack_column(matrix.shape, x, columns_ + at);
}

void SampleStream::multiply(const kernels::Matrix& matrix, std::size_t n,
                            const kernels::Matrix& next) noexcept AUDIOGEN_REALTIME {
  const std::size_t constants = kernels::matrix_constants(next.shape);
  const kernels::ProductCall call{.packed = matrix.packed.data(),
                                  .columns = columns_,
                                  .n = n,
                                  .y = targets_.data(),
                                  .first_row = 0,
                                  .last_row = matrix.shape.rows,
                                  .next = next.packed.data() + constants,
                                  .n_next = next.packed.size() - constants};
  const bool on_tiles = weights_->tiles_ && n >= kFewestTileColumns;
  const kernels::KernelTable& table = *weights_->kernels_;
  kernels::Multiply* kernel = on_tiles ? table.multiply_tiles : table.multiply;
  if (helper_) {
    AUDIOGEN_OFFLINE(helper_->multiply(kernel, matrix.shape, call);)
  } else {
    kernel(matrix.shape, call);
  }
}

// Steps the recurrent layers of a tier for the streams in `stepping_`.
void SampleStream::step_tier(std::size_t t) noexcept AUDIOGEN_REALTIME {
  const SampleRNNConfig& config = weights_->config();
  const SampleRNNWeights::Tier& tier = weights_->tiers_[t];
  const std::size_t dim = config.dim, frame = config.frame_sizes[t];
  const std::size_t n_features = config.n_features();
  const float scale = static_cast<float>(4.0 / static_cast<double>(config.q_levels - 1));
  const auto h = [&](std::size_t i, std::size_t l) {
    return state(stepping_[i]) + offsets_[t].states + l * dim;
  };
  for (std::size_t l = 0; l < tier.layers.size(); ++l) {
    const SampleRNNWeights::Layer& layer = tier.layers[l];
    const kernels::Matrix& next =
        l + 1 < tier.layers.size() ? tier.layers[l + 1].recurrent : tier.upsample;
    for (std::size_t i = 0; i < n_stepping_; ++i) {
      pack(layer.recurrent, i, h(i, l));
      targets_[i] = recurrent_ + i * gates_stride_;
    }
    multiply(layer.recurrent, n_stepping_, l > 0 ? layer.input : next);
    if (l > 0) {
      for (std::size_t i = 0; i < n_stepping_; ++i) {
        pack(layer.input, i, h(i, l - 1));
        targets_[i] = gates_ + i * gates_stride_;
      }
      multiply(layer.input, n_stepping_, next);
    }
    for (std::size_t i = 0; i < n_stepping_; ++i) {
      const std::size_t s = stepping_[i];
      float* gates = gates_ + i * gates_stride_;
      if (l == 0) {
        const std::uint64_t position = voices_[s].position;
        if (t == 0) {
          std::copy_n(tier.bias.data(), gates_stride_, gates);
        } else {  // the output of the tier above, which can be overwritten
          const std::size_t slot = position % config.frame_sizes[t - 1] / frame;
          gates = state(s) + offsets_[t - 1].output + slot * gates_stride_;
        }
        for (std::size_t k = 0; k < frame; ++k) {
          direct_[k] = kernels::scaled_level(past(s, position - frame + k), scale);
        }
        std::copy_n(features_ + s * features_stride_, n_features, direct_ + frame);
        weights_->kernels_->linear_row(direct_, frame + n_features, tier.direct.data(),
                                       gates_stride_, gates);
      }
      const kernels::GateCall call{gates, recurrent_ + i * gates_stride_, h(i, l),
                                   h(i, config.n_rnn + l), dim};
      if (config.rnn == SampleRNNConfig::Rnn::kGru) {
        weights_->kernels_->gru_gates(call);
      } else {
        weights_->kernels_->lstm_gates(call);
      }
    }
  }
}

// Upsamples a tier's output for the gates of the tier below, or for the network at the sample rate.
void SampleStream::upsample(std::size_t t) noexcept AUDIOGEN_REALTIME {
  const SampleRNNConfig& config = weights_->config();
  const kernels::Matrix& up = weights_->tiers_[t].upsample;
  const SampleRNNWeights::Layer* below =
      t + 1 < offsets_.size() ? &weights_->tiers_[t + 1].layers[0] : nullptr;
  for (std::size_t i = 0; i < n_stepping_; ++i) {
    float* floats = state(stepping_[i]);
    pack(up, i, floats + offsets_[t].states + (config.n_rnn - 1) * config.dim);
    targets_[i] = below ? up_ + i * up_stride_ : floats + offsets_[t].output;
  }
  multiply(up, n_stepping_, below ? below->input : weights_->hidden_);
  if (!below) return;
  const std::size_t ratio = config.ratio(t);
  for (std::size_t i = 0; i < n_stepping_; ++i) {
    for (std::size_t r = 0; r < ratio; ++r) {
      pack(below->input, i * ratio + r, up_ + i * up_stride_ + r * config.dim);
      targets_[i * ratio + r] = state(stepping_[i]) + offsets_[t].output + r * gates_stride_;
    }
  }
  multiply(below->input, n_stepping_ * ratio, below->recurrent);
}

// Computes the logits of sample i of a run, and draws its level unless levels are given.
void SampleStream::step_samples(const Run& run, std::size_t i) noexcept AUDIOGEN_REALTIME {
  const SampleRNNConfig& config = weights_->config();
  const SampleRNNWeights& w = *weights_;
  const std::size_t dim = config.dim, window = config.window(), n_levels = config.n_levels();
  const std::size_t stride = kernels::round_up(dim, 16);
  const std::size_t n_bytes = config.two_bytes() ? 2 : 1, n_columns = run.streams.size();
  for (std::size_t c = 0; c < n_columns; ++c) {
    const std::size_t s = run.streams[c];
    const std::uint64_t position = voices_[s].position;
    float* hidden = hidden_ + s * hidden_stride_;
    std::size_t n_rows = 0;
    rows_[n_rows++] = state(s) + offsets_.back().output + position % window * dim;
    for (std::size_t k = 0; k < window; ++k) {
      const auto level = static_cast<std::size_t>(past(s, position - window + k));
      const float* table = w.tables_.data() + k * n_bytes * n_levels * stride;
      if (n_bytes == 1) {
        rows_[n_rows++] = table + level * stride;
      } else {
        rows_[n_rows++] = table + (level >> 8) * stride;
        rows_[n_rows++] = table + (n_levels + (level & 255)) * stride;
      }
    }
    w.kernels_->add_rows(rows_.data(), n_rows, dim, hidden);
    w.kernels_->linear_row(features_ + s * features_stride_, config.n_features(),
                           w.features_.data(), stride, hidden);
    pack(w.hidden_, c, hidden);
    targets_[c] = hidden;
  }
  multiply(w.hidden_, n_columns, w.output_);
  for (std::size_t c = 0; c < n_columns; ++c) {
    const std::size_t s = run.streams[c];
    pack(w.output_, c, hidden_ + s * hidden_stride_);
    targets_[c] = logits_ + s * logits_stride_;
  }
  multiply(w.output_, n_columns, n_bytes == 2 ? w.output_low_ : w.hidden_);
  for (std::size_t c = 0; c < n_columns && run.given.empty(); ++c) {
    const std::size_t s = run.streams[c];
    drawn_[s] = draw_one(targets_[c], run, i, s, voices_[s].position * n_bytes);
  }
  if (config.two_bytes()) {
    for (std::size_t c = 0; c < n_columns; ++c) {
      const std::size_t s = run.streams[c];
      float* low = hidden_ + s * hidden_stride_ + dim;
      const auto upper = static_cast<std::size_t>(run.given.empty() ? drawn_[s] : drawn_[s] >> 8);
      rows_[0] = low;
      rows_[1] = w.upper_.data() + upper * stride;
      w.kernels_->add_rows(rows_.data(), 2, dim, low);
      pack(w.output_low_, c, low);
      targets_[c] = logits_ + s * logits_stride_ + n_levels;
    }
    multiply(w.output_low_, n_columns, w.hidden_);
    for (std::size_t c = 0; c < n_columns && run.given.empty(); ++c) {
      const std::size_t s = run.streams[c];
      drawn_[s] = drawn_[s] * 256 + draw_one(targets_[c], run, i, s, voices_[s].position * 2 + 1);
    }
  }
  if (!run.logits) return;
  for (const std::size_t s : run.streams) {
    std::copy_n(logits_ + s * logits_stride_, config.n_logits(),
                run.logits + (s * run.n + i) * config.n_logits());
  }
}

// Draws a level with uniform number `number` of the stream.
std::int32_t SampleStream::draw_one(const float* logits, const Run& run, std::size_t i,
                                    std::size_t stream,
                                    std::uint64_t number) noexcept AUDIOGEN_REALTIME {
  const auto& temperature = run.sampling.temperature;
  const float uniform = core::philox_uniform(random_[stream].seed, random_[stream].philox_stream,
                                             static_cast<std::uint32_t>(number >> 32),
                                             static_cast<std::uint32_t>(number));
  return weights_->kernels_->draw({logits, config().n_levels(),
                                   temperature[temperature.size() > 1 ? i : 0], run.sampling.top_p,
                                   uniform});
}

}  // namespace audiogen::models
