// Number formats that weights are packed in.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace audiogen::models {

enum class Precision { kFloat32, kBFloat16, kInt8 };  // kInt8: SampleRNN only

// Throws std::invalid_argument for an unknown name.
inline Precision precision_of(std::string_view name) {
  if (name == "float32") return Precision::kFloat32;
  if (name == "bfloat16") return Precision::kBFloat16;
  if (name == "int8") return Precision::kInt8;
  throw std::invalid_argument("precision='" + std::string(name) +
                              "' not found; use 'float32', 'bfloat16' or 'int8'");
}

}  // namespace audiogen::models
