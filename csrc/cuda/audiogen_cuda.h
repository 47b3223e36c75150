// C interface of the CUDA library: device pointers, sizes and a stream in, a status out.
//
// The interface is independent of any tensor library, so one build works with every version. Each
// function queues its work on `stream` (a cudaStream_t; null is the default stream) of the current
// device and returns without waiting. The status is a cudaError_t, 0 for success. Arrays are in C
// order, of float32, and must not overlap unless stated otherwise. Sizes of 0 are allowed and do
// nothing.
#pragma once

#include <stdint.h>

#if defined(_WIN32)
#define AUDIOGEN_CUDA_API __declspec(dllexport)
#else
#define AUDIOGEN_CUDA_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Interface version, incremented when a function's meaning or arguments change; callers must
// compare it with the one they were compiled for.
#define AUDIOGEN_CUDA_INTERFACE 3
AUDIOGEN_CUDA_API int audiogen_cuda_interface(void);

// Returns the text of a status, a static string.
AUDIOGEN_CUDA_API const char* audiogen_cuda_error(int status);

// Wraps x[n] to [-pi, pi) in y[n]. x and y may be the same array.
AUDIOGEN_CUDA_API int audiogen_cuda_wrap(const float* x, float* y, uint64_t n, void* stream);

// Unwraps along the middle axis of [n_outer, n_frames, n_inner] (kernels/spectra/phase.h). The
// arrays may be the same.
AUDIOGEN_CUDA_API int audiogen_cuda_unwrap(const float* phase, float* unwrapped, uint64_t n_outer,
                                           uint64_t n_frames, uint64_t n_inner, void* stream);
AUDIOGEN_CUDA_API int audiogen_cuda_instantaneous_frequency(const float* phase, float* inst_freq,
                                                            uint64_t n_outer, uint64_t n_frames,
                                                            uint64_t n_inner, void* stream);
AUDIOGEN_CUDA_API int audiogen_cuda_integrate(const float* inst_freq, float* phase,
                                              uint64_t n_outer, uint64_t n_frames, uint64_t n_inner,
                                              void* stream);

// spectrum[n] interleaved complex (kernels/spectra/polar.h).
AUDIOGEN_CUDA_API int audiogen_cuda_polar_to_rectangular(const float* log_magnitude,
                                                         const float* phase, float* spectrum,
                                                         uint64_t n, void* stream);

// frames [n_batch, n_frames, n_fft] -> signal [n_batch, hop_length * (n_frames - 1) + n_fft].
// Each frame is multiplied by window [n_fft] and the sum by gain [span] (kernels/spectra/istft.h).
AUDIOGEN_CUDA_API int audiogen_cuda_overlap_add(const float* frames, const float* window,
                                                const float* gain, float* signal, uint64_t n_batch,
                                                uint64_t n_frames, uint64_t n_fft,
                                                uint64_t hop_length, void* stream);

// A SampleRNN in float32 with its linear maps multiplied out (kernels/networks/samplernn_phases.h).
// G is the number of gates, 3 (GRU) or 4 (LSTM), times dim. All arrays are on the device, in C
// order.
#define AUDIOGEN_CUDA_MOST_TIERS 16
typedef struct audiogen_cuda_samplernn_tier {
  uint64_t frame_size;
  const float* direct;          // [G, frame_size]
  const float* classes;         // [n_classes, G]; null without classes
  const float* above;           // [G, dim]; null in the top tier
  const float* input;           // [n_rnn - 1, G, dim]; null with one layer
  const float* input_bias;      // [n_rnn, G]
  const float* recurrent;       // [n_rnn, G, dim]
  const float* recurrent_bias;  // [n_rnn, G]
  const float* h0;              // [n_rnn, dim]; for an LSTM twice, h and c
  const float* upsample;        // [ratio * dim, dim]
  const float* upsample_bias;   // [ratio * dim]
} audiogen_cuda_samplernn_tier;

typedef struct audiogen_cuda_samplernn {
  uint64_t n_tiers;
  uint64_t dim;
  uint64_t n_rnn;
  uint64_t n_gates;
  uint64_t q_levels;                                             // 2 .. 256, or 65536: two bytes
  audiogen_cuda_samplernn_tier tiers[AUDIOGEN_CUDA_MOST_TIERS];  // coarse to fine
  const float* tables;                                           // [window, bytes, n_levels, dim]
  const float* classes;          // [n_classes, dim]; null without classes
  const float* hidden;           // [bytes, dim, dim]
  const float* hidden_bias;      // [bytes, dim]
  const float* output;           // [n_levels, dim]
  const float* output_bias;      // [n_levels]
  const float* output_low;       // [256, dim]; this and the next two are null with one byte
  const float* output_low_bias;  // [256]
  const float* upper;            // [256, dim]
  const float* samples;          // [q_levels]
  double dc_pole;
} audiogen_cuda_samplernn;

// Generates samples position .. position + n - 1 of each stream. Null inputs and outputs are
// skipped. Arrays are on the device.
typedef struct audiogen_cuda_samplernn_run {
  uint64_t seed;
  uint64_t position;  // 0: starts from the initial state
  uint64_t n;
  uint32_t first_stream;  // stream s draws from Philox stream first_stream + s
  float top_p;            // 1: no nucleus sampling
  const uint64_t* seeds;  // [n_streams]: stream s draws from Philox stream 0 of its own seed; null:
                          // from the streams of `seed`
  const float* temperature;  // [n]; may be null where levels are given
  const int32_t* classes;    // [n_streams]; null without classes
  const int32_t* given;      // [n_streams, n]: levels in place of drawn ones
  int32_t* levels;           // [n_streams, n]
  float* samples;            // [n_streams, n], after the DC blocker
  float* logits;             // [n_streams, n, bytes, n_levels]
} audiogen_cuda_samplernn_run;

// Writes the size of the states of n_streams streams to *n_bytes; queues nothing.
AUDIOGEN_CUDA_API int audiogen_cuda_samplernn_state_bytes(const audiogen_cuda_samplernn* network,
                                                          uint64_t n_streams, uint64_t* n_bytes);

// Runs in one launch that fills the device. `state`, aligned to 256 bytes, must hold the state that
// the previous run left. The structs are on the host and can be freed when the call returns. The
// device must support cooperative launches, as all do since the Pascal family.
AUDIOGEN_CUDA_API int audiogen_cuda_samplernn_draw(const audiogen_cuda_samplernn* network,
                                                   const audiogen_cuda_samplernn_run* run,
                                                   void* state, uint64_t n_streams, void* stream);

#ifdef __cplusplus
}
#endif
