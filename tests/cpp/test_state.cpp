// States of the C interface: round trips through pieces of any size, older and later versions,
// damage; and the search for presets that they name.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "capi/audiogen.h"
#include "capi/state.h"
#include "check.h"

namespace fs = std::filesystem;
using audiogen::capi::sealed;

static const fs::path kData = AUDIOGEN_TEST_DATA;

using StatePointer = std::unique_ptr<audiogen_state, decltype(&audiogen_state_destroy)>;

static bool says(const char* text) { return std::strstr(audiogen_error(), text) != nullptr; }

// A stream that moves at most `piece` bytes at once.
struct Stream {
  std::string bytes;
  std::size_t piece = 1;
  std::size_t at = 0;
};

static int64_t read_piece(void* context, void* bytes, size_t n) {
  auto& stream = *static_cast<Stream*>(context);
  n = std::min({n, stream.piece, stream.bytes.size() - stream.at});
  std::memcpy(bytes, stream.bytes.data() + stream.at, n);
  stream.at += n;
  return static_cast<int64_t>(n);
}

static int64_t write_piece(void* context, const void* bytes, size_t n) {
  auto& stream = *static_cast<Stream*>(context);
  n = std::min(n, stream.piece);
  stream.bytes.append(static_cast<const char*>(bytes), n);
  return static_cast<int64_t>(n);
}

static int64_t fail_to_read(void*, void*, size_t) { return -1; }
static int64_t fail_to_write(void*, const void*, size_t) { return 0; }

static StatePointer read(const std::string& bytes, std::size_t piece = 4096) {
  Stream stream{bytes, piece};
  return {audiogen_state_read(read_piece, &stream), audiogen_state_destroy};
}

static std::string write(const audiogen_state* state, std::size_t piece = 4096) {
  Stream stream{"", piece};
  CHECK(audiogen_state_write(state, write_piece, &stream) == 0);
  return stream.bytes;
}

static StatePointer full_state() {
  StatePointer state{audiogen_state_create(), audiogen_state_destroy};
  const float z[] = {0.1f, -1e-30f, 3.4e38f};
  CHECK(audiogen_state_set_preset(state.get(), "plucked", "0123abcd") == 0);
  CHECK(audiogen_state_set_timbre(state.get(), "acoustic bass") == 0);
  CHECK(audiogen_state_set_latent(state.get(), z, 3) == 0);
  CHECK(audiogen_state_set_parameter(state.get(), "morph", 1.0f / 3.0f) == 0);
  CHECK(audiogen_state_set_parameter(state.get(), "of-the-future", -0.0f) == 0);
  audiogen_state_set_seed(state.get(), ~std::uint64_t{0});
  return state;
}

static void everything_comes_back() {
  const StatePointer state = full_state();
  const std::string bytes = write(state.get());
  for (const std::size_t piece : {1u, 2u, 7u, 4096u}) {
    CHECK(write(state.get(), piece) == bytes);
    const StatePointer again = read(bytes, piece);
    CHECK(again != nullptr && write(again.get()) == bytes);
    float value = 0.0f;
    CHECK(std::strcmp(audiogen_state_preset(again.get()), "plucked") == 0);
    CHECK(std::strcmp(audiogen_state_hash(again.get()), "0123abcd") == 0);
    CHECK(std::strcmp(audiogen_state_timbre(again.get()), "acoustic bass") == 0);
    CHECK(audiogen_state_seed(again.get()) == ~std::uint64_t{0});
    CHECK(audiogen_state_n_latent(again.get()) == 3);
    CHECK(audiogen_state_latent(again.get())[1] == -1e-30f);
    CHECK(audiogen_state_parameter(again.get(), "morph", &value) == 1 && value == 1.0f / 3.0f);
    CHECK(audiogen_state_parameter(again.get(), "of-the-future", &value) == 1 &&
          std::signbit(value));
    CHECK(audiogen_state_parameter(again.get(), "volume", &value) == 0);
  }
  const StatePointer empty{audiogen_state_create(), audiogen_state_destroy};
  const StatePointer again = read(write(empty.get()));
  CHECK(again != nullptr && std::strlen(audiogen_state_preset(again.get())) == 0);
  CHECK(audiogen_state_n_latent(again.get()) == 0 && audiogen_state_seed(again.get()) == 0);
}

// The file was written by the first version, and must be read for ever.
static void the_first_version_is_read() {
  std::ifstream file(kData / "fuzz" / "corpus" / "state" / "version_1", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const StatePointer state = read(bytes);
  CHECK(state != nullptr);
  if (!state) return;
  float value = 0.0f;
  CHECK(std::strcmp(audiogen_state_preset(state.get()), "plucked") == 0);
  CHECK(std::strcmp(audiogen_state_timbre(state.get()), "harp") == 0);
  CHECK(std::strlen(audiogen_state_hash(state.get())) == 64);
  CHECK(audiogen_state_seed(state.get()) == 7 && audiogen_state_n_latent(state.get()) == 2);
  CHECK(audiogen_state_parameter(state.get(), "morph", &value) == 1 && value == 0.25f);
}

static void later_versions_are_read_as_far_as_they_are_known() {
  const std::string later = sealed(
      "audiogen-state 12\nsmell of roses\npreset plucked\nkey\nparameter pan -0.5\n\nmap 0.5 "
      "0.1\n");
  const StatePointer state = read(later + "bytes of the host");
  float value = 0.0f;
  CHECK(state != nullptr && std::strcmp(audiogen_state_preset(state.get()), "plucked") == 0);
  CHECK(audiogen_state_parameter(state.get(), "pan", &value) == 1 && value == -0.5f);
}

static void damage_is_refused() {
  const std::string bytes = write(full_state().get());
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {  // the final line break is not needed
    CHECK(read(bytes.substr(0, i)) == nullptr && says("state"));
    for (const char bit : {'\x01', '\x40'}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ bit);
      CHECK(read(damaged) == nullptr && std::strlen(audiogen_error()) > 10);
    }
  }
  const auto refused = [](const std::string& body, const char* message) {
    CHECK(read(sealed("audiogen-state 1\n" + body)) == nullptr && says(message));
  };
  refused("parameter morph nan\n", "'parameter morph nan' has no valid number");
  refused("parameter morph 1e999\n", "no valid number");
  refused("parameter  1\n", "1 to 255 bytes");
  refused("seed -1\n", "'seed -1'");
  refused("latent 1 2 x\n", "'latent 1 2 x'");
  refused("preset \x01\n", "control characters");
  CHECK(read(sealed("audiogen-state 0\n")) == nullptr && says("version"));
  CHECK(read("") == nullptr && says("not one of audiogen"));
  CHECK(read(std::string(std::size_t{2} << 20, 'a')) == nullptr && says("1048576 bytes"));
  CHECK(audiogen_state_read(fail_to_read, nullptr) == nullptr && says("could not be read"));
  CHECK(audiogen_state_write(full_state().get(), fail_to_write, nullptr) == -1 &&
        says("could not be written"));
}

static void wrong_values_change_nothing() {
  const StatePointer state = full_state();
  const std::string before = write(state.get());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(audiogen_state_set_preset(state.get(), "a\nb", nullptr) == -1 && says("preset"));
  CHECK(audiogen_state_set_timbre(state.get(), std::string(300, 'x').c_str()) == -1);
  CHECK(audiogen_state_set_parameter(state.get(), "morph", nan) == -1 && says("finite"));
  CHECK(audiogen_state_set_parameter(state.get(), "a b", 0.0f) == -1 && says("spaces"));
  CHECK(audiogen_state_set_parameter(state.get(), nullptr, 0.0f) == -1 && says("NULL"));
  CHECK(audiogen_state_set_latent(state.get(), &nan, 1) == -1 && says("finite"));
  CHECK(audiogen_state_set_latent(state.get(), nullptr, 2) == -1 && says("NULL"));
  CHECK(write(state.get()) == before);
  CHECK(audiogen_state_set_preset(state.get(), nullptr, nullptr) == 0);
  CHECK(audiogen_state_set_latent(state.get(), nullptr, 0) == 0);
  CHECK(write(state.get()).find("plucked") == std::string::npos);
}

static void presets_are_found_by_name() {
  const fs::path first = fs::temp_directory_path() / "audiogen_test_state", home = first / "home";
  fs::remove_all(first);
  const fs::path users = home / "audiogen" / "presets";
  for (const fs::path& folder : {first / "own" / "harp", users / "harp", users / "drum"}) {
    fs::create_directories(folder);
    std::ofstream(folder / "preset.toml") << "\n";
  }
  fs::create_directories(users / ".harp.replaced");
  fs::create_directories(users / "no-preset");
  setenv("AUDIOGEN_PRESETS", ("/nowhere:" + (first / "own").string()).c_str(), 1);
  setenv("XDG_DATA_HOME", home.c_str(), 1);
  const std::string presets = (kData / ".." / "presets").string();
  const char* const folders[] = {presets.c_str()};
  audiogen_preset_list* list = audiogen_find_presets(folders, 1);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < audiogen_n_found(list); ++i) {
    names.emplace_back(audiogen_found_name(list, i));
    const fs::path folder = audiogen_found_folder(list, i);
    CHECK(folder.filename() == names.back());
    if (names.back() == "harp") CHECK(folder == first / "own" / "harp");
  }
  CHECK(std::ranges::is_sorted(names));
  for (const char* name : {"bowed", "drum", "harp", "plucked"}) {
    CHECK(std::ranges::count(names, name) == 1);
  }
  CHECK(std::ranges::count(names, "no-preset") == 0);
  CHECK(audiogen_found_name(list, names.size()) == nullptr);
  CHECK(audiogen_found_folder(list, names.size()) == nullptr);
  audiogen_free_presets(list);
  audiogen_free_presets(nullptr);
  fs::remove_all(first);
}

int main() {
  everything_comes_back();
  the_first_version_is_read();
  later_versions_are_read_as_far_as_they_are_known();
  damage_is_refused();
  wrong_values_change_nothing();
  presets_are_found_by_name();
  return audiogen::test::finish();
}
