// UTF-8: well-formed text, code points to bytes, and texts cut to a number of characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace audiogen::core {

// Bytes of the well-formed sequence that `text` begins with, or 0 (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// The bytes of a code point up to U+10FFFF.
std::string utf8_of(std::uint32_t code);

// A text of at most `most` > 3 characters, with "..." in place of what was cut off.
std::string shortened(std::string_view text, std::size_t most);

}  // namespace audiogen::core
