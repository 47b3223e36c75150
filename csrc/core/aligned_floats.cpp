// Allocates from the heap, or as huge pages from the system.
#include "core/aligned_floats.h"

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace audiogen::core {
namespace {

constexpr std::align_val_t kLine{64};
constexpr std::size_t kHugePage = std::size_t{1} << 21;  // bytes
constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / (2 * sizeof(float));

// Maps memory whose size and alignment are multiples of kHugePage; returns null on failure. The
// memory comes from the system, not the heap, because touched pages stay small.
void* map_huge(std::size_t bytes) {
#if defined(__linux__)
  void* mapped =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* first = static_cast<char*>(mapped);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(first) % kHugePage;
  if (before > 0) munmap(first, before);
  munmap(first + before + bytes, kHugePage - before);
  madvise(first + before, bytes, MADV_HUGEPAGE);  // a hint: small pages work as well
  return first + before;
#else
  static_cast<void>(bytes);
  return nullptr;
#endif
}

}  // namespace

AlignedFloats::AlignedFloats(std::size_t n) : size_(n) {
  // Only for half a huge page or more, so that at most half of the memory is wasted.
  if (n >= kHugePage / 2 / sizeof(float) && n <= kMost) {
    const std::size_t mapped = (n * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
    if (void* memory = map_huge(mapped)) {
      std::memset(memory, 0, mapped);  // touched here, not on the audio thread
      floats_ = {static_cast<float*>(memory), Free{mapped}};
      return;
    }
  }
  floats_ = {new (kLine) float[n](), Free{0}};
}

void AlignedFloats::Free::operator()(float* floats) const {
#if defined(__linux__)
  if (mapped > 0) {
    munmap(floats, mapped);
    return;
  }
#endif
  operator delete[](floats, kLine);
}

}  // namespace audiogen::core
