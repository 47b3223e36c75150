// The TOML reader takes what TOML 1.0 allows, dates excepted, and refuses the rest with the line.
#include "presets/toml.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "check.h"
#include "core/errors.h"

using namespace std::literals;
using audiogen::core::FormatError;
using namespace audiogen::presets::toml;

static const Value& at(const Table& table, std::string_view path) {
  const std::size_t dot = path.find('.');
  static const Value missing(false);
  const Value* const value = table.find(path.substr(0, dot));
  if (!value) return missing;
  return dot == std::string_view::npos ? *value : at(*value->as<Table>(), path.substr(dot + 1));
}

static std::string text_at(const Table& table, std::string_view path) {
  const auto* const text = at(table, path).as<std::string>();
  return text ? *text : "(no text)";
}

static void strings() {
  const Table table = parse(R"toml(# a comment with ümlauts
basic = "a\tb\n\"q\" \\ \u00e9 \U0001D11E # no comment"
literal = 'C:\path "x"'
lines = """
first \
   joined

last "quoted" ""\""""
raw = '''
keeps \ and ''quotes'''''
empty = ""
"quoted key" = 'x'
'' = "empty key"
)toml");
  CHECK(text_at(table, "basic") == "a\tb\n\"q\" \\ é 𝄞 # no comment");
  CHECK(text_at(table, "literal") == R"(C:\path "x")");
  CHECK(text_at(table, "lines") == "first joined\n\nlast \"quoted\" \"\"\"");
  CHECK(text_at(table, "raw") == "keeps \\ and ''quotes''");
  CHECK(text_at(table, "empty").empty());
  CHECK(text_at(table, "quoted key") == "x");
  CHECK(text_at(table, "") == "empty key");
  CHECK(text_at(parse("a = \"\"\"x\r\ny\"\"\"\r\nb = 1\r\n"), "a") == "x\ny");
  CHECK(text_at(parse("a = \"tab\tinside\""), "a") == "tab\tinside");
}

static void numbers() {
  const auto whole = [](const std::string& text) {
    const Table table = parse("a = " + text);
    const auto* const value = at(table, "a").as<std::int64_t>();
    return value ? *value : std::int64_t{-12345};
  };
  const auto real = [](const std::string& text) {
    const Table table = parse("a = " + text);
    const auto* const value = at(table, "a").as<double>();
    return value ? *value : -12345.0;
  };
  CHECK(whole("0") == 0 && whole("+99") == 99 && whole("-17") == -17 && whole("1_000") == 1000);
  CHECK(whole("0xDEAD_beef") == 0xDEADBEEF && whole("0o755") == 0755 && whole("0b1101") == 13);
  CHECK(whole("9223372036854775807") == INT64_MAX && whole("-9223372036854775808") == INT64_MIN);
  CHECK(real("1.0") == 1.0 && real("-0.01") == -0.01 && real("5e+22") == 5e22);
  CHECK(real("1e06") == 1e6 && real("6.626_1e-3_4") == 6.6261e-34 && real("0e0") == 0.0);
  CHECK(std::isinf(real("inf")) && real("-inf") < 0 && std::isnan(real("nan")));
  CHECK(std::isnan(real("-nan")) && real("+inf") > 0);
  CHECK(*at(parse("a = true"), "a").as<bool>() && !*at(parse("a = false"), "a").as<bool>());
}

static void arrays_and_tables() {
  const Table table = parse(R"(
title = "x"   # after a value
mixed = [1, "two", 3.0, [true, {a = 1, b.c = 2}], ]
long = [
  1,  # one

  2
]
point = { x = 1, "y y" = [ ] }
a.b.c = 1
a . b . "d" = 2

[server]
port = 1
  [server.alpha]
  ip = "here"
[server.beta.deep]
x = 1

[[fruit]]
name = "apple"
[fruit.taste]
sweet = true
[[fruit.variety]]
name = "red"
[[fruit.variety]]
name = "green"
[[fruit]]
name = "pear"
[fruit.taste]
sweet = false
)");
  CHECK(shown(at(table, "mixed")) == "[1, 'two', 3.0, [true, {'a' = 1, 'b' = {'c' = 2}}]]");
  CHECK(shown(at(table, "long")) == "[1, 2]" && shown(at(table, "point.y y")) == "[]");
  CHECK(*at(table, "a.b.c").as<std::int64_t>() == 1 && *at(table, "a.b.d").as<std::int64_t>() == 2);
  CHECK(text_at(table, "server.alpha.ip") == "here");
  CHECK(at(table, "server.beta.deep.x").as<std::int64_t>() != nullptr);
  const Array& fruit = *at(table, "fruit").as<Array>();
  CHECK(fruit.size() == 2);
  CHECK(at(*fruit[0].as<Table>(), "variety").as<Array>()->size() == 2);
  CHECK(*at(*fruit[0].as<Table>(), "taste.sweet").as<bool>());
  CHECK(!*at(*fruit[1].as<Table>(), "taste.sweet").as<bool>());
  CHECK(table.key(0) == "title" && table.key(1) == "mixed");
  CHECK(parse("").empty() && parse("\n# only a comment").empty() && parse("a=1").size() == 1);
  // A table may come after those within it, and dotted keys may go on.
  CHECK(parse("[a.b]\nx = 1\n[a]\ny = 2\n[a.c]\n").find("a")->as<Table>()->size() == 3);
  CHECK(parse("a.x = 1\na.y = 2\n[a.z]\n").find("a")->as<Table>()->size() == 3);
  CHECK(parse("a = 1\nb = 2") == parse("b = 2\na = 1"));
}

static void refuses() {
  const struct {
    std::string text, message;
  } kBad[] = {
      {"a = ", "line 1: a value was expected"},
      {"\n\na = x", "line 3: 'x' is not a value; texts need quotes"},
      {"a = 1 b = 2", "line 1: unexpected text"},
      {"a 1", "'=' must follow the key a"},
      {"= 1", "a key was expected"},
      {"\xef\xbb\xbf"
       "a = 1",
       "a key was expected"},
      {"ü = 1", "a key was expected"},
      {"a = 1\na = 2", "line 2: the key a is given twice"},
      {"a.b = 1\na = 2", "the key a is given twice"},
      {"a = 1\na.b = 2", "'a' was given before"},
      {"[a]\n[a]", "line 2: [a] was given before"},
      {"[a]\nb = 1\n[a.b]", "[a.b] was given before"},
      {"a.b = 1\n[a]", "[a] was given before"},
      {"[a.b]\n[a]\nb.c = 1", "'b' was given before"},
      {"a = {b = 1}\na.c = 2", "'a' was given before"},
      {"a = {b = 1}\n[a.c]", "'a' cannot be added to"},
      {"a = {b.c = 1}\n[a.b]", "'a' cannot be added to"},
      {"a = [{}]\n[a.b]", "'a' cannot be added to"},
      {"a = [1]\n[[a]]", "[[a]] was given before as something else"},
      {"a = []\n[[a]]", "[[a]] was given before as something else"},
      {"[a]\n[[a]]", "[[a]] was given before as something else"},
      {"[[a]]\n[a]", "[a] was given before"},
      {"a = 1\n[a.b]", "'a' is a value already"},
      {"[a", "the header must end with ']'"},
      {"[[a]", "the header must end with ']]'"},
      {"[]", "a key was expected"},
      {"[a] b = 1", "unexpected text"},
      {"a = [1 2]", "',' or ']' must follow"},
      {"a = [1", "',' or ']' must follow"},
      {"a = [1,\n", "line 2: an array does not end"},
      {"a = [,]", "a value was expected"},
      {"a = {b = 1,}", "a key was expected"},
      {"a = {b = 1\n}", "',' or '}' must follow"},
      {"a = {b = 1, b = 2}", "the key b is given twice"},
      {"a = \"x", "a string does not end"},
      {"a = \"x\n\"", "does not end in its line"},
      {"a = '''x", "a string does not end"},
      {"a = \"\\x\"", "an unknown escape"},
      {"a = \"\\ x\"", "an unknown escape"},
      {"a = \"\\u12\"", "\\u needs 4 hexadecimal digits"},
      {"a = \"\\u12+4\"", "\\u needs 4 hexadecimal digits"},
      {"a = \"\\ud800\"", "names no Unicode character"},
      {"a = \"\\U00110000\"", "names no Unicode character"},
      {"a = \"\x01\"", "a control character"},
      {"a = \"x\ry\"", "a control character"},
      {"# \x7f", "a comment holds a control character"},
      {"a = \"\xff\"", "line 1: the text is not UTF-8"},
      {"# ok\na = \"\xed\xa0\x80\"", "line 2: the text is not UTF-8"},
      {"a = 1979-05-27", "dates and times are not supported"},
      {"a = 1979-05-27T07:32:00Z", "dates and times are not supported"},
      {"a = 07:32:00", "dates and times are not supported"},
      {"a = 01", "must not begin with 0"},
      {"a = 1__0", "is not a value"},
      {"a = _1", "is not a value"},
      {"a = 1_", "is not a value"},
      {"a = 1.", "is not a value"},
      {"a = .5", "is not a value"},
      {"a = 1.e5", "is not a value"},
      {"a = 1e", "is not a value"},
      {"a = +0x1", "is not a value"},
      {"a = 0b2", "is not a value"},
      {"a = --1", "is not a value"},
      {"a = +true", "is not a value"},
      {"a = truest", "unexpected text"},
      {"a = 9223372036854775808", "beyond the range of 64 bits"},
      {"a = 1e999", "beyond the range of a float"},
      {"a = " + std::string(5000, '['), "nested deeper than 64"},
      {"a = " + std::string(5000, '{'), "a key was expected"},
      {std::string("a") +
           [] {
             std::string more;
             for (int i = 0; i < 70; ++i) more += ".a";
             return more;
           }() +
           " = 1",
       "more than 64 parts"},
      {std::string(kMostBytes + 1, '#'), "larger than 4 MiB"},
      {"a = 1\0"s, "unexpected text"},
  };
  for (const auto& bad : kBad) CHECK_THROWS(parse(bad.text), FormatError, bad.message);
}

static void shows_values() {
  const auto of = [](const std::string& text) { return shown(at(parse("a = " + text), "a")); };
  CHECK(of("0.0001") == "0.0001" && of("0.00001") == "1e-05" && of("16000.0") == "16000.0");
  CHECK(of("1e15") == "1000000000000000.0" && of("1e16") == "1e+16" && of("-0.5") == "-0.5");
  CHECK(of("0.1") == "0.1" && of("-1.25e-7") == "-1.25e-07" && of("0.0") == "0.0");
  CHECK(of("-0.0") == "-0.0" && of("inf") == "inf" && of("-inf") == "-inf" && of("nan") == "nan");
  CHECK(of("\"a\\n\\u007f\"") == "'a\\x0a\\x7f'" && of("false") == "false");
  CHECK(of("'" + std::string(100, 'x') + "'") == "'" + std::string(76, 'x') + "...");
  std::string wide;
  for (int i = 0; i < 1000; ++i) wide += "𝄞";
  CHECK(of("'" + wide + "'") == "'" + wide.substr(0, 4 * 76) + "...");
  CHECK(of("'" + std::string(78, 'x') + "'").size() == 80);
}

// Random changes of a good file are read or refused, within bounds of time and memory.
static void survives_mutation() {
  const std::string good =
      "a = 1\nb.c = [1, 2.5, \"x\"]\n[t]\nd = {e = 1}\n[[u]]\nf = '''x'''\n[[u]]\ng = true\n";
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return random() % n; };
  const std::string tokens = "[]{}=.,\"'#\\\n a1-_+:eu";
  int read = 0, refused = 0;
  for (int round = 0; round < 30000; ++round) {
    std::string text = good;
    for (std::size_t change = 0; change <= below(4); ++change) {
      const std::size_t place = below(text.size());
      switch (below(3)) {
        case 0:
          text[place] = tokens[below(tokens.size())];
          break;
        case 1:
          text.erase(place, 1 + below(4));
          if (text.empty()) text = " ";
          break;
        case 2:
          text.insert(place, text.substr(below(text.size()), below(8)));
          break;
      }
    }
    try {
      CHECK(!shown(parse(text)).empty());
      ++read;
    } catch (const FormatError& error) {
      CHECK(std::string(error.what()).starts_with("line "));
      ++refused;
    }
  }
  CHECK(read > 1000 && refused > 10000);
}

int main() {
  strings();
  numbers();
  arrays_and_tables();
  refuses();
  shows_values();
  survives_mutation();
  return audiogen::test::finish();
}
