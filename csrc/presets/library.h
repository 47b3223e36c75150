// Finds the presets of this machine by name, and shares opened ones within the process.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "presets/preset.h"

namespace audiogen::presets {

struct FoundPreset {
  std::string name;  // of its folder
  std::filesystem::path folder;
};

// Folders with a preset.toml, sorted by name, from $AUDIOGEN_PRESETS (several folders, divided by
// ':', on Windows by ';'), the user's ($XDG_DATA_HOME/audiogen/presets, by default
// ~/.local/share/audiogen/presets) and `further`. Of presets with the same name only the first in
// this order is found. The rule of `find_presets` of audiogen/presets/folders.py.
std::vector<FoundPreset> find_presets(std::span<const std::filesystem::path> further = {});

struct SharedPreset {
  Preset preset;
  std::string hash;  // `content_hash`
};

// Opens a preset as `open` does. While the result is in use somewhere in the process, opening the
// same folder again with the same content returns it, so that its weights are in memory once.
std::shared_ptr<const SharedPreset> open_shared(const std::filesystem::path& folder);

}  // namespace audiogen::presets
