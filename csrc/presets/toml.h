// Reads TOML 1.0: the format of preset.toml.
//
// Everything of TOML 1.0 is read but dates and times, which no preset needs: comments, bare, quoted
// and dotted keys, the four forms of strings, whole numbers of 64 bits in four bases, floats, inf
// and nan, booleans, arrays over several lines, inline tables, [tables] and [[arrays of tables]].
// The reader is strict: what TOML forbids (a key or table given twice, a comma after the last entry
// of an inline table, control characters, text that is not UTF-8) is refused with the line.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace audiogen::presets::toml {

class Value;
using Array = std::vector<Value>;

// Keys and values in the order of the file.
class Table {
 public:
  Table();
  Table(const Table& other);
  Table(Table&&) noexcept;
  Table& operator=(Table other) noexcept;
  ~Table();

  // Null without such a key. Pointers last until the next `insert`.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);

  // Adds a value, or replaces the one of the same key in its place.
  Value& insert(std::string key, Value value);

  std::size_t size() const;
  bool empty() const { return size() == 0; }
  const std::string& key(std::size_t i) const;
  const Value& value(std::size_t i) const;

  bool operator==(const Table& other) const;  // the order of keys does not matter

 private:
  std::vector<std::pair<std::string, Value>> entries_;
  std::map<std::string, std::size_t, std::less<>> places_;  // in entries_
};

// A value of any type.
class Value {
 public:
  using Variant = std::variant<bool, std::int64_t, double, std::string, Array, Table>;

  template <class T>
    requires(!std::same_as<T, Value>)
  Value(T value) : variant_(std::move(value)) {}  // NOLINT: converts from each type of Variant

  // Null if it has another type.
  template <class T>
  const T* as() const {
    return std::get_if<T>(&variant_);
  }
  template <class T>
  T* as() {
    return std::get_if<T>(&variant_);
  }
  const Variant& variant() const { return variant_; }
  bool operator==(const Value& other) const = default;

 private:
  Variant variant_;
};

inline constexpr std::size_t kMostBytes = std::size_t{4} << 20;
inline constexpr std::size_t kMostDepth = 64;  // of nested values, and of the parts of a key

// Throws core::FormatError, "line 3: ...", for text that is not TOML or has more than kMostBytes.
Table parse(std::string_view text);

// A value in one line, as error messages show it: 'text', 16000, 0.5, true, [24, 84]. Cut off with
// "..." after 80 characters.
std::string shown(const Value& value);

}  // namespace audiogen::presets::toml
