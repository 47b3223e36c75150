// Reads a whole file into memory, with an error message that gives the reason.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <vector>

namespace audiogen::core {

// Returns the bytes of a file. Throws FormatError if it cannot be read or has more than `most`
// bytes; the message is without the path, such as "cannot be read (No such file or directory)".
std::vector<std::byte> read_file(const std::filesystem::path& path,
                                 std::size_t most = std::numeric_limits<std::size_t>::max());

}  // namespace audiogen::core
