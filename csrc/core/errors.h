// Exceptions of the native code beside the standard ones.
#pragma once

#include <stdexcept>

namespace audiogen::core {

// Thrown for invalid files. Invalid arguments throw std::invalid_argument.
class FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace audiogen::core
