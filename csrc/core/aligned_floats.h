// Aligned float arrays for weights, states and scratch.
#pragma once

#include <cstddef>
#include <memory>

namespace audiogen::core {

// Floats, initially 0, aligned to 64 bytes. Large arrays use huge pages where the system has them:
// weights that are read for every sample span more small pages than the TLB can hold.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(std::size_t n);
  float* data() { return floats_.get(); }
  const float* data() const { return floats_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    std::size_t mapped;  // mapped bytes; 0: allocated on the heap
    void operator()(float* floats) const;
  };
  std::unique_ptr<float[], Free> floats_;
  std::size_t size_ = 0;
};

}  // namespace audiogen::core
