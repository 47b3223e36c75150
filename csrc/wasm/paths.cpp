// The functions of std::filesystem::path that `/` calls: libc++ for WebAssembly declares them only.
#include <filesystem>
#include <string_view>

namespace std::filesystem {

string_view path::__filename() const {
  const string_view text = native();
  const std::size_t slash = text.rfind('/');
  return slash == string_view::npos ? text : text.substr(slash + 1);
}

string_view path::__root_directory() const {
  const string_view text = native();
  return text.starts_with('/') ? text.substr(0, 1) : string_view();
}

}  // namespace std::filesystem
