// The mark of functions that may run on the audio thread, and the guard against denormals.
#pragma once

#include <cstdint>

#if defined(__SSE__) || defined(__x86_64__)
#include <immintrin.h>
#endif

// After the parameter list, as `void process(Block block) noexcept AUDIOGEN_REALTIME;`: no
// allocation, lock, exception, log or system call. Clang 20 and later check it, at compile time by
// -Wfunction-effects and at run time by -fsanitize=realtime.
#if defined(__clang__) && __clang_major__ >= 20
#define AUDIOGEN_REALTIME [[clang::nonblocking]]
#else
#define AUDIOGEN_REALTIME
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
