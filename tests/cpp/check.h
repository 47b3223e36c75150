// Checks for C++ tests: prints and counts failures; `finish` returns the exit status.
#pragma once

#include <cmath>
#include <cstdio>
#include <string>

namespace audiogen::test {

inline int failures = 0;

inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  ++failures;
}

// Returns the exit status for `main`.
inline int finish() {
  if (failures != 0) std::fprintf(stderr, "%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}

// Whether RealtimeSanitizer is active, which aborts the program at a blocking call.
#if defined(__has_feature)
#if __has_feature(realtime_sanitizer)
inline constexpr bool kRealtimeSanitizer = true;
#else
inline constexpr bool kRealtimeSanitizer = false;
#endif
#else
inline constexpr bool kRealtimeSanitizer = false;
#endif

inline constexpr int kSkipped = 77;  // exit status that ctest reports as skipped

}  // namespace audiogen::test

#define CHECK(condition)                                                    \
  do {                                                                      \
    if (!(condition)) audiogen::test::fail(__FILE__, __LINE__, #condition); \
  } while (false)

// Checks that |a - b| <= tolerance; NaN fails.
#define CHECK_NEAR(a, b, tolerance)                                                                \
  do {                                                                                             \
    const double check_a = (a), check_b = (b), check_tolerance = (tolerance);                      \
    if (!(std::abs(check_a - check_b) <= check_tolerance)) {                                       \
      audiogen::test::fail(__FILE__, __LINE__,                                                     \
                           std::string(#a) + " = " + std::to_string(check_a) + ", " + #b + " = " + \
                               std::to_string(check_b) + ", apart by more than " +                 \
                               std::to_string(check_tolerance));                                   \
    }                                                                                              \
  } while (false)

// Checks that `expression` throws `Type` with `text` in its message.
#define CHECK_THROWS(expression, Type, text)                                               \
  do {                                                                                     \
    bool check_thrown = false;                                                             \
    try {                                                                                  \
      (void)(expression);                                                                  \
    } catch (const Type& error) {                                                          \
      check_thrown = std::string(error.what()).find(text) != std::string::npos;            \
      if (!check_thrown) audiogen::test::fail(__FILE__, __LINE__, error.what());           \
    }                                                                                      \
    if (!check_thrown) {                                                                   \
      audiogen::test::fail(__FILE__, __LINE__, #expression " did not throw as it should"); \
    }                                                                                      \
  } while (false)
