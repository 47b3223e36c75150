// Reverberation of a small room: a feedback delay network.
#include "engine/reverb.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace audiogen::engine {

// Delays of a small room, without common divisors at usual rates, s.
static constexpr double kDelays[] = {0.0297, 0.0371, 0.0411, 0.0437,
                                     0.0533, 0.0617, 0.0679, 0.0731};
static constexpr double kDecay = 0.9;       // s, to -60 dB
static constexpr double kDampingHz = 4500;  // of the low-pass in each line
static constexpr float kSilent = 1e-5f;     // -100 dB of full scale

Reverb::Reverb(double sample_rate, std::size_t n_channels) : n_channels_(n_channels) {
  double energy = 0.0;
  for (std::size_t i = 0; i < kLines; ++i) {
    const std::size_t length =
        std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(kDelays[i] * sample_rate)));
    lines_[i].assign(length, 0.0f);
    const double gain = std::pow(10.0, -3.0 * static_cast<double>(length) / sample_rate / kDecay);
    feedback_[i] = static_cast<float>(gain);
    energy += gain * gain / (1.0 - gain * gain) / static_cast<double>(kLines);
  }
  damping_ = static_cast<float>(
      std::exp(-2.0 * std::numbers::pi * std::min(kDampingHz, 0.45 * sample_rate) / sample_rate));
  // Each channel sums all lines, whose echoes have this energy for an input of 1 into each.
  input_gain_ = static_cast<float>(1.0 / std::sqrt(static_cast<double>(kLines) * energy));
  check_every_ = 2 * lines_[kLines - 1].size();
  reset();
}

void Reverb::reset() noexcept AUDIOGEN_REALTIME {
  for (std::vector<float>& line : lines_) std::fill(line.begin(), line.end(), 0.0f);
  at_.fill(0);
  low_pass_.fill(0.0f);
  since_check_ = 0;
  loudest_ = 0.0f;
  sounding_ = false;
}

void Reverb::add(float* const* channels, std::size_t n, float level, float slope,
                 std::size_t first) noexcept AUDIOGEN_REALTIME {
  for (std::size_t t = 0; t < n; ++t) {
    const float gain = input_gain_ * (level + slope * static_cast<float>(first + t + 1));
    const float left = gain * channels[0][t], right = gain * channels[n_channels_ - 1][t];
    if (!sounding_ && left == 0.0f && right == 0.0f) continue;
    sounding_ = true;
    std::array<float, kLines> out{};
    float sum = 0.0f;
    for (std::size_t i = 0; i < kLines; ++i) {
      const float delayed = feedback_[i] * lines_[i][at_[i]];
      low_pass_[i] = delayed + damping_ * (low_pass_[i] - delayed);
      out[i] = low_pass_[i];
      sum += out[i];
    }
    const float reflected = sum * (2.0f / static_cast<float>(kLines));
    for (std::size_t i = 0; i < kLines; ++i) {
      const float value = (i % 2 == 0 ? left : right) + out[i] - reflected;
      lines_[i][at_[i]] = value;
      if (++at_[i] == lines_[i].size()) at_[i] = 0;
      loudest_ = std::max(loudest_, std::abs(value));
    }
    for (std::size_t c = 0; c < n_channels_; ++c) {
      float wet = 0.0f;
      for (std::size_t i = 0; i < kLines; ++i) {
        // Alternating signs of pairs in the second channel make it unlike the first.
        wet += c == 1 && (i / 2) % 2 == 1 ? -out[i] : out[i];
      }
      channels[c][t] += wet;
    }
    if (++since_check_ == check_every_) check_silence();
  }
}

// Empties the lines when nothing has been above the threshold for longer than each of them is.
void Reverb::check_silence() noexcept AUDIOGEN_REALTIME {
  since_check_ = 0;
  const bool is_silent = loudest_ < kSilent;
  loudest_ = 0.0f;
  if (is_silent) reset();
}

}  // namespace audiogen::engine
