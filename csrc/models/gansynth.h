// The GANSynth generator as a stream of spectrogram frames.
//
// Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019; the same network as
// audiogen/models/gansynth.py, whose `export_weights` says how the weights are named. Each layer is
// local in time, so a frame needs but a few rows of each layer: `FrameStream` computes those when
// they are asked for and keeps the last four of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/aligned_floats.h"
#include "core/realtime.h"
#include "core/safetensors.h"
#include "kernels/conv_rows.h"
#include "kernels/dispatch.h"
#include "models/precision.h"
#include "models/weights.h"

namespace audiogen::models {

enum class Conditioning { kOneHot, kHarmonic };

// Sizes of a generator: the table [generator] of a preset, and `GeneratorConfig` of
// audiogen/models/config.py.
struct GeneratorConfig {
  // Limits, far beyond use and far from overflow.
  static constexpr std::size_t kMostBlocks = 12, kLargest = 1 << 16;
  static constexpr int kMostPitches = 128;  // of MIDI

  Conditioning conditioning = Conditioning::kOneHot;
  std::size_t latent_size = 256;
  std::vector<std::size_t> channels = {256, 256, 256, 256, 128, 64, 32};
  std::size_t start_frames = 2;
  std::size_t start_bins = 16;
  int pitch_min = 24;
  std::size_t n_pitches = 61;
  std::size_t note_off_frame = 93;
  double sample_rate = 16000.0;  // Hz; says where the bins lie, for `kHarmonic`

  std::size_t n_blocks() const { return channels.size(); }
  std::size_t n_frames(std::size_t block) const { return start_frames << block; }
  std::size_t n_bins(std::size_t block) const { return start_bins << block; }
  std::size_t n_frames() const { return n_frames(n_blocks() - 1); }
  std::size_t n_bins() const { return n_bins(n_blocks() - 1); }
  std::size_t input_size() const {
    return latent_size + (conditioning == Conditioning::kOneHot ? n_pitches : 1);
  }

  bool operator==(const GeneratorConfig& other) const = default;

  // One message for each size that is out of range, which begins with its name.
  std::vector<std::string> faults() const;
  // Throws std::invalid_argument with the first of `faults`.
  void check() const;
};

// Names and shapes of the tensors that `GeneratorWeights` takes: what `export_weights` of
// audiogen/models/gansynth.py writes.
WeightShapes weight_shapes(const GeneratorConfig& config);

// What a generator has learned, in the form the kernels read. Immutable, so streams on any number
// of threads share one.
class GeneratorWeights {
 public:
  // Throws std::invalid_argument for a config out of range or a precision that the generator or
  // this CPU does not support, and core::FormatError with the first of `weight_faults`.
  GeneratorWeights(GeneratorConfig config, const core::FloatArrays& arrays,
                   Precision precision = Precision::kFloat32);

  const GeneratorConfig& config() const { return config_; }
  Precision precision() const { return precision_; }

 private:
  friend class FrameStream;

  static constexpr std::size_t kStyles = 5;  // scale and shift of both layers, share of the noise

  struct Block {
    std::size_t width = 0;   // channels
    std::size_t stride = 0;  // channels with padding
    kernels::ConvShape shape1{};
    kernels::ConvShape shape2{};
    core::AlignedFloats conv1;  // packed; of block 0 [input_size, start_frames, start_bins, C]
    core::AlignedFloats conv2;
    core::AlignedFloats row_bias1;  // [n_frames, C]: bias and what the time says
    core::AlignedFloats bias2;      // [C]
    // For `kHarmonic`.
    core::AlignedFloats maps;          // [8, C]
    core::AlignedFloats styles;        // [input_size, kStyles, C]
    core::AlignedFloats style_biases;  // [kStyles, C], 1 added to the scales
  };

  GeneratorConfig config_;
  Precision precision_;
  const kernels::KernelTable* kernels_;
  std::vector<Block> blocks_;
  core::AlignedFloats image_weight_;  // [2, C]
  float image_bias_[2] = {0.0f, 0.0f};
};

// What a note is to the generator.
struct NoteInput {
  std::span<const float> z;  // [latent_size]
  float pitch = 60.0f;       // MIDI number; `kOneHot` takes the nearest that was trained
  float velocity = 1.0f;     // 0 .. 1, for `kHarmonic`
  std::uint64_t seed = 0;
  std::uint32_t noise_stream =
      0;  // < 2^27; notes of one seed and different streams differ in noise
};

// The frames of one note, in any order. The rows that two frames share are computed once as long as
// the order is forwards.
class FrameStream {
 public:
  // Allocates all that it ever needs.
  explicit FrameStream(std::shared_ptr<const GeneratorWeights> weights);
  FrameStream(FrameStream&&) noexcept = default;
  FrameStream& operator=(FrameStream&&) noexcept = default;

  // Begins a note at frame 0. z must have latent_size numbers.
  void start(const NoteInput& note) noexcept AUDIOGEN_REALTIME;

  // The frames to come are those of another pitch. What was computed for them is forgotten, for
  // rows of two pitches make no sound together: a frame then costs as much as the first. Without
  // effect on `kOneHot`, which knows whole notes only.
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME;

  // The frame that `next` gives; beyond the last, the last.
  void seek(std::size_t frame) noexcept AUDIOGEN_REALTIME;

  // Writes a frame, [n_bins] each, in the generator's units within [-1, 1], and goes on to the one
  // after it; at the end of the note it stays. `start` must have been called.
  void next(float* log_magnitude, float* phase) noexcept AUDIOGEN_REALTIME;

  std::size_t frame() const noexcept AUDIOGEN_REALTIME { return frame_; }
  const GeneratorConfig& config() const noexcept AUDIOGEN_REALTIME { return weights_->config(); }

 private:
  static constexpr std::size_t kSlots = 4;  // three neighbours, to a power of two

  // The output rows of a layer that are known.
  struct Layer {
    float* slots[kSlots];
    std::size_t rows[kSlots];  // which row is in each slot, or kNone
    float* stash;
    std::size_t stash_pair;  // which pair of rows the stash serves, or kNone
  };
  struct Block {
    Layer conv1;
    Layer conv2;
    float* field;   // [n_bins, C]: what the harmonic maps say
    float* styles;  // [kStyles, C]
  };
  static constexpr std::size_t kNone = ~std::size_t{0};

  // What a row needs below it: pulled here, level by level.
  const float* conv1_row(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;
  const float* conv2_row(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;
  void dense_row(std::size_t row, float* out) noexcept AUDIOGEN_REALTIME;
  kernels::RowEpilogue epilogue1(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;
  void forget_rows() noexcept AUDIOGEN_REALTIME;
  void make_input(const NoteInput& note) noexcept AUDIOGEN_REALTIME;
  void make_fields(double pitch) noexcept AUDIOGEN_REALTIME;
  void make_noise(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;

  std::shared_ptr<const GeneratorWeights> weights_;
  core::AlignedFloats memory_;
  std::vector<Block> blocks_;
  float* zeros_;      // a row of any layer, all zeros
  float* workspace_;  // of the largest layer
  float* input_;      // [input_size]
  float* noise_;      // [n_bins]
  std::uint64_t seed_ = 0;
  std::uint32_t noise_stream_ = 0;
  std::size_t frame_ = 0;
};

}  // namespace audiogen::models
