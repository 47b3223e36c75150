// Reverberation of a small room: a feedback delay network.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/realtime.h"

namespace audiogen::engine {

// Eight delay lines whose outputs are mixed by a Householder reflection, which preserves energy,
// and fed back with gains for a decay of 60 dB in 0.9 s and a low-pass in each line. Jot and
// Chaigne, "Digital delay networks for designing artificial reverberators", AES Convention 90,
// 1991. Each channel feeds half of the lines with the same sign and the others with alternating
// signs, so that the channels of the result differ, of a centred sound as well.
//
// Below the low-pass, a sound and its reverberation at level 1 have about the same energy. The
// samples do not depend on how `add` divides them.
class Reverb {
 public:
  // Allocates all memory.
  Reverb(double sample_rate, std::size_t n_channels);

  void reset() noexcept AUDIOGEN_REALTIME;

  // Whether anything can be heard of former input. A tail that is 100 dB below full scale ends.
  bool sounding() const noexcept AUDIOGEN_REALTIME { return sounding_; }

  // Adds the reverberation of `n` samples of each channel to them. The gain of its input is
  // `level + slope * (first + i + 1)` at sample i.
  void add(float* const* channels, std::size_t n, float level, float slope = 0.0f,
           std::size_t first = 0) noexcept AUDIOGEN_REALTIME;

 private:
  static constexpr std::size_t kLines = 8;

  void check_silence() noexcept AUDIOGEN_REALTIME;

  std::size_t n_channels_;
  float input_gain_;
  float damping_;  // coefficient of the lines' low-pass
  std::array<std::vector<float>, kLines> lines_;
  std::array<std::size_t, kLines> at_{};
  std::array<float, kLines> feedback_{};
  std::array<float, kLines> low_pass_{};
  std::size_t check_every_;  // samples; longer than each line
  std::size_t since_check_ = 0;
  float loudest_ = 0.0f;  // of inputs and lines, since the last check
  bool sounding_ = false;
};

}  // namespace audiogen::engine
