// What a user has set, as text that projects keep: the format of `audiogen_state`.
//
//   audiogen-state 1
//   preset plucked
//   hash 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//   seed 7
//   timbre harp
//   latent 0.5 -1.25
//   parameter morph 0.25
//   end 1c291ca3
//
// A line is a keyword, a space and a value. All lines but the first and the last are optional, and
// lines with unknown keywords are skipped: a later version of the format only adds keywords. The
// last line has the CRC-32 of all bytes before it. Bytes after it are ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace audiogen::capi {

struct State {
  static constexpr int kVersion = 1;
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  static constexpr std::size_t kMostLatent = 4096;
  static constexpr std::size_t kMostParameters = 4096;
  static constexpr std::size_t kLongestName = 255;  // bytes

  std::string preset;  // name; empty: none
  std::string hash;    // content hash of the preset's files; empty: unknown
  std::uint64_t seed = 0;
  std::string timbre;         // name; empty: the preset's default
  std::vector<float> latent;  // of a timbre of the user's own, which precedes `timbre`
  std::map<std::string, float, std::less<>> parameters;  // those that were set, by name
};

bool operator==(const State& a, const State& b);

// CRC-32 of ISO 3309, as in PNG and zip files.
std::uint32_t crc32(std::string_view bytes);

// Appends the last line.
std::string sealed(std::string body);
std::string to_text(const State& state);
// Throws core::FormatError: what is wrong, and in which line.
State parse_state(std::string_view text);

// Throws std::invalid_argument unless the text is of 1 to kLongestName bytes without control
// characters; parameters' names have no spaces, either.
void check_name(const char* what, std::string_view name, bool with_spaces);

}  // namespace audiogen::capi
