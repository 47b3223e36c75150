// The denormal guard flushes while it lives, restores afterwards, and nests.
#include "core/realtime.h"

#include <bit>
#include <cstdint>

#include "check.h"

// Bits of a denormal result of normal numbers; 0 where it is flushed. As bits, since a comparison
// of floats would flush it too.
static std::uint32_t denormal_result() {
  volatile float smallest = 1.17549435e-38f;
  volatile float half = smallest * 0.5f;
  return std::bit_cast<std::uint32_t>(static_cast<float>(half));
}

// A denormal operand times 2^23; 0 where it counts as zero.
static float from_denormal_operand() {
  volatile float denormal = std::bit_cast<float>(std::uint32_t{1});
  return denormal * 8388608.0f;
}

static bool flushes() { return denormal_result() == 0 && from_denormal_operand() == 0.0f; }

static bool keeps() { return denormal_result() != 0 && from_denormal_operand() > 0.0f; }

static void marked() noexcept AUDIOGEN_REALTIME;
static void marked() noexcept AUDIOGEN_REALTIME {}

int main() {
#if defined(__x86_64__) || defined(__aarch64__)
  CHECK(keeps());
  {
    const audiogen::core::DenormalGuard outer;
    CHECK(flushes());
    {
      const audiogen::core::DenormalGuard inner;
      CHECK(flushes());
    }
    CHECK(flushes());
  }
  CHECK(keeps());
#endif
  marked();
  return audiogen::test::finish();
}
