// Reads safetensors files: a JSON header that names tensors, then their bytes.
//
// The format: 8 bytes of little-endian header length, the header {"name": {"dtype": "F32", "shape":
// [2, 3], "data_offsets": [0, 24]}, ...}, the data without gaps. An optional "__metadata__" maps
// strings to strings.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/errors.h"

namespace audiogen::core {

// An array in C order.
struct FloatArray {
  std::vector<std::size_t> shape;
  std::vector<float> values;
};

using FloatArrays = std::map<std::string, FloatArray, std::less<>>;

// All tensors of a file; F16 and BF16 are widened. Throws FormatError, which begins with `name`, if
// anything about the file isn't as it should be.
FloatArrays parse_safetensors(std::span<const std::byte> file, std::string_view name);

// The same from disk.
FloatArrays read_safetensors(const std::filesystem::path& path);

}  // namespace audiogen::core
