// The parser of TOML, and the text of values in error messages.
#include "presets/toml.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <system_error>

#include "core/errors.h"
#include "core/utf8.h"

namespace audiogen::presets::toml {

// ---- Tables ----

Table::Table() = default;
Table::Table(const Table&) = default;
Table::Table(Table&&) noexcept = default;
Table& Table::operator=(Table other) noexcept {
  entries_.swap(other.entries_);
  places_.swap(other.places_);
  return *this;
}
Table::~Table() = default;

const Value* Table::find(std::string_view key) const {
  const auto place = places_.find(key);
  return place == places_.end() ? nullptr : &entries_[place->second].second;
}

Value* Table::find(std::string_view key) {
  return const_cast<Value*>(static_cast<const Table*>(this)->find(key));
}

Value& Table::insert(std::string key, Value value) {
  const auto [place, is_new] = places_.emplace(key, entries_.size());
  if (is_new) return entries_.emplace_back(std::move(key), std::move(value)).second;
  return entries_[place->second].second = std::move(value);
}

std::size_t Table::size() const { return entries_.size(); }
const std::string& Table::key(std::size_t i) const { return entries_[i].first; }
const Value& Table::value(std::size_t i) const { return entries_[i].second; }

bool Table::operator==(const Table& other) const {
  return size() == other.size() && std::ranges::all_of(entries_, [&](const auto& entry) {
           const Value* const value = other.find(entry.first);
           return value && *value == entry.second;
         });
}

// ---- Parser ----

namespace {

using Path = std::vector<std::string>;

bool is_bare(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Tab is the only control character that may stand in a comment or a string of one line.
bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == '\x7f';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Table parse() {
    if (text_.size() > kMostBytes) {
      throw core::FormatError("the text is larger than " + std::to_string(kMostBytes >> 20) +
                              " MiB");
    }
    check_encoding();
    while (at_ < text_.size()) line();
    return std::move(root_);
  }

 private:
  [[noreturn]] void bad(const std::string& what) const {
    const std::string_view before = text_.substr(0, std::min(at_, text_.size()));
    const auto line = 1 + std::ranges::count(before, '\n');
    throw core::FormatError("line " + std::to_string(line) + ": " + what);
  }

  void check_encoding() {
    while (at_ < text_.size()) {
      const std::size_t length = core::utf8_length(text_.substr(at_));
      if (length == 0) bad("the text is not UTF-8");
      at_ += length;
    }
    at_ = 0;
  }

  // ---- Characters ----

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool at_end() const { return at_ >= text_.size(); }
  bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }

  bool accept(std::string_view wanted) {
    if (!starts(wanted)) return false;
    at_ += wanted.size();
    return true;
  }

  void skip_space() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }

  bool accept_newline() { return accept("\n") || accept("\r\n"); }

  void skip_comment() {
    if (peek() != '#') return;
    while (!at_end() && !starts("\n") && !starts("\r\n")) {
      if (is_control(peek())) bad("a comment holds a control character");
      ++at_;
    }
  }

  // Spaces, comments and ends of lines, within an array.
  void skip_lines() {
    while (true) {
      skip_space();
      skip_comment();
      if (!accept_newline()) return;
    }
  }

  void end_of_line() {
    skip_space();
    skip_comment();
    if (!at_end() && !accept_newline()) bad("unexpected text after the value");
  }

  // ---- Lines ----

  // The syntax that defined a table or an array determines what can be added to it later.
  struct Origin {
    std::set<std::string> headers;  // paths of tables that have a [header]
    std::set<std::string> dotted;   // paths of tables that dotted keys made
    std::set<std::string> frozen;   // paths of inline tables and of arrays in brackets
  };

  static std::string joined(const Path& path) {
    std::string text;
    for (const std::string& part : path) {
      text += std::to_string(part.size());
      text += ':';
      text += part;
    }
    return text;
  }

  void line() {
    skip_space();
    if (at_end() || peek() == '#' || starts("\n") || starts("\r\n")) {
      end_of_line();
    } else if (peek() == '[') {
      header();
    } else {
      entry(*table_, place_, 0);
      end_of_line();
    }
  }

  void header() {
    ++at_;
    const bool of_array = accept("[");
    skip_space();
    const Path path = key();
    skip_space();
    if (!accept(of_array ? "]]" : "]")) {
      bad(std::string("the header must end with '") + (of_array ? "]]" : "]") + "'");
    }
    end_of_header(path, of_array);
    end_of_line();
  }

  void end_of_header(const Path& path, bool of_array) {
    Table* table = &root_;
    Path place;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) table = &step_into(*table, place, path[i]);
    const std::string& name = path.back();
    Value* value = table->find(name);
    place.push_back(name);
    const std::string id = joined(place);
    if (of_array) {
      if (!value) {
        value = &table->insert(name, Array{});
      } else if (!value->as<Array>() || origin_.frozen.contains(id)) {
        bad("[[" + shown_path(path) + "]] was given before as something else");
      }
      Array& array = *value->as<Array>();
      array.emplace_back(Table());
      table_ = array.back().as<Table>();
      place.push_back("#" + std::to_string(array.size()));
    } else {
      if (!value) {
        value = &table->insert(name, Table());
      } else if (!value->as<Table>() || origin_.headers.contains(id) ||
                 origin_.dotted.contains(id) || origin_.frozen.contains(id)) {
        bad("[" + shown_path(path) + "] was given before; give each table once");
      }
      origin_.headers.insert(id);
      table_ = value->as<Table>();
    }
    place_ = std::move(place);
  }

  // The table of this name within another, or the last of an array of tables; made if need be.
  Table& step_into(Table& table, Path& place, const std::string& name) {
    Value* value = table.find(name);
    place.push_back(name);
    if (!value) return *table.insert(name, Table()).as<Table>();
    if (origin_.frozen.contains(joined(place))) {
      bad("'" + name + "' cannot be added to; it was given in one piece");
    }
    if (Table* const inner = value->as<Table>()) return *inner;
    Array* const array = value->as<Array>();
    if (!array) bad("'" + name + "' is a value already, so it cannot be a table");
    place.push_back("#" + std::to_string(array->size()));
    return *array->back().as<Table>();
  }

  // key = value, within a table that lies at `place`.
  void entry(Table& within, const Path& where, std::size_t depth) {
    const Path path = key();
    skip_space();
    if (!accept("=")) bad("'=' must follow the key " + shown_path(path));
    skip_space();
    Table* table = &within;
    Path place = where;
    for (std::size_t i = 0; i + 1 < path.size(); ++i) {
      Value* const value = table->find(path[i]);
      place.push_back(path[i]);
      const std::string id = joined(place);
      if (!value) {
        origin_.dotted.insert(id);
        table = table->insert(path[i], Table()).as<Table>();
        continue;
      }
      table = value->as<Table>();
      if (!table || !origin_.dotted.contains(id)) {
        bad("'" + path[i] + "' was given before, so " + shown_path(path) + " cannot be added");
      }
    }
    const std::string& name = path.back();
    if (table->find(name)) bad("the key " + shown_path(path) + " is given twice");
    place.push_back(name);
    Value parsed = value(place, depth);
    if (parsed.as<Table>() || parsed.as<Array>()) origin_.frozen.insert(joined(place));
    table->insert(name, std::move(parsed));
  }

  Path key() {
    Path path;
    do {
      skip_space();
      if (path.size() == kMostDepth) bad("a key has more than 64 parts");
      if (peek() == '"' || peek() == '\'') {
        path.push_back(string(false));
      } else {
        const std::size_t start = at_;
        while (is_bare(peek())) ++at_;
        if (at_ == start) bad("a key was expected; other names than a-z, 0-9, _ and - need quotes");
        path.emplace_back(text_.substr(start, at_ - start));
      }
      skip_space();
    } while (accept("."));
    return path;
  }

  static std::string shown_path(const Path& path) {
    std::string text;
    for (const std::string& part : path) text += (text.empty() ? "" : ".") + part;
    return text.size() <= 80 ? text : text.substr(0, 77) + "...";
  }

  // ---- Values ----

  Value value(const Path& place, std::size_t depth) {
    if (depth == kMostDepth) bad("values are nested deeper than 64 levels");
    const char c = peek();
    if (c == '"' || c == '\'') return string(true);
    if (c == '[') return array(place, depth + 1);
    if (c == '{') return inline_table(place, depth + 1);
    if (accept("true")) return true;
    if (accept("false")) return false;
    return number();
  }

  Value array(const Path& place, std::size_t depth) {
    ++at_;
    Array items;
    while (true) {
      skip_lines();
      if (accept("]")) return items;
      if (at_end()) bad("an array does not end; ']' is missing");
      items.push_back(value(place, depth));
      skip_lines();
      if (accept(",")) continue;
      if (accept("]")) return items;
      bad("',' or ']' must follow a value of an array");
    }
  }

  Value inline_table(const Path& place, std::size_t depth) {
    ++at_;
    Table table;
    // Dotted keys of this table alone; it is frozen when it ends.
    Origin outer;
    std::swap(outer, origin_);
    skip_space();
    if (!accept("}")) {
      while (true) {
        skip_space();
        entry(table, place, depth);
        skip_space();
        if (accept(",")) continue;
        if (accept("}")) break;
        bad("',' or '}' must follow a value of an inline table, which is written in one line");
      }
    }
    std::swap(outer, origin_);
    return table;
  }

  // A string in any quotes; those over several lines are for values only.
  std::string string(bool over_lines) {
    const char quote = peek();
    const std::string three(3, quote);
    const bool multi = over_lines && accept(three);
    if (!multi) ++at_;
    if (multi) accept_newline();  // the first line may be left empty
    std::string out;
    while (true) {
      if (at_end()) bad("a string does not end; a quote is missing");
      if (multi ? starts(three) : peek() == quote) {
        at_ += multi ? 3 : 1;
        if (!multi) return out;
        for (int i = 0; i < 2 && peek() == quote; ++i, ++at_) out += quote;  // they belong to it
        return out;
      }
      if (accept_newline()) {
        if (!multi) bad("a string does not end in its line; a quote is missing");
        out += '\n';
        continue;
      }
      const char c = peek();
      if (is_control(c)) bad("a string holds a control character; use an escape such as \\u0000");
      ++at_;
      if (c == '\\' && quote == '"') {
        escape(multi, out);
      } else {
        out += c;
      }
    }
  }

  void escape(bool multi, std::string& out) {
    constexpr std::string_view kNames = "btnfr\"\\", kMeanings = "\b\t\n\f\r\"\\";
    const char c = peek();
    if (const std::size_t which = kNames.find(c); c != '\0' && which != std::string_view::npos) {
      ++at_;
      out += kMeanings[which];
      return;
    }
    if (c == 'u' || c == 'U') {
      ++at_;
      out += core::utf8_of(code_point(c == 'u' ? 4 : 8));
      return;
    }
    const std::size_t start = at_;
    skip_space();
    if (!multi || !accept_newline()) {
      at_ = start;
      bad("a string has an unknown escape; write a backslash as \\\\");
    }
    while (accept_newline() || accept(" ") || accept("\t")) {
    }
  }

  std::uint32_t code_point(int n_digits) {
    std::uint32_t code = 0;
    const char* const first = text_.data() + std::min(at_, text_.size());
    const char* const last = text_.data() + text_.size();
    const char* const end = first + std::min<std::ptrdiff_t>(n_digits, last - first);
    const auto [reached, error] = std::from_chars(first, end, code, 16);
    if (error != std::errc() || reached != first + n_digits) {
      bad("\\u needs 4 hexadecimal digits, and \\U needs 8");
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
      bad("an escape names no Unicode character");
    }
    at_ += static_cast<std::size_t>(n_digits);
    return code;
  }

  Value number() {
    const std::size_t start = at_;
    while (is_bare(peek()) || peek() == '+' || peek() == '.' || peek() == ':') ++at_;
    const std::string_view token = text_.substr(start, at_ - start);
    if (token.empty()) bad("a value was expected");
    const bool date =
        token.size() >= 5 && std::ranges::all_of(token.substr(0, 2), is_digit) &&
        ((token[2] == ':') || (is_digit(token[2]) && is_digit(token[3]) && token[4] == '-'));
    if (date) bad("dates and times are not supported; write the value as a string in quotes");
    const bool negative = token.front() == '-';
    const std::string_view body = token.substr(negative || token.front() == '+' ? 1 : 0);
    if (body == "inf" || body == "nan") {
      const double value = body == "inf" ? std::numeric_limits<double>::infinity()
                                         : std::numeric_limits<double>::quiet_NaN();
      return negative ? -value : value;
    }
    if (body.size() > 2 && body[0] == '0' && (body[1] == 'x' || body[1] == 'o' || body[1] == 'b')) {
      const int base = body[1] == 'x' ? 16 : body[1] == 'o' ? 8 : 2;
      const std::string digits = without_underscores(body.substr(2), base, token);
      if (body.size() != token.size()) not_a_value(token);  // no sign
      return integer(digits, base, token);
    }
    const std::size_t fraction = body.find_first_of(".eE");
    const std::string whole = without_underscores(body.substr(0, fraction), 10, token);
    if (whole.size() > 1 && whole.front() == '0') bad("a number must not begin with 0");
    const std::string sign = negative ? "-" : "";
    if (fraction == std::string_view::npos) return integer(sign + whole, 10, token);
    std::string text = sign + whole;
    std::string_view rest = body.substr(fraction);
    if (rest.front() == '.') {
      const std::size_t exponent = std::min(rest.find_first_of("eE"), rest.size());
      text += "." + without_underscores(rest.substr(1, exponent - 1), 10, token);
      rest = rest.substr(exponent);
    }
    if (!rest.empty()) {
      rest = rest.substr(1);
      text += "e";
      if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
        if (rest.front() == '-') text += "-";
        rest = rest.substr(1);
      }
      text += without_underscores(rest, 10, token);
    }
    double value = 0.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) {
      bad("'" + std::string(token.substr(0, 40)) + "' is beyond the range of a float");
    } else if (error != std::errc() || end != text.data() + text.size()) {
      not_a_value(token);
    }
    return value;
  }

  [[noreturn]] void not_a_value(std::string_view token) const {
    bad("'" + std::string(token.substr(0, 40)) + "' is not a value; texts need quotes");
  }

  // Digits of a base, each underscore between two of them.
  std::string without_underscores(std::string_view digits, int base, std::string_view token) const {
    std::string out;
    for (std::size_t i = 0; i < digits.size(); ++i) {
      const char c = digits[i];
      if (c == '_') {
        if (i == 0 || i + 1 == digits.size() || digits[i - 1] == '_') not_a_value(token);
        continue;
      }
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : 99;
      if (digit >= base) not_a_value(token);
      out += c;
    }
    if (out.empty()) not_a_value(token);
    return out;
  }

  Value integer(const std::string& digits, int base, std::string_view token) const {
    std::int64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error == std::errc::result_out_of_range) {
      bad("'" + std::string(token.substr(0, 40)) + "' is beyond the range of 64 bits");
    }
    if (error != std::errc() || end != digits.data() + digits.size()) not_a_value(token);
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Table root_;
  Table* table_ = &root_;  // that the present line adds to,
  Path place_;             // and where it lies
  Origin origin_;
};

// ---- Text of values ----

constexpr std::size_t kMostShown = 80;  // characters

// The shortest digits that give the number back, laid out as Python's repr does.
std::string shown_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific)
                       .ptr;
  const std::string text(buffer.data(), end);
  const std::size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16) return text;
  const std::string sign = text.front() == '-' ? "-" : "";
  std::string digits;
  for (const char c : text.substr(0, e)) {
    if (is_digit(c)) digits += c;
  }
  if (exponent < 0)
    return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const auto point = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() < point) digits.append(point - digits.size(), '0');
  const std::string fraction = digits.substr(point);
  return sign + digits.substr(0, point) + "." + (fraction.empty() ? "0" : fraction);
}

// Appends until `out` is long enough to be cut off.
void show(const Value& value, std::string& out) {
  constexpr std::size_t kEnough = 4 * kMostShown + 4;  // bytes of that many characters
  if (out.size() > kEnough) return;
  if (const auto* const text = value.as<std::string>()) {
    out += '\'';
    for (const char c : std::string_view(*text).substr(0, kEnough)) {
      constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7f) {
        out += c;
      } else {
        out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
      }
    }
    out += '\'';
  } else if (const auto* const flag = value.as<bool>()) {
    out += *flag ? "true" : "false";
  } else if (const auto* const whole = value.as<std::int64_t>()) {
    out += std::to_string(*whole);
  } else if (const auto* const number = value.as<double>()) {
    out += shown_number(*number);
  } else if (const auto* const array = value.as<Array>()) {
    out += '[';
    for (std::size_t i = 0; i < array->size() && out.size() <= kEnough; ++i) {
      if (i > 0) out += ", ";
      show((*array)[i], out);
    }
    out += ']';
  } else {
    const Table& table = *value.as<Table>();
    out += '{';
    for (std::size_t i = 0; i < table.size() && out.size() <= kEnough; ++i) {
      if (i > 0) out += ", ";
      show(table.key(i), out);
      out += " = ";
      show(table.value(i), out);
    }
    out += '}';
  }
}

}  // namespace

Table parse(std::string_view text) { return Parser(text).parse(); }

std::string shown(const Value& value) {
  std::string out;
  show(value, out);
  return core::shortened(out, kMostShown);
}

}  // namespace audiogen::presets::toml
