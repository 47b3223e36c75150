// Counts allocations by operator new; a test program includes it once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

// ThreadSanitizer replaces operator new, so that nothing is counted under it.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AUDIOGEN_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef AUDIOGEN_COUNTS_ALLOCATIONS
#define AUDIOGEN_COUNTS_ALLOCATIONS 1
#endif

static std::atomic<int> allocations{0};

#if AUDIOGEN_COUNTS_ALLOCATIONS
// Not inline: otherwise the compiler warns of free on memory from operator new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto a = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(a, (size + a - 1) / a * a)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void* operator new[](std::size_t size, std::align_val_t alignment) {
  return operator new(size, alignment);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif
