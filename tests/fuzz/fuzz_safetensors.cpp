// Fuzzer of the safetensors reader: any bytes are read, or refused with a FormatError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace audiogen::core;
  try {
    for (const auto& [name, array] : parse_safetensors(std::as_bytes(std::span(data, size)), "")) {
      std::size_t numbers = 1;
      bool fits = true;
      for (const std::size_t n : array.shape) fits &= !__builtin_mul_overflow(numbers, n, &numbers);
      if (!fits || numbers != array.values.size()) std::abort();
    }
  } catch (const FormatError&) {
  }
  return 0;
}
