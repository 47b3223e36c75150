// Ratios of partials by their number, and numbers by ratio.
#include "models/partials.h"

#include <algorithm>
#include <cmath>

namespace audiogen::models {

static constexpr double kHarmonic = 0.01;  // relative distance of a ratio from its harmonic
static constexpr double kSkipped = 1.5;    // step between ratios that skip a harmonic

bool Partials::are_valid(std::span<const double> ratios) {
  double last = 0.0;
  for (const double ratio : ratios) {
    if (!(ratio > last)) return false;
    last = ratio;
  }
  return !ratios.empty() && ratios.size() <= kMost && last <= kLargestRatio;
}

Partials::Partials(std::span<const double> ratios) noexcept AUDIOGEN_REALTIME
    : n_(std::min(ratios.size(), kMost)) {
  std::copy_n(ratios.data(), n_, ratios_.data());
}

Partials Partials::of_string(double inharmonicity) noexcept AUDIOGEN_REALTIME {
  Partials made;
  made.n_ = kMost;
  for (std::size_t i = 0; i < kMost; ++i) {
    const auto h = static_cast<double>(i + 1);
    made.ratios_[i] = h * std::sqrt((1.0 + inharmonicity * h * h) / (1.0 + inharmonicity));
  }
  return made;
}

Partials Partials::interpolate(const Partials& first, const Partials& second,
                               double amount) noexcept AUDIOGEN_REALTIME {
  if (amount == 0.0 || first == second) return first;
  const bool only = first.has_harmonics_only() && second.has_harmonics_only();
  if (only && (first.skips() || second.skips())) return amount < 0.5 ? first : second;
  Partials made;
  made.n_ = kMost;
  for (std::size_t i = 0; i < kMost; ++i) {
    const auto number = static_cast<double>(i + 1);
    const double from = first.ratio(number), to = second.ratio(number);
    made.ratios_[i] = from + amount * (to - from);
  }
  return made;
}

bool Partials::has_harmonics_only() const noexcept AUDIOGEN_REALTIME {
  return std::ranges::all_of(ratios(), [](double ratio) {
    return std::abs(ratio - std::nearbyint(ratio)) < kHarmonic * ratio;
  });
}

bool Partials::skips() const noexcept AUDIOGEN_REALTIME {
  double below = 0.0;
  for (const double ratio : ratios()) {
    if (ratio - below > kSkipped) return true;
    below = ratio;
  }
  return false;
}

double Partials::ratio(double number) const noexcept AUDIOGEN_REALTIME {
  if (n_ == 0) return number;
  const auto n = static_cast<double>(n_);
  const auto index = static_cast<std::size_t>(std::min(number, n)) - 1;
  return ratios_[index] + std::max(number - n, 0.0) * last_step();
}

double Partials::last_step() const noexcept AUDIOGEN_REALTIME {
  return n_ < 2 ? 1.0 : std::max(1.0, ratios_[n_ - 1] - ratios_[n_ - 2]);
}

bool Partials::operator==(const Partials& other) const noexcept AUDIOGEN_REALTIME {
  return std::ranges::equal(ratios(), other.ratios());
}

std::optional<std::string> TimbrePartials::fault() const {
  if (!ratios.empty() && !inharmonicity.empty()) {
    return "a timbre has partials and inharmonicity; remove one of them";
  }
  if (!ratios.empty() && !Partials::are_valid(ratios)) {
    return "partials of a timbre must be 1 to " + std::to_string(Partials::kMost) +
           " ascending ratios above 0 and up to 2048";
  }
  for (const double b : inharmonicity) {
    if (!(b >= 0.0 && b <= kLargestInharmonicity))
      return "inharmonicity of a timbre must be 0 to 0.1";
  }
  return std::nullopt;
}

Partials TimbrePartials::at(float pitch) const noexcept AUDIOGEN_REALTIME {
  if (!ratios.empty()) return Partials(ratios);
  if (inharmonicity.empty()) return {};
  const double key = std::floor(static_cast<double>(pitch) + 0.5) - lowest_pitch;
  const double last = static_cast<double>(inharmonicity.size() - 1);
  return Partials::of_string(inharmonicity[static_cast<std::size_t>(std::clamp(key, 0.0, last))]);
}

double PartialPositions::Position::nearest() const noexcept AUDIOGEN_REALTIME {
  return std::max(1.0, std::floor(value + 0.5));
}

PartialPositions::Position PartialPositions::at(double ratio) noexcept AUDIOGEN_REALTIME {
  const std::span<const double> ratios = partials_->ratios();
  if (ratios.empty()) return {ratio, 1.0};
  while (below_ < ratios.size() && ratios[below_] <= ratio) ++below_;
  const double from = below_ == 0 ? 0.0 : ratios[below_ - 1];
  const double step = below_ == ratios.size() ? partials_->last_step() : ratios[below_] - from;
  return {static_cast<double>(below_) + (ratio - from) / step, 1.0 / step};
}

double PartialPositions::nearest_ratio(double ratio) noexcept AUDIOGEN_REALTIME {
  return partials_->ratio(at(ratio).nearest());
}

}  // namespace audiogen::models
