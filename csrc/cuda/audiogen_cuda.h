// C interface of the CUDA library: device pointers, sizes and a stream in, a status out.
//
// Nothing here knows a tensor library, so one build serves every version of it. Every function
// queues its work on `stream` (a cudaStream_t; null is the default stream) of the current device
// and returns without waiting. The status is a cudaError_t, 0 for success. Arrays are in C order,
// of float32, and don't overlap unless said otherwise. Sizes of 0 are allowed and do nothing.
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

// Raised when a function changes its meaning or arguments; a caller refuses another number.
#define AUDIOGEN_CUDA_INTERFACE 2
AUDIOGEN_CUDA_API int audiogen_cuda_interface(void);

// Text for a status. The string lives for ever.
AUDIOGEN_CUDA_API const char* audiogen_cuda_error(int status);

// x[n] -> y[n] in [-pi, pi). May work in place.
AUDIOGEN_CUDA_API int audiogen_cuda_wrap(const float* x, float* y, uint64_t n, void* stream);

// Along the middle axis of [n_outer, n_frames, n_inner]; may work in place (kernels/phase.h).
AUDIOGEN_CUDA_API int audiogen_cuda_unwrap(const float* phase, float* unwrapped, uint64_t n_outer,
                                           uint64_t n_frames, uint64_t n_inner, void* stream);
AUDIOGEN_CUDA_API int audiogen_cuda_instantaneous_frequency(const float* phase, float* inst_freq,
                                                            uint64_t n_outer, uint64_t n_frames,
                                                            uint64_t n_inner, void* stream);
AUDIOGEN_CUDA_API int audiogen_cuda_integrate(const float* inst_freq, float* phase,
                                              uint64_t n_outer, uint64_t n_frames, uint64_t n_inner,
                                              void* stream);

// spectrum[n] interleaved complex (kernels/polar.h).
AUDIOGEN_CUDA_API int audiogen_cuda_polar_to_rectangular(const float* log_magnitude,
                                                         const float* phase, float* spectrum,
                                                         uint64_t n, void* stream);

// frames [n_batch, n_frames, n_fft] -> signal [n_batch, hop_length * (n_frames - 1) + n_fft].
// Each frame is multiplied by window [n_fft] and the sum by gain [span] (kernels/istft.h).
AUDIOGEN_CUDA_API int audiogen_cuda_overlap_add(const float* frames, const float* window,
                                                const float* gain, float* signal, uint64_t n_batch,
                                                uint64_t n_frames, uint64_t n_fft,
                                                uint64_t hop_length, void* stream);

// A SampleRNN of float32, its linear maps multiplied out, as kernels/samplernn_phases.h wants it;
// G is the gates, 3 (GRU) or 4 (LSTM), times dim. All arrays are on the device, in C order.
#define AUDIOGEN_CUDA_MOST_TIERS 16
typedef struct audiogen_cuda_samplernn_tier {
  uint64_t frame_size;
  const float* direct;          // [G, frame_size]
  const float* classes;         // [n_classes, G]; null without
  const float* above;           // [G, dim]; null in the top tier
  const float* input;           // [n_rnn - 1, G, dim]; null with one layer
  const float* input_bias;      // [n_rnn, G]
  const float* recurrent;       // [n_rnn, G, dim]
  const float* recurrent_bias;  // [n_rnn, G]
  const float* h0;              // [n_rnn, dim]; of an LSTM twice, h and c
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
  const float* classes;                                          // [n_classes, dim]; null without
  const float* hidden;                                           // [bytes, dim, dim]
  const float* hidden_bias;                                      // [bytes, dim]
  const float* output;                                           // [n_levels, dim]
  const float* output_bias;                                      // [n_levels]
  const float* output_low;       // [256, dim]; null with one byte, as the next two
  const float* output_low_bias;  // [256]
  const float* upper;            // [256, dim]
  const float* samples;          // [q_levels]
  double dc_pole;
} audiogen_cuda_samplernn;

// Samples position .. position + n - 1 of each stream; null pointers leave a thing out. Arrays are
// on the device.
typedef struct audiogen_cuda_samplernn_run {
  uint64_t seed;
  uint64_t position;  // 0: begins with the first state, whatever the state holds
  uint64_t n;
  uint32_t first_stream;     // stream s draws the numbers of first_stream + s
  float top_p;               // 1: off
  const float* temperature;  // [n]; may be null where levels are given
  const int32_t* classes;    // [n_streams], of a network with classes
  const int32_t* given;      // [n_streams, n]: levels that stand where drawn ones would
  int32_t* levels;           // [n_streams, n]
  float* samples;            // [n_streams, n], without their direct current
  float* logits;             // [n_streams, n, bytes, n_levels]
} audiogen_cuda_samplernn_run;

// Puts into *n_bytes what the states of n_streams streams need; nothing is queued.
AUDIOGEN_CUDA_API int audiogen_cuda_samplernn_state_bytes(const audiogen_cuda_samplernn* network,
                                                          uint64_t n_streams, uint64_t* n_bytes);

// Does a run in one launch that fills the device. `state`, aligned to 256 bytes, is what the run
// before left there. The structs are on the host and may go when the call returns. The device must
// be able to launch cooperatively; all since the Pascal family are.
AUDIOGEN_CUDA_API int audiogen_cuda_samplernn_draw(const audiogen_cuda_samplernn* network,
                                                   const audiogen_cuda_samplernn_run* run,
                                                   void* state, uint64_t n_streams, void* stream);

#ifdef __cplusplus
}
#endif
