// Counts what each thread takes from the heap; loaded in front of the C library (LD_PRELOAD).
#include <cerrno>
#include <cstddef>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

// No memory is needed to reach it: it lies where the library was loaded.
[[gnu::tls_model("initial-exec")]] static thread_local long count = 0;

long allocations_of_this_thread() { return count; }

void* malloc(std::size_t size) noexcept { return ++count, __libc_malloc(size); }
void* calloc(std::size_t n, std::size_t size) noexcept { return ++count, __libc_calloc(n, size); }
void* realloc(void* old, std::size_t size) noexcept { return ++count, __libc_realloc(old, size); }
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return ++count, __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return memalign(alignment, size);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t size) noexcept {
  *to = memalign(alignment, size);
  return *to == nullptr ? ENOMEM : 0;
}
}
