// Types and ranges of the fields of a preset.
#include "presets/fields.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/nearest_names.h"

namespace audiogen::presets {
namespace {

constexpr std::size_t kLongestText = 2000, kLongestIdentifier = 64;  // characters

std::size_t n_characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](const char c) { return (c & 0xc0) != 0x80; }));
}

bool is_text(const toml::Value& value) {
  const auto* const text = value.as<std::string>();
  return text && !text->empty() && n_characters(*text) <= kLongestText;
}

bool is_identifier(std::string_view text) {
  const auto starts = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kLongestIdentifier && starts(text.front()) &&
         std::ranges::all_of(text, [&](char c) { return starts(c) || c == '-' || c == '_'; });
}

std::optional<std::int64_t> whole_of(const toml::Value& value, std::int64_t lowest,
                                     std::int64_t highest) {
  const auto* const whole = value.as<std::int64_t>();
  return whole && *whole >= lowest && *whole <= highest ? std::optional(*whole) : std::nullopt;
}

// A whole number will do for any number.
std::optional<double> number_of(const toml::Value& value, double lowest, double highest) {
  double number = 0.0;
  if (const auto* const whole = value.as<std::int64_t>()) {
    number = static_cast<double>(*whole);
  } else if (const auto* const real = value.as<double>()) {
    number = *real;
  } else {
    return std::nullopt;
  }
  return number >= lowest && number <= highest ? std::optional(number) : std::nullopt;
}

}  // namespace

Fields::Fields(const toml::Table& table, std::string path, Faults& faults)
    : table_(table), path_(std::move(path)), faults_(faults) {}

std::string Fields::path_of(std::string_view name) const {
  const bool bare =
      !name.empty() && name.size() <= kLongestIdentifier && std::ranges::all_of(name, [](char c) {
        return is_identifier({&c, 1}) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
      });
  const std::string shown = bare ? std::string(name) : toml::shown(std::string(name));
  return path_.empty() ? shown : path_ + "." + shown;
}

void Fields::add_fault(const std::string& fault) {
  faultless_ = false;
  if (faults_.size() < kMostFaults) faults_.push_back(fault);
}

bool Fields::has(std::string_view name) {
  known_.emplace_back(name);
  return table_.find(name) != nullptr;
}

const toml::Value* Fields::take(std::string_view name, const std::string& wanted) {
  known_.emplace_back(name);
  const toml::Value* const value = table_.find(name);
  if (!value) add_fault(path_of(name) + " is missing; it must be " + wanted);
  return value;
}

void Fields::refuse(const std::string& path, const toml::Value& value, const std::string& wanted) {
  add_fault(path + "=" + toml::shown(value) + " must be " + wanted);
}

void Fields::finish() {
  std::ranges::sort(known_);
  known_.erase(std::unique(known_.begin(), known_.end()), known_.end());
  for (std::size_t i = 0; i < table_.size() && faults_.size() < kMostFaults; ++i) {
    const std::string& name = table_.key(i);
    if (std::ranges::find(known_, name) != known_.end()) continue;
    add_fault("field " + path_of(name) + " not found" + core::nearest_names(name, known_));
  }
}

std::optional<std::int64_t> Fields::whole(std::string_view name, std::int64_t lowest,
                                          std::int64_t highest, const std::string& wanted) {
  const std::string text = wanted.empty() ? "a whole number from " + std::to_string(lowest) +
                                                " to " + std::to_string(highest)
                                          : wanted;
  const toml::Value* const value = take(name, text);
  if (!value) return std::nullopt;
  const auto whole = whole_of(*value, lowest, highest);
  if (!whole) refuse(path_of(name), *value, text);
  return whole;
}

std::optional<double> Fields::number(std::string_view name, double lowest, double highest,
                                     const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  const auto number = number_of(*value, lowest, highest);
  if (!number) refuse(path_of(name), *value, wanted);
  return number;
}

std::optional<std::string> Fields::text(std::string_view name, const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  if (is_text(*value)) return *value->as<std::string>();
  refuse(path_of(name), *value, wanted);
  return std::nullopt;
}

std::optional<std::string> Fields::identifier(std::string_view name, const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  const auto* const text = value->as<std::string>();
  if (text && is_identifier(*text)) return *text;
  refuse(path_of(name), *value, wanted);
  return std::nullopt;
}

std::optional<std::size_t> Fields::choice(std::string_view name,
                                          std::initializer_list<const char*> choices) {
  std::string wanted;
  for (const char* const known : choices) {
    const bool last = known == *(choices.end() - 1);
    wanted += (wanted.empty() ? "'" : last ? " or '" : ", '") + std::string(known) + "'";
  }
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  if (const auto* const text = value->as<std::string>()) {
    const auto* const found = std::ranges::find(choices, *text);
    if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
  }
  refuse(path_of(name), *value, wanted);
  return std::nullopt;
}

std::optional<std::vector<std::string>> Fields::texts(std::string_view name,
                                                      const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  const auto* const array = value->as<toml::Array>();
  if (!array || array->empty()) {
    refuse(path_of(name), *value, wanted);
    return std::nullopt;
  }
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (is_text((*array)[i])) {
      texts.push_back(*(*array)[i].as<std::string>());
    } else {
      refuse(path_of(name) + "[" + std::to_string(i) + "]", (*array)[i], kText);
      return std::nullopt;
    }
  }
  return texts;
}

std::optional<std::vector<std::int64_t>> Fields::wholes(std::string_view name, std::size_t least,
                                                        std::size_t most, std::int64_t lowest,
                                                        std::int64_t highest,
                                                        const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  const auto* const array = value->as<toml::Array>();
  if (!array || array->size() < least || array->size() > most) {
    refuse(path_of(name), *value, wanted);
    return std::nullopt;
  }
  std::vector<std::int64_t> wholes;
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (const auto whole = whole_of((*array)[i], lowest, highest)) {
      wholes.push_back(*whole);
    } else {
      refuse(path_of(name) + "[" + std::to_string(i) + "]", (*array)[i],
             "a whole number from " + std::to_string(lowest) + " to " + std::to_string(highest));
      return std::nullopt;
    }
  }
  return wholes;
}

std::optional<std::vector<double>> Fields::numbers(std::string_view name,
                                                   const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  const auto* const array = value->as<toml::Array>();
  if (!array) {
    refuse(path_of(name), *value, wanted);
    return std::nullopt;
  }
  std::vector<double> numbers;
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (const auto number = number_of((*array)[i], -kLargestNumber, kLargestNumber)) {
      numbers.push_back(*number);
    } else {
      refuse(path_of(name) + "[" + std::to_string(i) + "]", (*array)[i], "a number");
      return std::nullopt;
    }
  }
  return numbers;
}

const toml::Table* Fields::table(std::string_view name, const std::string& wanted) {
  const std::string text = wanted.empty() ? "a table [" + std::string(name) + "]" : wanted;
  const toml::Value* const value = take(name, text);
  if (!value) return nullptr;
  if (const auto* const table = value->as<toml::Table>()) return table;
  refuse(path_of(name), *value, text);
  return nullptr;
}

std::optional<std::vector<const toml::Table*>> Fields::tables(std::string_view name,
                                                              std::size_t least, std::size_t most,
                                                              const std::string& wanted) {
  const toml::Value* const value = take(name, wanted);
  if (!value) return std::nullopt;
  const auto* const array = value->as<toml::Array>();
  if (!array || array->size() < least || array->size() > most) {
    refuse(path_of(name), *value, wanted);
    return std::nullopt;
  }
  std::vector<const toml::Table*> tables;
  for (std::size_t i = 0; i < array->size(); ++i) {
    if (const auto* const table = (*array)[i].as<toml::Table>()) {
      tables.push_back(table);
    } else {
      refuse(path_of(name) + "[" + std::to_string(i) + "]", (*array)[i],
             "a table [[" + std::string(name) + "]]");
      return std::nullopt;
    }
  }
  return tables;
}

}  // namespace audiogen::presets
