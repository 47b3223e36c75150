// The GANSynth generator: checks and packs weights, and computes rows of the layers on demand.
#include "models/gansynth.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "core/random.h"
#include "models/frame_table.h"

namespace audiogen::models {
namespace {

constexpr std::size_t kTimeFeatures = 7;
constexpr std::uint32_t kStreamsPerNote = 32;  // Philox streams per note, one per block
static_assert(GeneratorConfig::kMostBlocks <= kStreamsPerNote);

// [rows, n] with each row padded to `stride` floats.
core::AlignedFloats padded(const std::vector<float>& values, std::size_t rows, std::size_t n,
                           std::size_t stride) {
  core::AlignedFloats out(rows * stride);
  for (std::size_t r = 0; r < rows; ++r) {
    std::copy_n(values.data() + r * n, n, out.data() + r * stride);
  }
  return out;
}

// Transposes [n, rows] to [rows, n], each row padded to `stride` floats.
core::AlignedFloats padded_transpose(const std::vector<float>& values, std::size_t rows,
                                     std::size_t n, std::size_t stride) {
  core::AlignedFloats out(rows * stride);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < n; ++i) out.data()[r * stride + i] = values[i * rows + r];
  }
  return out;
}

// `time_features` of representation/harmonic.py for one row of a level.
void time_features(const GeneratorConfig& config, std::size_t n_rows, std::size_t row,
                   double (&features)[kTimeFeatures]) {
  constexpr double kAttackFrames[] = {1, 4, 16, 64}, kReleaseFrames[] = {2, 8};
  const std::size_t frames = config.n_frames() / n_rows;
  std::fill(std::begin(features), std::end(features), 0.0);
  for (std::size_t i = row * frames; i < (row + 1) * frames; ++i) {
    const auto frame = static_cast<double>(i);
    for (std::size_t k = 0; k < 4; ++k) features[k] += std::exp(-frame / kAttackFrames[k]);
    if (i < config.note_off_frame) continue;
    const double since = frame - static_cast<double>(config.note_off_frame);
    features[4] += 1.0;
    for (std::size_t k = 0; k < 2; ++k) features[5 + k] += std::exp(-since / kReleaseFrames[k]);
  }
  for (double& feature : features) {
    feature = static_cast<float>(feature / static_cast<double>(frames));
  }
}

double pixel_norm_of(const float* x, std::size_t n) {
  double squares = 0.0;
  for (std::size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  return 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-8);
}

}  // namespace

std::vector<std::string> GeneratorConfig::faults() const {
  std::vector<std::string> found;
  const auto require = [&](bool holds, const std::string& fault) {
    if (!holds) found.push_back(fault);
  };
  const auto in_range = [](std::size_t n) { return n >= 1 && n <= kLargest; };
  const std::string range = " must be a whole number from 1 to " + std::to_string(kLargest);
  require(in_range(latent_size), "latent_size=" + std::to_string(latent_size) + range);
  require(!channels.empty() && channels.size() <= kMostBlocks,
          "channels must be a list of 1 to " + std::to_string(kMostBlocks) + " widths; it has " +
              std::to_string(channels.size()));
  for (std::size_t i = 0; i < channels.size(); ++i) {
    require(in_range(channels[i]),
            "channels[" + std::to_string(i) + "]=" + std::to_string(channels[i]) + range);
  }
  const bool doubles = !channels.empty() && channels.size() <= kMostBlocks &&
                       in_range(start_frames) && in_range(start_bins) && in_range(n_frames()) &&
                       in_range(n_bins());
  require(doubles || channels.empty() || channels.size() > kMostBlocks,
          "start_shape=[" + std::to_string(start_frames) + ", " + std::to_string(start_bins) +
              "] must stay within 1 to " + std::to_string(kLargest) +
              " when each block after the first doubles it");
  const int room = kMostPitches - pitch_min;
  require(pitch_min >= 0 && room >= 1, "pitch_min=" + std::to_string(pitch_min) +
                                           " must be a MIDI number from 0 to " +
                                           std::to_string(kMostPitches - 1));
  require(
      pitch_min < 0 || room < 1 || (n_pitches >= 1 && n_pitches <= static_cast<std::size_t>(room)),
      "n_pitches=" + std::to_string(n_pitches) + " must be 1 to " + std::to_string(room) +
          ", so that the highest pitch from pitch_min=" + std::to_string(pitch_min) +
          " on is at most " + std::to_string(kMostPitches - 1));
  require(n_maps == kMaps || n_maps == kMostMaps, "n_maps=" + std::to_string(n_maps) + " must be " +
                                                      std::to_string(kMaps) + " or " +
                                                      std::to_string(kMostMaps));
  require(std::isfinite(sample_rate) && sample_rate > 0,
          "sample_rate=" + std::to_string(sample_rate) + " must be a number of Hz above 0");
  return found;
}

void GeneratorConfig::check() const {
  if (const auto found = faults(); !found.empty()) throw std::invalid_argument(found.front());
}

WeightShapes weight_shapes(const GeneratorConfig& config) {
  WeightShapes shapes;
  using Shape = std::vector<std::size_t>;
  const auto add = [&](const std::string& name, Shape shape) {
    shapes.emplace(name, std::move(shape));
  };
  const std::size_t inputs = config.input_size();
  for (std::size_t b = 0; b < config.n_blocks(); ++b) {
    const std::string name = "blocks." + std::to_string(b) + ".";
    const std::size_t width = config.channels[b];
    add(name + "conv1.weight", b == 0 ? Shape{width, inputs, config.start_frames, config.start_bins}
                                      : Shape{width, config.channels[b - 1], 3, 3});
    add(name + "conv2.weight", {width, width, 3, 3});
    add(name + "conv1.bias", {width});
    add(name + "conv2.bias", {width});
    if (config.conditioning == Conditioning::kOneHot) continue;
    const std::string conditioning = name + "conditioning.";
    add(conditioning + "maps.weight", {width, config.n_maps});
    add(conditioning + "time.weight", {width, kTimeFeatures});
    for (const char* style : {"style1", "style2", "noise"}) {
      const std::size_t rows = std::string_view(style) == "noise" ? width : 2 * width;
      add(conditioning + style + ".weight", {rows, inputs});
      add(conditioning + style + ".bias", {rows});
    }
  }
  add("to_rgb.weight", {2, config.channels.back()});
  add("to_rgb.bias", {2});
  return shapes;
}

GeneratorWeights::GeneratorWeights(GeneratorConfig config, const core::FloatArrays& arrays,
                                   Precision precision)
    : config_(std::move(config)), precision_(precision), kernels_(&kernels::kernels()) {
  config_.check();
  if (precision == Precision::kInt8) {
    throw std::invalid_argument(
        "precision='int8' is not supported by GANSynth presets; use 'float32' or 'bfloat16'");
  }
  const bool bfloat16 = precision == Precision::kBFloat16;
  const kernels::BFloat16Rows rows =
      bfloat16 ? kernels::bfloat16_rows(*kernels_) : kernels::BFloat16Rows::kNone;
  if (bfloat16 && rows == kernels::BFloat16Rows::kNone) {
    throw std::invalid_argument(
        "precision='bfloat16' needs a CPU with AVX-512 BF16; the kernels in use are " +
        std::string(kernels_->isa) + "; use 'float32' or 'auto'");
  }
  tiles_ = bfloat16 && rows == kernels::BFloat16Rows::kTiles;
  const bool pairs = bfloat16 && rows == kernels::BFloat16Rows::kPairs;
  if (bfloat16 && rows == kernels::BFloat16Rows::kFloat32) precision_ = Precision::kFloat32;
  const bool harmonic = config_.conditioning == Conditioning::kHarmonic;
  const std::size_t inputs = config_.input_size();
  const WeightReader reader(weight_shapes(config_), arrays);
  for (std::size_t b = 0; b < config_.n_blocks(); ++b) {
    Block& block = blocks_.emplace_back();
    const std::string name = "blocks." + std::to_string(b) + ".";
    const std::size_t width = block.width = config_.channels[b];
    const std::size_t stride = block.stride = stride_of(width);
    const std::size_t n_frames = config_.n_frames(b), n_bins = config_.n_bins(b);
    block.shape2 = {width, width, n_bins, false, pairs};
    const auto pack = [&](const kernels::ConvShape& shape, const std::vector<float>& weight) {
      core::AlignedFloats packed(tiles_ ? kernels::tile_packed_floats(shape)
                                        : kernels::conv_packed_floats(shape));
      const auto pack_shape = tiles_ ? kernels_->pack_tile_conv : kernels_->pack_conv;
      pack_shape(shape, weight.data(), packed.data());
      return packed;
    };
    if (b == 0) {
      const std::size_t pixels = n_frames * n_bins;
      const auto& dense = reader.take(name + "conv1.weight");
      block.conv1 = padded_transpose(dense, inputs * pixels, width, stride);
    } else {
      const std::size_t below = config_.channels[b - 1];
      block.shape1 = {below, width, n_bins / 2, true, pairs};
      block.conv1 = pack(block.shape1, reader.take(name + "conv1.weight"));
    }
    block.conv2 = pack(block.shape2, reader.take(name + "conv2.weight"));
    block.bias2 = padded(reader.take(name + "conv2.bias"), 1, width, stride);
    const auto& bias1 = reader.take(name + "conv1.bias");
    block.row_bias1 = core::AlignedFloats(n_frames * stride);
    for (std::size_t t = 0; t < n_frames; ++t) {
      std::copy_n(bias1.data(), width, block.row_bias1.data() + t * stride);
    }
    if (!harmonic) continue;

    const std::string conditioning = name + "conditioning.";
    const auto& maps = reader.take(conditioning + "maps.weight");
    block.maps = padded_transpose(maps, config_.n_maps, width, stride);
    const auto& time = reader.take(conditioning + "time.weight");
    for (std::size_t t = 0; t < n_frames; ++t) {
      double features[kTimeFeatures];
      time_features(config_, n_frames, t, features);
      for (std::size_t c = 0; c < width; ++c) {
        double sum = bias1[c];
        for (std::size_t k = 0; k < kTimeFeatures; ++k)
          sum += features[k] * time[c * kTimeFeatures + k];
        block.row_bias1.data()[t * stride + c] = static_cast<float>(sum);
      }
    }
    block.styles = core::AlignedFloats(inputs * kStyles * stride);
    block.style_biases = core::AlignedFloats(kStyles * stride);
    std::size_t at = 0;
    for (const char* style : {"style1", "style2", "noise"}) {
      const std::size_t n_parts = std::string_view(style) == "noise" ? 1 : 2;
      const auto& weight = reader.take(conditioning + style + ".weight");
      const auto& bias = reader.take(conditioning + style + ".bias");
      for (std::size_t part = 0; part < n_parts; ++part, at += stride) {
        const bool is_scale = n_parts == 2 && part == 0;
        for (std::size_t c = 0; c < width; ++c) {
          const std::size_t row = part * width + c;
          block.style_biases.data()[at + c] = bias[row] + (is_scale ? 1.0f : 0.0f);
          for (std::size_t i = 0; i < inputs; ++i) {
            block.styles.data()[i * kStyles * stride + at + c] = weight[row * inputs + i];
          }
        }
      }
    }
  }
  const Block& last = blocks_.back();
  const auto& image = reader.take("to_rgb.weight");
  image_weight_ = padded(image, 2, last.width, last.stride);
  const auto& image_bias = reader.take("to_rgb.bias");
  std::copy_n(image_bias.data(), 2, image_bias_);
  std::size_t longest_row = 0;
  for (std::size_t b = 0; b < config_.n_blocks(); ++b) {
    longest_row = std::max(longest_row, row_floats(blocks_[b].width, config_.n_bins(b)));
  }
  zeros_ =
      core::AlignedFloats(longest_row + row_guard(*std::ranges::max_element(config_.channels)));
}

FrameScratch::FrameScratch(const GeneratorWeights& weights) : fields_(weights.blocks_.size()) {
  const GeneratorConfig& config = weights.config();
  // Called twice: to count the floats, then to place the arrays.
  const auto lay_out = [&](float* memory) {
    Arena arena(memory);
    std::size_t workspace = 0;
    for (std::size_t b = 0; b < fields_.size(); ++b) {
      const GeneratorWeights::Block& w = weights.blocks_[b];
      if (weights.tiles_) {  // the first layer's sums also need a place
        const std::size_t first = config.n_bins(0) * weights.blocks_[0].stride;
        workspace = std::max({workspace, kernels::tile_workspace_floats(w.shape2),
                              b > 0 ? kernels::tile_workspace_floats(w.shape1) : first});
      } else {
        if (b > 0) workspace = std::max(workspace, kernels::conv_workspace_floats(w.shape1));
        workspace = std::max(workspace, kernels::conv_workspace_floats(w.shape2));
      }
      if (config.conditioning == Conditioning::kHarmonic) {
        fields_[b] = arena.take(config.n_bins(b) * w.stride);
      }
    }
    workspace_ = arena.take(workspace);
    noise_ = arena.take(config.n_bins() + 3);
    return arena.used();
  };
  memory_ = ArenaMemory(lay_out(nullptr));
  lay_out(memory_.data());
}

std::size_t GeneratorWeights::stride_of(std::size_t width) const {
  return tiles_ ? kernels::tile_channels(width) : kernels::padded_channels(width);
}

std::size_t GeneratorWeights::row_floats(std::size_t width, std::size_t n_bins) const {
  return tiles_ ? kernels::tile_row_floats(width, n_bins) : kernels::row_floats(width, n_bins);
}

std::size_t GeneratorWeights::row_guard(std::size_t width) const {
  return tiles_ ? kernels::kTileRowGuard : kernels::row_guard(width);
}

FrameStream::FrameStream(std::shared_ptr<const GeneratorWeights> weights,
                         std::shared_ptr<FrameTable> table, std::shared_ptr<FrameScratch> scratch)
    : weights_(std::move(weights)),
      scratch_(scratch ? std::move(scratch) : std::make_shared<FrameScratch>(*weights_)) {
  const GeneratorConfig& config = weights_->config();
  blocks_.resize(config.n_blocks());
  // Called twice: to count the floats, then to place the arrays.
  const auto lay_out = [&](float* memory) {
    Arena arena(memory);
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      const GeneratorWeights::Block& w = weights_->blocks_[b];
      const std::size_t row = weights_->row_floats(w.width, config.n_bins(b));
      const auto layer = [&](Layer& into, std::size_t n_slots, const kernels::ConvShape& shape,
                             bool convolves) {
        into.n_slots = n_slots;
        for (std::size_t i = 0; i < n_slots; ++i) {
          float* taken = arena.take(row);
          into.slots[i] = taken ? taken + weights_->row_guard(w.width) : nullptr;
        }
        if (convolves && !weights_->tiles_) {
          into.stash = arena.take(kernels::conv_stash_floats(shape));
        }
      };
      layer(blocks_[b].conv1, 3, w.shape1, b > 0);
      layer(blocks_[b].conv2, b + 1 < blocks_.size() ? 2 : 1, w.shape2, true);
      if (config.conditioning == Conditioning::kHarmonic) {
        blocks_[b].styles = arena.take(GeneratorWeights::kStyles * w.stride);
      }
    }
    input_ = arena.take(config.input_size());
    return arena.used();
  };
  memory_ = ArenaMemory(lay_out(nullptr));
  lay_out(memory_.data());
  zeros_ =
      weights_->zeros_.data() + weights_->row_guard(*std::ranges::max_element(config.channels));
  const std::vector<float> silence(config.latent_size, 0.0f);
  start({.z = silence});
  table_ = std::move(table);
}

void FrameStream::start(const NoteInput& note) noexcept AUDIOGEN_REALTIME {
  seed_ = note.seed;
  noise_stream_ = note.noise_stream;
  frame_ = 0;
  note_ = table_ ? table_->find(note) : kNone;
  forget_rows();
  make_input(note);
  if (config().conditioning == Conditioning::kOneHot) return;
  pitch_ = note.pitch;
  partials_ = note.partials;
  make_styles();
}

// Scales, shifts and noise strengths of all layers, from the input.
void FrameStream::make_styles() noexcept AUDIOGEN_REALTIME {
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    const GeneratorWeights::Block& w = weights_->blocks_[b];
    const std::size_t n = GeneratorWeights::kStyles * w.stride;
    std::copy_n(w.style_biases.data(), n, blocks_[b].styles);
    weights_->kernels_->linear_row(input_, config().input_size(), w.styles.data(), n,
                                   blocks_[b].styles);
  }
}

void FrameStream::forget_rows() noexcept AUDIOGEN_REALTIME {
  for (Block& block : blocks_) {
    for (Layer* layer : {&block.conv1, &block.conv2}) {
      std::fill_n(layer->rows, kSlots, kNone);
      layer->stash_pair = kNone;
    }
  }
}

void FrameStream::set_pitch(float pitch) noexcept AUDIOGEN_REALTIME {
  if (config().conditioning != Conditioning::kHarmonic) return;
  note_ = kNone;
  forget_rows();
  pitch_ = pitch;
}

void FrameStream::set_latent(const NoteInput& note) noexcept AUDIOGEN_REALTIME {
  note_ = kNone;
  forget_rows();
  make_input(note);
  if (config().conditioning == Conditioning::kHarmonic) make_styles();
}

void FrameStream::seek(std::size_t frame) noexcept AUDIOGEN_REALTIME {
  frame_ = std::min(frame, config().n_frames() - 1);
}

void FrameStream::next(float* log_magnitude, float* phase) noexcept AUDIOGEN_REALTIME {
  if (note_ != kNone && table_->read(note_, frame_, log_magnitude, phase)) {
    seek(frame_ + 1);
    return;
  }
  if (config().conditioning == Conditioning::kHarmonic &&
      !(scratch_->has_fields_ && scratch_->pitch_ == pitch_ && scratch_->partials_ == partials_)) {
    make_fields();
  }
  const std::size_t last = blocks_.size() - 1;
  const float* row = conv2_row(last, frame_);
  const auto image_row =
      weights_->tiles_ ? weights_->kernels_->tile_image_row : weights_->kernels_->image_row;
  image_row({row,
             config().n_bins(),
             weights_->blocks_[last].width,
             weights_->image_weight_.data(),
             {weights_->image_bias_[0], weights_->image_bias_[1]},
             {log_magnitude, phase}});
  seek(frame_ + 1);
}

// The network's input, as `Generator.input_vector` of audiogen/models/gansynth.py.
void FrameStream::make_input(const NoteInput& note) noexcept AUDIOGEN_REALTIME {
  const std::size_t n = config().latent_size, size = config().input_size();
  std::copy_n(note.z.data(), n, input_);
  std::fill(input_ + n, input_ + size, 0.0f);
  std::size_t normalised = n;
  if (config().conditioning == Conditioning::kOneHot) {
    const auto highest = static_cast<float>(config().n_pitches - 1);
    const float index = std::nearbyint(note.pitch) - static_cast<float>(config().pitch_min);
    input_[n + static_cast<std::size_t>(std::clamp(index, 0.0f, highest))] = 1.0f;
    normalised = size;
  }
  const auto gain = static_cast<float>(pixel_norm_of(input_, normalised));
  for (std::size_t i = 0; i < normalised; ++i) input_[i] *= gain;
  if (config().conditioning == Conditioning::kHarmonic) input_[n] = 2.0f * note.velocity - 1.0f;
}

// Contribution of the harmonic maps (representation/harmonic.py) to each bin of each level.
void FrameStream::make_fields() noexcept AUDIOGEN_REALTIME {
  const double pitch = scratch_->pitch_ = pitch_;
  scratch_->partials_ = partials_;
  scratch_->has_fields_ = true;
  const double f0 = 440.0 * std::exp2((pitch - 69.0) / 12.0);
  const double nyquist = config().sample_rate / 2.0;
  const double bin_width = nyquist / static_cast<double>(config().n_bins());
  const std::size_t n_cycles = config().n_maps == GeneratorConfig::kMostMaps ? 3 : 1;
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    const GeneratorWeights::Block& w = weights_->blocks_[b];
    const std::size_t n_bins = config().n_bins(b);
    const auto covered = static_cast<double>(config().n_bins() / n_bins);
    const double width = nyquist / static_cast<double>(n_bins);
    float* field = scratch_->fields_[b];
    std::fill_n(field, n_bins * w.stride, 0.0f);
    PartialPositions positions(partials_);
    double slope = 0.0, resolved[3] = {};
    for (std::size_t i = 0; i < n_bins; ++i) {
      const double f = (static_cast<double>(i) * covered + (covered + 1.0) / 2.0) * bin_width;
      const PartialPositions::Position position = positions.at(f / f0);
      const double h = position.nearest();
      const double distance = (f - partials_.ratio(h) * f0) / width;
      if (position.slope != slope) {
        slope = position.slope;
        for (std::size_t k = 0; k < n_cycles; ++k) {
          const double half = std::numbers::pi * width / f0 * slope / static_cast<double>(k + 1);
          resolved[k] = std::sin(half) / half;
        }
      }
      float maps[GeneratorConfig::kMostMaps] = {
          static_cast<float>(std::tanh(h / 16.0)),
          static_cast<float>(std::exp(-0.5 * distance * distance)),
          static_cast<float>(std::exp(-distance * distance / 18.0)),
          0.0f,
          0.0f,
          static_cast<float>(std::log2(f / f0) / 4.0),
          static_cast<float>(std::log2(f / 1000.0) / 4.0),
          static_cast<float>((pitch - 54.0) / 30.0)};
      // Position between two partials, two even ones, and two multiples of three.
      for (std::size_t k = 0; k < n_cycles; ++k) {
        const double turn = 2.0 * std::numbers::pi * position.value / static_cast<double>(k + 1);
        float* const cycle = maps + (k == 0 ? 3 : GeneratorConfig::kMaps + 2 * (k - 1));
        cycle[0] = static_cast<float>(resolved[k] * std::cos(turn));
        cycle[1] = static_cast<float>(resolved[k] * std::sin(turn));
      }
      weights_->kernels_->linear_row(maps, config().n_maps, w.maps.data(), w.stride,
                                     field + i * w.stride);
    }
  }
}

// Noise of unit variance for one row.
void FrameStream::make_noise(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME {
  const std::uint32_t stream = noise_stream_ * kStreamsPerNote + static_cast<std::uint32_t>(block);
  const std::size_t n_bins = config().n_bins(block);
  constexpr float kSqrt12 = 3.46410161513775459f;
  for (std::size_t f = 0; f < n_bins; f += 4) {
    const core::PhiloxBlock random = core::philox(
        {{static_cast<std::uint32_t>(f / 4), static_cast<std::uint32_t>(row), stream, 0}}, seed_);
    for (std::size_t i = 0; i < 4; ++i) {
      scratch_->noise_[f + i] = (core::to_unit(random.word[i]) - 0.5f) * kSqrt12;
    }
  }
}

kernels::RowEpilogue FrameStream::epilogue1(std::size_t block,
                                            std::size_t row) noexcept AUDIOGEN_REALTIME {
  const GeneratorWeights::Block& w = weights_->blocks_[block];
  kernels::RowEpilogue epilogue;
  epilogue.bias = w.row_bias1.data() + row * w.stride;
  if (config().conditioning == Conditioning::kHarmonic) {
    make_noise(block, row);
    epilogue.field = scratch_->fields_[block];
    epilogue.noise = scratch_->noise_;
    epilogue.strength = blocks_[block].styles + 4 * w.stride;
    epilogue.scale = blocks_[block].styles;
    epilogue.shift = blocks_[block].styles + w.stride;
  }
  return epilogue;
}

// Block 0's first layer, which is dense, before its bias.
void FrameStream::dense_row(std::size_t row, float* out) noexcept AUDIOGEN_REALTIME {
  const GeneratorWeights::Block& w = weights_->blocks_[0];
  const std::size_t row_size = config().n_bins(0) * w.stride;
  std::fill_n(out, row_size, 0.0f);
  for (std::size_t i = 0; i < config().input_size(); ++i) {
    const float* weight = w.conv1.data() + (i * config().n_frames(0) + row) * row_size;
    weights_->kernels_->linear_row(input_ + i, 1, weight, row_size, out);
  }
}

const float* FrameStream::conv1_row(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME {
  if (row >= config().n_frames(block)) return zeros_;  // also row -1, which wraps round
  Layer& layer = blocks_[block].conv1;
  const std::size_t slot = row % layer.n_slots;
  float* out = layer.slots[slot];
  if (layer.rows[slot] == row) return out;
  const GeneratorWeights::Block& w = weights_->blocks_[block];
  if (block == 0 && weights_->tiles_) {
    dense_row(row, scratch_->workspace_);
    weights_->kernels_->finish_tile_row(epilogue1(block, row), w.width, config().n_bins(block),
                                        scratch_->workspace_, out);
  } else if (block == 0) {
    dense_row(row, out);
    weights_->kernels_->finish_row(epilogue1(block, row), w.width, config().n_bins(block), out);
  } else {
    const std::size_t below = row / 2;
    kernels::ConvRowCall call{};
    call.odd = row & 1;
    call.rows[0] = call.odd ? nullptr : conv2_row(block - 1, below - 1);
    call.rows[1] = conv2_row(block - 1, below);
    call.rows[2] = call.odd ? conv2_row(block - 1, below + 1) : nullptr;
    call.stash = layer.stash;
    call.stash_valid = layer.stash_pair == below;
    call.workspace = scratch_->workspace_;
    call.out = out;
    call.epilogue = epilogue1(block, row);
    weights_->conv_row(w.shape1, w.conv1.data(), call);
    layer.stash_pair = below;
  }
  layer.rows[slot] = row;
  return out;
}

const float* FrameStream::conv2_row(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME {
  if (row >= config().n_frames(block)) return zeros_;
  Layer& layer = blocks_[block].conv2;
  const std::size_t slot = row % layer.n_slots;
  float* out = layer.slots[slot];
  if (layer.rows[slot] == row) return out;
  const GeneratorWeights::Block& w = weights_->blocks_[block];
  kernels::ConvRowCall call{};
  call.rows[0] = conv1_row(block, row - 1);
  call.rows[1] = conv1_row(block, row);
  call.rows[2] = conv1_row(block, row + 1);
  call.odd = row & 1;
  call.stash = layer.stash;
  call.stash_valid = layer.stash_pair == row / 2;
  call.workspace = scratch_->workspace_;
  call.out = out;
  call.epilogue.bias = w.bias2.data();
  if (config().conditioning == Conditioning::kHarmonic) {
    call.epilogue.scale = blocks_[block].styles + 2 * w.stride;
    call.epilogue.shift = blocks_[block].styles + 3 * w.stride;
  }
  weights_->conv_row(w.shape2, w.conv2.data(), call);
  layer.stash_pair = row / 2;
  layer.rows[slot] = row;
  return out;
}

}  // namespace audiogen::models
