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

// A tensor as the header describes it.
struct TensorInfo {
  std::string dtype;  // F32, I64, ...
  std::vector<std::size_t> shape;
  std::size_t begin = 0;  // bytes, from the start of the data
  std::size_t end = 0;
};

using TensorInfos = std::map<std::string, TensorInfo, std::less<>>;

// A safetensors file in memory. The bytes must outlive it.
class SafetensorsView {
 public:
  // Throws FormatError if the file is invalid: a broken header, gaps, overlaps, or shapes that
  // don't match their bytes.
  explicit SafetensorsView(std::span<const std::byte> file);

  const TensorInfos& tensors() const { return tensors_; }

  // Returns the values of a tensor of `tensors()`. Throws FormatError unless its dtype is F32, F16
  // or BF16.
  FloatArray read(std::string_view tensor) const;

 private:
  TensorInfos tensors_;
  std::span<const std::byte> data_;
};

// Reads all tensors of a file; converts F16 and BF16 to float. Throws FormatError, with a message
// that begins with `name`, if the file is invalid or a tensor has another dtype.
FloatArrays parse_safetensors(std::span<const std::byte> file, std::string_view name);

// Reads all tensors of a file on disk.
FloatArrays read_safetensors(const std::filesystem::path& path);

}  // namespace audiogen::core
