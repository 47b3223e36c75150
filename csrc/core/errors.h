// Exceptions that the native code throws beside the standard ones.
#pragma once

#include <stdexcept>

namespace audiogen::core {

// A file is not what it should be. Wrong arguments are std::invalid_argument.
class FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace audiogen::core
