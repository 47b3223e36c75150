// Asks the dynamic linker for the library's own path.
#include "plugin/common/own_folders.h"

#include <dlfcn.h>

#include <filesystem>

namespace audiogen::plugin {

std::vector<std::string> own_folders() {
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&own_folders), &info) == 0 || !info.dli_fname) return {};
  std::error_code error;
  std::filesystem::path library = std::filesystem::canonical(info.dli_fname, error);
  if (error) library = info.dli_fname;
  const std::filesystem::path folder = library.parent_path();
  return {(folder / "presets").string(), (folder.parent_path() / "Resources" / "presets").string()};
}

}  // namespace audiogen::plugin
