// SampleRNN for many streams at once, in phases of independent items: the work of a GPU between two
// barriers. The same network as models/samplernn.h.
//
// On a GPU the 32 lanes of a warp process an item together; on the host a loop runs over the lanes.
// In both cases lane l of a sum adds the numbers l, l + 32, ..., and the lanes are added as a tree,
// so that a stream's samples don't depend on the other streams.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/math.h"
#include "core/random.h"
#include "core/target.h"
#include "kernels/networks/sample_step.h"

// Unrolls a loop whose index selects registers.
#if defined(__CUDA_ARCH__) && defined(__CUDACC__)
#define AUDIOGEN_UNROLL _Pragma("unroll")
#else
#define AUDIOGEN_UNROLL
#endif

namespace audiogen::kernels {

inline constexpr int kWarpLanes = 32;
inline constexpr int kMostTiers = 16;
inline constexpr int kRowTile = 2;  // matrix rows per item

// Weights of a tier, in C order. G is the number of gates, 3 or 4, times dim; gates in torch's
// order.
struct SamplernnTier {
  int frame_size;
  int ratio;                    // output vectors per step
  const float* direct;          // [G, frame_size]: scaled levels to the first layer's gates
  const float* classes;         // [n_classes, G]: classes to the same gates; null without classes
  const float* above;           // [G, dim]: tier above to the same gates; null in the top tier
  const float* input;           // [n_rnn - 1, G, dim], for the layers after the first
  const float* input_bias;      // [n_rnn, G]
  const float* recurrent;       // [n_rnn, G, dim]
  const float* recurrent_bias;  // [n_rnn, G]
  const float* h0;              // [n_rnn, dim]; for an LSTM twice, h and c
  const float* upsample;        // [ratio * dim, dim]; the lowest tier's includes layer 2
  const float* upsample_bias;   // [ratio * dim]
};

// Sizes and weights of a network.
struct Samplernn {
  int n_tiers;
  int dim;
  int n_rnn;
  int n_gates;  // 3: GRU, 4: LSTM
  int q_levels;
  SamplernnTier tiers[kMostTiers];
  const float* tables;       // [window, 1 or 2 bytes, n_levels, dim]: levels to layer 2's output
  const float* classes;      // [n_classes, dim]: classes to the same; null without classes
  const float* hidden;       // [1 or 2 bytes, dim, dim]: layer 3, one per byte
  const float* hidden_bias;  // [1 or 2 bytes, dim]
  const float* output;       // [n_levels, dim]
  const float* output_bias;  // [n_levels]
  const float* output_low;   // [256, dim]; this and the next two are null with one byte
  const float* output_low_bias;  // [256]
  const float* upper;            // [256, dim]: upper byte to the lower byte's layer 3
  const float* samples;          // [q_levels]: the sample of each level
  double dc_pole;
};

struct SamplernnTierState {
  float* h;       // [2, n_rnn, n_streams, dim]: double-buffered, before and after a step
  float* c;       // [n_rnn, n_streams, dim], LSTM only
  float* output;  // [n_streams, ratio, G] for a tier below, [n_streams, ratio, dim] for the samples
};

// States of all streams, and intermediate results.
struct SamplernnState {
  int n_streams;
  int history_size;        // a power of two
  std::uint32_t* arrived;  // counter of the barrier over all blocks
  DcBlock* dc_blocks;      // [n_streams]
  std::int32_t* history;   // [n_streams, history_size]: levels by position
  SamplernnTierState tiers[kMostTiers];
  float* up;           // [n_streams, ratio, dim]
  float* x;            // [n_streams, dim]: after layer 2
  float* hidden;       // [n_streams, 1 or 2 bytes, dim]: after layer 3, before its ReLU
  float* logits;       // [n_streams, 1 or 2 bytes, n_levels]
  float* p;            // [n_streams, kMostLevels]
  double* segments;    // [n_streams, kWarpLanes]: partial sums of p
  std::int32_t* byte;  // [n_streams]: upper byte of the level
};

// A call: generates samples position .. position + n - 1 of each stream. Null inputs and outputs
// are skipped.
struct SamplernnRun {
  std::uint64_t seed;
  std::uint64_t position;  // 0: starts from the initial state
  std::uint64_t n;
  std::uint32_t first_stream;  // stream s draws from Philox stream first_stream + s
  const std::uint64_t* seeds;  // [n_streams]: stream s draws from Philox stream 0 of its seed
  float top_p;
  const float* temperature;     // [n]
  const std::int32_t* classes;  // [n_streams]; null without classes
  const std::int32_t* given;    // [n_streams, n]: levels in place of drawn ones
  std::int32_t* levels;         // [n_streams, n]
  float* samples;               // [n_streams, n], after the DC blocker
  float* logits;                // [n_streams, n, 1 or 2 bytes, n_levels]
};

inline namespace AUDIOGEN_ISA {

AUDIOGEN_HD inline int n_bytes(const Samplernn& net) { return net.q_levels > kMostLevels ? 2 : 1; }
AUDIOGEN_HD inline int n_levels(const Samplernn& net) {
  return net.q_levels > kMostLevels ? kMostLevels : net.q_levels;
}
AUDIOGEN_HD inline int window_of(const Samplernn& net) {
  return net.tiers[net.n_tiers - 1].frame_size;
}
AUDIOGEN_HD inline std::size_t gates_of(const Samplernn& net) {
  return static_cast<std::size_t>(net.n_gates) * net.dim;
}
AUDIOGEN_HD inline int tiles_of(std::size_t n, int tile) {
  return static_cast<int>((n + tile - 1) / tile);
}

// Lays out a state in `memory`, aligned to 256 bytes; null only measures. Writes the number of
// bytes to *n_bytes_used.
inline SamplernnState lay_out_state(const Samplernn& net, int n_streams, void* memory,
                                    std::size_t* n_bytes_used) {
  std::size_t used = 0;
  const auto take = [&]<class T>(T*& array, std::size_t n) {
    array = memory ? reinterpret_cast<T*>(static_cast<char*>(memory) + used) : nullptr;
    used += (n * sizeof(T) + 255) / 256 * 256;
  };
  const std::size_t streams = static_cast<std::size_t>(n_streams), dim = net.dim;
  const std::size_t bytes = n_bytes(net), layers = net.n_rnn;
  SamplernnState state{};
  state.n_streams = n_streams;
  state.history_size = 1;
  while (state.history_size < net.tiers[0].frame_size) state.history_size *= 2;
  take(state.arrived, 1);
  take(state.dc_blocks, streams);
  take(state.history, streams * state.history_size);
  std::size_t most_up = 0;
  for (int t = 0; t < net.n_tiers; ++t) {
    const bool last = t + 1 == net.n_tiers;
    const std::size_t ratio = net.tiers[t].ratio;
    take(state.tiers[t].h, 2 * layers * streams * dim);
    take(state.tiers[t].c, net.n_gates == 4 ? layers * streams * dim : 0);
    take(state.tiers[t].output, streams * ratio * (last ? dim : gates_of(net)));
    if (!last && ratio > most_up) most_up = ratio;
  }
  take(state.up, streams * most_up * dim);
  take(state.x, streams * dim);
  take(state.hidden, streams * bytes * dim);
  take(state.logits, streams * bytes * n_levels(net));
  take(state.p, streams * kMostLevels);
  take(state.segments, streams * kWarpLanes);
  take(state.byte, streams);
  *n_bytes_used = used;
  return state;
}

// ---- Lanes ----

// Reads a weight through the read-only cache; it must not change while a kernel runs.
AUDIOGEN_HD inline float constant(const float* from) {
#ifdef __CUDA_ARCH__
  return __ldg(from);
#else
  return *from;
#endif
}

// Calls body(i) for i < n, each i in one lane.
template <class Body>
AUDIOGEN_HD inline void for_lanes(int n, Body body) {
#ifdef __CUDA_ARCH__
  for (int i = threadIdx.x % kWarpLanes; i < n; i += kWarpLanes) body(i);
#else
  for (int i = 0; i < n; ++i) body(i);
#endif
}

// Makes the writes of each lane visible to the others.
AUDIOGEN_HD inline void join_lanes() {
#ifdef __CUDA_ARCH__
  __syncwarp();
#endif
}

// Reduces part(lane) over all lanes; each lane receives the result.
template <class Part, class Merge>
AUDIOGEN_HD inline auto over_lanes(Part part, Merge merge) {
#ifdef __CUDA_ARCH__
  auto value = part(static_cast<int>(threadIdx.x % kWarpLanes));
  for (int step = kWarpLanes / 2; step > 0; step /= 2) {
    value = merge(value, __shfl_xor_sync(0xffffffffu, value, step));
  }
  return value;
#else
  decltype(part(0)) values[kWarpLanes];
  for (int lane = 0; lane < kWarpLanes; ++lane) values[lane] = part(lane);
  for (int step = kWarpLanes / 2; step > 0; step /= 2) {
    for (int lane = 0; lane < step; ++lane) {
      values[lane] = merge(values[lane], values[lane + step]);
    }
  }
  return values[0];
#endif
}

// Sums of rows of a matrix with columns.
template <int kRows, int kColumns>
struct Tile {
  float sum[kRows][kColumns];

  // Column c of a row, where c differs between lanes; indexing would put the sums into memory.
  AUDIOGEN_HD float at(int r, int c) const {
    float value = sum[r][0];
    AUDIOGEN_UNROLL
    for (int i = 1; i < kColumns; ++i) value = i == c ? sum[r][i] : value;
    return value;
  }
};

// Sums over all lanes of the tiles that add(lane, tile) accumulates from zero.
template <int kRows, int kColumns, class Add>
AUDIOGEN_HD inline Tile<kRows, kColumns> tile_over_lanes(Add add) {
#ifdef __CUDA_ARCH__
  Tile<kRows, kColumns> tile{};
  add(static_cast<int>(threadIdx.x % kWarpLanes), tile);
  for (int step = kWarpLanes / 2; step > 0; step /= 2) {
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kColumns; ++c) {
        tile.sum[r][c] += __shfl_xor_sync(0xffffffffu, tile.sum[r][c], step);
      }
    }
  }
  return tile;
#else
  Tile<kRows, kColumns> tiles[kWarpLanes] = {};
  for (int lane = 0; lane < kWarpLanes; ++lane) add(lane, tiles[lane]);
  for (int step = kWarpLanes / 2; step > 0; step /= 2) {
    for (int lane = 0; lane < step; ++lane) {
      for (int r = 0; r < kRows; ++r) {
        for (int c = 0; c < kColumns; ++c) {
          tiles[lane].sum[r][c] += tiles[lane + step].sum[r][c];
        }
      }
    }
  }
  return tiles[0];
#endif
}

// Adds a lane's part of the products of rows [depth] with columns x(c, k). Row r goes to sum r; if
// kApart, the last row goes to the last sum.
template <bool kApart = false, int kRows, int kSums, int kColumns, class X>
AUDIOGEN_HD inline void add_products(int lane, const float* const (&rows)[kRows], int depth, X x,
                                     Tile<kSums, kColumns>& tile) {
  for (int k = lane; k < depth; k += kWarpLanes) {
    float weight[kRows];
    AUDIOGEN_UNROLL
    for (int r = 0; r < kRows; ++r) weight[r] = constant(rows[r] + k);
    AUDIOGEN_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const float number = x(c, k);
      AUDIOGEN_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float& sum = tile.sum[kApart && r + 1 == kRows ? kSums - 1 : r][c];
        sum = std::fma(weight[r], number, sum);
      }
    }
  }
}

// ---- Items ----

// One sample of all streams.
struct SamplernnStep {
  const Samplernn& net;
  const SamplernnState& state;
  const SamplernnRun& run;
  std::uint64_t i;         // index in the run
  std::uint64_t position;  // samples since the initial state

  AUDIOGEN_HD std::int32_t& past(int stream, std::uint64_t at) const {
    const std::uint64_t slot = at & static_cast<std::uint64_t>(state.history_size - 1);
    return state.history[static_cast<std::size_t>(stream) * state.history_size + slot];
  }
  // h of a layer [n_streams, dim], before or after the tier's step at this sample.
  AUDIOGEN_HD float* h(int t, int layer, bool after) const {
    const std::uint64_t number = position / net.tiers[t].frame_size + (after ? 1 : 0);
    const std::size_t place = (number & 1) * net.n_rnn + layer;
    return state.tiers[t].h + place * state.n_streams * net.dim;
  }
  AUDIOGEN_HD float* c(int t, int layer) const {
    return state.tiers[t].c + static_cast<std::size_t>(layer) * state.n_streams * net.dim;
  }
};

// Sets a stream to its initial state.
AUDIOGEN_HD inline void begin_stream(const Samplernn& net, const SamplernnState& state,
                                     int stream) {
  const std::size_t s = stream, n = state.n_streams, dim = net.dim;
  const std::int32_t silence = net.q_levels / 2;
  for_lanes(state.history_size,
            [&](int i) { state.history[s * state.history_size + i] = silence; });
  for_lanes(1, [&](int) { state.dc_blocks[s] = {}; });
  for (int t = 0; t < net.n_tiers; ++t) {
    for (int l = 0; l < net.n_rnn; ++l) {
      const float* h0 = net.tiers[t].h0 + l * dim;
      for_lanes(net.dim, [&](int i) {
        state.tiers[t].h[(l * n + s) * dim + i] = constant(h0 + i);
        if (net.n_gates == 4) {
          state.tiers[t].c[(l * n + s) * dim + i] = constant(h0 + net.n_rnn * dim + i);
        }
      });
    }
  }
}

// Steps one unit of a recurrent layer for a tile of streams. The products of the input and of the
// state are added in one sum per gate, except for a GRU's new gate, whose recurrent product is the
// fourth sum.
template <int kGates, int kColumns>
AUDIOGEN_HD inline void step_unit(const SamplernnStep& step, int t, int layer, int unit,
                                  int stream_tile) {
  constexpr bool kGru = kGates == 3;
  const Samplernn& net = step.net;
  const SamplernnTier& tier = net.tiers[t];
  const int dim = net.dim, frame = tier.frame_size, n_streams = step.state.n_streams;
  const int first = stream_tile * kColumns;
  // Columns beyond the last stream repeat it; their results are not used.
  const auto stream_of = [&](int c) { return first + c < n_streams ? first + c : n_streams - 1; };
  const std::size_t gates = gates_of(net), behind = static_cast<std::size_t>(layer) * gates;
  const auto rows_of = [&](const float* weight, int depth, const float*(&rows)[kGates]) {
    AUDIOGEN_UNROLL
    for (int g = 0; g < kGates; ++g) {
      rows[g] = weight + (static_cast<std::size_t>(g) * dim + unit) * depth;
    }
  };
  const float* before = step.h(t, layer, false);
  const auto sums = tile_over_lanes<4, kColumns>([&](int lane, Tile<4, kColumns>& tile) {
    const float* rows[kGates];
    const auto add_states = [&](auto apart, const float* h) {
      const auto x = [&](int c, int k) {
        return h[static_cast<std::size_t>(stream_of(c)) * dim + k];
      };
      add_products<decltype(apart)::value>(lane, rows, dim, x, tile);
    };
    if (layer == 0) {
      const float scale = static_cast<float>(4.0 / static_cast<double>(net.q_levels - 1));
      const std::uint64_t oldest = step.position - frame;
      const auto x = [&](int c, int k) {
        return scaled_level(step.past(stream_of(c), oldest + k), scale);
      };
      rows_of(tier.direct, frame, rows);
      add_products(lane, rows, frame, x, tile);
    } else {
      rows_of(tier.input + (behind - gates) * dim, dim, rows);
      add_states(std::false_type{}, step.h(t, layer - 1, true));
    }
    rows_of(tier.recurrent + behind * dim, dim, rows);
    add_states(std::bool_constant<kGru>{}, before);
  });

  float* after = step.h(t, layer, true);
  const int here = n_streams - first < kColumns ? n_streams - first : kColumns;
  for_lanes(here, [&](int c) {
    const std::size_t s = static_cast<std::size_t>(first) + c, at = s * dim + unit;
    const float* output = nullptr;
    if (layer == 0 && t > 0) {
      const SamplernnTier& above = net.tiers[t - 1];
      const std::size_t slot = step.position % above.frame_size / frame;
      output = step.state.tiers[t - 1].output + (s * above.ratio + slot) * gates;
    }
    float x[kGates], r[kGates];
    AUDIOGEN_UNROLL
    for (int g = 0; g < kGates; ++g) {
      const std::size_t row = static_cast<std::size_t>(g) * dim + unit;
      x[g] = sums.at(g, c) + constant(tier.input_bias + behind + row);
      if (output) x[g] += output[row];
      if (layer == 0 && tier.classes) {
        x[g] += constant(tier.classes + step.run.classes[s] * gates + row);
      }
      r[g] = constant(tier.recurrent_bias + behind + row);
    }
    if constexpr (kGru) {
      r[2] += sums.at(3, c);
      after[at] = gru_step(x[0], x[1], x[2], r[0], r[1], r[2], before[at]);
    } else {
      float* cell = step.c(t, layer) + at;
      const auto next = lstm_step(x[0] + r[0], x[1] + r[1], x[2] + r[2], x[3] + r[3], *cell);
      after[at] = next.h;
      *cell = next.c;
    }
  });
}

// A matrix [n_rows, depth] and its bias [n_rows] or null.
struct PlainMatrix {
  const float* weight;
  const float* bias;
  std::size_t n_rows;
  int depth;
};

// Computes a tile of a product: y(column)[row] for columns x(column, k).
template <int kColumns, class X, class Y>
AUDIOGEN_HD inline void multiply_tile(const PlainMatrix& matrix, int n_columns, int row_tile,
                                      int column_tile, X x, Y y) {
  const std::size_t first_row = static_cast<std::size_t>(row_tile) * kRowTile;
  const int first = column_tile * kColumns;
  const float* rows[kRowTile];
  for (int r = 0; r < kRowTile; ++r) {
    const std::size_t row = first_row + r < matrix.n_rows ? first_row + r : matrix.n_rows - 1;
    rows[r] = matrix.weight + row * matrix.depth;
  }
  const auto sums =
      tile_over_lanes<kRowTile, kColumns>([&](int lane, Tile<kRowTile, kColumns>& tile) {
        const auto column = [&](int c, int k) {
          return x(first + c < n_columns ? first + c : n_columns - 1, k);
        };
        add_products(lane, rows, matrix.depth, column, tile);
      });
  const int here = n_columns - first < kColumns ? n_columns - first : kColumns;
  for_lanes(here, [&](int c) {
    AUDIOGEN_UNROLL
    for (int r = 0; r < kRowTile; ++r) {
      if (first_row + r >= matrix.n_rows) break;
      const float bias = matrix.bias ? constant(matrix.bias + first_row + r) : 0.0f;
      y(first + c)[first_row + r] = sums.at(r, c) + bias;
    }
  });
}

AUDIOGEN_HD inline float rectified(float x) { return x > 0.0f ? x : 0.0f; }

// Computes kWarpLanes units of a stream after layer 2: the sum of the lowest tier's output, the
// tables of the last levels, and the class.
AUDIOGEN_HD inline void add_inputs(const SamplernnStep& step, int units, int stream) {
  const Samplernn& net = step.net;
  const std::size_t dim = net.dim, s = stream;
  const int window = window_of(net), bytes = n_bytes(net), levels = n_levels(net);
  const std::size_t slot = step.position % window;
  const float* output = step.state.tiers[net.n_tiers - 1].output + (s * window + slot) * dim;
  for_lanes(kWarpLanes, [&](int lane) {
    const std::size_t unit = static_cast<std::size_t>(units) * kWarpLanes + lane;
    if (unit >= dim) return;
    float sum = output[unit];
    const float* table = net.tables + unit;
    for (int k = 0; k < window; ++k) {
      const std::int32_t level = step.past(stream, step.position - window + k);
      for (int b = 0; b < bytes; ++b, table += levels * dim) {
        const int byte = b + 1 < bytes ? level >> 8 : level & (kMostLevels - 1);
        sum += constant(table + byte * dim);
      }
    }
    if (net.classes) sum += constant(net.classes + step.run.classes[s] * dim + unit);
    step.state.x[s * dim + unit] = rectified(sum);
  });
}

struct Greater {
  template <class T>
  AUDIOGEN_HD T operator()(T a, T b) const {
    return b > a ? b : a;
  }
};
struct Lesser {
  template <class T>
  AUDIOGEN_HD T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Plus {
  AUDIOGEN_HD double operator()(double a, double b) const { return a + b; }
};

// Sum of the probabilities that are at least `least`.
AUDIOGEN_HD inline double lanes_sum_from(const float* p, int n, float least) {
  return over_lanes(
      [&](int lane) {
        double sum = 0.0;
        for (int k = lane; k < n; k += kWarpLanes) sum += p[k] >= least ? p[k] : 0.0f;
        return sum;
      },
      Plus{});
}

// Sets probabilities outside the nucleus to zero, as `draw` of sample_step_cpu.cpp.
AUDIOGEN_HD inline void lanes_keep_nucleus(float* p, int n, float top_p) {
  const double wanted = static_cast<double>(top_p) * lanes_sum_from(p, n, 0.0f);
  std::int32_t reaches = 0, above = 0x3f800001;  // 0 and just above 1, the greatest of p
  while (above - reaches > 1) {
    const std::int32_t middle = reaches + (above - reaches) / 2;
    (lanes_sum_from(p, n, core::bits_as<float>(middle)) >= wanted ? reaches : above) = middle;
  }
  const float least = core::bits_as<float>(reaches);
  double sum = lanes_sum_from(p, n, core::bits_as<float>(above));
  int last = -1;  // last of the equal levels that are kept
  for (int k = 0; k < n && sum < wanted; ++k) {
    if (p[k] != least) continue;
    sum += least;
    last = k;
  }
  join_lanes();
  for_lanes(n, [&](int k) {
    if (p[k] < least || (p[k] == least && k > last)) p[k] = 0.0f;
  });
  join_lanes();
}

// Draws a level with all lanes; `p`, [kMostLevels], and `segments`, [kWarpLanes], are scratch.
AUDIOGEN_HD inline int lanes_draw(const float* logits, int n, float temperature, float top_p,
                                  float uniform, float* p, double* segments) {
  const float most = over_lanes(
      [&](int lane) {
        float greatest = logits[lane < n ? lane : 0];
        for (int k = lane; k < n; k += kWarpLanes) greatest = Greater{}(greatest, logits[k]);
        return greatest;
      },
      Greater{});
  if (!(temperature >= kLeastTemperature)) {
    return over_lanes(
        [&](int lane) {
          for (int k = lane; k < n; k += kWarpLanes) {
            if (logits[k] == most) return k;
          }
          return n - 1;
        },
        Lesser{});
  }
  for_lanes(n, [&](int k) { p[k] = core::exp(logits[k] / temperature - most / temperature); });
  join_lanes();
  if (top_p < 1.0f) lanes_keep_nucleus(p, n, top_p);
  // Sums of segments of levels, which shorten the search for the drawn level.
  const int length = tiles_of(n, kWarpLanes);
  const auto end_of = [&](int segment) {
    return (segment + 1) * length < n ? (segment + 1) * length : n;
  };
  for_lanes(kWarpLanes, [&](int segment) {
    double sum = 0.0;
    for (int k = segment * length; k < end_of(segment); ++k) sum += p[k];
    segments[segment] = sum;
  });
  join_lanes();
  double total = 0.0, sum = 0.0;
  for (int segment = 0; segment < kWarpLanes; ++segment) total += segments[segment];
  const double threshold = static_cast<double>(uniform) * total;
  int last = 0;
  for (int segment = 0; segment < kWarpLanes; ++segment) {
    if (sum + segments[segment] <= threshold) {
      sum += segments[segment];
      continue;
    }
    for (int k = segment * length; k < end_of(segment); ++k) {
      sum += p[k];
      if (sum > threshold) return k;
    }
  }
  for (int k = 0; k < n; ++k) last = p[k] > 0.0f ? k : last;  // in case rounding left none
  return last;
}

// Draws byte b of a stream's level, or takes the given one; the last byte completes the sample.
AUDIOGEN_HD inline void finish_byte(const SamplernnStep& step, int b, int stream) {
  const Samplernn& net = step.net;
  const SamplernnState& state = step.state;
  const SamplernnRun& run = step.run;
  const std::size_t s = stream, i = s * run.n + step.i;
  const int bytes = n_bytes(net), levels = n_levels(net);
  const float* logits = state.logits + (s * bytes + b) * levels;
  std::int32_t byte;
  if (run.given) {
    byte = b + 1 < bytes ? run.given[i] >> 8 : run.given[i] & (kMostLevels - 1);
  } else {
    const std::uint64_t number = step.position * bytes + b;
    const float uniform = core::philox_uniform(
        run.seeds ? run.seeds[s] : run.seed,
        run.seeds ? 0 : run.first_stream + static_cast<std::uint32_t>(stream),
        static_cast<std::uint32_t>(number >> 32), static_cast<std::uint32_t>(number));
    byte = lanes_draw(logits, levels, run.temperature[step.i], run.top_p, uniform,
                      state.p + s * kMostLevels, state.segments + s * kWarpLanes);
  }
  if (run.logits) {
    float* to = run.logits + (i * bytes + b) * levels;
    for_lanes(levels, [&](int k) { to[k] = logits[k]; });
  }
  for_lanes(1, [&](int) {
    if (b + 1 < bytes) {
      state.byte[s] = byte;
      return;
    }
    const std::int32_t level = bytes == 2 ? state.byte[s] * kMostLevels + byte : byte;
    step.past(stream, step.position) = level;
    if (run.levels) run.levels[i] = level;
    const float clean = state.dc_blocks[s].step(constant(net.samples + level), net.dc_pole);
    if (run.samples) run.samples[i] = clean;
  });
}

// ---- Order ----

// Executes a run. `grid.each(rows, columns, item)` calls item(row, column) for all items, in any
// order or concurrently, and waits for the last. It should assign the same rows to the same block
// at every call with as many rows, for the block's cache.
template <int kColumns, class Grid>
AUDIOGEN_HD inline void run_phases(const Samplernn& net, const SamplernnState& state,
                                   const SamplernnRun& run, Grid& grid) {
  const int n_streams = state.n_streams, dim = net.dim, bytes = n_bytes(net);
  const int levels = n_levels(net);
  const std::size_t width = dim;
  const auto multiply = [&](const PlainMatrix& matrix, int n_columns, auto x, auto y) {
    grid.each(tiles_of(matrix.n_rows, kRowTile), tiles_of(n_columns, kColumns),
              [&](int row_tile, int column_tile) {
                multiply_tile<kColumns>(matrix, n_columns, row_tile, column_tile, x, y);
              });
  };
  if (run.position == 0) {
    grid.each(n_streams, 1, [&](int stream, int) { begin_stream(net, state, stream); });
  }
  for (std::uint64_t i = 0; i < run.n; ++i) {
    const SamplernnStep step{net, state, run, i, run.position + i};
    for (int t = 0; t < net.n_tiers; ++t) {
      const SamplernnTier& tier = net.tiers[t];
      if (step.position % tier.frame_size != 0) continue;
      for (int layer = 0; layer < net.n_rnn; ++layer) {
        grid.each(dim, tiles_of(n_streams, kColumns), [&](int unit, int tile) {
          if (net.n_gates == 3) {
            step_unit<3, kColumns>(step, t, layer, unit, tile);
          } else {
            step_unit<4, kColumns>(step, t, layer, unit, tile);
          }
        });
      }
      const bool last = t + 1 == net.n_tiers;
      const float* h = step.h(t, net.n_rnn - 1, true);
      float* output = state.tiers[t].output;
      float* up = last ? output : state.up;
      const std::size_t up_width = width * tier.ratio, gates = gates_of(net);
      multiply(
          {tier.upsample, tier.upsample_bias, up_width, dim}, n_streams,
          [=](int s, int k) { return h[s * width + k]; }, [=](int s) { return up + s * up_width; });
      if (last) continue;
      multiply(
          {net.tiers[t + 1].above, nullptr, gates, dim}, n_streams * tier.ratio,
          [=](int column, int k) { return up[column * width + k]; },
          [=](int column) { return output + column * gates; });
    }
    const bool only_feeds = run.given && !run.logits;
    if (!only_feeds) {
      grid.each(tiles_of(width, kWarpLanes), n_streams,
                [&](int units, int stream) { add_inputs(step, units, stream); });
      const std::size_t hidden_width = width * bytes, logits_width = levels * bytes;
      const float *x = state.x, *hidden = state.hidden;
      multiply(
          {net.hidden, net.hidden_bias, hidden_width, dim}, n_streams,
          [=](int s, int k) { return x[s * width + k]; },
          [&](int s) { return state.hidden + s * hidden_width; });
      multiply(
          {net.output, net.output_bias, static_cast<std::size_t>(levels), dim}, n_streams,
          [=](int s, int k) { return rectified(hidden[s * hidden_width + k]); },
          [&](int s) { return state.logits + s * logits_width; });
    }
    grid.each(n_streams, 1, [&](int stream, int) { finish_byte(step, 0, stream); });
    if (bytes == 1) continue;
    if (!only_feeds) {
      const float *low = state.hidden + width, *upper = net.upper;
      const std::int32_t* byte = state.byte;
      multiply(
          {net.output_low, net.output_low_bias, static_cast<std::size_t>(levels), dim}, n_streams,
          [=](int s, int k) {
            return rectified(low[s * 2 * width + k] + constant(upper + byte[s] * width + k));
          },
          [&](int s) { return state.logits + (2 * s + 1) * levels; });
    }
    grid.each(n_streams, 1, [&](int stream, int) { finish_byte(step, 1, stream); });
  }
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::kernels
