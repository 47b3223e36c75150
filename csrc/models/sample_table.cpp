// Collects and reads the samples of streams by seed and class.
#include "models/sample_table.h"

#include <algorithm>

namespace audiogen::models {

void SampleTable::fill(std::size_t stream, const float* samples) {
  collecting_ = false;
  Stream& filled = streams_.at(stream);
  filled.samples.assign(samples, samples + filled.temperature.size());
}

std::size_t SampleTable::find(std::uint64_t seed, std::size_t index) noexcept AUDIOGEN_REALTIME {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    if (streams_[i].seed == seed && streams_[i].index == index) return i;
  }
  if (!collecting_) return kNone;
  AUDIOGEN_OFFLINE(streams_.push_back({seed, index, {}, {}, {}});)
  return streams_.size() - 1;
}

void SampleTable::read(std::size_t stream, std::uint64_t position, const float* temperature,
                       bool one_temperature, float top_p, std::size_t n,
                       float* samples) noexcept AUDIOGEN_REALTIME {
  std::fill_n(samples, n, 0.0f);
  if (stream == kNone) return;
  Stream& from = streams_[stream];
  for (std::size_t i = 0; i < n; ++i) {
    if (!collecting_) {
      if (position + i < from.samples.size()) samples[i] = from.samples[position + i];
      continue;
    }
    if (position + i < from.temperature.size()) continue;  // the stream was played before
    AUDIOGEN_OFFLINE({
      from.temperature.push_back(temperature[one_temperature ? 0 : i]);
      from.top_p.push_back(top_p);
    })
  }
}

}  // namespace audiogen::models
