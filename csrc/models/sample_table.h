// Samples of a SampleRNN that something else computes, such as a GPU: which ones an engine asks
// for, and a table of them. Used as models/frame_table.h; the first pass is exact because nothing
// that an unconditional network is asked for depends on its samples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/realtime.h"

namespace audiogen::models {

// Not for live engines: while it collects, it allocates.
class SampleTable {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  // A stream from its initial state.
  struct Stream {
    std::uint64_t seed = 0;
    std::size_t index = 0;           // class
    std::vector<float> temperature;  // [n]: of each sample that was asked for
    std::vector<float> top_p;        // [n]
    std::vector<float> samples;      // [n], after the DC blocker
  };

  const std::vector<Stream>& streams() const { return streams_; }
  // Sets the samples of a stream, [n]; the first call ends the collecting.
  void fill(std::size_t stream, const float* samples);

  // For SampleStream. While collecting, returns the index of a stream, which is added if it is new;
  // later kNone if there is no such stream.
  std::size_t find(std::uint64_t seed, std::size_t index) noexcept AUDIOGEN_REALTIME;
  // Writes samples position .. position + n - 1; silence while collecting, and where the table has
  // none. `temperature` is one number, or n.
  void read(std::size_t stream, std::uint64_t position, const float* temperature,
            bool one_temperature, float top_p, std::size_t n,
            float* samples) noexcept AUDIOGEN_REALTIME;

 private:
  bool collecting_ = true;
  std::vector<Stream> streams_;
};

}  // namespace audiogen::models
