// Real Fourier transform and its inverse for power-of-two sizes, on floats or on vectors of floats.
//
// With a vector type each lane computes its own transform, so that a batch of frames needs no
// shuffles. A real transform of n points is a complex one of n / 2 points between packing steps.
// The complex transform is Stockham's autosort algorithm, radix 4.
#pragma once

#include <cstddef>
#include <vector>

#include "core/target.h"

namespace audiogen::core {

// Sines and cosines for one size. Only the constructor allocates; threads can share the tables.
class FftTables {
 public:
  // Throws std::invalid_argument unless n_fft is a power of two, 16 or more.
  explicit FftTables(std::size_t n_fft);

  std::size_t n_fft() const { return n_fft_; }
  std::size_t n_bins() const { return n_fft_ / 2 + 1; }

  // Scratch of a transform, in floats (or vectors).
  std::size_t scratch_size() const { return 2 * n_fft_; }

  // cos, sin of 2 pi k / (n_fft / 2), k < n_fft / 2, and of 2 pi k / n_fft, k <= n_fft / 4.
  const float* half_circle() const { return half_circle_.data(); }
  const float* split_circle() const { return split_circle_.data(); }

 private:
  std::size_t n_fft_;
  std::vector<float> half_circle_;
  std::vector<float> split_circle_;
};

inline namespace AUDIOGEN_ISA {

template <class F>
struct Complex {
  F re;
  F im;
};

template <class F>
inline Complex<F> operator+(Complex<F> a, Complex<F> b) {
  return {a.re + b.re, a.im + b.im};
}

template <class F>
inline Complex<F> operator-(Complex<F> a, Complex<F> b) {
  return {a.re - b.re, a.im - b.im};
}

template <class F>
inline Complex<F> conjugate(Complex<F> a) {
  return {a.re, 0.0f - a.im};
}

// a * (kSign < 0 ? w : conj w); w is one complex number for all lanes.
template <int kSign, class F>
inline Complex<F> turn(Complex<F> a, const float* w) {
  const float c = w[0];
  const float s = kSign < 0 ? -w[1] : w[1];
  return {a.re * c - a.im * s, a.re * s + a.im * c};
}

// Unscaled complex transform of `n` points in `from`, with exponent kSign * 2 pi i / n. Overwrites
// `from` and `other`, and returns the one that holds the result.
template <int kSign, class F>
inline Complex<F>* complex_fft(Complex<F>* from, Complex<F>* other, std::size_t n,
                               const float* circle) noexcept {
  std::size_t stride = 1;
  std::size_t length = n;
  for (; length >= 4; length /= 4, stride *= 4) {
    const std::size_t quarter = length / 4;
    for (std::size_t p = 0; p < quarter; ++p) {
      const float* w1 = circle + 2 * p * stride;
      const float* w2 = circle + 4 * p * stride;
      const float* w3 = circle + 6 * p * stride;
      const Complex<F>* x = from + stride * p;
      Complex<F>* y = other + stride * 4 * p;
      for (std::size_t q = 0; q < stride; ++q) {
        const Complex<F> a = x[q], b = x[q + stride * quarter];
        const Complex<F> c = x[q + stride * quarter * 2], d = x[q + stride * quarter * 3];
        const Complex<F> even = a + c, odd = a - c, sum = b + d, difference = b - d;
        const Complex<F> turned = kSign < 0 ? Complex<F>{difference.im, 0.0f - difference.re}
                                            : Complex<F>{0.0f - difference.im, difference.re};
        y[q] = even + sum;
        y[q + stride] = turn<kSign>(odd + turned, w1);
        y[q + stride * 2] = turn<kSign>(even - sum, w2);
        y[q + stride * 3] = turn<kSign>(odd - turned, w3);
      }
    }
    Complex<F>* const swap = from;
    from = other;
    other = swap;
  }
  if (length == 2) {
    for (std::size_t q = 0; q < stride; ++q) {
      const Complex<F> a = from[q], b = from[q + stride];
      other[q] = a + b;
      other[q + stride] = a - b;
    }
    return other;
  }
  return from;
}

// spectrum[k] = sum_t signal[t] e^(-2 pi i k t / n_fft), k <= n_fft / 2. `signal` holds n_fft
// values, `scratch` tables.scratch_size(); neither overlaps `spectrum`.
template <class F>
inline void real_fft(const FftTables& tables, const F* signal, Complex<F>* spectrum,
                     F* scratch) noexcept {
  const std::size_t half = tables.n_fft() / 2;
  Complex<F>* a = reinterpret_cast<Complex<F>*>(scratch);
  for (std::size_t t = 0; t < half; ++t) a[t] = {signal[2 * t], signal[2 * t + 1]};
  const Complex<F>* z = complex_fft<-1>(a, a + half, half, tables.half_circle());
  spectrum[0] = {z[0].re + z[0].im, F{}};
  spectrum[half] = {z[0].re - z[0].im, F{}};
  for (std::size_t k = 1; k <= half / 2; ++k) {
    const Complex<F> low = z[k], high = conjugate(z[half - k]);
    const Complex<F> even = low + high;
    const Complex<F> odd = turn<-1>(low - high, tables.split_circle() + 2 * k);
    // 0.5 * (even - i odd) and its mirror.
    spectrum[k] = {0.5f * (even.re + odd.im), 0.5f * (even.im - odd.re)};
    spectrum[half - k] = {0.5f * (even.re - odd.im), -0.5f * (even.im + odd.re)};
  }
}

// The inverse of `real_fft`, times n_fft / 2. The imaginary parts of the first and last bin are
// ignored. Returns a pointer into `scratch` to the n_fft values of the signal.
template <class F>
inline const F* inverse_real_fft(const FftTables& tables, const Complex<F>* spectrum,
                                 F* scratch) noexcept {
  const std::size_t half = tables.n_fft() / 2;
  Complex<F>* z = reinterpret_cast<Complex<F>*>(scratch);
  const F first = spectrum[0].re, last = spectrum[half].re;
  z[0] = {0.5f * (first + last), 0.5f * (first - last)};
  for (std::size_t k = 1; k <= half / 2; ++k) {
    const Complex<F> low = spectrum[k], high = conjugate(spectrum[half - k]);
    const Complex<F> even = low + high;
    const Complex<F> odd = turn<1>(low - high, tables.split_circle() + 2 * k);
    // 0.5 * (even + i odd) and its mirror.
    z[k] = {0.5f * (even.re - odd.im), 0.5f * (even.im + odd.re)};
    z[half - k] = {0.5f * (even.re + odd.im), 0.5f * (odd.re - even.im)};
  }
  return reinterpret_cast<const F*>(complex_fft<1>(z, z + half, half, tables.half_circle()));
}

}  // namespace AUDIOGEN_ISA
}  // namespace audiogen::core
