// A ring gives what went in, in order, to its exact capacity, also between two threads.
#include "core/ring.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "allocation_counter.h"
#include "check.h"

using audiogen::core::Ring;

static void keeps_order_and_capacity(std::size_t capacity) {
  Ring<int> ring(capacity);
  CHECK(ring.capacity() == capacity && ring.space() == capacity && ring.size() == 0);
  CHECK(ring.front() == nullptr);
  std::vector<int> in(3 * capacity + 5), out(in.size(), -1);
  std::iota(in.begin(), in.end(), 0);
  CHECK(ring.pop(out) == 0 && out[0] == -1);

  CHECK(ring.push(in) == capacity && ring.space() == 0 && ring.size() == capacity);
  CHECK(!ring.push(7) && ring.push(in) == 0);
  CHECK(*ring.front() == 0 && ring.size() == capacity);
  CHECK(ring.pop(out) == capacity && ring.space() == capacity);
  CHECK(std::equal(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(capacity), out.begin()));
  CHECK(out[capacity] == -1);

  // Round and round, from every position, by pops and skips of odd sizes.
  int pushed = 0, popped = 0;
  bool right = true;
  for (std::size_t round = 0; round < 200; ++round) {
    const std::size_t want = round % 7;
    std::vector<int> some(want);
    std::iota(some.begin(), some.end(), pushed);
    const std::size_t n = ring.push(some);
    right &= n == std::min(want, capacity - static_cast<std::size_t>(pushed - popped));
    pushed += static_cast<int>(n);
    if (const int* first = ring.front()) right &= *first == popped;
    if (ring.size() > 0) {
      ring.skip(round % 2);
      popped += static_cast<int>(round % 2);
    }
    some.assign(round % 5, -1);
    some.resize(ring.pop(some));
    for (const int value : some) right &= value == popped++;
    right &= ring.size() == static_cast<std::size_t>(pushed - popped);
  }
  CHECK(right && popped > 100);
}

// Values that are skipped before they come take no room and are never seen.
static void skips_what_is_to_come() {
  Ring<int> ring(4);
  ring.push(0);
  ring.skip(11);
  CHECK(ring.size() == 0 && ring.space() == 4 && ring.front() == nullptr);
  std::vector<int> some(3, -1);
  for (int first = 1; first < 10; first += 3) {
    CHECK(ring.push(std::vector{first, first + 1, first + 2}) == 3);
    CHECK(ring.size() == 0 && ring.space() == 4 && ring.pop(some) == 0 && some[0] == -1);
  }
  CHECK(ring.push(std::vector{10, 11, 12, 13, 14}) == 4);
  CHECK(ring.size() == 3 && ring.space() == 1 && *ring.front() == 11);
  CHECK(ring.pop(some) == 3 && some == (std::vector{11, 12, 13}));
}

// Values wider than a word, so that a torn one would show.
struct Wide {
  std::uint64_t number;
  std::uint64_t same;
};

static void crosses_threads() {
  static constexpr std::uint64_t kCount = 200'000;
  Ring<Wide> ring(61);
  std::thread producer([&ring] {
    std::vector<Wide> some;
    for (std::uint64_t next = 0; next < kCount;) {
      some.clear();
      for (std::uint64_t i = next; i < std::min(kCount, next + 1 + next % 13); ++i) {
        some.push_back({i, ~i});
      }
      const std::size_t n = ring.push(some);
      next += n;
      if (n == 0) std::this_thread::yield();
    }
  });
  std::vector<Wide> some(17);
  bool right = true;
  for (std::uint64_t next = 0; next < kCount;) {
    const std::size_t n = ring.pop({some.data(), 1 + next % some.size()});
    for (std::size_t i = 0; i < n; ++i, ++next) {
      right &= some[i].number == next && some[i].same == ~next;
    }
    if (n == 0) std::this_thread::yield();
  }
  producer.join();
  CHECK(right && ring.size() == 0);
}

static void never_allocates() {
  Ring<float> ring(100);
  std::vector<float> block(64);
  const int before = allocations;
  for (int i = 0; i < 50; ++i) {
    ring.push(block);
    ring.push(1.0f);
    ring.pop(block);
    ring.skip(1);
  }
  CHECK(allocations == before);
  static_assert(noexcept(ring.push(block)) && noexcept(ring.pop(block)) && noexcept(ring.skip(1)));
}

int main() {
  for (const std::size_t capacity : {1u, 2u, 3u, 8u, 13u, 64u}) keeps_order_and_capacity(capacity);
  skips_what_is_to_come();
  crosses_threads();
  never_allocates();
  CHECK_THROWS(Ring<int>(0), std::invalid_argument, "capacity=0 must be 1 to");
  CHECK_THROWS(Ring<int>(Ring<int>::kLargestCapacity + 1), std::invalid_argument, "capacity=");
  return audiogen::test::finish();
}
