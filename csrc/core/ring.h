// A queue of plain values between two threads that never wait for each other.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "core/realtime.h"

namespace audiogen::core {

// One thread pushes, one other pops; first in, first out. Each side owns one counter and only reads
// the other's. A counter is stored with release after the values are written (or read), and loaded
// with acquire before they are read (or overwritten): whoever sees the count sees the values too.
template <typename T>
class Ring {
  static_assert(std::is_trivially_copyable_v<T>, "a ring copies values byte by byte");
  static_assert(std::atomic<std::size_t>::is_always_lock_free);

 public:
  static constexpr std::size_t kLargestCapacity = std::size_t{1} << 30;

  // Allocates all that it ever needs. Throws std::invalid_argument for a capacity out of range.
  explicit Ring(std::size_t capacity)
      : capacity_(checked(capacity)), mask_(std::bit_ceil(capacity) - 1), values_(mask_ + 1) {}

  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  std::size_t capacity() const noexcept AUDIOGEN_REALTIME { return capacity_; }

  // The producer's side.

  // Values that can be pushed now, or more.
  std::size_t space() const noexcept AUDIOGEN_REALTIME {
    return capacity_ - between(pushed_.load(std::memory_order_relaxed),
                               popped_.load(std::memory_order_acquire));
  }

  // Pushes the first values, as many as there is room for, and returns how many.
  std::size_t push(std::span<const T> values) noexcept AUDIOGEN_REALTIME {
    const std::size_t n = std::min(values.size(), space());
    const std::size_t at = pushed_.load(std::memory_order_relaxed);
    const std::size_t straight = std::min(n, mask_ + 1 - (at & mask_));
    std::copy_n(values.data(), straight, values_.data() + (at & mask_));
    std::copy_n(values.data() + straight, n - straight, values_.data());
    pushed_.store(at + n, std::memory_order_release);
    return n;
  }

  // False if there is no room.
  bool push(const T& value) noexcept AUDIOGEN_REALTIME {
    if (space() == 0) return false;
    const std::size_t at = pushed_.load(std::memory_order_relaxed);
    values_[at & mask_] = value;
    pushed_.store(at + 1, std::memory_order_release);
    return true;
  }

  // The consumer's side.

  // Values that can be popped now, or more.
  std::size_t size() const noexcept AUDIOGEN_REALTIME {
    return between(pushed_.load(std::memory_order_acquire),
                   popped_.load(std::memory_order_relaxed));
  }

  // The oldest value, which stays; null if there is none.
  const T* front() const noexcept AUDIOGEN_REALTIME {
    return size() == 0 ? nullptr
                       : values_.data() + (popped_.load(std::memory_order_relaxed) & mask_);
  }

  // Takes the oldest values, as many as there are and fit, and returns how many.
  std::size_t pop(std::span<T> values) noexcept AUDIOGEN_REALTIME {
    const std::size_t n = std::min(values.size(), size());
    const std::size_t at = popped_.load(std::memory_order_relaxed);
    const std::size_t straight = std::min(n, mask_ + 1 - (at & mask_));
    std::copy_n(values_.data() + (at & mask_), straight, values.data());
    std::copy_n(values_.data(), n - straight, values.data() + straight);
    popped_.store(at + n, std::memory_order_release);
    return n;
  }

  // Drops the next `n` values; of those, what isn't there yet is dropped when it is pushed.
  void skip(std::size_t n) noexcept AUDIOGEN_REALTIME {
    popped_.store(popped_.load(std::memory_order_relaxed) + n, std::memory_order_release);
  }

 private:
  static constexpr std::size_t kCacheLine = 64;  // bytes, on all that this runs on

  static std::size_t checked(std::size_t capacity) {
    if (capacity < 1 || capacity > kLargestCapacity) {
      throw std::invalid_argument("capacity=" + std::to_string(capacity) + "; wanted 1 to " +
                                  std::to_string(kLargestCapacity));
    }
    return capacity;
  }

  // After a skip `popped` may be the greater one; the counters may have wrapped.
  static std::size_t between(std::size_t pushed, std::size_t popped) noexcept AUDIOGEN_REALTIME {
    const auto difference = static_cast<std::ptrdiff_t>(pushed - popped);
    return difference > 0 ? static_cast<std::size_t>(difference) : 0;
  }

  std::size_t capacity_;
  std::size_t mask_;  // slots - 1; slots are a power of two, so that counters may wrap
  std::vector<T> values_;
  // Counted since construction; apart, so that neither side's writes slow the other's reads.
  alignas(kCacheLine) std::atomic<std::size_t> pushed_{0};
  alignas(kCacheLine) std::atomic<std::size_t> popped_{0};
};

}  // namespace audiogen::core
