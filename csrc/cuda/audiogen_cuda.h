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
#define AUDIOGEN_CUDA_INTERFACE 1
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
// window [n_fft] multiplies each frame and gain [span] the result; either may be null.
AUDIOGEN_CUDA_API int audiogen_cuda_overlap_add(const float* frames, const float* window,
                                                const float* gain, float* signal, uint64_t n_batch,
                                                uint64_t n_frames, uint64_t n_fft,
                                                uint64_t hop_length, void* stream);

// One generator layer (audiogen.ops.conv_rows): x [in_channels, n_frames, n_bins], weight
// [out_channels, in_channels, 3, 3], bias [out_channels] -> y [out_channels, n_frames, n_bins],
// or [out_channels, 2 n_frames, 2 n_bins] where `upsample` isn't 0.
AUDIOGEN_CUDA_API int audiogen_cuda_conv_rows(const float* x, const float* weight,
                                              const float* bias, float* y, uint64_t in_channels,
                                              uint64_t out_channels, uint64_t n_frames,
                                              uint64_t n_bins, float slope, int normalise,
                                              int upsample, void* stream);

// out[i] = number i of `row` in `stream_number` under `seed` (core/random.h).
AUDIOGEN_CUDA_API int audiogen_cuda_philox_uniform(uint64_t seed, uint32_t stream_number,
                                                   uint32_t row, float* out, uint32_t n,
                                                   void* stream);

#ifdef __cplusplus
}
#endif
