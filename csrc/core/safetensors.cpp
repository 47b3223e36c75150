// A strict reader of safetensors files, which rejects everything that the format doesn't allow.
#include "core/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "core/file.h"
#include "core/utf8.h"

namespace audiogen::core {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kLongestHeader = 100'000'000;  // limit of the format's own reader
constexpr std::size_t kMostDimensions = 8;
constexpr std::size_t kMostShown = 80;  // characters of a name in a message

[[noreturn]] void fail(const std::string& what) { throw FormatError(what); }

std::string shown(std::string_view name) { return shortened(name, kMostShown); }

struct Entry {
  std::string dtype;
  std::vector<std::size_t> shape;
  std::vector<std::size_t> offsets;
};

// Parses the subset of JSON that a header can use: objects, strings, and arrays of whole numbers.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  std::map<std::string, Entry> parse() {
    std::map<std::string, Entry> entries;
    object([&](const std::string& name) {
      if (name == "__metadata__") {
        object([&](const std::string&) { string(); });
      } else if (!entries.emplace(name, entry(name)).second) {
        bad("tensor '" + shown(name) + "' appears twice");
      }
    });
    skip_space();
    if (at_ != text_.size()) bad("something follows the last brace");
    return entries;
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    fail("the header is broken at byte " + std::to_string(at_ + kLengthBytes) + ": " + what);
  }

  void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }

  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) bad(std::string("'") + wanted + "' was expected");
  }

  template <class OnMember>
  void object(OnMember on_member) {
    expect('{');
    if (accept('}')) return;
    do {
      const std::string key = string();
      expect(':');
      on_member(key);
    } while (accept(','));
    expect('}');
  }

  std::string string() {
    expect('"');
    std::string out;
    while (true) {
      if (at_ >= text_.size()) bad("a string doesn't end");
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) bad("a control character in a string");
      out += c == '\\' ? escape() : std::string(1, c);
    }
  }

  std::string escape() {
    constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ >= text_.size()) bad("a string doesn't end");
    const char c = text_[at_++];
    if (c == 'u') return utf8_of(code_point());
    const std::size_t which = kNames.find(c);
    if (which == std::string_view::npos) bad("an unknown escape in a string");
    return std::string(1, kMeanings[which]);
  }

  std::uint32_t four_digits() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      const char c = at_ < text_.size() ? text_[at_++] : ' ';
      const char lower = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
      const std::size_t digit = kDigits.find(lower);
      if (digit == std::string_view::npos) bad("\\u must have four hexadecimal digits");
      value = value * 16 + static_cast<std::uint32_t>(digit);
    }
    return value;
  }

  std::uint32_t code_point() {
    const std::uint32_t first = four_digits();
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first > 0xdbff || text_.substr(at_, 2) != "\\u") bad("half a surrogate pair");
    at_ += 2;
    const std::uint32_t second = four_digits();
    if (second < 0xdc00 || second > 0xdfff) bad("half a surrogate pair");
    return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
  }

  std::size_t number() {
    skip_space();
    const std::size_t start = at_;
    std::size_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      const auto digit = static_cast<std::size_t>(text_[at_++] - '0');
      if (value > (std::numeric_limits<std::size_t>::max() - digit) / 10) bad("a number too large");
      value = value * 10 + digit;
    }
    if (at_ == start) bad("a whole number was expected");
    if (text_[start] == '0' && at_ > start + 1) bad("a number with a leading zero");
    return value;
  }

  std::vector<std::size_t> numbers() {
    std::vector<std::size_t> out;
    expect('[');
    if (accept(']')) return out;
    do {
      if (out.size() == kMostDimensions) bad("a list that is too long");
      out.push_back(number());
    } while (accept(','));
    expect(']');
    return out;
  }

  Entry entry(const std::string& name) {
    Entry e;
    bool dtype = false, shape = false, offsets = false;
    object([&](const std::string& field) {
      bool* seen = field == "dtype"          ? &dtype
                   : field == "shape"        ? &shape
                   : field == "data_offsets" ? &offsets
                                             : nullptr;
      if (!seen) bad("tensor '" + shown(name) + "' has an unknown field '" + shown(field) + "'");
      if (std::exchange(*seen, true)) bad("tensor '" + shown(name) + "' has '" + field + "' twice");
      if (seen == &dtype) e.dtype = string();
      if (seen == &shape) e.shape = numbers();
      if (seen == &offsets) e.offsets = numbers();
    });
    for (const auto& [seen, field] : {std::pair(dtype, "dtype"), std::pair(shape, "shape"),
                                      std::pair(offsets, "data_offsets")}) {
      if (!seen) bad("tensor '" + shown(name) + "' has no '" + field + "'");
    }
    return e;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1f;
  const std::uint32_t mantissa = half & 0x3ff;
  if (exponent == 0) {  // zero and denormals
    const float value = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -value : value;
  }
  const std::uint32_t wide = exponent == 31 ? 0xff : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

// Reads a little-endian word on any machine.
template <class Word>
Word word_at(const std::byte* bytes) {
  Word word = 0;
  for (std::size_t i = 0; i < sizeof(Word); ++i) {
    word = static_cast<Word>(word | (std::to_integer<Word>(bytes[i]) << (8 * i)));
  }
  return word;
}

float number_at(const std::byte* data, std::string_view dtype, std::size_t i) {
  if (dtype == "F32") return std::bit_cast<float>(word_at<std::uint32_t>(data + 4 * i));
  const auto word = word_at<std::uint16_t>(data + 2 * i);
  if (dtype == "F16") return half_to_float(word);
  return std::bit_cast<float>(static_cast<std::uint32_t>(word) << 16);
}

// Computes the number of values in a tensor of this shape; returns false if it exceeds `limit`.
bool count(const std::vector<std::size_t>& shape, std::size_t limit, std::size_t& numbers) {
  numbers = 1;
  for (const std::size_t n : shape) {
    if (n != 0 && numbers > limit / n) return false;
    numbers *= n;
  }
  return numbers <= limit;
}

// Bytes per value; 0 for an unknown dtype.
std::size_t dtype_size(std::string_view dtype) {
  static constexpr std::pair<std::string_view, std::size_t> kSizes[] = {
      {"F64", 8},     {"I64", 8},     {"U64", 8},  {"F32", 4}, {"I32", 4},
      {"U32", 4},     {"F16", 2},     {"BF16", 2}, {"I16", 2}, {"U16", 2},
      {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I8", 1},   {"U8", 1},  {"BOOL", 1}};
  for (const auto& [name, size] : kSizes) {
    if (name == dtype) return size;
  }
  return 0;
}

}  // namespace

SafetensorsView::SafetensorsView(std::span<const std::byte> file) {
  if (file.size() < kLengthBytes) {
    fail("has " + std::to_string(file.size()) + " bytes, too few for a safetensors file");
  }
  const auto length = word_at<std::uint64_t>(file.data());
  if (length > kLongestHeader || length > file.size() - kLengthBytes) {
    fail("announces a header of " + std::to_string(length) + " bytes, but has " +
         std::to_string(file.size() - kLengthBytes) +
         " after the length; it is truncated or not a safetensors file");
  }
  const auto header = file.subspan(kLengthBytes, length);
  data_ = file.subspan(kLengthBytes + length);
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());

  if (!is_utf8(text)) fail("the header is not UTF-8");

  std::vector<std::pair<std::size_t, std::size_t>> covered;
  for (auto& [tensor, entry] : HeaderParser(text).parse()) {
    const auto bad = [&](const std::string& what) {
      fail("tensor '" + shown(tensor) + "' " + what);
    };
    const std::size_t size = dtype_size(entry.dtype);
    if (size == 0) bad("has dtype '" + shown(entry.dtype) + "', which is not known; use F32");
    if (entry.offsets.size() != 2) bad("has data_offsets that aren't two numbers");
    const std::size_t begin = entry.offsets[0], end = entry.offsets[1];
    if (begin > end || end > data_.size()) {
      bad("is at bytes " + std::to_string(begin) + " to " + std::to_string(end) +
          " of the data, which has " + std::to_string(data_.size()) +
          "; the file may be truncated");
    }
    std::size_t numbers = 0;
    if (!count(entry.shape, data_.size() / size, numbers) || numbers * size != end - begin) {
      bad("has a shape that doesn't fit its " + std::to_string(end - begin) + " bytes");
    }
    covered.emplace_back(begin, end);
    tensors_.emplace(tensor,
                     TensorInfo{std::move(entry.dtype), std::move(entry.shape), begin, end});
  }
  std::sort(covered.begin(), covered.end());
  std::size_t reached = 0;
  for (const auto& [begin, end] : covered) {
    if (begin != reached) fail("has tensors that overlap, or a gap between them");
    reached = end;
  }
  if (reached != data_.size()) {
    fail("has " + std::to_string(data_.size() - reached) + " bytes after the last tensor");
  }
}

FloatArray SafetensorsView::read(std::string_view tensor) const {
  const TensorInfo& info = tensors_.find(tensor)->second;
  if (info.dtype != "F32" && info.dtype != "F16" && info.dtype != "BF16") {
    fail("tensor '" + std::string(tensor) + "' has dtype '" + info.dtype +
         "'; it must be F32, F16 or BF16");
  }
  FloatArray array{info.shape,
                   std::vector<float>((info.end - info.begin) / dtype_size(info.dtype))};
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = number_at(data_.data() + info.begin, info.dtype, i);
  }
  return array;
}

FloatArrays parse_safetensors(std::span<const std::byte> file, std::string_view name) {
  try {
    const SafetensorsView view(file);
    FloatArrays arrays;
    for (const auto& [tensor, info] : view.tensors()) arrays.emplace(tensor, view.read(tensor));
    return arrays;
  } catch (const FormatError& error) {
    throw FormatError(std::string(name) + ": " + error.what());
  }
}

FloatArrays read_safetensors(const std::filesystem::path& path) {
  std::vector<std::byte> bytes;
  try {
    bytes = read_file(path);
  } catch (const FormatError& error) {
    throw FormatError(path.string() + ": " + error.what());
  }
  return parse_safetensors(bytes, path.string());
}

}  // namespace audiogen::core
