// Runs a fuzzer on the files of the folders that are named, where there is no libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int n_arguments, char** arguments) {
  std::size_t n_files = 0;
  for (int i = 1; i < n_arguments; ++i) {
    if (arguments[i][0] == '-') continue;  // an option of libFuzzer
    for (const auto& file : std::filesystem::directory_iterator(arguments[i])) {
      std::ifstream stream(file.path(), std::ios::binary);
      const std::vector<char> bytes{std::istreambuf_iterator<char>(stream), {}};
      std::printf("%s: %zu bytes\n", file.path().c_str(), bytes.size());
      std::fflush(stdout);  // the last name is that of the file that broke
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
      ++n_files;
    }
  }
  if (n_files == 0) std::fprintf(stderr, "no file to run\n");
  return n_files == 0 ? 1 : 0;
}
