// Reads a whole file into memory, with an error message that gives the reason.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <vector>

namespace audiogen::core {

// The bytes of a file. Throws FormatError, "cannot be read (No such file or directory)" and the
// like without the path, also if the file has more than `most` bytes.
std::vector<std::byte> read_file(const std::filesystem::path& path,
                                 std::size_t most = std::numeric_limits<std::size_t>::max());

}  // namespace audiogen::core
