// Conversion of mel bands to linear bins, for generators of mel spectrograms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace audiogen::engine {

// Bin k is the sum of the bands from starts[k] to starts[k + 1], each times its weight.
struct BandMap {
  std::vector<std::uint32_t> starts;  // [n_bins + 1]
  std::vector<std::uint32_t> bands;
  std::vector<float> weights;
  float floor = 0.0f;  // added to powers before the logarithm

  bool empty() const { return starts.empty(); }
};

// Makes the map of `n_bins` bands of `band_map` in audiogen/representation/mel.py: an approximate
// inverse of triangular filters with peak 1 and slopes that are linear in Hz. A band narrower
// than 1.5 bins is widened about its centre; with `released` its neighbours' edges move with it, as
// in the code that trained the released checkpoints.
BandMap make_band_map(std::size_t n_bins, double nyquist_hz, bool released);

}  // namespace audiogen::engine
