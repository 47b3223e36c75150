// The search for presets, and the table of those in use.
#include "presets/library.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <map>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>

#include "presets/content_hash.h"

namespace audiogen::presets {
namespace fs = std::filesystem;
namespace {

#if defined(_WIN32)
constexpr char kPathSeparator = ';';
#else
constexpr char kPathSeparator = ':';
#endif

fs::path home() {
  const char* folder = std::getenv("HOME");
  return folder ? folder : "";
}

fs::path expanded(std::string_view path) {
  if (path == "~" || path.starts_with("~/")) {
    return home() / path.substr(std::min<std::size_t>(2, path.size()));
  }
  return path;
}

std::vector<fs::path> search_folders(std::span<const fs::path> further) {
  std::vector<fs::path> folders;
  const char* variable = std::getenv("AUDIOGEN_PRESETS");
  for (std::string_view left = variable ? variable : ""; !left.empty();) {
    const std::string_view entry = left.substr(0, left.find(kPathSeparator));
    if (!entry.empty()) folders.push_back(expanded(entry));
    left.remove_prefix(std::min(left.size(), entry.size() + 1));
  }
  const char* data = std::getenv("XDG_DATA_HOME");
  const fs::path data_home = data && *data ? expanded(data) : home() / ".local" / "share";
  folders.push_back(data_home / "audiogen" / "presets");
  folders.insert(folders.end(), further.begin(), further.end());
  return folders;
}

}  // namespace

std::vector<FoundPreset> find_presets(std::span<const fs::path> further) {
  std::map<std::string, fs::path> found;
  for (const fs::path& folder : search_folders(further)) {
    std::error_code error;  // a folder that cannot be read has no presets
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      std::error_code no_file;
      if (!name.starts_with('.') && fs::is_regular_file(entry->path() / kTomlName, no_file)) {
        found.emplace(name, entry->path());
      }
    }
  }
  std::vector<FoundPreset> list;
  for (auto& [name, folder] : found) list.push_back({name, std::move(folder)});
  return list;
}

std::shared_ptr<const SharedPreset> open_shared(const fs::path& folder) {
  using Key = std::pair<std::string, std::string>;  // folder, content
  static std::mutex mutex;
  static std::map<Key, std::weak_ptr<const SharedPreset>> in_use;
  std::error_code error;
  fs::path canonical = fs::canonical(folder, error);
  if (error) canonical = folder;  // `open` says what is wrong
  const std::lock_guard lock(mutex);
  std::erase_if(in_use, [](const auto& entry) { return entry.second.expired(); });
  std::string hash;
  try {
    hash = content_hash(canonical);
  } catch (const std::exception&) {
    return std::make_shared<const SharedPreset>(SharedPreset{open(folder), ""});  // throws
  }
  std::weak_ptr<const SharedPreset>& entry = in_use[{canonical.string(), hash}];
  if (auto shared = entry.lock()) return shared;
  auto shared = std::make_shared<const SharedPreset>(SharedPreset{open(folder), hash});
  entry = shared;
  return shared;
}

}  // namespace audiogen::presets
