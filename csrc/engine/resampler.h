// Streaming sample rate conversion by a rational factor: a polyphase windowed-sinc filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/realtime.h"

namespace audiogen::engine {

// Linear phase; flat within 0.01 dB to 0.45 of the lower rate, images and aliases more than 100 dB
// down. Output sample n is the input at the time of output sample n - latency(). Any way of asking
// for the output gives the same samples.
class Resampler {
 public:
  // Rates in Hz, whole numbers. Throws std::invalid_argument if one is out of 1000 .. 384000 or the
  // two are so odd a pair that the table would not fit in 64 MB.
  Resampler(std::uint32_t from_hz, std::uint32_t to_hz);

  void reset() noexcept AUDIOGEN_REALTIME;

  // In output samples.
  std::size_t latency() const noexcept AUDIOGEN_REALTIME { return latency_; }

  // Input samples that must have been pushed before output sample `n` (counted from reset) can be
  // had: all input up to the same moment.
  std::uint64_t needed(std::uint64_t n) const noexcept AUDIOGEN_REALTIME {
    return n * down_ / up_ + 1;
  }

  void push(const float* in, std::size_t n) noexcept AUDIOGEN_REALTIME;

  // Writes the next `n` samples of output. What they need must have been pushed, and no more than
  // `kLargestPush` beyond it.
  void pull(float* out, std::size_t n) noexcept AUDIOGEN_REALTIME;

  static constexpr std::size_t kLargestPush = 4096;

 private:
  std::uint64_t up_;
  std::uint64_t down_;
  std::size_t taps_ = 0;  // of each phase, even
  std::size_t latency_ = 0;
  std::vector<float> filter_;   // [up, taps], in the order of the input
  std::vector<float> history_;  // ring of a power of two, written twice so that reads are straight
  std::size_t mask_ = 0;
  std::uint64_t pushed_ = 0;
  std::uint64_t pulled_ = 0;
};

}  // namespace audiogen::engine
