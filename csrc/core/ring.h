// A lock-free queue of plain values between two threads.
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

// A single-producer, single-consumer FIFO. Each side writes one counter and only reads the other's.
// A counter is stored with release after the values are written (or read), and loaded with acquire
// before they are read (or overwritten), so that a thread that sees the count also sees the values.
template <typename T>
class Ring {
  static_assert(std::is_trivially_copyable_v<T>, "a ring copies values byte by byte");
  static_assert(std::atomic<std::size_t>::is_always_lock_free);

 public:
  static constexpr std::size_t kLargestCapacity = std::size_t{1} << 30;

  // Allocates all memory. Throws std::invalid_argument for a capacity out of range.
  explicit Ring(std::size_t capacity)
      : capacity_(checked(capacity)), mask_(std::bit_ceil(capacity) - 1), values_(mask_ + 1) {}

  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  std::size_t capacity() const noexcept AUDIOGEN_REALTIME { return capacity_; }

  // Producer thread.

  // Number of values that can be pushed; it may grow at any time.
  std::size_t space() const noexcept AUDIOGEN_REALTIME {
    return capacity_ - between(pushed_.load(std::memory_order_relaxed),
                               popped_.load(std::memory_order_acquire));
  }

  // Pushes as many of the first values as there is space for, and returns their number.
  std::size_t push(std::span<const T> values) noexcept AUDIOGEN_REALTIME {
    const std::size_t n = std::min(values.size(), space());
    const std::size_t at = pushed_.load(std::memory_order_relaxed);
    const std::size_t straight = std::min(n, mask_ + 1 - (at & mask_));
    std::copy_n(values.data(), straight, values_.data() + (at & mask_));
    std::copy_n(values.data() + straight, n - straight, values_.data());
    pushed_.store(at + n, std::memory_order_release);
    return n;
  }

  // Pushes a value; returns false if there is no space.
  bool push(const T& value) noexcept AUDIOGEN_REALTIME {
    if (space() == 0) return false;
    const std::size_t at = pushed_.load(std::memory_order_relaxed);
    values_[at & mask_] = value;
    pushed_.store(at + 1, std::memory_order_release);
    return true;
  }

  // Consumer thread.

  // Number of values that can be popped; it may grow at any time.
  std::size_t size() const noexcept AUDIOGEN_REALTIME {
    return between(pushed_.load(std::memory_order_acquire),
                   popped_.load(std::memory_order_relaxed));
  }

  // Pointer to the oldest value, without popping it; null if the ring is empty.
  const T* front() const noexcept AUDIOGEN_REALTIME { return peek(0); }

  // Pointer to the value that is popped after `i` others; null if there are not so many.
  const T* peek(std::size_t i) const noexcept AUDIOGEN_REALTIME {
    return i >= size() ? nullptr
                       : values_.data() + ((popped_.load(std::memory_order_relaxed) + i) & mask_);
  }

  // Pops up to values.size() of the oldest values, and returns their number.
  std::size_t pop(std::span<T> values) noexcept AUDIOGEN_REALTIME {
    const std::size_t n = std::min(values.size(), size());
    const std::size_t at = popped_.load(std::memory_order_relaxed);
    const std::size_t straight = std::min(n, mask_ + 1 - (at & mask_));
    std::copy_n(values_.data() + (at & mask_), straight, values.data());
    std::copy_n(values_.data(), n - straight, values.data() + straight);
    popped_.store(at + n, std::memory_order_release);
    return n;
  }

  // Drops the next `n` values, including values that are pushed later.
  void skip(std::size_t n) noexcept AUDIOGEN_REALTIME {
    popped_.store(popped_.load(std::memory_order_relaxed) + n, std::memory_order_release);
  }

 private:
  static constexpr std::size_t kCacheLine = 64;  // bytes

  static std::size_t checked(std::size_t capacity) {
    if (capacity < 1 || capacity > kLargestCapacity) {
      throw std::invalid_argument("capacity=" + std::to_string(capacity) + " must be 1 to " +
                                  std::to_string(kLargestCapacity));
    }
    return capacity;
  }

  // `popped` may be greater after a skip, and the counters may have wrapped.
  static std::size_t between(std::size_t pushed, std::size_t popped) noexcept AUDIOGEN_REALTIME {
    const auto difference = static_cast<std::ptrdiff_t>(pushed - popped);
    return difference > 0 ? static_cast<std::size_t>(difference) : 0;
  }

  std::size_t capacity_;
  std::size_t mask_;  // number of slots - 1; a power of two of slots lets the counters wrap
  std::vector<T> values_;
  // Counts since construction, on separate cache lines to avoid false sharing.
  alignas(kCacheLine) std::atomic<std::size_t> pushed_{0};
  alignas(kCacheLine) std::atomic<std::size_t> popped_{0};
};

}  // namespace audiogen::core
