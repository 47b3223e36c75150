// What code on the audio thread needs: its mark, the one way round it, the guard against denormals.
#pragma once

#include <cstdint>

#include "core/target.h"

#if defined(__SSE__) || defined(__x86_64__)
#include <immintrin.h>
#endif

// Round a statement in a marked function that the audio thread never reaches: the compiler doesn't
// check it. -fsanitize=realtime still does, and shows if the thread reaches it after all.
#if defined(__clang__) && __clang_major__ >= 20
#define AUDIOGEN_OFFLINE(...)                                                                 \
  _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wfunction-effects\"") \
      __VA_ARGS__ _Pragma("clang diagnostic pop")
#else
#define AUDIOGEN_OFFLINE(...) __VA_ARGS__
#endif

namespace audiogen::core {

// Treats denormal numbers as zero while it lives, on this thread: a decaying tail would otherwise
// cost some hundred cycles an operation. Restores the thread's setting at the end.
class DenormalGuard {
 public:
#if defined(__SSE__) || defined(__x86_64__)
  DenormalGuard() noexcept AUDIOGEN_REALTIME : saved_(_mm_getcsr()) {
    _mm_setcsr(static_cast<std::uint32_t>(saved_) | kFlushToZero | kDenormalsAreZero);
  }
  ~DenormalGuard() { _mm_setcsr(static_cast<std::uint32_t>(saved_)); }
#elif defined(__aarch64__)
  DenormalGuard() noexcept AUDIOGEN_REALTIME {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | kFlushToZero));
  }
  ~DenormalGuard() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }
#else
  DenormalGuard() noexcept AUDIOGEN_REALTIME = default;
#endif
  DenormalGuard(const DenormalGuard&) = delete;
  DenormalGuard& operator=(const DenormalGuard&) = delete;

 private:
#if defined(__SSE__) || defined(__x86_64__)
  static constexpr std::uint32_t kFlushToZero = 0x8000;       // MXCSR bit 15
  static constexpr std::uint32_t kDenormalsAreZero = 0x0040;  // MXCSR bit 6
#else
  static constexpr std::uint64_t kFlushToZero = 1u << 24;  // FPCR.FZ
#endif
  std::uint64_t saved_ = 0;
};

}  // namespace audiogen::core
