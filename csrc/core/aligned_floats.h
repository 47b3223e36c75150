// Memory of weights and of what is computed with them.
#pragma once

#include <cstddef>
#include <memory>

namespace audiogen::core {

// Zeroed floats, aligned to 64 bytes. Large arrays lie in huge pages where the system has them:
// weights that are read through for every sample have more small pages than the TLB holds.
class AlignedFloats {
 public:
  AlignedFloats() = default;
  explicit AlignedFloats(std::size_t n);
  float* data() { return floats_.get(); }
  const float* data() const { return floats_.get(); }
  std::size_t size() const { return size_; }

 private:
  struct Free {
    std::size_t mapped;  // bytes; 0: from the heap
    void operator()(float* floats) const;
  };
  std::unique_ptr<float[], Free> floats_;
  std::size_t size_ = 0;
};

}  // namespace audiogen::core
