// Loops that reach the limits of a core.
#include "kernels/limits.h"

#include "kernels/vec.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace audiogen::kernels::inline AUDIOGEN_ISA {
namespace {

// Enough sums to hide the latency of a multiply-add: 4 or 5 cycles on 2 ports.
constexpr std::size_t kPeakSums = 12;

// Calls step(sum) for each sum, n times, and returns the number of calls; `Sum` is a vector that
// starts at zero.
template <class Sum, class Step>
double repeat_products(std::size_t n, Step step) {
  Sum sums[kPeakSums] = {};
  asm volatile("" : "+m"(sums));  // the compiler must not see that all are the same
  for (std::size_t i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (std::size_t s = 0; s < kPeakSums; ++s) sums[s] = step(sums[s]);
  }
  for (Sum& sum : sums) asm volatile("" : : "m"(sum));  // the sums are used
  return static_cast<double>(n * kPeakSums);
}

}  // namespace

double peak_float32(std::size_t n) {
  Vec x = broadcast(0.5f), y = broadcast(1.0f);
  asm volatile("" : "+m"(x), "+m"(y));  // the compiler must not see constants
  return repeat_products<Vec>(n, [&](Vec sum) { return sum * x + y; }) * 2 * kLanes;
}

double peak_bfloat16([[maybe_unused]] std::size_t n) {
#if defined(__AVX512BF16__)
  VecInt ones = VecInt{} + 0x3f803f80;
  asm volatile("" : "+m"(ones));
  const auto pairs = __builtin_bit_cast(__m512bh, ones);
  return repeat_products<Vec>(
             n,
             [&](Vec sum) {
               return __builtin_bit_cast(
                   Vec, _mm512_dpbf16_ps(__builtin_bit_cast(__m512, sum), pairs, pairs));
             }) *
         4 * kLanes;
#else
  return 0.0;
#endif
}

double peak_int8([[maybe_unused]] std::size_t n) {
#if defined(__AVX512VNNI__)
  VecInt ones = VecInt{} + 0x01010101;
  asm volatile("" : "+m"(ones));
  const auto bytes = __builtin_bit_cast(__m512i, ones);
  return repeat_products<VecInt>(
             n,
             [&](VecInt sum) {
               return __builtin_bit_cast(
                   VecInt, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, sum), bytes, bytes));
             }) *
         8 * kLanes;
#else
  return 0.0;
#endif
}

double read_floats(const float* x, std::size_t n) {
  constexpr std::size_t kTogether = 8;
  Vec sums[kTogether] = {};
  std::size_t i = 0;
  for (; i + kTogether * kLanes <= n; i += kTogether * kLanes) {
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kTogether; ++s) {
      sums[s] = sums[s] + load<Vec>(x + i + s * kLanes);
    }
  }
  double sum = 0.0;
  for (const Vec& each : sums) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum += static_cast<double>(each[lane]);
  }
  for (; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

}  // namespace audiogen::kernels::inline AUDIOGEN_ISA
