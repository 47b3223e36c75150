// exp, log, sincos and tanh keep the errors that core/math.h promises, on every float in steps.
#include "core/math.h"

#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "check.h"

namespace core = audiogen::core;

static constexpr float kInf = std::numeric_limits<float>::infinity();
static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Calls f(x) for about 4 million floats between -limit and limit, dense near zero as floats are.
template <class F>
static void sweep(float limit, F f) {
  std::uint32_t top;
  std::memcpy(&top, &limit, sizeof top);
  for (std::uint32_t bits = 0; bits <= top; bits += 509) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    f(x);
    f(-x);
  }
}

static void test_exp() {
  double worst = 0;
  sweep(kInf, [&](float x) {
    const float y = core::exp(x);
    if (x > 88.722839f) {
      CHECK(y == kInf);
    } else if (x < -86.643397f) {
      CHECK(y == 0.0f);
    } else {
      const double exact = std::exp(double{x});
      worst = std::fmax(worst, std::abs(y - exact) / exact);
    }
  });
  CHECK_NEAR(worst, 0.0, 2e-7);
  CHECK(worst > 1e-8);  // the sweep did measure something
  CHECK(std::isnan(core::exp(kNan)));
  CHECK(core::exp(0.0f) == 1.0f);
}

static void test_log() {
  double worst = 0;
  sweep(FLT_MAX, [&](float x) {
    if (x <= 0.0f) return;
    const double exact = std::log(double{x});
    const double error = std::abs(core::log(x) - exact) / std::fmax(1.0, std::abs(exact));
    worst = std::fmax(worst, error);
  });
  CHECK_NEAR(worst, 0.0, 2e-7);
  CHECK(worst > 1e-8);
  CHECK(core::log(0.0f) == -kInf);
  CHECK(core::log(-0.0f) == -kInf);
  CHECK(core::log(kInf) == kInf);
  CHECK(std::isnan(core::log(-1.0f)));
  CHECK(std::isnan(core::log(kNan)));
  CHECK(core::log(1.0f) == 0.0f);
}

static void test_sincos() {
  double worst = 0, worst_far = 0;
  sweep(65536.0f, [&](float x) {
    const auto y = core::sincos(x);
    double& record = std::abs(x) <= 8192.0f ? worst : worst_far;
    record = std::fmax(record, std::abs(y.sin - std::sin(double{x})));
    record = std::fmax(record, std::abs(y.cos - std::cos(double{x})));
  });
  CHECK_NEAR(worst, 0.0, 2e-7);
  CHECK_NEAR(worst_far, 0.0, 1.5e-6);
  CHECK(worst > 1e-8);
  for (const float x : {65537.0f, -1e9f, kInf, -kInf, kNan}) {
    CHECK(std::isnan(core::sincos(x).sin));
    CHECK(std::isnan(core::sincos(x).cos));
  }
  CHECK(core::sincos(0.0f).cos == 1.0f);
}

static void test_tanh() {
  double worst = 0;
  sweep(kInf,
        [&](float x) { worst = std::fmax(worst, std::abs(core::tanh(x) - std::tanh(double{x}))); });
  CHECK_NEAR(worst, 0.0, 2e-7);
  CHECK(worst > 1e-8);
  CHECK(core::tanh(kInf) == 1.0f);
  CHECK(core::tanh(-kInf) == -1.0f);
  CHECK(std::isnan(core::tanh(kNan)));
}

int main() {
  test_exp();
  test_log();
  test_sincos();
  test_tanh();
  return audiogen::test::finish();
}
