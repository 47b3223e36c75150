// Streaming sample rate conversion by a rational factor: a polyphase windowed-sinc filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/realtime.h"

namespace audiogen::engine {

// Linear phase; flat within 0.01 dB to 0.45 of the lower rate, images and aliases more than 100 dB
// down. Output sample n is the input at the time of output sample n - latency(). The samples do not
// depend on how `push` and `pull` divide them.
class Resampler {
 public:
  // Rates in Hz. Throws std::invalid_argument for a rate outside 1000 .. 384000, and for two rates
  // with so small a common divisor that the table would exceed 64 MB.
  Resampler(std::uint32_t from_hz, std::uint32_t to_hz);

  void reset() noexcept AUDIOGEN_REALTIME;

  // Delay in output samples.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return latency_; }

  // Number of input samples, counted from reset, that output sample `n` needs: all input up to the
  // same time.
  std::uint64_t needed(std::uint64_t n) const noexcept AUDIOGEN_REALTIME {
    return n * down_ / up_ + 1;
  }

  void push(const float* in, std::size_t n) noexcept AUDIOGEN_REALTIME;

  // Writes the next `n` output samples. The input that they need must have been pushed, and at most
  // `kLargestPush` samples beyond it.
  void pull(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME;

  static constexpr std::size_t kLargestPush = 4096;

 private:
  std::uint64_t up_;
  std::uint64_t down_;
  std::size_t taps_ = 0;  // per phase, even; 0: equal rates
  std::size_t latency_ = 0;
  std::vector<float> filter_;   // [up, taps], in the order of the input
  std::vector<float> history_;  // ring, stored twice so that each read is contiguous
  std::size_t mask_ = 0;
  std::uint64_t pushed_ = 0;
  std::uint64_t pulled_ = 0;
};

}  // namespace audiogen::engine
