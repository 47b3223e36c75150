// One generator layer on CUDA: a tiled 3x3 convolution with bias and leaky ReLU, then pixel norm.
//
// A block makes kOut channels of a tile of kRows x kColumns pixels, one thread a pixel; the tile of
// the input and the weights of kIn channels at a time wait in shared memory. Pixel norm needs all
// channels of a pixel, so it is a second pass, one thread a pixel.
#include "cuda/audiogen_cuda.h"
#include "cuda/launch.h"
#include "kernels/activation.h"

namespace audiogen::kernels {

static constexpr int kRows = 8;
static constexpr int kColumns = 32;
static constexpr int kIn = 8;
static constexpr int kOut = 16;

struct ConvSizes {
  int in_channels;
  int out_channels;
  int n_frames;  // of the output
  int n_bins;
  int shift;  // 1 if the input is read upsampled, else 0
};

static __global__ void conv3x3(const float* x, const float* weight, const float* bias, float* y,
                               ConvSizes s, float slope) {
  __shared__ float tile[kIn][kRows + 2][kColumns + 2];
  __shared__ float taps[kOut][kIn][9];
  const int column = threadIdx.x, row = threadIdx.y;
  const int thread = row * kColumns + column;
  const int first_frame = blockIdx.y * kRows, first_bin = blockIdx.x * kColumns;
  const int first_out = blockIdx.z * kOut;
  const int x_frames = s.n_frames >> s.shift, x_bins = s.n_bins >> s.shift;
  float sum[kOut] = {};
  for (int first_in = 0; first_in < s.in_channels; first_in += kIn) {
    for (int i = thread; i < kIn * (kRows + 2) * (kColumns + 2); i += kRows * kColumns) {
      const int c = i / ((kRows + 2) * (kColumns + 2));
      const int pixel = i % ((kRows + 2) * (kColumns + 2));
      const int r = pixel / (kColumns + 2), q = pixel % (kColumns + 2);
      const int frame = first_frame + r - 1, bin = first_bin + q - 1, channel = first_in + c;
      const bool inside =
          channel < s.in_channels && frame >= 0 && frame < s.n_frames && bin >= 0 && bin < s.n_bins;
      const std::size_t at =
          (std::size_t(channel) * x_frames + (frame >> s.shift)) * x_bins + (bin >> s.shift);
      tile[c][r][q] = inside ? x[at] : 0.0f;
    }
    for (int i = thread; i < kOut * kIn * 9; i += kRows * kColumns) {
      const int o = i / (kIn * 9), c = i / 9 % kIn, tap = i % 9;
      const bool inside = first_out + o < s.out_channels && first_in + c < s.in_channels;
      const std::size_t at = (std::size_t(first_out + o) * s.in_channels + first_in + c) * 9 + tap;
      taps[o][c][tap] = inside ? weight[at] : 0.0f;
    }
    __syncthreads();
    for (int c = 0; c < kIn; ++c) {
      for (int tap = 0; tap < 9; ++tap) {
        const float value = tile[c][row + tap / 3][column + tap % 3];
        for (int o = 0; o < kOut; ++o) sum[o] += taps[o][c][tap] * value;
      }
    }
    __syncthreads();
  }
  const int frame = first_frame + row, bin = first_bin + column;
  if (frame >= s.n_frames || bin >= s.n_bins) return;
  for (int o = 0; o < kOut && first_out + o < s.out_channels; ++o) {
    const std::size_t at = (std::size_t(first_out + o) * s.n_frames + frame) * s.n_bins + bin;
    y[at] = leaky_relu(sum[o] + bias[first_out + o], slope);
  }
}

static int pixel_norm(float* y, std::uint64_t n_channels, std::uint64_t n_pixels, void* stream) {
  return cuda::for_each(n_pixels, stream, [=] __device__(std::uint64_t pixel) {
    float total = 0.0f;
    for (std::uint64_t c = 0; c < n_channels; ++c) {
      const float value = y[c * n_pixels + pixel];
      total += value * value;
    }
    const float factor = pixel_norm_factor(total, static_cast<float>(n_channels));
    for (std::uint64_t c = 0; c < n_channels; ++c) y[c * n_pixels + pixel] *= factor;
  });
}

}  // namespace audiogen::kernels

int audiogen_cuda_conv_rows(const float* x, const float* weight, const float* bias, float* y,
                            uint64_t in_channels, uint64_t out_channels, uint64_t n_frames,
                            uint64_t n_bins, float slope, int normalise, int upsample,
                            void* stream) {
  using namespace audiogen::kernels;
  constexpr std::uint64_t kMost = 1u << 20;  // keeps the grid and int arithmetic in range
  if (in_channels > kMost || out_channels > kMost || n_frames > kMost / 2 || n_bins > kMost) {
    return cudaErrorInvalidValue;
  }
  const int shift = upsample != 0 ? 1 : 0;
  const ConvSizes s{static_cast<int>(in_channels), static_cast<int>(out_channels),
                    static_cast<int>(n_frames) << shift, static_cast<int>(n_bins) << shift, shift};
  if (s.out_channels == 0 || s.n_frames == 0 || s.n_bins == 0) return cudaSuccess;
  const dim3 grid((s.n_bins + kColumns - 1) / kColumns, (s.n_frames + kRows - 1) / kRows,
                  (s.out_channels + kOut - 1) / kOut);
  conv3x3<<<grid, dim3(kColumns, kRows), 0, static_cast<cudaStream_t>(stream)>>>(x, weight, bias, y,
                                                                                 s, slope);
  const int status = cudaGetLastError();
  if (status != cudaSuccess || normalise == 0) return status;
  return pixel_norm(y, out_channels, std::uint64_t(s.n_frames) * s.n_bins, stream);
}
