// The safetensors reader takes what the format allows and refuses the rest, whatever it is.
#include "core/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "check.h"

using audiogen::core::FloatArrays;
using audiogen::core::FormatError;

static std::vector<std::byte> file_of(const std::string& header, const std::string& data) {
  std::vector<std::byte> file(8 + header.size() + data.size());
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<std::byte>(header.size() >> (8 * i));
  std::memcpy(file.data() + 8, header.data(), header.size());
  std::memcpy(file.data() + 8 + header.size(), data.data(), data.size());
  return file;
}

static FloatArrays parse(const std::string& header, const std::string& data) {
  return audiogen::core::parse_safetensors(file_of(header, data), "weights");
}

static const std::string kGood =
    R"({"__metadata__":{"format":"pt","a\"b":"\u00e9\ud834\udd1e"},)"
    R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
    R"( "b" : { "data_offsets" : [8, 12] , "shape" : [1, 2] , "dtype" : "F16" } ,)"
    R"("c":{"dtype":"BF16","shape":[],"data_offsets":[12,14]},)"
    R"("d":{"dtype":"F32","shape":[0,7],"data_offsets":[14,14]}}   )";
static const std::string kData("\0\0\x80\x3f\0\0\x20\xc1\x00\x3c\x01\x80\x40\xc0", 14);

static void reads_what_is_allowed() {
  const FloatArrays arrays = parse(kGood, kData);
  CHECK(arrays.size() == 4);
  CHECK(arrays.at("a").values == (std::vector<float>{1.0f, -10.0f}));
  CHECK(arrays.at("b").shape == (std::vector<std::size_t>{1, 2}));
  CHECK(arrays.at("b").values == (std::vector<float>{1.0f, -5.9604644775390625e-8f}));
  CHECK(arrays.at("c").shape.empty());
  CHECK(arrays.at("c").values == std::vector<float>{-3.0f});
  CHECK(arrays.at("d").values.empty());
  CHECK(parse("{}", "").empty());
}

static void refuses_the_rest() {
  const auto tensor = [](const std::string& fields) { return R"({"a":{)" + fields + "}}"; };
  const std::string four(4, '\0'), dtype = R"("dtype":"F32")", shape = R"("shape":[1])";
  const std::string offsets = R"("data_offsets":[0,4])";
  const std::string good = dtype + "," + shape + "," + offsets;
  CHECK(parse(tensor(good), four).size() == 1);
  const struct {
    std::string header, message;
  } kBad[] = {
      {"", "'{' was expected"},
      {"[]", "'{' was expected"},
      {"{} x", "something follows"},
      {"{\"a\"}", "':' was expected"},
      {"{\"a", "a string doesn't end"},
      {"{\"a\\", "a string doesn't end"},
      {"{\"\\x\":", "an unknown escape"},
      {"{\"\\u12g4\":", "four hexadecimal digits"},
      {"{\"\\ud834\":", "half a surrogate pair"},
      {"{\"\\udd1e\":", "half a surrogate pair"},
      {"{\"\n\":", "a control character"},
      {"{\"\xff\":", "the header is not UTF-8"},
      {tensor(dtype + "," + shape), "tensor 'a' has no 'data_offsets'"},
      {tensor(dtype + "," + offsets), "tensor 'a' has no 'shape'"},
      {tensor(shape + "," + offsets), "tensor 'a' has no 'dtype'"},
      {tensor(good + "," + dtype), "has 'dtype' twice"},
      {tensor(good + R"(,"more":1)"), "unknown field 'more'"},
      {tensor(good + ","), "'\"' was expected"},
      {R"({"a":{)" + good + R"(},"a":{)" + good + "}}", "'a' appears twice"},
      {R"({"a":{)" + good + R"(},"b":{)" + good + "}}", "overlap"},
      {"{}", "4 bytes after the last tensor"},
      {tensor(R"("dtype":"I64",)" + shape + "," + offsets), "a shape that doesn't fit"},
      {tensor(R"("dtype":"I32",)" + shape + "," + offsets), "dtype 'I32'; it must be F32"},
      {tensor(R"("dtype":"F4",)" + shape + "," + offsets), "dtype 'F4', which is not known"},
      {tensor(dtype + R"(,"shape":[2],)" + offsets), "a shape that doesn't fit its 4 bytes"},
      {tensor(dtype + R"(,"shape":[-1],)" + offsets), "a whole number was expected"},
      {tensor(dtype + R"(,"shape":[1.0],)" + offsets), "']' was expected"},
      {tensor(dtype + R"(,"shape":[01],)" + offsets), "a leading zero"},
      {tensor(dtype + R"(,"shape":[18446744073709551616],)" + offsets), "a number too large"},
      {tensor(dtype + R"(,"shape":[4294967296,4294967297],)" + offsets),
       "a shape that doesn't fit"},
      {tensor(dtype + R"(,"shape":[1,1,1,1,1,1,1,1,1],)" + offsets), "a list that is too long"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0])"), "aren't two numbers"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0,4,4])"), "aren't two numbers"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[4,0])"), "bytes 4 to 0"},
      {tensor(dtype + "," + shape + R"(,"data_offsets":[0,8])"), "may be truncated"},
      {tensor(R"("dtype":"F16",)" + shape + R"(,"data_offsets":[2,4])"), "a gap between"},
  };
  for (const auto& bad : kBad) CHECK_THROWS(parse(bad.header, four), FormatError, bad.message);
  for (const auto& bad : kBad) CHECK_THROWS(parse(bad.header, four), FormatError, "weights: ");

  auto file = file_of(tensor(good), four);
  using audiogen::core::parse_safetensors;
  CHECK_THROWS(parse_safetensors(std::span(file).first(7), "weights"), FormatError, "7 bytes");
  CHECK_THROWS(parse_safetensors(std::span(file).first(20), "weights"), FormatError, "truncated");
  file[7] = std::byte{0xff};
  CHECK_THROWS(parse_safetensors(file, "weights"), FormatError, "announces a header");
}

// The entry of a fuzzer: any bytes are read or refused.
static bool survives(std::span<const std::byte> file) {
  try {
    (void)audiogen::core::parse_safetensors(file, "fuzz");
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

// Random changes of a good file: bytes flipped, cut out, doubled, or swapped for tokens of JSON.
static void survives_mutation() {
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::string tokens = "{}[]\",:\\u0189aF-.";
  int read = 0, refused = 0;
  for (int round = 0; round < 50000; ++round) {
    auto file = file_of(kGood, kData);
    for (std::size_t change = 0; change <= below(4) && !file.empty(); ++change) {
      const std::size_t at = below(file.size());
      const std::size_t length = 1 + below(std::min<std::size_t>(8, file.size() - at));
      const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
      const std::vector<std::byte> piece(begin, begin + static_cast<std::ptrdiff_t>(length));
      switch (below(4)) {
        case 0:
          file[at] = static_cast<std::byte>(random());
          break;
        case 1:
          file[at] = static_cast<std::byte>(tokens[below(tokens.size())]);
          break;
        case 2:
          file.erase(begin, begin + static_cast<std::ptrdiff_t>(length));
          break;
        case 3:
          file.insert(begin, piece.begin(), piece.end());
          break;
      }
    }
    ++(survives(file) ? read : refused);
  }
  CHECK(read > 100);  // changes within strings and data leave the file good
  CHECK(refused > 10000);
}

int main() {
  reads_what_is_allowed();
  refuses_the_rest();
  survives_mutation();
  return audiogen::test::finish();
}
