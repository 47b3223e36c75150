// Memory that is zero, aligned and there before it is used, from the heap or in huge pages.
#include "core/aligned_floats.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "check.h"

#if defined(__linux__)
#include <sys/resource.h>
#endif

using audiogen::core::AlignedFloats;

static constexpr std::size_t kHugePage = (std::size_t{1} << 21) / sizeof(float);

static void is_zero_and_aligned(std::size_t n) {
  AlignedFloats floats(n);
  CHECK(floats.size() == n);
  CHECK(reinterpret_cast<std::uintptr_t>(floats.data()) % 64 == 0);
  CHECK(std::all_of(floats.data(), floats.data() + n, [](float x) { return x == 0.0f; }));
  std::fill_n(floats.data(), n, 1.0f);
  AlignedFloats other(3);
  other = std::move(floats);
  CHECK(other.size() == n && (n == 0 || other.data()[n - 1] == 1.0f));
}

#if defined(__linux__)
// The audio thread, which writes it, must not wait for the system; and what is freed is gone.
static void is_there_and_goes() {
  constexpr std::size_t kPages = 32;
  rusage before{}, after{};
  for (int round = 0; round < 16; ++round) {
    AlignedFloats floats(kPages * kHugePage);
    getrusage(RUSAGE_THREAD, &before);
    std::fill_n(floats.data(), floats.size(), 1.0f);
    getrusage(RUSAGE_THREAD, &after);
    CHECK(after.ru_minflt - before.ru_minflt < static_cast<long>(kPages / 4));
  }
  CHECK(after.ru_maxrss * 1024 < static_cast<long>(8 * kPages * kHugePage * sizeof(float)));
}
#endif

int main() {
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, kHugePage / 2 - 1, kHugePage / 2,
                              kHugePage, kHugePage + 1, 3 * kHugePage}) {
    is_zero_and_aligned(n);
  }
#if defined(__linux__)
  is_there_and_goes();
#endif
  return audiogen::test::finish();
}
