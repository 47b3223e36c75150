// Gates of a SampleRNN layer over its units, and sampling from its softmax.
#include "kernels/networks/sample_step.h"

#include <type_traits>

#include "core/math.h"
#include "kernels/networks/conv_rows.h"
#include "kernels/vec.h"

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

// Calls body(Vec{} or float{}, i) so that 0 .. n - 1 are covered.
template <class Body>
inline void for_all(std::size_t n, Body body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(Vec{}, i);
  for (; i < n; ++i) body(float{}, i);
}

// Index of the first maximum.
int likeliest(const float* logits, int n) {
  int best = 0;
  for (int k = 1; k < n; ++k) best = logits[k] > logits[best] ? k : best;
  return best;
}

// Levels per partial sum; the order of summation is the same on every instruction set.
constexpr int kSegment = 16;

struct Segments {
  double sums[kMostLevels / kSegment];
  double total = 0.0;

  Segments(const double* p, int n) {
    for (int k = 0; k < n; k += kSegment) {
      const auto pair = [&](int i) { return p[k + i] + p[k + i + 1]; };
      const auto four = [&](int i) { return pair(i) + pair(i + 2); };
      sums[k / kSegment] = (four(0) + four(4)) + (four(8) + four(12));
      total += sums[k / kSegment];
    }
  }
};

struct Share {
  double sum;
  int count;
};

// Sum and number of the probabilities that are at least `least`.
Share share_from(const double* p, int n, double least) {
  constexpr int kDoubles = kLanes / 2, kVectors = kSegment / kDoubles;
  using Doubles = double __attribute__((vector_size(kDoubles * sizeof(double))));
  using Counts = decltype(Doubles{} < Doubles{});
  Doubles sums[kVectors] = {};
  Counts counts[kVectors] = {};
  for (int k = 0; k < n; k += kSegment) {
    for (int v = 0; v < kVectors; ++v) {
      Doubles some;
      __builtin_memcpy(&some, p + k + v * kDoubles, sizeof(some));
      const Counts enough = some >= least;
      sums[v] += enough ? some : Doubles{};
      counts[v] -= enough;
    }
  }
  Share share{0.0, 0};
  for (int i = 0; i < kSegment; ++i) {
    share.sum += sums[i / kDoubles][i % kDoubles];
    share.count += static_cast<int>(counts[i / kDoubles][i % kDoubles]);
  }
  return share;
}

// Sets probabilities outside the nucleus to zero. The nucleus is the smallest set of most probable
// levels whose share of the total reaches top_p; of equal ones the lower levels. The maximum of p
// is 1. Bisects the nucleus's smallest probability over the bit patterns of floats, which order
// like the floats, until few probabilities are in the interval.
//
// A. Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020.
void keep_nucleus(double* p, int n, double total, float top_p) {
  constexpr int kFew = 8;
  const auto number = [](std::int32_t bits) {
    return static_cast<double>(core::bits_as<float>(bits));
  };
  const double wanted = static_cast<double>(top_p) * total;
  // The levels outside the nucleus and its smallest level have more than 1 - top_p of the total, so
  // that the smallest level has at least an equal share of it. 0.999 allows for rounding.
  const double lowest = 0.999 * (1.0 - static_cast<double>(top_p)) * total / n;
  std::int32_t reaches = core::bits_as<std::int32_t>(static_cast<float>(lowest));
  std::int32_t above = 0x3f800001;  // just above 1
  Share of_above{0.0, 0};
  for (int count = n; count - of_above.count > kFew && above - reaches > 1;) {
    const std::int32_t middle = reaches + (above - reaches) / 2;
    const Share share = share_from(p, n, number(middle));
    if (share.sum >= wanted) {
      reaches = middle;
      count = share.count;
    } else {
      above = middle;
      of_above = share;
    }
  }
  // Levels in the interval, most probable first.
  const double low = number(reaches), high = number(above);
  unsigned char inside[kMostLevels];
  for (int k = 0; k < n; ++k) inside[k] = p[k] >= low && p[k] < high ? 1 : 0;
  int between[kMostLevels], n_between = 0;
  for (int first = 0; first < n; first += 8) {
    std::uint64_t any;
    __builtin_memcpy(&any, inside + first, sizeof(any));
    for (int k = first; k < first + 8 && any != 0; ++k) {
      if (inside[k]) between[n_between++] = k;
    }
  }
  for (int i = 1; i < n_between; ++i) {
    const int level = between[i];
    int at = i;
    for (; at > 0 && p[between[at - 1]] < p[level]; --at) between[at] = between[at - 1];
    between[at] = level;
  }
  for (int k = 0; k < n; ++k) p[k] = p[k] >= low ? p[k] : 0.0;
  double sum = of_above.sum;
  for (int i = 0; i < n_between; ++i) {
    double& least = p[between[i]];
    if (sum < wanted || sum == 0.0) {  // keeps at least one level
      sum += least;
    } else {
      least = 0.0;
    }
  }
}

// The first level whose cumulative sum exceeds `uniform` times the total; if rounding leaves none,
// the last level with a probability above 0.
int level_at(const double* p, int n, const Segments& segments, float uniform) {
  const double threshold = static_cast<double>(uniform) * segments.total;
  double sum = 0.0;
  for (int first = 0; first < n; first += kSegment) {
    const double whole = sum + segments.sums[first / kSegment];
    if (whole <= threshold) {
      sum = whole;
      continue;
    }
    for (int k = first; k < first + kSegment; ++k) {
      sum += p[k];
      if (sum > threshold) return k;
    }
  }
  int last = 0;
  for (int k = 0; k < n; ++k) last = p[k] > 0.0 ? k : last;
  return last;
}

}  // namespace

void gru_gates(const GateCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t dim = call.dim;
  for_all(dim, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const float *x = call.input + i, *r = call.recurrent + i;
    store(call.h + i, gru_step(load<V>(x), load<V>(x + dim), load<V>(x + 2 * dim), load<V>(r),
                               load<V>(r + dim), load<V>(r + 2 * dim), load<V>(call.h + i)));
  });
}

void gru_gates_gradient(const GateGradientCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t dim = call.dim;
  for_all(dim, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const float *x = call.input + i, *r = call.recurrent + i;
    const auto d = gru_step_gradient(load<V>(x), load<V>(x + dim), load<V>(x + 2 * dim), load<V>(r),
                                     load<V>(r + dim), load<V>(r + 2 * dim), load<V>(call.h + i),
                                     load<V>(call.dh + i));
    for (float* to : {call.dinput + i, call.drecurrent + i}) {
      store(to, d.reset);
      store(to + dim, d.update);
    }
    store(call.dinput + i + 2 * dim, d.candidate);
    store(call.drecurrent + i + 2 * dim, d.recurrent_candidate);
    store(call.dh + i, d.h);
  });
}

void lstm_gates(const GateCall& call) noexcept AUDIOGEN_REALTIME {
  const std::size_t dim = call.dim;
  for_all(dim, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const auto sum = [&](std::size_t gate) {
      return load<V>(call.input + gate * dim + i) + load<V>(call.recurrent + gate * dim + i);
    };
    const auto next = lstm_step(sum(0), sum(1), sum(2), sum(3), load<V>(call.c + i));
    store(call.h + i, next.h);
    store(call.c + i, next.c);
  });
}

void add_rows(const float* const* rows, std::size_t n_rows, std::size_t width,
              float* y) noexcept AUDIOGEN_REALTIME {
  for_all(width, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    V sum = load<V>(rows[0] + i);
    for (std::size_t r = 1; r < n_rows; ++r) sum = sum + load<V>(rows[r] + i);
    store(y + i, sum);
  });
}

std::int32_t draw(const DrawCall& call) noexcept AUDIOGEN_REALTIME {
  const int n = static_cast<int>(call.n);
  if (!(call.temperature >= kLeastTemperature)) return likeliest(call.logits, n);
  float scaled[kMostLevels];
  Vec greatest = broadcast(call.logits[0] / call.temperature);
  float most = greatest[0];
  for_all(call.n, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    const V logit = load<V>(call.logits + i) / call.temperature;
    store(scaled + i, logit);
    if constexpr (std::is_same_v<V, float>) {
      most = logit > most ? logit : most;
    } else {
      greatest = logit > greatest ? logit : greatest;
    }
  });
  for (std::size_t i = 0; i < kLanes; ++i) most = greatest[i] > most ? greatest[i] : most;
  for_all(call.n, [&](auto tag, std::size_t i) {
    using V = decltype(tag);
    store(scaled + i, core::exp(load<V>(scaled + i) - most));
  });
  double p[kMostLevels];
  for (int k = 0; k < n; ++k) p[k] = scaled[k];
  const int end = static_cast<int>(round_up(call.n, kSegment));
  for (int k = n; k < end; ++k) p[k] = 0.0;
  if (call.top_p < 1.0f) keep_nucleus(p, end, Segments(p, end).total, call.top_p);
  return level_at(p, end, Segments(p, end), call.uniform);
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
