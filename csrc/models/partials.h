// Frequencies of a note's partials, where they aren't multiples of its pitch.
//
// A timbre has harmonic partials, or those of stiff strings, whose inharmonicity depends on the key
// (Fletcher, "Normal Vibration Frequencies of a Stiff Piano String", JASA 36, 1964), or any others,
// such as a bell's. As audiogen/representation/partials.py.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "core/realtime.h"

namespace audiogen::models {

// Partials of a note as ratios to its pitch, ascending; none stand for harmonic ones.
class Partials {
 public:
  static constexpr std::size_t kMost = 64;  // those above follow at distances of the pitch
  static constexpr double kLargestRatio = 2048.0;

  // Whether ratios are 1 to kMost, ascending, above 0 and up to kLargestRatio.
  static bool allows(std::span<const double> ratios);

  Partials() = default;
  // `ratios` are such as `allows` allows, or none.
  explicit Partials(std::span<const double> ratios) noexcept AUDIOGEN_REALTIME;
  // h sqrt((1 + B h^2) / (1 + B)) for partial h, with inharmonicity B.
  static Partials of_string(double inharmonicity) noexcept AUDIOGEN_REALTIME;
  // Those between the partials of two timbres.
  static Partials between(const Partials& first, const Partials& second,
                          double amount) noexcept AUDIOGEN_REALTIME;

  bool harmonic() const noexcept AUDIOGEN_REALTIME { return n_ == 0; }
  std::span<const double> ratios() const noexcept AUDIOGEN_REALTIME { return {ratios_.data(), n_}; }
  // Ratio of a partial by its number, 1 or more.
  double ratio(double number) const noexcept AUDIOGEN_REALTIME;

  bool operator==(const Partials& other) const noexcept AUDIOGEN_REALTIME;

 private:
  std::array<double, kMost> ratios_{};
  std::size_t n_ = 0;
};

// Partials of a timbre at each pitch: `ratios` for all pitches, or coefficients of strings from
// pitch `lowest` on, or neither for harmonic ones.
struct PartialMap {
  static constexpr double kLargestInharmonicity = 0.1;

  std::vector<double> ratios;
  std::vector<double> inharmonicity;
  int lowest = 0;

  Partials at(float pitch) const noexcept AUDIOGEN_REALTIME;
};

// Places of ascending frequencies among a note's partials: h at partial h, linear between two.
class PartialPlaces {
 public:
  struct Place {
    double place;
    double slope;  // change of the place over that of the ratio

    // Number of the nearest partial, 1 or more; ties go up.
    double nearest() const noexcept AUDIOGEN_REALTIME;
  };

  explicit PartialPlaces(const Partials& partials) noexcept AUDIOGEN_REALTIME
      : ratios_(partials.ratios()) {}

  // `ratio` is that of a frequency to the pitch, not less than in the call before.
  Place at(double ratio) noexcept AUDIOGEN_REALTIME;

 private:
  std::span<const double> ratios_;
  std::size_t below_ = 0;  // partials up to the last frequency
};

}  // namespace audiogen::models
