// Hashes the content of a preset's files, so that a saved project can tell whether they changed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace audiogen::presets {

// SHA-256 (FIPS 180-4) as 64 hexadecimal digits.
std::string sha256(std::span<const std::byte> bytes);

// SHA-256 of preset.toml followed by weights.safetensors. Throws core::FormatError, which begins
// with the path of the file that cannot be read.
std::string content_hash(const std::filesystem::path& folder);

}  // namespace audiogen::presets
