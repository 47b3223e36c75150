// Reads a whole file into memory.
#include "core/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

#include "core/errors.h"

namespace audiogen::core {

std::vector<std::byte> read_file(const std::filesystem::path& path, std::size_t most) {
  const auto fail = [](const std::string& reason) {
    throw FormatError("cannot be read (" + reason + ")");
  };
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) fail("it is a folder");
  errno = 0;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      std::fopen(path.string().c_str(), "rb"), &std::fclose);
  if (!file) fail(std::generic_category().message(errno));
  std::vector<std::byte> bytes;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size <= most) bytes.reserve(static_cast<std::size_t>(size));
  constexpr std::size_t kPiece = std::size_t{1} << 16;
  for (std::size_t n = kPiece; n == kPiece;) {  // until a read returns less
    const std::size_t before = bytes.size();
    bytes.resize(before + kPiece);
    n = std::fread(bytes.data() + before, 1, kPiece, file.get());
    bytes.resize(before + n);
    if (bytes.size() > most) fail("it is larger than " + std::to_string(most) + " bytes");
  }
  if (std::ferror(file.get())) fail(std::generic_category().message(errno));
  return bytes;
}

}  // namespace audiogen::core
