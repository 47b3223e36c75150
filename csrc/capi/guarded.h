// Turns exceptions into the error messages of the C interface.
#pragma once

#include <exception>
#include <string>

namespace audiogen::capi {

// Message of the last failure in this thread.
inline std::string& last_error() {
  static thread_local std::string message;
  return message;
}

// Returns the result of `work`; if it throws, stores the message and returns `failure`.
template <class Result, class Work>
Result guarded(Result failure, const Work& work) noexcept {
  try {
    last_error().clear();
    return work();
  } catch (const std::exception& error) {
    last_error() = error.what();
  } catch (...) {
    last_error() = "unknown failure";
  }
  return failure;
}

}  // namespace audiogen::capi
