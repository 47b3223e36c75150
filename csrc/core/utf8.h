// UTF-8: well-formed text, code points to bytes, and texts cut to a number of characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace audiogen::core {

// Length in bytes of the well-formed sequence at the start of `text`, or 0 (Unicode 15, table 3-7).
std::size_t utf8_length(std::string_view text);

bool is_utf8(std::string_view text);

// Encodes a code point up to U+10FFFF.
std::string utf8_of(std::uint32_t code);

// Shortens a text to `most` > 3 characters, with "..." in place of the rest.
std::string shortened(std::string_view text, std::size_t most);

}  // namespace audiogen::core
