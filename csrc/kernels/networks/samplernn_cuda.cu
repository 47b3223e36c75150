// SampleRNN on CUDA: one cooperative launch generates all samples of a call, with grid-wide
// barriers.
//
// Each block always processes the same rows of each matrix, which stay in its cache; its warps
// divide the rows and the tiles of streams (kernels/networks/samplernn_phases.h).
#include <algorithm>

#include "cuda/audiogen_cuda.h"
#include "cuda/launch.h"
#include "kernels/networks/samplernn_phases.h"

namespace audiogen::kernels {

static constexpr int kPhaseThreads = 512;
static constexpr int kStreamTile = 8;  // streams per read of a weight

// The grid of a launch, with a barrier over all blocks.
struct CudaGrid {
  std::uint32_t* arrived;
  std::uint32_t wanted = 0;

  // Never runs on the host; AUDIOGEN_HD only lets the phases call it.
  template <class Item>
  AUDIOGEN_HD void each(int rows, int columns, Item item) {
#ifdef __CUDA_ARCH__
    const std::int64_t n_rows = rows;
    const int first = static_cast<int>(n_rows * blockIdx.x / gridDim.x);
    const int last = static_cast<int>(n_rows * (blockIdx.x + 1) / gridDim.x);
    const int n = (last - first) * columns, n_warps = blockDim.x / kWarpLanes;
    for (int i = threadIdx.x / kWarpLanes; i < n; i += n_warps) {
      item(first + i / columns, i % columns);
    }
    wait();
#endif
  }

  // Barrier: waits for all blocks and makes their writes visible.
  AUDIOGEN_HD void wait() {
#ifdef __CUDA_ARCH__
    wanted += gridDim.x;
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(arrived, 1u);
      // The counter may wrap, the difference does not.
      while (static_cast<std::int32_t>(cuda::poll(arrived) - wanted) < 0) {
      }
      __threadfence();
    }
    __syncthreads();
#endif
  }
};

template <int kColumns>
static __global__ void __launch_bounds__(kPhaseThreads, 1)
    run_samples(const __grid_constant__ Samplernn net, const __grid_constant__ SamplernnState state,
                const __grid_constant__ SamplernnRun run) {
  CudaGrid grid{state.arrived};
  run_phases<kColumns>(net, state, run, grid);
}

static bool fits(const audiogen_cuda_samplernn& from, std::uint64_t n_streams) {
  constexpr std::uint64_t kMost = 1u << 16;
  const auto within = [](std::uint64_t n, std::uint64_t least, std::uint64_t most) {
    return n >= least && n <= most;
  };
  if (!within(from.n_tiers, 1, kMostTiers) || !within(from.dim, 1, kMost) ||
      !within(from.n_rnn, 1, 64) || !within(from.n_gates, 3, 4) || !within(n_streams, 1, kMost) ||
      !(within(from.q_levels, 2, kMostLevels) || from.q_levels == 65536)) {
    return false;
  }
  for (std::uint64_t t = 0; t < from.n_tiers; ++t) {
    const std::uint64_t size = from.tiers[t].frame_size;
    const std::uint64_t below = t + 1 < from.n_tiers ? from.tiers[t + 1].frame_size : 1;
    if (!within(size, 1, kMost) || below == 0 || size % below != 0) return false;
    constexpr std::uint64_t kMostItems = 1u << 30;  // keeps int arithmetic in range
    if (size / below * std::max(from.dim, n_streams) > kMostItems) return false;
  }
  return true;
}

static Samplernn network_of(const audiogen_cuda_samplernn& from) {
  Samplernn net{};
  net.n_tiers = static_cast<int>(from.n_tiers);
  net.dim = static_cast<int>(from.dim);
  net.n_rnn = static_cast<int>(from.n_rnn);
  net.n_gates = static_cast<int>(from.n_gates);
  net.q_levels = static_cast<int>(from.q_levels);
  for (int t = 0; t < net.n_tiers; ++t) {
    const audiogen_cuda_samplernn_tier& tier = from.tiers[t];
    const std::uint64_t below = t + 1 < net.n_tiers ? from.tiers[t + 1].frame_size : 1;
    net.tiers[t] = {
        .frame_size = static_cast<int>(tier.frame_size),
        .ratio = static_cast<int>(tier.frame_size / below),
        .direct = tier.direct,
        .classes = tier.classes,
        .above = tier.above,
        .input = tier.input,
        .input_bias = tier.input_bias,
        .recurrent = tier.recurrent,
        .recurrent_bias = tier.recurrent_bias,
        .h0 = tier.h0,
        .upsample = tier.upsample,
        .upsample_bias = tier.upsample_bias,
    };
  }
  net.tables = from.tables;
  net.classes = from.classes;
  net.hidden = from.hidden;
  net.hidden_bias = from.hidden_bias;
  net.output = from.output;
  net.output_bias = from.output_bias;
  net.output_low = from.output_low;
  net.output_low_bias = from.output_low_bias;
  net.upper = from.upper;
  net.samples = from.samples;
  net.dc_pole = from.dc_pole;
  return net;
}

static SamplernnRun run_of(const audiogen_cuda_samplernn_run& from) {
  return {
      .seed = from.seed,
      .position = from.position,
      .n = from.n,
      .first_stream = from.first_stream,
      .seeds = from.seeds,
      .top_p = from.top_p,
      .temperature = from.temperature,
      .classes = from.classes,
      .given = from.given,
      .levels = from.levels,
      .samples = from.samples,
      .logits = from.logits,
  };
}

static int launch_samples(const Samplernn& net, const SamplernnState& state,
                          const SamplernnRun& run, cudaStream_t stream) {
  int device = 0, cooperative = 0, n_blocks = 0, most_threads = 0;
  int status = cudaGetDevice(&device);
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&cooperative, cudaDevAttrCooperativeLaunch, device);
  }
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&n_blocks, cudaDevAttrMultiProcessorCount, device);
  }
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&most_threads, cudaDevAttrMaxThreadsPerBlock, device);
  }
  if (status != cudaSuccess) return status;
  if (cooperative == 0) return cudaErrorNotSupported;
  status = cudaMemsetAsync(state.arrived, 0, sizeof(*state.arrived), stream);
  if (status != cudaSuccess) return status;
  const auto kernel = state.n_streams == 1 ? &run_samples<1> : &run_samples<kStreamTile>;
  return cuda::launch_cooperative(kernel, static_cast<unsigned>(n_blocks),
                                  static_cast<unsigned>(std::min(kPhaseThreads, most_threads)),
                                  stream, net, state, run);
}

}  // namespace audiogen::kernels

int audiogen_cuda_samplernn_state_bytes(const audiogen_cuda_samplernn* network, uint64_t n_streams,
                                        uint64_t* n_bytes) {
  using namespace audiogen::kernels;
  if (!fits(*network, n_streams)) return cudaErrorInvalidValue;
  std::size_t used = 0;
  lay_out_state(network_of(*network), static_cast<int>(n_streams), nullptr, &used);
  *n_bytes = used;
  return cudaSuccess;
}

int audiogen_cuda_samplernn_draw(const audiogen_cuda_samplernn* network,
                                 const audiogen_cuda_samplernn_run* run, void* state,
                                 uint64_t n_streams, void* stream) {
  using namespace audiogen::kernels;
  if (!fits(*network, n_streams)) return cudaErrorInvalidValue;
  if (run->n == 0) return cudaSuccess;
  const Samplernn net = network_of(*network);
  std::size_t used = 0;
  return launch_samples(net, lay_out_state(net, static_cast<int>(n_streams), state, &used),
                        run_of(*run), static_cast<cudaStream_t>(stream));
}
