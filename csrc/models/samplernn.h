// SampleRNN as a stream of samples: recurrent tiers at the rates of their frames, and a network at
// the rate of samples that draws each level.
//
// Mehri et al., "SampleRNN: An Unconditional End-to-End Neural Audio Generation Model", ICLR 2017;
// the same network as audiogen/models/samplernn.py, whose `export_weights` says how the weights are
// named. Linear maps that follow each other without a non-linearity are multiplied out when the
// weights are read: embedding x layer 1 x layer 2 become tables, layer 2 goes into the upsampling
// of the lowest tier, a tier's input layer goes into its first gates. What the tier above says is
// brought to the gates of the tier below for all its frames at once, in one pass over the weights.
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
#include "kernels/matrix.h"
#include "kernels/sample_step.h"
#include "models/weights.h"

namespace audiogen::models {

// Sizes of a SampleRNN: the table [samplernn] of a preset, and `SampleRNNConfig` of
// audiogen/models/config.py.
struct SampleRNNConfig {
  // Limits, far beyond use and far from overflow.
  static constexpr std::size_t kMostTiers = 16, kMostLayers = 64, kLargest = 1 << 16;

  enum class Rnn { kGru, kLstm };
  enum class Quantisation { kLinear, kMuLaw };
  enum class Conditioning { kNone, kClass, kNote };

  std::vector<std::size_t> frame_sizes = {8, 2};  // samples, coarse to fine
  std::size_t dim = 1024;
  std::size_t n_rnn = 1;
  Rnn rnn = Rnn::kGru;
  std::size_t embedding_size = 256;
  std::size_t q_levels = 256;  // 2 .. 256, or 65536: an upper and a lower byte
  Quantisation quantisation = Quantisation::kLinear;
  Conditioning conditioning = Conditioning::kNone;
  std::size_t n_classes = 0;
  double sample_rate = 16000.0;  // Hz

  std::size_t n_tiers() const { return frame_sizes.size(); }
  bool two_bytes() const { return q_levels > 256; }
  std::size_t n_levels() const { return two_bytes() ? 256 : q_levels; }  // of one softmax
  std::size_t n_logits() const { return two_bytes() ? 512 : q_levels; }  // of a sample
  std::size_t n_gates() const { return rnn == Rnn::kGru ? 3 : 4; }
  std::size_t n_features() const;                            // conditioning inputs of each tier
  std::size_t ratio(std::size_t tier) const;                 // vectors that a step makes for below
  std::size_t window() const { return frame_sizes.back(); }  // samples looked back at

  bool operator==(const SampleRNNConfig& other) const = default;

  // One message for each size that is out of range, which begins with its name.
  std::vector<std::string> faults() const;
  // Throws std::invalid_argument with the first of `faults`.
  void check() const;
};

// Names and shapes of the tensors that `SampleRNNWeights` takes: what `export_weights` of
// audiogen/models/samplernn.py writes.
WeightShapes weight_shapes(const SampleRNNConfig& config);

// What a SampleRNN has learned, in the form the kernels read. Immutable, so streams on any number
// of threads share one.
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
    core::AlignedFloats bias;    // [gates * dim], of the top tier's first layer
    kernels::Matrix upsample;    // [ratio * dim, dim]
    std::vector<float> h0;       // [n_states, dim]
  };

  SampleRNNConfig config_;
  Precision precision_;
  const kernels::KernelTable* kernels_;
  std::vector<Tier> tiers_;
  core::AlignedFloats tables_;    // [window, 1 or 2 bytes, n_levels, dim], rows padded
  core::AlignedFloats features_;  // [n_features, dim], rows padded
  kernels::Matrix hidden_;        // [dim or 2 dim, dim]: layer 3, and that of the lower byte
  kernels::Matrix output_;        // [n_levels, dim]
  kernels::Matrix output_low_;    // [256, dim]
  core::AlignedFloats upper_;     // [256, dim], rows padded: the upper byte, to the lower one
  std::vector<float> samples_;    // [q_levels]: the sample of each level
};

// A note, to a stream of a network that is conditioned on notes.
struct SampleNote {
  double pitch = 60.0;    // MIDI number
  double velocity = 1.0;  // 0 .. 1
  std::size_t index = 0;  // class
};

// The level nearest to a sample, whose full scale is 1. The same as `quantise` of
// audiogen/representation/levels.py.
std::int32_t level_of(const SampleRNNConfig& config, double sample) noexcept AUDIOGEN_REALTIME;

// How levels are drawn.
struct Sampling {
  std::span<const float> temperature;  // one number, or one for each sample; 0: the likeliest
  float top_p = 1.0f;  // keeps the likeliest levels that together have this probability
};

// Samples of one or more independent streams, which share each pass over the weights. A stream's
// samples don't depend on the streams beside it, nor on how the calls cut time. A copy is a saved
// state.
class SampleStream {
 public:
  // Allocates all that it ever needs. A second thread, which spins while samples are made, halves
  // each product: for big networks and offline work, never for the audio thread. Throws
  // std::invalid_argument if n_streams is 0 or n_threads isn't 1 or 2.
  explicit SampleStream(std::shared_ptr<const SampleRNNWeights> weights, std::size_t n_streams = 1,
                        std::size_t n_threads = 1);
  SampleStream(const SampleStream& other);
  SampleStream& operator=(const SampleStream& other);
  SampleStream(SampleStream&&) noexcept;
  SampleStream& operator=(SampleStream&&) noexcept;
  ~SampleStream();

  // Brings all streams to their first state, as new: sample 0, class 0, a note of the default kind.
  // Stream s draws the numbers of Philox stream first_stream + s.
  void reset(std::uint64_t seed, std::uint32_t first_stream = 0) noexcept AUDIOGEN_REALTIME;

  // In what follows `stream` is below n_streams(), and an index below n_classes.

  // From here on a stream draws numbers as if it were the only one.
  void seed_stream(std::size_t stream, std::uint64_t seed) noexcept AUDIOGEN_REALTIME;

  void set_class(std::size_t stream, std::size_t index) noexcept AUDIOGEN_REALTIME;

  // Takes a stream back to its first state and its sample 0, where the note begins.
  void start_note(std::size_t stream, const SampleNote& note) noexcept AUDIOGEN_REALTIME;
  void set_pitch(std::size_t stream, double pitch) noexcept AUDIOGEN_REALTIME;  // from here on
  void release(std::size_t stream) noexcept AUDIOGEN_REALTIME;                  // from here on

  // Puts given levels, [n_streams, n], where drawn ones would be.
  void feed(const std::int32_t* levels, std::size_t n) noexcept AUDIOGEN_REALTIME;
  // The same for some streams, none of them twice, n levels for each.
  void feed(std::span<const std::size_t> streams, std::span<const std::int32_t* const> levels,
            std::size_t n) noexcept AUDIOGEN_REALTIME;

  // Takes a stream to the state of another; its random numbers stay its own.
  void copy_state(std::size_t from, std::size_t to) noexcept AUDIOGEN_REALTIME;

  // Output of a stream's DC blocker at its newest sample, in full precision.
  double last_output(std::size_t stream) const noexcept AUDIOGEN_REALTIME {
    return voices_[stream].dc_block.y;
  }
  // Pole of the DC blocker.
  double dc_pole() const noexcept AUDIOGEN_REALTIME { return dc_pole_; }

  // Draws n samples of each stream, [n_streams, n], without their direct current.
  void process(float* samples, std::size_t n, const Sampling& sampling) noexcept AUDIOGEN_REALTIME;

  // The same of some streams, none of them twice, each to a place of its own, while the others
  // stand still.
  void process(std::span<const std::size_t> streams, std::span<float* const> samples, std::size_t n,
               const Sampling& sampling) noexcept AUDIOGEN_REALTIME;

  // Draws n samples of each stream, and their levels, [n_streams, n]; either may be null.
  void draw(std::int32_t* levels, float* samples, std::size_t n,
            const Sampling& sampling) noexcept AUDIOGEN_REALTIME;

  // As `feed`, and writes the logits of each sample, [n_streams, n, n_logits]; of two bytes the
  // upper one's, then the lower one's given the upper one.
  void logits(const std::int32_t* levels, std::size_t n, float* logits) noexcept AUDIOGEN_REALTIME;

  // Samples of a stream since its first state.
  std::uint64_t position(std::size_t stream = 0) const noexcept AUDIOGEN_REALTIME;

  std::size_t n_streams() const noexcept AUDIOGEN_REALTIME { return voices_.size(); }
  const SampleRNNConfig& config() const noexcept AUDIOGEN_REALTIME { return weights_->config(); }

 private:
  // What a stream knows beside its network's state.
  struct Voice {
    std::uint64_t position = 0;
    SampleNote note;
    double phase = 0.0;      // cycles, of the fundamental at this sample
    double increment = 0.0;  // cycles a sample
    std::uint64_t released = kHeld;
    kernels::DcBlock dc_block;
  };
  // The random numbers that a stream draws, from its first state on.
  struct Numbers {
    std::uint64_t seed = 0;
    std::uint32_t philox_stream = 0;
  };
  // Where the parts of a tier lie in a stream's floats.
  struct Place {
    std::size_t states;  // [n_states, dim]
    std::size_t told;    // what the tier says: [ratio, gates * dim] to a tier, [ratio, dim] to the
                         // network at the rate of samples
  };
  class Helper;
  static constexpr std::uint64_t kHeld = ~std::uint64_t{0};

  // Where levels come from and results go; what is null or empty is left out. `levels` and `logits`
  // have rows for all streams.
  struct Run {
    std::span<const std::size_t> streams;
    std::size_t n;
    std::span<const std::int32_t* const> given = {};  // for each of the streams
    std::int32_t* levels = nullptr;
    std::span<float* const> samples = {};  // of each of the streams
    float* logits = nullptr;
    Sampling sampling;
  };
  void run(const Run& run) noexcept AUDIOGEN_REALTIME;
  std::span<const std::int32_t* const> rows_of(const std::int32_t* levels,
                                               std::size_t n) noexcept AUDIOGEN_REALTIME;
  void restart(std::size_t stream) noexcept AUDIOGEN_REALTIME;
  void tell(std::size_t stream) noexcept AUDIOGEN_REALTIME;
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
  double dc_pole_;
  std::vector<std::size_t> all_;  // streams
  // What a copy carries on.
  std::vector<Voice> voices_;
  std::vector<Numbers> numbers_;
  std::vector<Place> places_;
  std::size_t stream_floats_ = 0;
  core::AlignedFloats state_;          // [n_streams, stream_floats]
  std::size_t history_size_;           // a power of two
  std::vector<std::int32_t> history_;  // [n_streams, history_size]: levels by position
  // Scratch, [n_streams, ...] each.
  core::AlignedFloats scratch_;
  float* columns_;    // packed columns, `ratio` for each stream
  float* features_;   // [n_features]
  float* direct_;     // [frame_size + n_features], of one stream
  float* gates_;      // [gates * dim]
  float* recurrent_;  // [gates * dim]
  float* up_;         // [ratio * dim]
  float* hidden_;     // [dim or 2 dim]
  float* logits_;     // [n_logits]
  std::size_t gates_stride_, features_stride_, up_stride_, hidden_stride_, logits_stride_;
  std::vector<float*> targets_;      // of the packed columns
  std::vector<const float*> rows_;   // to be added
  std::vector<float*> rows_of_all_;  // where their samples go
  std::vector<const std::int32_t*> given_of_all_;
  std::vector<std::size_t> stepping_;  // streams whose tier steps
  std::size_t n_stepping_ = 0;
  std::vector<std::int32_t> drawn_;
  std::unique_ptr<Helper> helper_;
};

}  // namespace audiogen::models
