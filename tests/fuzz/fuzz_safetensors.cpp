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
      for (const std::size_t n : array.shape) numbers *= n;
      if (numbers != array.values.size()) std::abort();
    }
  } catch (const FormatError&) {
  }
  return 0;
}
