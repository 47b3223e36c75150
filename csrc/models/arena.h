// Lays out the arrays of a stream in one block of memory.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "kernels/networks/conv_rows.h"

namespace audiogen::models {

// Places arrays one after the other in a block of memory, each aligned to 64 bytes. Without memory,
// null, it only counts the floats.
class Arena {
 public:
  explicit Arena(float* memory) : memory_(memory) {}
  float* take(std::size_t floats) {
    float* array = memory_ ? memory_ + used_ : nullptr;
    used_ += kernels::round_up(floats, 16);
    return array;
  }
  std::size_t used() const { return used_; }

 private:
  float* memory_;
  std::size_t used_ = 0;
};

// Memory of an arena: floats, initially 0, aligned to 64 bytes. Unlike `core::AlignedFloats` it
// uses small pages: otherwise each stream of many voices would be rounded up to 2 MB.
class ArenaMemory {
 public:
  ArenaMemory() = default;
  explicit ArenaMemory(std::size_t n) : floats_(new (kLine) float[n]()) {}
  float* data() { return floats_.get(); }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Free {
    void operator()(float* floats) const { operator delete[](floats, kLine); }
  };
  std::unique_ptr<float[], Free> floats_;
};

}  // namespace audiogen::models
