// Shares one piece of memory out to the arrays of a stream.
#pragma once

#include <cstddef>

#include "kernels/conv_rows.h"

namespace audiogen::models {

// Cuts one piece of memory into arrays, each aligned to 64 bytes.
class Carver {
 public:
  explicit Carver(float* memory) : memory_(memory) {}
  float* take(std::size_t floats) {
    float* taken = memory_ ? memory_ + used_ : nullptr;
    used_ += kernels::round_up(floats, 16);
    return taken;
  }
  std::size_t used() const { return used_; }

 private:
  float* memory_;
  std::size_t used_ = 0;
};

}  // namespace audiogen::models
