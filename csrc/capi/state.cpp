// Writes and parses states.
#include "capi/state.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <system_error>

#include "core/errors.h"

namespace audiogen::capi {
namespace {

constexpr std::string_view kTitle = "audiogen-state ";
constexpr std::string_view kEnd = "end ";
constexpr std::size_t kCrcDigits = 8;

[[noreturn]] void refuse(const std::string& why) {
  throw core::FormatError("the state is damaged: " + why);
}

template <class Number>
std::string text_of(Number number) {
  std::array<char, 64> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
  return {text.data(), end};  // the shortest text that is read as the same number
}

std::string hexadecimal(std::uint32_t number) {
  std::string text;
  for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[number >> shift & 15];
  return text;
}

// Splits off the text before `separator`, or all of it.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t n = std::min(text.find(separator), text.size());
  const std::string_view first = text.substr(0, n);
  text.remove_prefix(std::min(text.size(), n + 1));
  return first;
}

template <class Number>
Number number_of(std::string_view text, std::string_view line) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool fine = error == std::errc() && end == text.data() + text.size();
  if constexpr (std::is_floating_point_v<Number>) fine = fine && std::isfinite(number);
  if (!fine) refuse("'" + std::string(line.substr(0, 60)) + "' has no valid number");
  return number;
}

std::string name_of(std::string_view text, std::string_view what) {
  try {
    check_name(std::string(what).c_str(), text, true);
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  }
  return std::string(text);
}

void parse_line(std::string_view line, State& state) {
  std::string_view value = line;
  const std::string_view keyword = take(value, ' ');
  if (keyword == "preset") {
    state.preset = name_of(value, keyword);
  } else if (keyword == "hash") {
    state.hash = name_of(value, keyword);
  } else if (keyword == "seed") {
    state.seed = number_of<std::uint64_t>(value, line);
  } else if (keyword == "timbre") {
    state.timbre = name_of(value, keyword);
  } else if (keyword == "latent") {
    state.latent.clear();
    while (!value.empty()) {
      if (state.latent.size() == State::kMostLatent) refuse("its latent is too long");
      state.latent.push_back(number_of<float>(take(value, ' '), line));
    }
  } else if (keyword == "parameter") {
    const std::string name = name_of(take(value, ' '), keyword);
    if (state.parameters.size() == State::kMostParameters) refuse("it has too many parameters");
    state.parameters[name] = number_of<float>(value, line);
  }
}

}  // namespace

bool operator==(const State& a, const State& b) {
  return a.preset == b.preset && a.hash == b.hash && a.seed == b.seed && a.timbre == b.timbre &&
         a.latent == b.latent && a.parameters == b.parameters;
}

std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

std::string sealed(std::string body) {
  const std::string crc = hexadecimal(crc32(body));
  return body.append(kEnd).append(crc).append("\n");
}

std::string to_text(const State& state) {
  std::string text = std::string(kTitle) + text_of(State::kVersion) + "\n";
  const auto line = [&](const char* keyword, const std::string& value) {
    if (!value.empty()) text.append(keyword).append(" ").append(value).append("\n");
  };
  line("preset", state.preset);
  line("hash", state.hash);
  line("seed", text_of(state.seed));
  line("timbre", state.timbre);
  std::string latent;
  for (const float z : state.latent) latent.append(latent.empty() ? "" : " ").append(text_of(z));
  line("latent", latent);
  for (const auto& [name, value] : state.parameters) line("parameter", name + " " + text_of(value));
  return sealed(std::move(text));
}

State parse_state(std::string_view text) {
  if (!text.starts_with(kTitle)) {
    throw core::FormatError("the state is not one of audiogen: it does not begin with '" +
                            std::string(kTitle.substr(0, kTitle.size() - 1)) + "'");
  }
  State state;
  std::string_view left = text;
  std::string_view first = take(left, '\n');
  first.remove_prefix(kTitle.size());
  if (number_of<int>(first, text.substr(0, kTitle.size() + first.size())) < 1) {
    refuse("its version must be 1 or more");
  }
  while (true) {
    if (left.empty()) refuse("its end is missing");
    const std::size_t at = text.size() - left.size();
    const std::string_view line = take(left, '\n');
    if (line.starts_with(kEnd)) {
      const std::string crc = hexadecimal(crc32(text.substr(0, at)));
      if (line.size() != kEnd.size() + kCrcDigits || line.substr(kEnd.size()) != crc) {
        refuse("its checksum is not " + crc);
      }
      return state;
    }
    parse_line(line, state);
  }
}

void check_name(const char* what, std::string_view name, bool with_spaces) {
  const bool fine = std::ranges::all_of(name, [&](char c) {
    return static_cast<unsigned char>(c) > (with_spaces ? 31 : 32) && c != 127;
  });
  if (!name.empty() && name.size() <= State::kLongestName && fine) return;
  throw std::invalid_argument(std::string(what) + " must have 1 to 255 bytes and no control " +
                              (with_spaces ? "characters" : "characters or spaces"));
}

}  // namespace audiogen::capi
