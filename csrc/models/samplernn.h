// SampleRNN as a stream of samples: recurrent tiers at their frame rates, and a network at the
// sample rate that draws each level.
//
// Mehri et al., "SampleRNN: An Unconditional End-to-End Neural Audio Generation Model", ICLR 2017;
// the same network as audiogen/models/samplernn.py, whose `export_weights` defines the names of the
// weights. Successive linear maps are multiplied out when the weights are read: embedding x layer 1
// x layer 2 become tables, layer 2 is merged into the upsampling of the lowest tier, and a tier's
// input layer into its first gates. The output of a tier is multiplied with the gate weights of the
// tier below for all its frames at once, in one pass over the weights.
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
#include "kernels/networks/matrix.h"
#include "kernels/networks/sample_step.h"
#include "models/sample_table.h"
#include "models/weights.h"

namespace audiogen::models {

// Sizes of a SampleRNN: the table [samplernn] of a preset, and `SampleRNNConfig` of
// audiogen/models/config.py.
struct SampleRNNConfig {
  // Limits: far above any useful size, and safe from overflow.
  static constexpr std::size_t kMostTiers = 16, kMostLayers = 64, kLargest = 1 << 16;

  enum class Rnn { kGru, kLstm };
  enum class Quantisation { kLinear, kMuLaw };
  enum class Conditioning { kNone, kClass, kNote };

  std::vector<std::size_t> frame_sizes = {8, 2};  // samples, coarse to fine
  std::size_t dim = 1024;
  std::size_t n_rnn = 1;
  Rnn rnn = Rnn::kGru;
  std::size_t embedding_size = 256;
  std::size_t q_levels = 256;  // 2 .. 256, or 65536: an upper byte and a lower byte
  Quantisation quantisation = Quantisation::kLinear;
  Conditioning conditioning = Conditioning::kNone;
  std::size_t n_classes = 0;
  double sample_rate = 16000.0;  // Hz

  std::size_t n_tiers() const { return frame_sizes.size(); }
  bool two_bytes() const { return q_levels > 256; }
  std::size_t n_levels() const { return two_bytes() ? 256 : q_levels; }  // classes of one softmax
  std::size_t n_logits() const { return two_bytes() ? 512 : q_levels; }  // logits per sample
  std::size_t n_gates() const { return rnn == Rnn::kGru ? 3 : 4; }
  std::size_t n_features() const;                            // conditioning inputs of each tier
  std::size_t ratio(std::size_t tier) const;                 // output vectors per step
  std::size_t window() const { return frame_sizes.back(); }  // past samples at the network's input

  bool operator==(const SampleRNNConfig& other) const = default;

  // One message for each field out of range; it begins with the field's name.
  std::vector<std::string> faults() const;
  // Throws std::invalid_argument with the first of `faults`.
  void check() const;
};

// Names and shapes of the tensors of `SampleRNNWeights`, as `export_weights` of
// audiogen/models/samplernn.py writes them.
WeightShapes weight_shapes(const SampleRNNConfig& config);

// Weights of a SampleRNN in the layout that the kernels read. Immutable, so that streams on any
// number of threads can share them.
class SampleRNNWeights {
 public:
  using Precision = kernels::MatrixForm;  // kFloat32, kBFloat16 or kInt8

  // Throws std::invalid_argument for a config out of range, and core::FormatError with the first of
  // `weight_faults`. Every precision runs on every CPU.
  SampleRNNWeights(SampleRNNConfig config, const core::FloatArrays& arrays,
                   Precision precision = Precision::kFloat32);

  const SampleRNNConfig& config() const { return config_; }
  Precision precision() const { return precision_; }

 private:
  friend class SampleStream;

  struct Layer {
    kernels::Matrix input;      // [gates * dim, dim]; none in the top tier's first layer
    kernels::Matrix recurrent;  // [gates * dim, dim]
  };
  struct Tier {
    std::vector<Layer> layers;
    core::AlignedFloats direct;  // [frame_size + n_features, gates * dim], rows padded
    core::AlignedFloats bias;    // [gates * dim], only for the top tier's first layer
    kernels::Matrix upsample;    // [ratio * dim, dim]
    std::vector<float> h0;       // [n_states, dim]
  };

  SampleRNNConfig config_;
  Precision precision_;
  const kernels::KernelTable* kernels_;
  bool tiles_ = false;  // products of many columns are on tiles of bytes
  std::vector<Tier> tiers_;
  core::AlignedFloats tables_;    // [window, 1 or 2 bytes, n_levels, dim], rows padded
  core::AlignedFloats features_;  // [n_features, dim], rows padded
  kernels::Matrix hidden_;        // [dim or 2 dim, dim]: layer 3; with two bytes, one per byte
  kernels::Matrix output_;        // [n_levels, dim]
  kernels::Matrix output_low_;    // [256, dim]
  core::AlignedFloats upper_;  // [256, dim], rows padded: embedding of the upper byte for the lower
  std::vector<float> samples_;  // [q_levels]: the sample of each level
};

// Conditioning of a stream.
struct SampleNote {
  double pitch = 60.0;    // MIDI number
  double velocity = 1.0;  // 0 .. 1
  std::size_t index = 0;  // class
};

// Level nearest to a sample of full scale 1, as `quantise` of audiogen/representation/levels.py.
std::int32_t level_of(const SampleRNNConfig& config, double sample) noexcept AUDIOGEN_REALTIME;

// Parameters of the sampling of levels.
struct Sampling {
  std::span<const float> temperature;  // one number, or one per sample; 0: greedy
  float top_p = 1.0f;  // nucleus: the most probable levels with this total probability
};

// Generates one or more independent streams, which share each pass over the weights. A stream's
// samples don't depend on the other streams, nor on how calls divide time. A copy is a saved state.
class SampleStream {
 public:
  // Allocates all memory. With n_threads = 2, a second thread, which spins during a call, computes
  // half of each product: for large networks offline, never on the audio thread. Throws
  // std::invalid_argument if n_streams is 0 or n_threads isn't 1 or 2.
  explicit SampleStream(std::shared_ptr<const SampleRNNWeights> weights, std::size_t n_streams = 1,
                        std::size_t n_threads = 1);
  SampleStream(const SampleStream& other);
  SampleStream& operator=(const SampleStream& other);
  SampleStream(SampleStream&&) noexcept;
  SampleStream& operator=(SampleStream&&) noexcept;
  ~SampleStream();

  // Takes the samples of streams from a table from their next `start_note` on; the table must have
  // them, or collect. Copies of this object don't share it. Not with given levels.
  void set_table(std::shared_ptr<SampleTable> table);

  // Restores the initial state of all streams: sample 0, class 0, the default note. Stream s draws
  // from Philox stream first_stream + s.
  void reset(std::uint64_t seed, std::uint32_t first_stream = 0) noexcept AUDIOGEN_REALTIME;

  // Below, `stream` must be less than n_streams(), and a class index less than n_classes.

  // Makes a stream draw from Philox stream 0 of this seed, as a single stream does.
  void seed_stream(std::size_t stream, std::uint64_t seed) noexcept AUDIOGEN_REALTIME;

  void set_class(std::size_t stream, std::size_t index) noexcept AUDIOGEN_REALTIME;

  // Starts a note: resets the stream to its initial state at sample 0.
  void start_note(std::size_t stream, const SampleNote& note) noexcept AUDIOGEN_REALTIME;
  // Both take effect from the next sample on.
  void set_pitch(std::size_t stream, double pitch) noexcept AUDIOGEN_REALTIME;
  void release(std::size_t stream) noexcept AUDIOGEN_REALTIME;

  // Advances all streams with given levels, [n_streams, n], in place of drawn ones.
  void feed(const std::int32_t* levels, std::size_t n) noexcept AUDIOGEN_REALTIME;
  // Advances some streams, each at most once, with n given levels each.
  void feed(std::span<const std::size_t> streams, std::span<const std::int32_t* const> levels,
            std::size_t n) noexcept AUDIOGEN_REALTIME;

  // Copies the state of stream `from` to stream `to`, except for its random numbers.
  void copy_state(std::size_t from, std::size_t to) noexcept AUDIOGEN_REALTIME;

  // Output of a stream's DC blocker at its newest sample, in full precision.
  double last_output(std::size_t stream) const noexcept AUDIOGEN_REALTIME {
    return voices_[stream].dc_block.y;
  }
  // Pole of the DC blocker.
  double dc_pole() const noexcept AUDIOGEN_REALTIME { return dc_pole_; }

  // Draws n samples of each stream, [n_streams, n], through the DC blocker.
  void process(float* samples, std::size_t n, const Sampling& sampling) noexcept AUDIOGEN_REALTIME;

  // Draws n samples of some streams, each at most once, into one row each; other streams don't
  // advance.
  void process(std::span<const std::size_t> streams, std::span<float* const> samples, std::size_t n,
               const Sampling& sampling) noexcept AUDIOGEN_REALTIME;

  // Draws n samples of each stream, and their levels, [n_streams, n]; either may be null.
  void draw(std::int32_t* levels, float* samples, std::size_t n,
            const Sampling& sampling) noexcept AUDIOGEN_REALTIME;

  // Feeds levels and writes the logits of each sample, [n_streams, n, n_logits]; with two bytes
  // those of the upper byte, then those of the lower byte given the upper one.
  void logits(const std::int32_t* levels, std::size_t n, float* logits) noexcept AUDIOGEN_REALTIME;

  // Samples of a stream since its initial state.
  std::uint64_t position(std::size_t stream = 0) const noexcept AUDIOGEN_REALTIME;

  std::size_t n_streams() const noexcept AUDIOGEN_REALTIME { return voices_.size(); }
  const SampleRNNConfig& config() const noexcept AUDIOGEN_REALTIME { return weights_->config(); }

 private:
  // State of a stream beside that of the network.
  struct Voice {
    std::uint64_t position = 0;
    SampleNote note;
    double phase = 0.0;                 // phase of the fundamental at this sample, cycles
    double increment = 0.0;             // cycles per sample
    std::uint64_t released_at = kHeld;  // position of the release
    kernels::DcBlock dc_block;
  };
  // Source of a stream's random numbers.
  struct RandomSource {
    std::uint64_t seed = 0;
    std::uint32_t philox_stream = 0;
  };
  // Offsets of a tier's arrays in the floats of a stream.
  struct TierOffsets {
    std::size_t states;  // [n_states, dim]
    std::size_t output;  // [ratio, gates * dim] for a tier below, [ratio, dim] for the network at
                         // the sample rate
  };
  class Helper;
  static constexpr std::uint64_t kHeld = ~std::uint64_t{0};

  // Inputs and outputs of a call; null or empty members are not used. `levels` and `logits` have
  // rows for all streams of the object.
  struct Run {
    std::span<const std::size_t> streams;
    std::size_t n;
    std::span<const std::int32_t* const> given = {};  // one row per stream of the call
    std::int32_t* levels = nullptr;
    std::span<float* const> samples = {};  // one row per stream of the call
    float* logits = nullptr;
    Sampling sampling;
  };
  void run(const Run& run) noexcept AUDIOGEN_REALTIME;
  std::span<const std::int32_t* const> rows_of(const std::int32_t* levels,
                                               std::size_t n) noexcept AUDIOGEN_REALTIME;
  void restart(std::size_t stream) noexcept AUDIOGEN_REALTIME;
  void update_features(std::size_t stream) noexcept AUDIOGEN_REALTIME;
  void step_tier(std::size_t tier) noexcept AUDIOGEN_REALTIME;
  void upsample(std::size_t tier) noexcept AUDIOGEN_REALTIME;
  void step_samples(const Run& run, std::size_t i) noexcept AUDIOGEN_REALTIME;
  std::int32_t draw_one(const float* logits, const Run& run, std::size_t i, std::size_t stream,
                        std::uint64_t number) noexcept AUDIOGEN_REALTIME;
  void pack(const kernels::Matrix& matrix, std::size_t column,
            const float* x) noexcept AUDIOGEN_REALTIME;
  void multiply(const kernels::Matrix& matrix, std::size_t n,
                const kernels::Matrix& next) noexcept AUDIOGEN_REALTIME;
  float* state(std::size_t stream) noexcept AUDIOGEN_REALTIME {
    return state_.data() + stream * stream_floats_;
  }
  std::int32_t& past(std::size_t stream, std::uint64_t position) noexcept AUDIOGEN_REALTIME {
    return history_[stream * history_size_ + (position & (history_size_ - 1))];
  }

  std::shared_ptr<const SampleRNNWeights> weights_;
  std::shared_ptr<SampleTable> table_;
  std::vector<std::size_t> in_table_;  // index of each stream in the table
  double dc_pole_;
  std::vector<std::size_t> all_;  // indices of all streams
  // State that a copy shares.
  std::vector<Voice> voices_;
  std::vector<RandomSource> random_;
  std::vector<TierOffsets> offsets_;
  std::size_t stream_floats_ = 0;
  core::AlignedFloats state_;          // [n_streams, stream_floats]
  std::size_t history_size_;           // a power of two
  std::vector<std::int32_t> history_;  // [n_streams, history_size]: levels by position
  // Scratch, [n_streams, ...] each.
  core::AlignedFloats scratch_;
  float* columns_;    // packed columns, `ratio` per stream
  float* features_;   // [n_features]
  float* direct_;     // [frame_size + n_features], for one stream
  float* gates_;      // [gates * dim]
  float* recurrent_;  // [gates * dim]
  float* up_;         // [ratio * dim]
  float* hidden_;     // [dim or 2 dim]
  float* logits_;     // [n_logits]
  std::size_t gates_stride_, features_stride_, up_stride_, hidden_stride_, logits_stride_;
  std::vector<float*> targets_;      // outputs of the packed columns
  std::vector<const float*> rows_;   // rows that are summed
  std::vector<float*> rows_of_all_;  // sample rows of all streams
  std::vector<const std::int32_t*> given_of_all_;
  std::vector<std::size_t> stepping_;  // streams whose tier steps
  std::size_t n_stepping_ = 0;
  std::vector<std::int32_t> drawn_;
  std::unique_ptr<Helper> helper_;
};

}  // namespace audiogen::models
