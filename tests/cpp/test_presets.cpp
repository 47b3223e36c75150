// Presets: every field is checked and named when it is wrong, tensors fit the network, and a folder
// opens as the instrument that it describes.
#include "presets/preset.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/nearest_names.h"
#include "engine/engine.h"
#include "engine/frames/mel_bands.h"
#include "engine/open_instrument.h"
#include "presets/programs.h"
#include "random_weights.h"

using namespace audiogen;
using namespace audiogen::presets;
using core::FormatError;

static const std::string kTiny = R"(
format = 1
name = "tiny"
kind = "gansynth"
description = "A preset for tests."
authors = ["The audiogen authors"]
licence = "CC0-1.0"
default_timbre = "harp"
sample_rate = 16000
pitch_range = [36, 84]
spectrogram = {n_fft = 128, hop_length = 32, n_frames = 8, magnitude_floor = 1e-6, magnitude_scale = 0.0661371661726, magnitude_offset = 0.113718730221, frequency_scale = 0.8, frequency = "linear", phase = "harmonic"}
generator = {conditioning = "harmonic", latent_size = 3, channels = [6, 5, 4], start_shape = [2, 16], pitch_min = 24, n_pitches = 61, note_off_frame = 5}
sustain = {loop_start_frame = 2, loop_end_frame = 4, release_frame = 5}
data = {source = "noise", licence = "CC0-1.0", instruments = ["harp"], held_out = ["lute"], notes = 4}
training = {command = "audiogen train tiny", seed = 0, seconds = 1.5, steps = 10, machine = "one core", torch = "2.4"}
measured = {within_half_a_semitone = 0.95}
[[timbres]]
name = "harp"
z = [1.0, 0.0, 0.5]
family = "string"
program = 46
[[timbres]]
name = "guitar"
z = [0, 1, -0.5]
family = "guitar"
program = 24
[[timbres]]
name = "dream"
z = [0.5, 0.5, 0.0]
family = "synth_lead"
)";

static const std::string kMurmur = R"(
format = 1
name = "murmur"
kind = "samplernn"
description = "A texture for tests."
authors = ["The audiogen authors"]
licence = "CC0-1.0"
sample_rate = 8000
samplernn = {frame_sizes = [8, 2], dim = 12, n_rnn = 1, rnn = "gru", embedding_size = 5, q_levels = 256, quantisation = "linear", conditioning = "none", n_classes = 0}
sampling = {temperature = 0.9}
data = {source = "noise", licence = "CC0-1.0", files = 3, seconds = 12.5}
)";

// The same, conditioned on notes.
static toml::Table winds();

// Sets the field at a path such as "timbres[1].name", or removes it without a value.
static void change(toml::Table& table, const std::string& path, const std::string& value) {
  const std::size_t end = path.find_first_of(".[");
  const std::string name = path.substr(0, end);
  if (end == std::string::npos) {
    if (!value.empty()) {
      table.insert(name, *toml::parse("x = " + value).find("x"));
      return;
    }
    toml::Table rest;
    for (std::size_t i = 0; i < table.size(); ++i) {
      if (table.key(i) != name) rest.insert(table.key(i), table.value(i));
    }
    table = rest;
    return;
  }
  toml::Value* const inner = table.find(name);
  if (path[end] == '.') return change(*inner->as<toml::Table>(), path.substr(end + 1), value);
  const std::size_t close = path.find(']');
  toml::Array& array = *inner->as<toml::Array>();
  toml::Value& item = array[std::stoul(path.substr(end + 1, close - end - 1))];
  if (close + 1 == path.size()) {
    item = *toml::parse("x = " + value).find("x");
  } else {
    change(*item.as<toml::Table>(), path.substr(close + 2), value);
  }
}

static toml::Table winds() {
  toml::Table fields = toml::parse(kMurmur);
  change(fields, "samplernn.conditioning", "'note'");
  change(fields, "samplernn.n_classes", "2");
  change(fields, "pitch_range", "[36, 84]");
  change(fields, "default_timbre", "'oboe'");
  change(fields, "timbres",
         "[{name = 'flute', family = 'flute', program = 73}, {name = 'oboe', program = 68}]");
  return fields;
}

static toml::Table drum_kit() {
  toml::Table fields = toml::parse(kTiny);
  change(fields, "sustain", "");
  for (const auto& [i, key] : {std::pair("0", "36"), {"1", "38"}, {"2", "42"}}) {
    change(fields, "timbres[" + std::string(i) + "].key", key);
  }
  return fields;
}

static Description described(const toml::Table& fields) {
  Faults found;
  auto description = check_fields(fields, found);
  for (const std::string& fault : found) std::fprintf(stderr, "unexpected: %s\n", fault.c_str());
  CHECK(description.has_value() && found.empty());
  return description.value_or(Description{});
}

struct Wrong {
  std::string path, value, message;  // the first fault begins with the message
};

static void check_each(const toml::Table& good, const std::vector<Wrong>& wrong) {
  for (const auto& [path, value, message] : wrong) {
    toml::Table fields = good;
    change(fields, path, value);
    Faults found;
    CHECK(!check_fields(fields, found));
    if (found.empty() || !found.front().starts_with(message)) {
      test::fail(__FILE__, __LINE__,
                 path + " = " + value + ": \"" + (found.empty() ? "no fault" : found.front()) +
                     "\" does not begin with \"" + message + "\"");
    }
  }
}

static void good_fields_pass() {
  const Description tiny = described(toml::parse(kTiny));
  CHECK(tiny.kind == Kind::kGansynth && tiny.name == "tiny" && tiny.sample_rate == 16000);
  CHECK(tiny.timbres.size() == 3 && tiny.default_timbre == 0 && tiny.plays_notes());
  CHECK(tiny.timbres[1].z == (std::vector<float>{0.0f, 1.0f, -0.5f}));
  CHECK(*tiny.timbres[1].program == 24 && !tiny.timbres[2].program);
  CHECK(tiny.generator.channels == (std::vector<std::size_t>{6, 5, 4}));
  CHECK(tiny.spectrogram.hop_length == 32 && tiny.sustain->release_frame == 5);
  CHECK(tiny.fields == toml::parse(kTiny));

  const Description murmur = described(toml::parse(kMurmur));
  CHECK(murmur.kind == Kind::kSamplernn && !murmur.plays_notes() && murmur.timbres.empty());
  CHECK(murmur.sampling.temperature == 0.9 && murmur.sampling.top_p == 1.0);
  CHECK(murmur.samplernn.sample_rate == 8000.0);
  toml::Table completed = toml::parse(kMurmur);
  change(completed, "sampling", "{temperature = 0.9, top_p = 1.0}");
  change(completed, "measured", "{}");
  change(completed, "timbres", "[]");
  CHECK(murmur.fields == completed);

  const Description playable = described(winds());
  CHECK(playable.default_timbre == 1 && playable.timbres[1].family == "other");
  toml::Table one_hot = toml::parse(kTiny);
  change(one_hot, "generator.conditioning", "'one_hot'");
  change(one_hot, "spectrogram.phase", "'instantaneous_frequency'");
  change(one_hot, "spectrogram.frequency", "'mel'");
  CHECK(described(one_hot).generator.input_size() == 3 + 61);
  const Description kit = described(drum_kit());
  CHECK(kit.is_kit() && !tiny.is_kit() && !kit.sustain && *kit.timbres[2].key == 42);
  for (const char* const name : {"data", "training", "measured", "data.held_out"}) {
    toml::Table fields = toml::parse(kTiny);
    change(fields, name, "");
    described(fields);
  }
}

static void each_wrong_key_is_named() {
  check_each(drum_kit(),
             {
                 {"timbres[1].key", "36", "timbres[1].key=36 must differ from the keys of the"},
                 {"timbres[1].key", "128", "timbres[1].key=128 must be the MIDI key of a drum"},
                 {"timbres[1].key", "", "timbres[1].key is missing; all timbres of a drum kit"},
                 {"timbres[0].key", "", "timbres[0].key is missing; all timbres of a drum kit"},
             });
}

static void each_wrong_field_is_named() {
  check_each(
      toml::parse(kTiny),
      {
          {"format", "2", "format=2 must be 1, the only format"},
          {"format", "", "format is missing; it must be 1"},
          {"name", "'Tiny Preset'", "name='Tiny Preset' must be a name of 1 to 64 small"},
          {"name", "'../up'", "name='../up' must be a name"},
          {"kind", "'wavenet'", "kind='wavenet' must be 'gansynth' or 'samplernn'"},
          {"kind", "['x']", "kind=['x'] must be"},
          {"description", "''", "description='' must be a text of 1 to 2000"},
          {"authors", "[]", "authors=[] must be a list of one name or more"},
          {"authors", "'me'", "authors='me' must be a list"},
          {"authors", "['me', 3]", "authors[1]=3 must be a text"},
          {"licence", "", "licence is missing; it must be an SPDX licence"},
          {"sample_rate", "44100.5", "sample_rate=44100.5 must be a whole number from 8000 to"},
          {"sample_rate", "1", "sample_rate=1 must be a whole number from 8000 to 192000"},
          {"sample_rate", "true", "sample_rate=true must be"},
          {"pitch_range", "[24]", "pitch_range=[24] must be the lowest and"},
          {"pitch_range", "[24, 300]", "pitch_range[1]=300 must be a whole number from 0"},
          {"pitch_range", "[84, 24]", "pitch_range=[84, 24] must begin with the lower"},
          {"pitch_range", "", "pitch_range is missing"},
          {"default_timbre", "'harpp'", "default_timbre='harpp' not found in timbres; did you"},
          {"default_timbre", "", "default_timbre is missing"},
          {"colour", "'blue'", "field colour not found"},
          {"licens", "'MIT'", "field licens not found; did you mean licence?"},
          {"spectrogram", "", "spectrogram is missing; it must be a table [spectrogram]"},
          {"spectrogram", "3", "spectrogram=3 must be a table [spectrogram]"},
          {"spectrogram.n_fft", "100", "spectrogram.n_fft=100 must be a power of two"},
          {"spectrogram.n_fft", "'128'", "spectrogram.n_fft='128' must be a power of two"},
          {"spectrogram.n_fft", "256", "generator.start_shape=[2, 16] doubled by each of the"},
          {"spectrogram.hop_length", "48", "spectrogram.hop_length=48 must divide n_fft=128"},
          {"spectrogram.hop_length", "128", "spectrogram.hop_length=128 must divide n_fft=128"},
          {"spectrogram.hop_len", "32",
           "field spectrogram.hop_len not found; did you mean hop_length"},
          {"spectrogram.n_frames", "9", "generator.start_shape=[2, 16] doubled by each of"},
          {"spectrogram.magnitude_floor", "0.0", "spectrogram.magnitude_floor=0.0 must be a"},
          {"spectrogram.magnitude_scale", "nan", "spectrogram.magnitude_scale=nan must be"},
          {"spectrogram.magnitude_scale", "1e39", "spectrogram.magnitude_scale=1e+39 must be"},
          {"spectrogram.magnitude_offset", "'x'", "spectrogram.magnitude_offset='x' must be a"},
          {"spectrogram.frequency_scale", "-1.0", "spectrogram.frequency_scale=-1.0 must be a"},
          {"spectrogram.frequency", "'bark'",
           "spectrogram.frequency='bark' must be 'linear', 'mel' or 'mel_released'"},
          {"spectrogram.frequency", "'mel'",
           "spectrogram.frequency='mel' is not supported by phase='harmonic'; use 'linear'"},
          {"spectrogram.phase", "'phase'", "spectrogram.phase='phase' must be 'harmonic' or"},
          {"generator.conditioning", "'film'", "generator.conditioning='film' must be"},
          {"generator.latent_size", "0", "generator.latent_size=0 must be a whole number from 1"},
          {"generator.channels", "[]", "generator.channels=[] must be a list of 1 to 12 widths"},
          {"generator.channels", "[6, 5, -4]", "generator.channels[2]=-4 must be a whole"},
          {"generator.start_shape", "[2]", "generator.start_shape=[2] must be a list of two"},
          {"generator.start_shape", "[2, 65536]", "generator.start_shape=[2, 65536] must stay"},
          {"generator.pitch_min", "-1", "generator.pitch_min=-1 must be a whole number from 0"},
          {"generator.n_maps", "9", "generator.n_maps=9 must be 8 or 12"},
          {"generator.n_pitches", "120", "generator.n_pitches=120 must be 1 to 104"},
          {"generator.note_off_frame", "8", "generator.note_off_frame=8 must be less than"},
          {"generator.noise", "true", "field generator.noise not found"},
          {"sustain.loop_start_frame", "3", "sustain.loop_end_frame=4 must be 2 frames or more"},
          {"sustain.loop_end_frame", "6", "sustain.release_frame=5 must not be before loop_end"},
          {"sustain.release_frame", "8", "sustain.release_frame=8 must be less than spectrogram"},
          {"sustain.release_frame", "", "sustain.release_frame is missing; it must be a whole"},
          {"timbres", "[]", "timbres=[] must be one table [[timbres]] or more"},
          {"timbres", "[3]", "timbres[0]=3 must be a table [[timbres]]"},
          {"timbres[1].name", "'harp'", "timbres[1].name='harp' must differ from the names"},
          {"timbres[1].name", "", "timbres[1].name is missing; it must be a name"},
          {"timbres[1].z", "[1.0]", "timbres[1].z has 1 numbers; it must have generator.latent_"},
          {"timbres[1].z[2]", "inf", "timbres[1].z[2]=inf must be a number"},
          {"timbres[0].family", "3", "timbres[0].family=3 must be a text"},
          {"timbres[0].family", "", "timbres[0].family is missing"},
          {"timbres[0].program", "128", "timbres[0].program=128 must be a General MIDI program"},
          {"timbres[0].colour", "1", "field timbres[0].colour not found"},
          {"data", "1", "data=1 must be a table [data]"},
          {"data.licence", "", "data.licence is missing; it must be a text"},
          {"data.notes", "-4", "data.notes=-4 must be"},
          {"data.instruments", "'harp'", "data.instruments='harp' must be a list"},
          {"data.files", "1", "field data.files not found"},
          {"training.seed", "-1", "training.seed=-1 must be"},
          {"training.seconds", "-1.0", "training.seconds=-1.0 must be a number of seconds"},
          {"training.torch", "2.4", "training.torch=2.4 must be a text"},
          {"measured.cents", "'few'", "measured.cents='few' must be a number"},
          {"measured", "[]", "measured=[] must be a table of numbers"},
      });
  check_each(
      toml::parse(kMurmur),
      {
          {"kind", "", "kind is missing; it must be 'gansynth' or 'samplernn'"},
          {"kind", "'gansynth'", "default_timbre is missing; it must be the name of a timbre"},
          {"samplernn", "", "samplernn is missing; it must be a table [samplernn]"},
          {"generator", "{}", "field generator not found"},
          {"samplernn.frame_size", "[2]",
           "field samplernn.frame_size not found; did you mean frame_sizes"},
          {"samplernn.frame_sizes", "[]", "samplernn.frame_sizes=[] must be a list"},
          {"samplernn.frame_sizes", "[8, 3]", "samplernn.frame_sizes=[8, 3] must be 1 to 16"},
          {"samplernn.frame_sizes", "[2, 2]", "samplernn.frame_sizes=[2, 2] must be 1 to 16"},
          {"samplernn.frame_sizes[1]", "0", "samplernn.frame_sizes[1]=0 must be a whole number"},
          {"samplernn.dim", "1048576", "samplernn.dim=1048576 must be a whole number from 1 to"},
          {"samplernn.n_rnn", "0", "samplernn.n_rnn=0 must be a whole number from 1 to 64"},
          {"samplernn.rnn", "'rnn'", "samplernn.rnn='rnn' must be 'gru' or 'lstm'"},
          {"samplernn.embedding_size", "true", "samplernn.embedding_size=true must be"},
          {"samplernn.q_levels", "1", "samplernn.q_levels=1 must be 2 to 256, or 65536"},
          {"samplernn.q_levels", "512", "samplernn.q_levels=512 must be 2 to 256, or 65536"},
          {"samplernn.quantisation", "'a_law'", "samplernn.quantisation='a_law' must be 'linear'"},
          {"samplernn.conditioning", "'notes'", "samplernn.conditioning='notes' must be 'none', "},
          {"samplernn.n_classes", "2",
           "samplernn.n_classes=2 is not supported by conditioning='none'; use 0"},
          {"sampling.temperature", "0.0", "sampling.temperature=0.0 must be a number from 0.05"},
          {"sampling.top_p", "0.0", "sampling.top_p=0.0 must be a number from 0.01 to 1"},
          {"sampling", "3", "sampling=3 must be a table [sampling]"},
          {"pitch_range", "[36, 84]", "pitch_range=[36, 84] is not supported by samplernn.cond"},
          {"timbres", "[{name = 'a'}]", "timbres has 1 tables; it must have samplernn.n_classes=0"},
          {"timbres", "[{name = 'a', z = [1.0]}]", "field timbres[0].z not found"},
          {"default_timbre", "'a'", "default_timbre='a' not found in timbres; there are none"},
          {"data.notes", "3", "field data.notes not found"},
          {"data.seconds", "", "data.seconds is missing; it must be a number of seconds"},
      });
  check_each(winds(),
             {
                 {"pitch_range", "", "pitch_range is missing; samplernn.conditioning='note' needs"},
                 {"samplernn.conditioning", "'class'", "pitch_range=[36, 84] is not supported by"},
                 {"samplernn.n_classes", "0", "samplernn.n_classes=0 must be 1 to 65536 with"},
                 {"samplernn.n_classes", "3", "timbres has 2 tables; it must have samplernn.n_"},
                 {"timbres[1].name", "'flute'", "timbres[1].name='flute' must differ"},
                 {"timbres[0].program", "-1", "timbres[0].program=-1 must be a General MIDI"},
                 {"default_timbre", "",
                  "default_timbre is missing; it must be the name of a timbre: flute, oboe"},
                 {"default_timbre", "'obo'", "default_timbre='obo' not found in timbres; did you"},
             });
  toml::Table one_hot = toml::parse(kTiny);
  change(one_hot, "generator.conditioning", "'one_hot'");
  check_each(one_hot, {{"pitch_range", "[20, 84]",
                        "pitch_range=[20, 84] must be within the generator's pitches, [24, 84]"}});
}

static void faults_are_collected() {
  toml::Table fields = toml::parse(kTiny);
  for (const char* const name : {"format", "name", "sample_rate"}) change(fields, name, "'x y'");
  change(fields, "sustain.loop_start_frame", "");
  change(fields, "colour", "1");
  Faults found;
  CHECK(!check_fields(fields, found) && found.size() == 5);
  CHECK(found.back().starts_with("field colour"));
  CHECK(fault_message("x", found).ends_with("(and 4 more)"));
  // Of an unknown kind only what all presets have is checked.
  toml::Table unknown = toml::parse(kMurmur);
  change(unknown, "kind", "'wavenet'");
  found.clear();
  CHECK(!check_fields(unknown, found) && found.size() == 1);
  // However many there are, few are kept.
  toml::Table many = toml::parse(kTiny);
  for (int i = 0; i < 1000; ++i) many.insert("unknown" + std::to_string(i), true);
  found.clear();
  CHECK(!check_fields(many, found) && found.size() == kMostFaults);
}

static void names_are_suggested() {
  const std::vector<std::string> known = {"guitar", "harp", "harpsichord"};
  CHECK(core::nearest_names("Guitarr", known) == "; did you mean guitar?");
  CHECK(core::nearest_names("harps", known) == "; did you mean harp or harpsichord?");
  CHECK(core::nearest_names("zzz", known) == "; there are: guitar, harp, harpsichord");
  CHECK(core::nearest_names("x", {}) == "; there are none");
  CHECK(core::nearest_names("", known) == "; there are: guitar, harp, harpsichord");
  const std::vector<std::string> many(21, "q");
  CHECK(core::nearest_names("x", many).ends_with("q, ..."));
}

static void weight_shapes_are_the_networks() {
  std::vector<models::GeneratorConfig> generators(2);
  generators[1].conditioning = models::Conditioning::kHarmonic;
  for (models::GeneratorConfig& config : generators) {
    config.latent_size = 3;
    config.channels = {6, 5, 4};
    const core::FloatArrays arrays = weights_for(config);
    const models::WeightShapes shapes = models::weight_shapes(config);
    CHECK(arrays.size() == shapes.size());
    for (const auto& [name, shape] : shapes) CHECK(arrays.at(name).shape == shape);
  }
  using Config = models::SampleRNNConfig;
  std::vector<Config> networks(4);
  networks[1].frame_sizes.assign(1, 1);
  networks[1].q_levels = 65536;
  networks[2].rnn = Config::Rnn::kLstm;
  networks[2].n_rnn = 2;
  networks[3].conditioning = Config::Conditioning::kNote;
  networks[3].n_classes = 2;
  for (Config& config : networks) {
    config.dim = 6;
    config.embedding_size = 3;
    const core::FloatArrays arrays = weights_for(config, 0.1f);
    const models::WeightShapes shapes = models::weight_shapes(config);
    CHECK(arrays.size() == shapes.size());
    for (const auto& [name, shape] : shapes) CHECK(arrays.at(name).shape == shape);
  }
}

// ---- Folders ----

static void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

static std::string safetensors_of(const core::FloatArrays& arrays) {
  std::string header = "{", data;
  for (const auto& [name, array] : arrays) {
    header += header.size() > 1 ? ",\"" : "\"";
    header += name + "\":{\"dtype\":\"F32\",\"shape\":[";
    for (std::size_t i = 0; i < array.shape.size(); ++i) {
      header += (i ? "," : "") + std::to_string(array.shape[i]);
    }
    const std::size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(array.values.data()), 4 * array.values.size());
    header +=
        "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  header += "}";
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(header.size() >> (8 * i));
  return file + header + data;
}

// A folder with a name of its own, removed at the end.
struct Folder {
  std::filesystem::path path;
  explicit Folder(const char* name)
      : path(std::filesystem::temp_directory_path() /
             (std::string("audiogen_test_presets_") + name)) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

static void folders_open_or_are_refused() {
  const Folder folder("tiny");
  const auto refused = [&](const std::string& message) {
    CHECK_THROWS(presets::open(folder.path), FormatError, message);
    const Faults found = faults(folder.path);
    CHECK(!found.empty() && found.front().find(message) != std::string::npos);
  };
  refused("preset.toml: cannot be read (No such file or directory)");
  write(folder.path / "preset.toml", "a = ");
  refused("preset.toml: is not TOML: line 1: a value was expected");
  write(folder.path / "preset.toml", std::string(toml::kMostBytes + 1, '#'));
  refused("preset.toml: cannot be read (it is larger than 4194304 bytes)");
  write(folder.path / "preset.toml", "");
  CHECK_THROWS(presets::open(folder.path), FormatError, "preset.toml: format is missing; it must");
  CHECK(faults(folder.path).size() > 5);
  write(folder.path / "preset.toml", kTiny);
  refused("weights.safetensors: cannot be read (No such file or directory)");
  std::filesystem::create_directory(folder.path / "weights.safetensors");
  refused("weights.safetensors: cannot be read (it is a folder)");
  std::filesystem::remove(folder.path / "weights.safetensors");
  write(folder.path / "weights.safetensors", "short");
  refused("weights.safetensors: is not a safetensors file: has 5 bytes");

  const core::FloatArrays good = weights_for(described(toml::parse(kTiny)).generator);
  const auto with = [&](const std::string& name, std::vector<std::size_t> shape,
                        std::vector<float> values) {
    core::FloatArrays arrays = good;
    arrays[name] = {std::move(shape), std::move(values)};
    write(folder.path / "weights.safetensors", safetensors_of(arrays));
  };
  core::FloatArrays without = good;
  without.erase("to_rgb.bias");
  write(folder.path / "weights.safetensors", safetensors_of(without));
  refused("tensor to_rgb.bias is missing; the network needs it, of shape [2]");
  with("to_rgb.bia", {1}, {0.0f});
  refused("tensor to_rgb.bia not found in the network; did you mean to_rgb.bias");
  with("to_rgb.bias", {1}, {0.0f});
  refused("tensor to_rgb.bias has shape [1]; the network needs [2]");
  with("to_rgb.bias", {2}, {0.0f, INFINITY});
  refused("tensor to_rgb.bias has 1 values that are NaN or infinite");
  std::string file = safetensors_of(good);
  const std::size_t dtype = file.find("\"F32\"");
  write(folder.path / "weights.safetensors", file.replace(dtype, 5, "\"I32\""));
  refused("has dtype I32; it must be F32");

  write(folder.path / "weights.safetensors", safetensors_of(good));
  CHECK(faults(folder.path).empty());
  const Preset preset = presets::open(folder.path);
  CHECK(preset.description().name == "tiny" && preset.weights().arrays().size() == good.size());

  // Instruments share their network, and it is let go with the last of them.
  const auto network = preset.generator(models::Precision::kFloat32);
  CHECK(preset.generator(models::Precision::kFloat32) == network);
  CHECK_THROWS(preset.samplernn(models::Precision::kFloat32), std::invalid_argument,
               "preset 'tiny' has no SampleRNN");
  CHECK_THROWS(preset.generator(models::Precision::kInt8), std::invalid_argument,
               "precision='int8' is not supported by GANSynth");
  const auto instrument = engine::make_instrument(preset);
  CHECK(network.use_count() == 2 && instrument->n_timbres() == 3);
  CHECK(instrument->pitch_range().lowest == 36.0f && instrument->sample_rate() == 16000.0);
  CHECK(instrument->programs().timbres[24] == 1 && instrument->programs().timbres[0] == 0);
  const auto single = engine::make_instrument(
      preset, {.precision = models::Precision::kFloat32, .latent = std::vector{1.0f, 2.0f, 3.0f}});
  CHECK(single->n_timbres() == 1 && single->programs().timbres[24] == 0);
  CHECK_THROWS(engine::make_instrument(preset, {.latent = std::vector{1.0f}}),
               std::invalid_argument, "a timbre has 1 numbers; it must have 3");

  // Another description of the same weights.
  toml::Table fields = toml::parse(kTiny);
  change(fields, "name", "'other'");
  const Preset other = preset.described_by(described(fields));
  CHECK(other.description().name == "other");
  CHECK(other.generator(models::Precision::kFloat32) == network);
  change(fields, "generator.latent_size", "1");
  for (const char* const z : {"timbres[0].z", "timbres[1].z", "timbres[2].z"}) {
    change(fields, z, "[1.0]");
  }
  CHECK_THROWS(preset.described_by(described(fields)), FormatError, "another network");
}

static void samplernns_open() {
  const Folder folder("winds");
  const Description description = described(winds());
  const Preset preset(description,
                      std::make_shared<const Weights>(weights_for(description.samplernn, 0.2f)));
  for (const auto precision :
       {models::Precision::kFloat32, models::Precision::kBFloat16, models::Precision::kInt8}) {
    const auto instrument = engine::make_instrument(preset, {.precision = precision});
    CHECK(instrument->n_timbres() == 2 && instrument->programs().default_timbre == 1);
    CHECK(instrument->programs().timbres[73] == 0 && instrument->programs().timbres[71] == 1);
  }
  CHECK_THROWS(engine::make_instrument(preset, {.latent = std::vector{1.0f}}),
               std::invalid_argument, "latent is not supported by preset 'murmur', a SampleRNN");
}

static void programs_choose_the_nearest_timbre() {
  const auto timbre = [](std::optional<int> program) {
    Timbre made;
    made.program = program;
    return made;
  };
  const std::vector<Timbre> timbres = {timbre(46), timbre(24), timbre({}), timbre(28), timbre(26)};
  const ProgramTable table = program_table(timbres, 2);
  CHECK(table.default_timbre == 2);
  const std::pair<std::size_t, std::uint16_t> kWanted[] = {{0, 2},  {23, 2}, {24, 1}, {25, 1},
                                                           {26, 4}, {27, 3}, {28, 3}, {31, 3},
                                                           {32, 2}, {40, 0}, {47, 0}, {127, 2}};
  for (const auto& [program, index] : kWanted) CHECK(table.timbres[program] == index);
}

static void programs_bring_the_transposition_of_their_timbre() {
  std::vector<Timbre> timbres(2);
  timbres[0].program = 31;
  timbres[0].transpose = 24;
  timbres[0].semitones_per_key = timbres[1].semitones_per_key = 0.25f;
  timbres[1].transpose = -12;  // without a program
  const ProgramTable table = program_table(timbres, 1);
  CHECK(table.transposes[31] == 24 && table.transposes[24] == 24);
  CHECK(table.semitones_per_key[31] == 0.25f && table.semitones_per_key[24] == 0.25f);
  CHECK(table.transposes[23] == 0 && table.transposes[32] == 0);  // the default timbre
  CHECK(table.semitones_per_key[23] == 1.0f);
}

static void mel_presets_get_a_band_map() {
  toml::Table fields = toml::parse(kTiny);
  change(fields, "spectrogram.phase", "'instantaneous_frequency'");
  for (const char* const frequency : {"'mel'", "'mel_released'"}) {
    change(fields, "spectrogram.frequency", frequency);
    const Description description = described(fields);
    const Preset preset(description,
                        std::make_shared<const Weights>(weights_for(description.generator)));
    CHECK(engine::make_instrument(preset)->n_timbres() == 3);
  }
  const engine::BandMap map = engine::make_band_map(1024, 8000.0, false);
  CHECK(map.starts.size() == 1025 && map.starts.back() == map.bands.size());
  CHECK(map.starts[1] == 0);  // the row that is taken for the constant
}

static void shipped_presets_open() {
  std::size_t n = 0;
  const std::filesystem::path root = std::filesystem::path(AUDIOGEN_TEST_DATA) / ".." / "presets";
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / kTomlName)) continue;
    ++n;
    const Preset preset = presets::open(entry.path());
    CHECK(preset.description().name == entry.path().filename().string());
    const auto instrument = engine::make_instrument(preset);
    engine::Engine engine(instrument, 48000, 512, 4, 0);
    std::vector<float> block(512);
    const std::vector<engine::Event> events = {{0, engine::EventKind::kNoteOn, 1, 0, 60.0f, 0.8f}};
    float peak = 0.0f;
    for (int i = 0; i < 12; ++i) {
      engine.process(block.data(), block.size(),
                     i == 0 ? std::span(events) : std::span(events).first(0));
      for (const float x : block) peak = std::max(peak, std::abs(x));
    }
    CHECK(peak > 0.0f && peak < 4.0f);
  }
  CHECK(n >= 12);
}

int main() {
  good_fields_pass();
  each_wrong_key_is_named();
  each_wrong_field_is_named();
  faults_are_collected();
  names_are_suggested();
  weight_shapes_are_the_networks();
  folders_open_or_are_refused();
  samplernns_open();
  programs_choose_the_nearest_timbre();
  programs_bring_the_transposition_of_their_timbre();
  mel_presets_get_a_band_map();
  shipped_presets_open();
  return audiogen::test::finish();
}
