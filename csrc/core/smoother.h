// A number that is ramped linearly to its target.
#pragma once

#include <cstddef>

#include "core/realtime.h"

namespace audiogen::core {

class Smoother {
 public:
  // `ticks` is the duration of a ramp; 0: values change at once.
  explicit Smoother(float value = 0.0f, std::size_t ticks = 0) : ticks_(ticks) { set(value); }

  // Sets the value without a ramp.
  void set(float value) noexcept AUDIOGEN_REALTIME {
    value_ = target_ = value;
    left_ = 0;
  }
  void move_to(float target) noexcept AUDIOGEN_REALTIME {
    if (ticks_ == 0) return set(target);
    target_ = target;
    step_ = (target - value_) / static_cast<float>(ticks_);
    left_ = ticks_;
  }
  void tick() noexcept AUDIOGEN_REALTIME {
    if (left_ == 0) return;
    value_ = --left_ == 0 ? target_ : value_ + step_;
  }

  float value() const noexcept AUDIOGEN_REALTIME { return value_; }
  float target() const noexcept AUDIOGEN_REALTIME { return target_; }
  bool moving() const noexcept AUDIOGEN_REALTIME { return left_ != 0; }

 private:
  std::size_t ticks_;
  std::size_t left_ = 0;
  float value_ = 0.0f;
  float target_ = 0.0f;
  float step_ = 0.0f;
};

}  // namespace audiogen::core
