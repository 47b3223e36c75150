// Triangular mel filters and their approximate inverse, as sparse rows.
#include "engine/frames/mel_bands.h"

#include <algorithm>
#include <cmath>

namespace audiogen::engine {
namespace {

constexpr double kBreakHz = 700.0, kQ = 1127.0;  // mel = 1127 ln(1 + f / 700)
constexpr double kLeastWidthBins = 1.5;
constexpr double kLeastTotal = 1e-8;  // sums below this count as zero

double hz_to_mel(double hz) { return kQ * std::log1p(hz / kBreakHz); }
double mel_to_hz(double mel) { return kBreakHz * std::expm1(mel / kQ); }

struct Edges {
  double lower, centre, upper;  // Hz
};

std::vector<Edges> band_edges(std::size_t n_bins, double nyquist_hz, bool released) {
  const double step = hz_to_mel(nyquist_hz) / static_cast<double>(n_bins + 1);
  std::vector<double> mels(n_bins + 2);
  for (std::size_t i = 0; i < mels.size(); ++i) mels[i] = static_cast<double>(i) * step;
  mels.back() = hz_to_mel(nyquist_hz);
  const double least_hz = kLeastWidthBins * nyquist_hz / static_cast<double>(n_bins);
  std::vector<Edges> edges(n_bins);
  for (std::size_t band = 0; band < n_bins; ++band) {
    double lower = mels[band], upper = mels[band + 2];
    const double centre = mels[band + 1];
    if (mel_to_hz(upper) - mel_to_hz(lower) < least_hz) {
      const double half = 0.5 * least_hz / (mel_to_hz(centre) + kBreakHz);
      const double reach = kQ * std::asinh(half);
      lower = centre - reach;
      upper = centre + reach;
      if (released) mels[band] = lower, mels[band + 2] = upper;
    }
    edges[band] = {lower, centre, upper};
  }
  if (released) {  // later bands have moved the edges of earlier ones
    for (std::size_t band = 0; band < n_bins; ++band) {
      edges[band] = {mels[band], mels[band + 1], mels[band + 2]};
    }
  }
  for (Edges& edge : edges) {
    edge = {mel_to_hz(edge.lower), mel_to_hz(edge.centre), mel_to_hz(edge.upper)};
  }
  return edges;
}

}  // namespace

BandMap make_band_map(std::size_t n_bins, double nyquist_hz, bool released) {
  struct Weight {
    std::uint32_t band;
    double value;
  };
  // The grid labels bins 0 .. nyquist although the constant bin was dropped, as published; its
  // first row, taken for the constant, is zero.
  std::vector<std::vector<Weight>> rows(n_bins);
  std::vector<double> sums(n_bins, 0.0);  // sum of each band over all bins
  const double bin_hz = nyquist_hz / static_cast<double>(n_bins - 1);
  const std::vector<Edges> edges = band_edges(n_bins, nyquist_hz, released);
  for (std::size_t band = 0; band < n_bins; ++band) {
    const auto [lower, centre, upper] = edges[band];
    const double first = std::max(1.0, std::floor(lower / bin_hz));
    for (auto bin = static_cast<std::size_t>(first); bin < n_bins; ++bin) {
      const double f = bin + 1 == n_bins ? nyquist_hz : static_cast<double>(bin) * bin_hz;
      if (f >= upper) break;
      const double weight =
          std::min((f - lower) / (centre - lower), (upper - f) / (upper - centre));
      if (weight <= 0.0) continue;
      rows[bin].push_back({static_cast<std::uint32_t>(band), weight});
      sums[band] += weight;
    }
  }
  // The inverse is the transpose, each row of the product with the filters scaled to sum to 1.
  BandMap map;
  map.starts.reserve(n_bins + 1);
  map.starts.push_back(0);
  for (const std::vector<Weight>& row : rows) {
    double total = 0.0;
    for (const auto& [band, value] : row) total += value * sums[band];
    const double scale = std::abs(total) > kLeastTotal ? 1.0 / total : total;
    for (const auto& [band, value] : row) {
      map.bands.push_back(band);
      map.weights.push_back(static_cast<float>(value * scale));
    }
    map.starts.push_back(static_cast<std::uint32_t>(map.bands.size()));
  }
  return map;
}

}  // namespace audiogen::engine
