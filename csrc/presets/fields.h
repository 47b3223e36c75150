// Reads the fields of one table of a preset and collects error messages: each names the field, what
// came, and what it must be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "presets/toml.h"

namespace audiogen::presets {

using Faults = std::vector<std::string>;

// Numbers of a preset must be finite as float, which is what the engine computes in.
inline constexpr double kLargestNumber = std::numeric_limits<float>::max();
inline constexpr double kSmallestPositive = std::numeric_limits<float>::min();
inline constexpr std::size_t kMostTimbres = 4096;
inline constexpr std::size_t kMostMacros = 8;
inline constexpr std::size_t kMostFaults = 100;  // of one preset; those after them are not kept

// Each function reads one field; it gives no value after a fault. The fields that were read are the
// ones that are known: `finish` reports any other. Of a list only the first wrong item is reported.
class Fields {
 public:
  // `path` names the table in messages; it is empty for the whole preset.
  Fields(const toml::Table& table, std::string path, Faults& faults);

  // Reports fields that were never asked for.
  void finish();

  // Whether the table has a field that may be missing.
  bool has(std::string_view name);
  bool faultless() const { return faultless_; }

  std::optional<std::int64_t> whole(std::string_view name, std::int64_t lowest,
                                    std::int64_t highest, const std::string& wanted = "");
  std::optional<double> number(std::string_view name, double lowest, double highest,
                               const std::string& wanted);
  std::optional<std::string> text(std::string_view name, const std::string& wanted = kText);
  std::optional<std::string> identifier(std::string_view name,
                                        const std::string& wanted = kIdentifier);
  // One of the names, by its place among them.
  std::optional<std::size_t> choice(std::string_view name,
                                    std::initializer_list<const char*> choices);
  std::optional<std::vector<std::string>> texts(std::string_view name, const std::string& wanted);
  std::optional<std::vector<std::int64_t>> wholes(std::string_view name, std::size_t least,
                                                  std::size_t most, std::int64_t lowest,
                                                  std::int64_t highest, const std::string& wanted);
  std::optional<std::vector<double>> numbers(std::string_view name, const std::string& wanted);
  // Null after a fault; `wanted` describes the table.
  const toml::Table* table(std::string_view name, const std::string& wanted = "");
  // The tables of an array, `least` to `most`.
  std::optional<std::vector<const toml::Table*>> tables(std::string_view name, std::size_t least,
                                                        std::size_t most,
                                                        const std::string& wanted);

  // The path of a field in messages, with quotes about a name that needs them in the file.
  std::string path_of(std::string_view name) const;
  void add_fault(const std::string& fault);

  static inline const std::string kText = "a text of 1 to 2000 characters";
  static inline const std::string kIdentifier =
      "a name of 1 to 64 small letters, digits, - and _, which begins with a letter or digit";

 private:
  // Null, and a fault, if the field is missing.
  const toml::Value* take(std::string_view name, const std::string& wanted);
  void refuse(const std::string& path, const toml::Value& value, const std::string& wanted);

  const toml::Table& table_;
  std::string path_;
  Faults& faults_;
  bool faultless_ = true;
  std::vector<std::string> known_;
};

}  // namespace audiogen::presets
