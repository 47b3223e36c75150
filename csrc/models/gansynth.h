// The GANSynth generator as a stream of spectrogram frames.
//
// Engel et al., "GANSynth: Adversarial Neural Audio Synthesis", ICLR 2019; the same network as
// audiogen/models/gansynth.py, whose `export_weights` defines the names of the weights. Each layer
// is local in time, so that a frame depends on a few rows of each layer only: `FrameStream`
// computes them on demand and caches the last one to three of each layer.
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
#include "kernels/dispatch.h"
#include "kernels/networks/conv_rows.h"
#include "models/arena.h"
#include "models/partials.h"
#include "models/precision.h"
#include "models/weights.h"

namespace audiogen::models {

enum class Conditioning { kOneHot, kHarmonic };

// Sizes of a generator: the table [generator] of a preset, and `GeneratorConfig` of
// audiogen/models/config.py.
struct GeneratorConfig {
  // Limits: far above any useful size, and safe from overflow.
  static constexpr std::size_t kMostBlocks = 12, kLargest = 1 << 16;
  static constexpr int kMostPitches = 128;  // MIDI numbers
  // Maps of the pitch, without and with those that distinguish even harmonics and multiples of
  // three.
  static constexpr std::size_t kMaps = 8, kMostMaps = 12;

  Conditioning conditioning = Conditioning::kOneHot;
  std::size_t latent_size = 256;
  std::vector<std::size_t> channels = {256, 256, 256, 256, 128, 64, 32};
  std::size_t start_frames = 2;
  std::size_t start_bins = 16;
  int pitch_min = 24;
  std::size_t n_pitches = 61;
  std::size_t note_off_frame = 93;
  std::size_t n_maps = kMaps;    // for `kHarmonic`
  double sample_rate = 16000.0;  // Hz; sets the bins' frequencies, for `kHarmonic`

  std::size_t n_blocks() const { return channels.size(); }
  std::size_t n_frames(std::size_t block) const { return start_frames << block; }
  std::size_t n_bins(std::size_t block) const { return start_bins << block; }
  std::size_t n_frames() const { return n_frames(n_blocks() - 1); }
  std::size_t n_bins() const { return n_bins(n_blocks() - 1); }
  std::size_t input_size() const {
    return latent_size + (conditioning == Conditioning::kOneHot ? n_pitches : 1);
  }

  bool operator==(const GeneratorConfig& other) const = default;

  // One message for each field out of range; it begins with the field's name.
  std::vector<std::string> faults() const;
  // Throws std::invalid_argument with the first of `faults`.
  void check() const;
};

// Names and shapes of the tensors of `GeneratorWeights`, as `export_weights` of
// audiogen/models/gansynth.py writes them.
WeightShapes weight_shapes(const GeneratorConfig& config);

// Weights of a generator in the layout that the kernels read. Immutable, so that streams on any
// number of threads can share them.
class GeneratorWeights {
 public:
  // Throws std::invalid_argument for a config out of range or a precision that the generator or
  // this CPU does not support, and core::FormatError with the first of `weight_faults`.
  GeneratorWeights(GeneratorConfig config, const core::FloatArrays& arrays,
                   Precision precision = Precision::kFloat32);

  const GeneratorConfig& config() const { return config_; }
  // The precision in use: `kFloat32` if it was requested, or is faster than bfloat16 on this CPU.
  Precision precision() const { return precision_; }

 private:
  friend class FrameStream;
  friend class FrameScratch;

  static constexpr std::size_t kStyles = 5;  // scale and shift of both layers, gain of the noise

  struct Block {
    std::size_t width = 0;   // channels
    std::size_t stride = 0;  // channels with padding
    kernels::ConvShape shape1{};
    kernels::ConvShape shape2{};
    core::AlignedFloats conv1;  // packed; in block 0 [input_size, start_frames, start_bins, C]
    core::AlignedFloats conv2;
    core::AlignedFloats row_bias1;  // [n_frames, C]: bias plus the time features' contribution
    core::AlignedFloats bias2;      // [C]
    // For `kHarmonic`.
    core::AlignedFloats maps;          // [n_maps, C]
    core::AlignedFloats styles;        // [input_size, kStyles, C]
    core::AlignedFloats style_biases;  // [kStyles, C], 1 added to the scales
  };

  // Channels with padding, and the floats of a row and before its bin 0, as kernels require them.
  std::size_t stride_of(std::size_t width) const;
  std::size_t row_floats(std::size_t width, std::size_t n_bins) const;
  std::size_t row_guard(std::size_t width) const;
  void conv_row(const kernels::ConvShape& shape, const float* packed,
                const kernels::ConvRowCall& call) const noexcept AUDIOGEN_REALTIME {
    (tiles_ ? kernels_->tile_conv_row : kernels_->conv_row)(shape, packed, call);
  }

  GeneratorConfig config_;
  Precision precision_;
  const kernels::KernelTable* kernels_;
  bool tiles_ = false;  // rows are in bfloat16, for kernels/networks/tiles/tile_rows.h
  std::vector<Block> blocks_;
  core::AlignedFloats image_weight_;  // [2, C]
  float image_bias_[2] = {0.0f, 0.0f};
  core::AlignedFloats zeros_;  // a row of any layer, after its guard
};

class FrameTable;

// Memory shared by several `FrameStream`s of which one computes at a time, such as those of one
// voice: workspace of a layer, and values that depend on pitch and partials alone.
class FrameScratch {
 public:
  explicit FrameScratch(const GeneratorWeights& weights);

 private:
  friend class FrameStream;

  ArenaMemory memory_;
  std::vector<float*> fields_;  // [n_bins, C] of each block: contribution of the harmonic maps,
  float pitch_ = 0.0f;          // at this pitch
  Partials partials_;           // with these partials,
  bool has_fields_ = false;     // if they were computed
  float* workspace_;            // for the largest layer
  float* noise_;                // [n_bins]
};

// The generator's input for a note.
struct NoteInput {
  std::span<const float> z;  // [latent_size]
  float pitch = 60.0f;       // MIDI number; `kOneHot` rounds to the nearest trained pitch
  float velocity = 1.0f;     // 0 .. 1, for `kHarmonic`
  std::uint64_t seed = 0;
  std::uint32_t noise_stream = 0;  // < 2^27; selects other noise for the same seed
  Partials partials = {};          // for `kHarmonic`
};

// Computes the frames of one note in any order. In ascending order, rows that several frames share
// are computed once.
class FrameStream {
 public:
  // Allocates all memory. Frames that `table` has are copied from it (models/frame_table.h), unless
  // the note's pitch or latent has changed since its start. Without `scratch` the stream has its
  // own.
  explicit FrameStream(std::shared_ptr<const GeneratorWeights> weights,
                       std::shared_ptr<FrameTable> table = nullptr,
                       std::shared_ptr<FrameScratch> scratch = nullptr);
  FrameStream(FrameStream&&) noexcept = default;
  FrameStream& operator=(FrameStream&&) noexcept = default;

  // Starts a note at frame 0. `z` must have latent_size numbers.
  void start(const NoteInput& note) noexcept AUDIOGEN_REALTIME;

  // Sets the pitch of the following frames. Discards the cached rows, because a frame can't be
  // computed from rows of two pitches: the next frame costs as much as the first. Has no effect
  // with `kOneHot`, whose pitch is fixed per note.
  void set_pitch(float pitch) noexcept AUDIOGEN_REALTIME;

  // Replaces the latent of the following frames by `note.z`; pitch and velocity must be those of
  // the note. Discards the cached rows, as `set_pitch` does.
  void set_latent(const NoteInput& note) noexcept AUDIOGEN_REALTIME;

  // Sets the frame that `next` writes, at most the last one.
  void seek(std::size_t frame) noexcept AUDIOGEN_REALTIME;

  // Writes a frame, [n_bins] each, in the generator's units within [-1, 1], and advances to the
  // next one, if there is one. `start` must have been called.
  void next(float* log_magnitude, float* phase) noexcept AUDIOGEN_REALTIME;

  std::size_t frame() const noexcept AUDIOGEN_REALTIME { return frame_; }
  const GeneratorConfig& config() const noexcept AUDIOGEN_REALTIME { return weights_->config(); }

 private:
  static constexpr std::size_t kSlots = 3;

  // Cached output rows of a layer: as many as the layer above needs at once. A 3x3 convolution
  // needs three neighbouring rows, one of upsampled rows needs two, and a frame needs one.
  struct Layer {
    std::size_t n_slots;
    float* slots[kSlots];
    std::size_t rows[kSlots];  // index of the row in each slot, or kNone
    float* stash;
    std::size_t stash_pair;  // index of the pair of rows that the stash is for, or kNone
  };
  struct Block {
    Layer conv1;
    Layer conv2;
    float* styles;  // [kStyles, C]
  };
  static constexpr std::size_t kNone = ~std::size_t{0};

  // Return a row of a layer; compute it, and the rows below that it needs, unless it is cached.
  const float* conv1_row(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;
  const float* conv2_row(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;
  void dense_row(std::size_t row, float* out) noexcept AUDIOGEN_REALTIME;
  kernels::RowEpilogue epilogue1(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;
  void forget_rows() noexcept AUDIOGEN_REALTIME;
  void make_styles() noexcept AUDIOGEN_REALTIME;
  void make_input(const NoteInput& note) noexcept AUDIOGEN_REALTIME;
  void make_fields() noexcept AUDIOGEN_REALTIME;
  void make_noise(std::size_t block, std::size_t row) noexcept AUDIOGEN_REALTIME;

  std::shared_ptr<const GeneratorWeights> weights_;
  std::shared_ptr<FrameTable> table_;
  std::size_t note_ = kNone;  // index of the note in the table
  std::shared_ptr<FrameScratch> scratch_;
  ArenaMemory memory_;
  std::vector<Block> blocks_;
  const float* zeros_;  // a row of any layer, all zeros
  float* input_;        // [input_size]
  float pitch_ = 0.0f;  // MIDI number, for `kHarmonic`
  Partials partials_;   // likewise
  std::uint64_t seed_ = 0;
  std::uint32_t noise_stream_ = 0;
  std::size_t frame_ = 0;
};

}  // namespace audiogen::models
