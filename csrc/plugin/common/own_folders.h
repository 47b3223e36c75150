// Where the presets of a plug-in lie beside it.
#pragma once

#include <string>
#include <vector>

namespace audiogen::plugin {

// `presets` in the folder of the library that this function is in, and in `Resources` beside that
// folder, as in a VST3 bundle.
std::vector<std::string> own_folders();

}  // namespace audiogen::plugin
