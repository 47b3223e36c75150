// Places and ratios of partials, of strings, of bells and between two timbres.
#include "models/partials.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "check.h"

using audiogen::models::PartialPositions;
using audiogen::models::Partials;
using audiogen::models::TimbrePartials;

static const std::vector<double> kBell = {0.62, 1.2, 1.98, 2.92};

static void finds_partials_by_frequency(const Partials& partials) {
  PartialPositions positions(partials);
  for (int h = 1; h < 90; ++h) {
    const PartialPositions::Position position = positions.at(partials.ratio(h));
    CHECK_NEAR(position.value, h, 1e-9);
    CHECK(position.nearest() == h);
    CHECK_NEAR(position.slope * (partials.ratio(h + 1) - partials.ratio(h)), 1.0, 1e-9);
  }
  PartialPositions again(partials);
  CHECK(again.at(0.0).nearest() == 1.0);
}

static void ties_go_up() {
  const Partials partials(std::vector{1.0, 2.0, 4.0});
  PartialPositions positions(partials);
  CHECK(positions.at(2.999).nearest() == 2.0);
  CHECK(positions.at(3.0).nearest() == 3.0);
}

static void strings_follow_the_key() {
  const TimbrePartials piano{{}, {1e-4, 2e-4, 3e-4}, 60};
  CHECK(piano.at(-20.0f) == Partials::of_string(1e-4));
  CHECK(piano.at(60.4f) == Partials::of_string(1e-4));
  CHECK(piano.at(60.5f) == Partials::of_string(2e-4));
  CHECK(piano.at(127.0f) == Partials::of_string(3e-4));
  CHECK(Partials::of_string(2e-4).ratio(1.0) == 1.0);
  CHECK_NEAR(Partials::of_string(2e-4).ratio(10.0), 10.0 * std::sqrt(1.02 / 1.0002), 1e-12);
  CHECK((TimbrePartials{kBell, {}, 60}.at(61.0f) == Partials(kBell)));
  CHECK(TimbrePartials{}.at(61.0f).harmonic());
}

static void morphs_between_two_timbres() {
  const Partials bell(kBell), harmonic;
  CHECK(Partials::interpolate(harmonic, bell, 0.0).harmonic());
  CHECK(Partials::interpolate(harmonic, harmonic, 0.5).harmonic());
  const std::array odd = {1.005, 3.015, 5.025};
  const Partials square(odd);
  CHECK(Partials::interpolate(square, harmonic, 0.5).harmonic());
  CHECK(Partials::interpolate(harmonic, square, 0.49).harmonic());
  CHECK(Partials::interpolate(square, harmonic, 0.01) == square);
  CHECK(Partials::interpolate(harmonic, square, 0.5) == square);
  const Partials stiff = Partials::of_string(5e-6);
  CHECK_NEAR(Partials::interpolate(stiff, harmonic, 0.5).ratio(64), 0.5 * (stiff.ratio(64) + 64.0),
             1e-12);
  CHECK(Partials::interpolate(square, square, 0.5) == square);
  CHECK(Partials::interpolate(harmonic, square, 1.0).ratio(2) == square.ratio(2));
  CHECK(!Partials::interpolate(square, bell, 0.5).harmonic());
  const Partials half = Partials::interpolate(bell, harmonic, 0.5);
  CHECK_NEAR(half.ratio(2.0), 1.6, 1e-12);
  CHECK_NEAR(half.ratio(5.0), 0.5 * (3.92 + 5.0), 1e-12);
}

static void allows_ascending_ratios() {
  CHECK(Partials::are_valid(kBell));
  std::vector<double> many(Partials::kMost + 1);
  std::iota(many.begin(), many.end(), 1.0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& wrong : {std::vector<double>{}, {0.0, 1.0}, {2.0, 1.0}, {2048.1}, {nan}, many}) {
    CHECK(!Partials::are_valid(wrong));
  }
}

int main() {
  finds_partials_by_frequency(Partials());
  finds_partials_by_frequency(Partials(kBell));
  finds_partials_by_frequency(Partials::of_string(2e-3));
  ties_go_up();
  strings_follow_the_key();
  morphs_between_two_timbres();
  allows_ascending_ratios();
  return audiogen::test::finish();
}
