// Support for code on the audio thread: an annotation, an exemption from it, and a guard against
// denormal numbers.
#pragma once

#include <cstdint>

#include "core/target.h"

#if defined(__SSE__) || defined(__x86_64__)
#include <immintrin.h>
#endif

// Exempts a statement of an AUDIOGEN_REALTIME function from the compiler's check, for code that the
// audio thread never reaches. -fsanitize=realtime still checks it at run time.
#if defined(__clang__) && __clang_major__ >= 20
#define AUDIOGEN_OFFLINE(...)                                                                 \
  _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wfunction-effects\"") \
      __VA_ARGS__ _Pragma("clang diagnostic pop")
#else
#define AUDIOGEN_OFFLINE(...) __VA_ARGS__
#endif

namespace audiogen::core {

// Treats denormal numbers as zero on this thread until it is destroyed, then restores the thread's
// mode. In a decaying tail, denormals would cost some hundred cycles per operation.
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
  DenormalGuard() noexcept AUDIOGEN_REALTIME {}  // WebAssembly has no such mode
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
  [[maybe_unused]] std::uint64_t saved_ = 0;
};

}  // namespace audiogen::core
