// Frequencies of a note's partials, for harmonic, stiff-string and other inharmonic timbres.
//
// Partials of stiff strings are stretched by an inharmonicity that depends on the key (Fletcher,
// "Normal Vibration Frequencies of a Stiff Piano String", JASA 36, 1964); those of bells and
// mallets have ratios of their own. Twin of audiogen/representation/partials.py.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/realtime.h"

namespace audiogen::models {

// Partials of a note as ratios to its pitch, ascending; harmonic without any.
class Partials {
 public:
  // Ratios of a note. Higher partials continue at the last step, but at least at the pitch's.
  static constexpr std::size_t kMost = 64;
  static constexpr double kLargestRatio = 2048.0;

  // Whether ratios are 1 to kMost, ascending, above 0 and up to kLargestRatio.
  static bool are_valid(std::span<const double> ratios);

  Partials() = default;
  // `ratios` are empty or valid by `are_valid`.
  explicit Partials(std::span<const double> ratios) noexcept AUDIOGEN_REALTIME;
  // h sqrt((1 + B h^2) / (1 + B)) for partial h, with inharmonicity B.
  static Partials of_string(double inharmonicity) noexcept AUDIOGEN_REALTIME;
  // Interpolates the partials of two timbres. If both have harmonics only and one skips some, the
  // result is the list of the nearer timbre: a partial halfway between the third harmonic and the
  // second would be out of tune.
  static Partials interpolate(const Partials& first, const Partials& second,
                              double amount) noexcept AUDIOGEN_REALTIME;

  bool harmonic() const noexcept AUDIOGEN_REALTIME { return n_ == 0; }
  std::span<const double> ratios() const noexcept AUDIOGEN_REALTIME { return {ratios_.data(), n_}; }
  // Ratio of a partial by its number, 1 or more.
  double ratio(double number) const noexcept AUDIOGEN_REALTIME;

  bool operator==(const Partials& other) const noexcept AUDIOGEN_REALTIME;

 private:
  friend class PartialPositions;

  // Whether all ratios are harmonics, within 1 %.
  bool has_harmonics_only() const noexcept AUDIOGEN_REALTIME;
  // Whether harmonics are missing between two ratios, or below the first.
  bool skips() const noexcept AUDIOGEN_REALTIME;
  // Step from the last ratio to the partial above it.
  double last_step() const noexcept AUDIOGEN_REALTIME;

  std::array<double, kMost> ratios_{};
  std::size_t n_ = 0;
};

// Partials of a timbre at each pitch: `ratios` for all pitches, or coefficients of strings from
// `lowest_pitch` on, or neither for harmonic ones.
struct TimbrePartials {
  static constexpr double kLargestInharmonicity = 0.1;

  std::vector<double> ratios;
  std::vector<double> inharmonicity;
  int lowest_pitch = 0;

  // What is wrong with the numbers, or nothing.
  std::optional<std::string> fault() const;
  Partials at(float pitch) const noexcept AUDIOGEN_REALTIME;
};

// Positions of ascending frequencies among a note's partials: h at partial h, linear between two.
class PartialPositions {
 public:
  struct Position {
    double value;
    double slope;  // change of the position over that of the ratio

    // Number of the nearest partial, 1 or more; ties go up.
    double nearest() const noexcept AUDIOGEN_REALTIME;
  };

  // `partials` must outlive the positions.
  explicit PartialPositions(const Partials& partials) noexcept AUDIOGEN_REALTIME
      : partials_(&partials) {}
  explicit PartialPositions(Partials&&) = delete;

  // `ratio` is that of a frequency to the pitch, not less than in the call before.
  Position at(double ratio) noexcept AUDIOGEN_REALTIME;
  // Ratio of the partial that is nearest to such a frequency.
  double nearest_ratio(double ratio) noexcept AUDIOGEN_REALTIME;

 private:
  const Partials* partials_;
  std::size_t below_ = 0;  // partials up to the last frequency
};

}  // namespace audiogen::models
