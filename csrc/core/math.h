// exp, log, sincos and tanh in single precision: the same on every host, instruction set and
// device.
//
// Polynomials of S. Moshier's Cephes library (expf, logf, sinf, cosf, tanhf) after a range
// reduction without branches, so that the templates work for `float`, compiler vectors of floats,
// and CUDA. Largest errors, tested by tests/cpp/test_math.cpp:
//   exp      2e-7 relative; 0 below -86.6, +inf above 88.7 (never a denormal)
//   log      2e-7 relative to max(1, |log x|); -inf at 0, NaN below
//   sincos   2e-7 absolute for |x| <= 8192 rad, 1.5e-6 to 65536 rad, NaN beyond
//   tanh     2e-7 absolute
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/target.h"

namespace audiogen::core::inline AUDIOGEN_ISA {

inline constexpr float kPi = 3.14159265358979323846f;
inline constexpr float kTwoPi = 6.28318530717958647692f;

// The integer type with as many lanes as `F`.
template <class F>
using IntLanes = std::conditional_t<std::is_same_v<F, float>, std::int32_t, decltype(F{} < F{})>;

// The unsigned integer type with as many lanes as `F`, for arithmetic on bits that may wrap.
template <class F>
struct Words {
  typedef std::uint32_t Type __attribute__((vector_size(sizeof(F))));  // gcc rejects an alias here
};
template <>
struct Words<float> {
  using Type = std::uint32_t;
};
template <class F>
using WordLanes = typename Words<F>::Type;

template <class To, class From>
AUDIOGEN_HD inline To bits_as(From x) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, x);
}

template <class F>
AUDIOGEN_HD inline F magnitude_of(F x) {
  using I = IntLanes<F>;
  return bits_as<F>(bits_as<I>(x) & 0x7fffffff);
}

// Rounds a float to bfloat16, to nearest, ties to even, in the upper half of the word. Not for NaN.
AUDIOGEN_HD inline std::uint32_t bfloat16_word(float x) {
  const auto bits = bits_as<std::uint32_t>(x);
  return (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
}

// Nearest integer as a float, ties to even, for |x| < 2^22: adding 1.5 * 2^23 pushes the fraction
// out of the mantissa, whose low bits then are the integer.
inline constexpr float kRoundMagic = 12582912.0f;
inline constexpr std::uint32_t kRoundMagicBits = 0x4b400000;

template <class F>
struct Rounded {
  F value;
  IntLanes<F> integer;
};

template <class F>
AUDIOGEN_HD inline Rounded<F> round_nearest(F x) {
  const F pushed = x + kRoundMagic;
  const WordLanes<F> bits = bits_as<WordLanes<F>>(pushed) - kRoundMagicBits;
  return {pushed - kRoundMagic, bits_as<IntLanes<F>>(bits)};
}

template <class F>
AUDIOGEN_HD inline F exp(F x) {
  using W = WordLanes<F>;
  const Rounded<F> n = round_nearest(x * 1.44269504088896341f);
  // ln 2 in two parts; the first has few bits, so that n times it is exact.
  const F r = (x - n.value * 0.693359375f) + n.value * 2.12194440e-4f;
  F p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^n as 2 * 2^(n-1): n reaches 128, where 2^n itself has no float.
  const W exponent = (bits_as<W>(n.integer) + 126u) << 23;
  const F y = p * bits_as<F>(exponent) * 2.0f;
  const F zero{};
  const F low = x < -86.643397f ? zero : y;
  return x > 88.722839f ? zero + __builtin_inff() : low;
}

template <class F>
AUDIOGEN_HD inline F log(F x) {
  using W = WordLanes<F>;
  const F zero{};
  const auto tiny = x < 1.17549435e-38f;  // denormals are scaled up by 2^23 first
  const F scaled = tiny ? x * 8388608.0f : x;
  const W bits = bits_as<W>(scaled);
  // Mantissa in [0.5, 1), then in [sqrt 0.5, sqrt 2) so that the polynomial's argument is small.
  const F half = bits_as<F>((bits & 0x007fffffu) | 0x3f000000u);
  const auto below = half < 0.707106781186547524f;
  const F m = (below ? half + half : half) - 1.0f;
  const F counted = bits_as<F>(((bits >> 23) & 0xffu) + kRoundMagicBits) - kRoundMagic;
  const F unbiased = counted - (below ? zero + 127.0f : zero + 126.0f);
  const F e = tiny ? unbiased - 23.0f : unbiased;
  const F z = m * m;
  F p = m * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const F y = (m * z * p - e * 2.12194440e-4f) - z * 0.5f;
  const F finite = (m + y) + e * 0.693359375f;
  const F positive = x <= 3.40282347e38f ? finite : x;  // +inf and NaN are their own logarithms
  const F above_zero = x > 0.0f ? positive : zero - __builtin_inff();
  return x < 0.0f ? zero + __builtin_nanf("") : (x != x ? x : above_zero);
}

template <class F>
struct SinCos {
  F sin;
  F cos;
};

template <class F>
AUDIOGEN_HD inline SinCos<F> sincos(F x) {
  using W = WordLanes<F>;
  const Rounded<F> n = round_nearest(x * 0.636619772367581343f);
  // pi / 2 in three parts of 8, 11 and 24 bits: the first two products are exact to |n| = 2^13.
  F r = x - n.value * 1.5703125f;
  r = r - n.value * 4.837512969970703125e-4f;
  r = r - n.value * 7.54978995489188216e-8f;
  const F z = r * r;
  F s = z * -1.9515295891e-4f + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * r + r;
  F c = z * 2.443315711809948e-5f - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * (z * z) - z * 0.5f + 1.0f;
  // Quadrant n: odd ones swap the two, the second bit flips signs.
  const W quadrant = bits_as<W>(n.integer);
  const auto swap = (n.integer & 1) != 0;
  const F sin_raw = swap ? c : s;
  const F cos_raw = swap ? s : c;
  const W sin_sign = (quadrant & 2u) << 30;
  const W cos_sign = ((quadrant + 1u) & 2u) << 30;
  const auto inside = magnitude_of(x) <= 65536.0f;
  const F nan = F{} + __builtin_nanf("");
  return {inside ? bits_as<F>(bits_as<W>(sin_raw) ^ sin_sign) : nan,
          inside ? bits_as<F>(bits_as<W>(cos_raw) ^ cos_sign) : nan};
}

template <class F>
AUDIOGEN_HD inline F tanh(F x) {
  using I = IntLanes<F>;
  const F a = magnitude_of(x);
  const F z = x * x;
  F p = z * -5.70498872745e-3f + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const F small = p * z * x + x;
  const F large = 1.0f - 2.0f / (exp(a + a) + 1.0f);
  const I sign = bits_as<I>(x) & static_cast<std::int32_t>(0x80000000);
  return a < 0.625f ? small : bits_as<F>(bits_as<I>(large) | sign);
}

}  // namespace audiogen::core::inline AUDIOGEN_ISA
