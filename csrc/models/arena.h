// Lays out the arrays of a stream in one block of memory.
#pragma once

#include <cstddef>

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

}  // namespace audiogen::models
