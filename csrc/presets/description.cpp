// The tables of a preset.toml, one function each, and the rules that bind them together.
#include "presets/description.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include "core/nearest_names.h"

namespace audiogen::presets {
namespace {

const std::string kPitches = "the lowest and the highest MIDI pitch, such as [24, 84]";
const std::string kVibrato =
    "three or five numbers: depth, 0 to 200 cents; rate, 0.5 to 12 Hz; rise, 0 to 5 s; tremolo, 0 "
    "to 24 dB; its phase, -180 to 180 degrees";
const std::string kPartials = "1 to 64 ascending ratios to the pitch, above 0 and up to 2048";
const std::string kInharmonicity = "coefficients from 0 to 0.1, as many as generator.n_pitches";
const std::string kPlace = "two numbers from 0 to 1: x and y on the timbre map";
const std::string kNames = "a list of one name or more";
const std::string kAboveZero = "a number above 0";
const std::string kSeconds = "a number of seconds, 0 or more";

std::string list_of(const std::vector<std::size_t>& numbers) {
  std::string text;
  for (const std::size_t n : numbers) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return "[" + text + "]";
}

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

std::vector<std::size_t> to_sizes(const std::vector<std::int64_t>& numbers) {
  return {numbers.begin(), numbers.end()};
}

std::optional<double> positive(Fields& fields, const char* name) {
  return fields.number(name, kSmallestPositive, kLargestNumber, kAboveZero);
}

// Faults of a network's config, which begin with the field's name.
void add_config_faults(Fields& fields, const std::string& path,
                       const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) fields.add_fault(path + "." + fault);
}

// ---- Tables of a GANSynth ----

std::optional<Spectrogram> spectrogram_of(const toml::Table& table, Faults& faults) {
  Fields fields(table, "spectrogram", faults);
  const auto n_fft = fields.whole("n_fft", 16, 1 << 16, "a power of two from 16 to 65536");
  const auto hop_length = fields.whole("hop_length", 1, 1 << 15);
  const auto n_frames = fields.whole("n_frames", 1, 1 << 14);
  const auto floor = positive(fields, "magnitude_floor");
  const auto scale = positive(fields, "magnitude_scale");
  const auto offset =
      fields.number("magnitude_offset", -kLargestNumber, kLargestNumber, "a number");
  const auto frequency_scale = positive(fields, "frequency_scale");
  const auto frequency = fields.choice("frequency", {"linear", "mel", "mel_released"});
  const auto phase = fields.choice("phase", {"harmonic", "instantaneous_frequency"});
  fields.finish();
  if (!fields.faultless()) return std::nullopt;

  const auto given = [&](const char* name, std::int64_t value) {
    return fields.path_of(name) + "=" + std::to_string(value);
  };
  if ((*n_fft & (*n_fft - 1)) != 0) {
    fields.add_fault(given("n_fft", *n_fft) + " must be a power of two, such as 2048");
  } else if (*n_fft % *hop_length != 0 || *hop_length > *n_fft / 2) {
    fields.add_fault(given("hop_length", *hop_length) +
                     " must divide n_fft=" + std::to_string(*n_fft) +
                     " into two parts or more; use " + std::to_string(*n_fft / 4));
  }
  const auto axis = static_cast<Spectrogram::Frequency>(*frequency);
  const auto channel = static_cast<Spectrogram::Phase>(*phase);
  if (channel == Spectrogram::Phase::kHarmonic && axis != Spectrogram::Frequency::kLinear) {
    fields.add_fault(fields.path_of("frequency") + "=" + toml::shown(*table.find("frequency")) +
                     " is not supported by phase='harmonic'; use 'linear'");
  }
  if (!fields.faultless()) return std::nullopt;
  return Spectrogram{to_size(*n_fft),
                     to_size(*hop_length),
                     to_size(*n_frames),
                     *floor,
                     *scale,
                     *offset,
                     *frequency_scale,
                     axis,
                     channel};
}

std::optional<models::GeneratorConfig> generator_of(const toml::Table& table, Faults& faults) {
  using Config = models::GeneratorConfig;
  constexpr auto kLargest = static_cast<std::int64_t>(Config::kLargest);
  Fields fields(table, "generator", faults);
  const auto conditioning = fields.choice("conditioning", {"one_hot", "harmonic"});
  const auto latent_size = fields.whole("latent_size", 1, kLargest);
  const auto channels = fields.wholes("channels", 1, Config::kMostBlocks, 1, kLargest,
                                      "a list of 1 to 12 widths, such as [64, 32, 16]");
  const auto start_shape = fields.wholes("start_shape", 2, 2, 1, kLargest,
                                         "a list of two sizes, frames and bins, such as [2, 16]");
  const auto pitch_min = fields.whole("pitch_min", 0, Config::kMostPitches - 1);
  const auto n_pitches = fields.whole("n_pitches", 1, Config::kMostPitches);
  const auto note_off_frame = fields.whole("note_off_frame", 0, kLargest);
  std::optional<std::int64_t> n_maps;
  if (fields.has("n_maps")) n_maps = fields.whole("n_maps", 1, kLargest);
  fields.finish();
  if (!fields.faultless()) return std::nullopt;

  Config config;
  config.conditioning = static_cast<models::Conditioning>(*conditioning);
  config.latent_size = to_size(*latent_size);
  config.channels = to_sizes(*channels);
  config.start_frames = to_size((*start_shape)[0]);
  config.start_bins = to_size((*start_shape)[1]);
  config.pitch_min = static_cast<int>(*pitch_min);
  config.n_pitches = to_size(*n_pitches);
  config.note_off_frame = to_size(*note_off_frame);
  if (n_maps) config.n_maps = to_size(*n_maps);
  add_config_faults(fields, "generator", config.faults());
  return fields.faultless() ? std::optional(config) : std::nullopt;
}

std::optional<Sustain> sustain_of(const toml::Table& table, Faults& faults) {
  Fields fields(table, "sustain", faults);
  const auto start = fields.whole("loop_start_frame", 0, 1 << 14);
  const auto end = fields.whole("loop_end_frame", 1, 1 << 14);
  const auto release = fields.whole("release_frame", 0, 1 << 14);
  fields.finish();
  if (!fields.faultless()) return std::nullopt;
  if (*end < *start + 2) {
    fields.add_fault("sustain.loop_end_frame=" + std::to_string(*end) +
                     " must be 2 frames or more after loop_start_frame=" + std::to_string(*start));
  }
  if (*release < *end) {
    fields.add_fault("sustain.release_frame=" + std::to_string(*release) +
                     " must not be before loop_end_frame=" + std::to_string(*end));
  }
  if (!fields.faultless()) return std::nullopt;
  return Sustain{to_size(*start), to_size(*end), to_size(*release)};
}

std::optional<Macro> macro_of(const toml::Table& table, std::size_t index, Faults& faults) {
  Fields fields(table, "macros[" + std::to_string(index) + "]", faults);
  const auto name = fields.identifier("name");
  const auto help = fields.text("help");
  const auto direction =
      fields.numbers("direction", "a list of numbers, as many as generator.latent_size");
  const std::string wanted = "a distance of 0 or less and one of 0 or more, such as [-2.0, 2.5]";
  const auto range = fields.numbers("range", wanted);
  Macro macro;
  if (fields.has("effect")) macro.effect = fields.text("effect").value_or("");
  if (fields.has("command")) fields.text("command");
  fields.finish();
  if (range && (range->size() != 2 || (*range)[0] > 0.0 || (*range)[1] < 0.0)) {
    fields.add_fault(fields.path_of("range") + "=" + toml::shown(*table.find("range")) +
                     " must be " + wanted);
  }
  if (!fields.faultless()) return std::nullopt;
  macro.name = *name;
  macro.help = *help;
  macro.direction.assign(direction->begin(), direction->end());
  macro.lowest = static_cast<float>((*range)[0]);
  macro.highest = static_cast<float>((*range)[1]);
  return macro;
}

// ---- Tables of a SampleRNN ----

std::optional<models::SampleRNNConfig> samplernn_of(const toml::Table& table, Faults& faults) {
  using Config = models::SampleRNNConfig;
  constexpr auto kLargest = static_cast<std::int64_t>(Config::kLargest);
  Fields fields(table, "samplernn", faults);
  const auto frame_sizes = fields.wholes("frame_sizes", 1, Config::kMostTiers, 1, kLargest,
                                         "a list of 1 to 16 sizes, such as [8, 2]");
  const auto dim = fields.whole("dim", 1, kLargest);
  const auto n_rnn = fields.whole("n_rnn", 1, Config::kMostLayers);
  const auto rnn = fields.choice("rnn", {"gru", "lstm"});
  const auto embedding_size = fields.whole("embedding_size", 1, kLargest);
  const auto q_levels = fields.whole("q_levels", 2, 1 << 16, "2 to 256, or 65536");
  const auto quantisation = fields.choice("quantisation", {"linear", "mu_law"});
  const auto conditioning = fields.choice("conditioning", {"none", "class", "note"});
  const auto n_classes = fields.whole("n_classes", 0, kLargest);
  fields.finish();
  if (!fields.faultless()) return std::nullopt;

  Config config;
  config.frame_sizes = to_sizes(*frame_sizes);
  config.dim = to_size(*dim);
  config.n_rnn = to_size(*n_rnn);
  config.rnn = static_cast<Config::Rnn>(*rnn);
  config.embedding_size = to_size(*embedding_size);
  config.q_levels = to_size(*q_levels);
  config.quantisation = static_cast<Config::Quantisation>(*quantisation);
  config.conditioning = static_cast<Config::Conditioning>(*conditioning);
  config.n_classes = to_size(*n_classes);
  add_config_faults(fields, "samplernn", config.faults());
  return fields.faultless() ? std::optional(config) : std::nullopt;
}

std::optional<Sampling> sampling_of(const toml::Table& table, Faults& faults) {
  Fields fields(table, "sampling", faults);
  Sampling sampling;
  if (fields.has("temperature")) {
    const auto temperature = fields.number("temperature", 0.05, 2.0, "a number from 0.05 to 2");
    sampling.temperature = temperature.value_or(1.0);
  }
  if (fields.has("top_p")) {
    const auto top_p = fields.number("top_p", 0.01, 1.0, "a number from 0.01 to 1");
    sampling.top_p = top_p.value_or(1.0);
  }
  fields.finish();
  return fields.faultless() ? std::optional(sampling) : std::nullopt;
}

// ---- Tables of both ----

std::optional<Timbre> timbre_of(const toml::Table& table, std::size_t index, Kind kind,
                                Faults& faults) {
  Fields fields(table, "timbres[" + std::to_string(index) + "]", faults);
  const auto name = fields.identifier("name");
  Timbre timbre;
  if (kind == Kind::kGansynth) {
    if (const auto z = fields.numbers("z", "a list of numbers, as many as generator.latent_size")) {
      timbre.z.assign(z->begin(), z->end());
    }
  }
  if (fields.has("family") || kind == Kind::kGansynth) {
    timbre.family = fields.text("family").value_or("");
  }
  if (fields.has("program")) {
    const auto program =
        fields.whole("program", 0, 127, "a General MIDI program from 0 to 127, or left out");
    timbre.program = static_cast<int>(program.value_or(0));
  }
  if (fields.has("transpose")) {
    const auto semitones = fields.whole("transpose", -48, 48, "semitones from -48 to 48");
    timbre.transpose = static_cast<int>(semitones.value_or(0));
  }
  if (fields.has("semitones_per_key")) {
    const auto step = fields.number("semitones_per_key", 0.01, 12.0, "semitones from 0.01 to 12");
    timbre.semitones_per_key = static_cast<float>(step.value_or(1.0));
  }
  if (kind == Kind::kGansynth && fields.has("key")) {
    const auto key = fields.whole("key", 0, 127, "the MIDI key of a drum, 0 to 127, or left out");
    timbre.key = static_cast<int>(key.value_or(0));
    if (fields.has("pitch")) {
      const auto pitch = fields.number("pitch", 0.0, 127.0, "a MIDI number from 0 to 127");
      timbre.pitch = static_cast<float>(pitch.value_or(0.0));
    }
    if (fields.has("pan")) {
      const auto pan = fields.number("pan", -1.0, 1.0, "a number from -1 (left) to 1 (right)");
      timbre.pan = static_cast<float>(pan.value_or(0.0));
    }
    if (fields.has("group")) {
      const auto group = fields.whole("group", 1, 127, "a number from 1 to 127, or left out");
      timbre.group = static_cast<int>(group.value_or(0));
    }
  }
  if (fields.has("level_db")) {  // read by Python, for scores of several presets
    fields.number("level_db", -60.0, 60.0, "a level from -60 to 60 dB");
  }
  if (fields.has("gain_db")) {
    const auto gain_db = fields.number("gain_db", -24.0, 24.0, "a gain from -24 to 24 dB");
    timbre.gain_db = static_cast<float>(gain_db.value_or(0.0));
  }
  if (fields.has("vibrato")) {
    const auto values = fields.numbers("vibrato", kVibrato);
    constexpr std::pair<double, double> kRanges[] = {
        {0.0, 200.0}, {0.5, 12.0}, {0.0, 5.0}, {0.0, 24.0}, {-180.0, 180.0}};
    bool allowed = values && (values->size() == 3 || values->size() == std::size(kRanges));
    for (std::size_t i = 0; allowed && i < values->size(); ++i) {
      allowed = kRanges[i].first <= (*values)[i] && (*values)[i] <= kRanges[i].second;
    }
    if (allowed) {
      float numbers[std::size(kRanges)] = {};
      std::copy(values->begin(), values->end(), numbers);
      timbre.vibrato = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
    } else if (values) {
      fields.add_fault(fields.path_of("vibrato") + " must be " + kVibrato);
    }
  }
  if (kind == Kind::kGansynth && fields.has("partials")) {
    const auto ratios = fields.numbers("partials", kPartials);
    if (ratios && models::Partials::are_valid(*ratios)) {
      timbre.partials.ratios = *ratios;
    } else if (ratios) {
      fields.add_fault(fields.path_of("partials") + " must be " + kPartials);
    }
  }
  if (kind == Kind::kGansynth && fields.has("inharmonicity")) {
    const auto values = fields.numbers("inharmonicity", kInharmonicity);
    const auto allowed = [](double x) {
      return x >= 0.0 && x <= models::TimbrePartials::kLargestInharmonicity;
    };
    if (values && !values->empty() && std::ranges::all_of(*values, allowed)) {
      timbre.partials.inharmonicity = *values;
    } else if (values) {
      fields.add_fault(fields.path_of("inharmonicity") + " must be " + kInharmonicity);
    }
    if (fields.has("partials")) {
      fields.add_fault(fields.path_of("inharmonicity") +
                       " is not supported by a timbre with partials; remove one of them");
    }
  }
  if (fields.has("place")) {
    const auto place = fields.numbers("place", kPlace);
    const auto inside = [](double x) { return x >= 0.0 && x <= 1.0; };
    if (place && place->size() == 2 && std::ranges::all_of(*place, inside)) {
      timbre.place.emplace(static_cast<float>((*place)[0]), static_cast<float>((*place)[1]));
    } else if (place) {
      fields.add_fault(fields.path_of("place") + " must be " + kPlace);
    }
  }
  fields.finish();
  if (!fields.faultless()) return std::nullopt;
  timbre.name = *name;
  return timbre;
}

void check_places(const Description& description, Fields& fields) {
  const auto& timbres = description.timbres;
  for (std::size_t i = 1; i < timbres.size(); ++i) {
    if (timbres[i].place.has_value() == timbres[0].place.has_value()) continue;
    const std::size_t without = timbres[0].place ? i : 0;
    return fields.add_fault("timbres[" + std::to_string(without) +
                            "].place is missing; all timbres must have one, or none");
  }
}

void check_keys(const Description& description, Fields& fields) {
  const auto& timbres = description.timbres;
  std::set<int> seen;
  for (std::size_t i = 0; i < timbres.size(); ++i) {
    const std::string path = "timbres[" + std::to_string(i) + "].key";
    if (timbres[i].key.has_value() != timbres[0].key.has_value()) {
      const std::size_t without = timbres[0].key ? i : 0;
      return fields.add_fault("timbres[" + std::to_string(without) +
                              "].key is missing; all timbres of a drum kit must have one");
    }
    if (timbres[i].key && !seen.insert(*timbres[i].key).second) {
      return fields.add_fault(path + "=" + std::to_string(*timbres[i].key) +
                              " must differ from the keys of the other timbres");
    }
  }
}

void check_data(const toml::Table& table, Kind kind, Faults& faults) {
  Fields fields(table, "data", faults);
  fields.text("source");
  fields.text("licence");
  if (kind == Kind::kGansynth) {
    fields.texts("instruments", kNames);
    if (fields.has("held_out")) fields.texts("held_out", kNames);
    fields.whole("notes", 1, std::int64_t{1} << 31);
  } else {
    fields.whole("files", 1, std::int64_t{1} << 31);
    fields.number("seconds", 0.0, kLargestNumber, kSeconds);
  }
  fields.finish();
}

void check_training(const toml::Table& table, Faults& faults) {
  Fields fields(table, "training", faults);
  fields.text("command");
  fields.whole("seed", 0, std::numeric_limits<std::int64_t>::max());
  fields.number("seconds", 0.0, kLargestNumber, kSeconds);
  fields.whole("steps", 0, std::int64_t{1} << 62);
  fields.text("machine");
  fields.text("torch");
  for (const char* name : {"version", "data_sha256"}) {
    if (fields.has(name)) fields.text(name);
  }
  fields.finish();
}

void check_measured(const toml::Table& table, Faults& faults) {
  Fields fields(table, "measured", faults);
  for (std::size_t i = 0; i < table.size(); ++i) {
    fields.number(table.key(i), -kLargestNumber, kLargestNumber, "a number");
  }
}

std::vector<std::string> names_of(const std::vector<Timbre>& timbres) {
  std::vector<std::string> names;
  for (const Timbre& timbre : timbres) names.push_back(timbre.name);
  return names;
}

// ---- Rules between fields ----

std::string quoted(const std::string& text) { return toml::shown(text); }

std::string shown_range(const std::pair<int, int>& range) {
  return "pitch_range=[" + std::to_string(range.first) + ", " + std::to_string(range.second) + "]";
}

void check_timbre_names(Description& description, const std::optional<std::string>& default_name,
                        Fields& fields) {
  const std::vector<std::string> names = names_of(description.timbres);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (seen.insert(names[i]).second) continue;
    fields.add_fault("timbres[" + std::to_string(i) + "].name=" + quoted(names[i]) +
                     " must differ from the names of the other timbres");
    break;
  }
  if (!default_name) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != *default_name) continue;
    description.default_timbre = i;
    return;
  }
  fields.add_fault("default_timbre=" + quoted(*default_name) + " not found in timbres" +
                   core::nearest_names(*default_name, names));
}

void check_macros(const Description& description, Fields& fields) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < description.macros.size(); ++i) {
    const Macro& macro = description.macros[i];
    const std::string path = "macros[" + std::to_string(i) + "].";
    if (!seen.insert(macro.name).second) {
      fields.add_fault(path + "name=" + quoted(macro.name) +
                       " must differ from the names of the other macros");
    }
    const std::size_t n = macro.direction.size();
    if (n == description.generator.latent_size) continue;
    fields.add_fault(path + "direction has " + std::to_string(n) +
                     " numbers; it must have generator.latent_size=" +
                     std::to_string(description.generator.latent_size));
  }
}

void check_gansynth(const Description& description, Fields& fields) {
  const Spectrogram& spectrogram = description.spectrogram;
  const models::GeneratorConfig& generator = description.generator;
  const std::size_t n_bins = spectrogram.n_fft / 2;
  if (generator.n_frames() != spectrogram.n_frames || generator.n_bins() != n_bins) {
    fields.add_fault(
        "generator.start_shape=" + list_of({generator.start_frames, generator.start_bins}) +
        " doubled by each of the channels after the first makes " +
        std::to_string(generator.n_frames()) + " frames x " + std::to_string(generator.n_bins()) +
        " bins; it must make spectrogram.n_frames=" + std::to_string(spectrogram.n_frames) +
        " x n_fft/2=" + std::to_string(n_bins));
  }
  const std::size_t release = description.sustain ? description.sustain->release_frame : 0;
  for (const auto& [name, frame] : {std::pair("generator.note_off_frame", generator.note_off_frame),
                                    std::pair("sustain.release_frame", release)}) {
    if (frame < spectrogram.n_frames) continue;
    fields.add_fault(
        std::string(name) + "=" + std::to_string(frame) +
        " must be less than spectrogram.n_frames=" + std::to_string(spectrogram.n_frames));
  }
  const int highest = generator.pitch_min + static_cast<int>(generator.n_pitches) - 1;
  const auto& range = *description.pitch_range;
  if (generator.conditioning == models::Conditioning::kOneHot && !description.is_kit() &&
      (range.first < generator.pitch_min || range.second > highest)) {
    fields.add_fault(shown_range(range) + " must be within the generator's pitches, [" +
                     std::to_string(generator.pitch_min) + ", " + std::to_string(highest) + "]");
  }
  for (std::size_t i = 0; i < description.timbres.size(); ++i) {
    const std::size_t n = description.timbres[i].z.size();
    if (n == generator.latent_size) continue;
    fields.add_fault(
        "timbres[" + std::to_string(i) + "].z has " + std::to_string(n) +
        " numbers; it must have generator.latent_size=" + std::to_string(generator.latent_size));
  }
  for (std::size_t i = 0; i < description.timbres.size(); ++i) {
    const std::size_t n = description.timbres[i].partials.inharmonicity.size();
    if (n == 0 || n == generator.n_pitches) continue;
    fields.add_fault(
        "timbres[" + std::to_string(i) + "].inharmonicity has " + std::to_string(n) +
        " numbers; it must have generator.n_pitches=" + std::to_string(generator.n_pitches));
  }
  const bool places_partials = generator.conditioning == models::Conditioning::kHarmonic &&
                               spectrogram.phase == Spectrogram::Phase::kHarmonic;
  for (std::size_t i = 0; i < description.timbres.size(); ++i) {
    const models::TimbrePartials& own = description.timbres[i].partials;
    if (places_partials || (own.ratios.empty() && own.inharmonicity.empty())) continue;
    fields.add_fault("timbres[" + std::to_string(i) + "]." +
                     (own.ratios.empty() ? "inharmonicity" : "partials") +
                     " needs generator.conditioning='harmonic' and spectrogram.phase='harmonic'");
  }
  check_macros(description, fields);
}

void check_samplernn(const Description& description, bool has_default, Fields& fields) {
  using Conditioning = models::SampleRNNConfig::Conditioning;
  const models::SampleRNNConfig& network = description.samplernn;
  const bool by_note = network.conditioning == Conditioning::kNote;
  if (by_note && !description.pitch_range) {
    fields.add_fault("pitch_range is missing; samplernn.conditioning='note' needs " + kPitches);
  }
  if (!by_note && description.pitch_range) {
    fields.add_fault(
        shown_range(*description.pitch_range) + " is not supported by samplernn.conditioning=" +
        (network.conditioning == Conditioning::kNone ? "'none'" : "'class'") + "; leave it out");
  }
  const std::size_t n_timbres = description.timbres.size();
  if (n_timbres != network.n_classes) {
    fields.add_fault("timbres has " + std::to_string(n_timbres) +
                     " tables; it must have samplernn.n_classes=" +
                     std::to_string(network.n_classes) + ", in the order of the classes");
  } else if (n_timbres > 0 && !has_default) {
    std::string names;
    for (const Timbre& timbre : description.timbres) {
      if (names.size() > 200) break;
      names += (names.empty() ? "" : ", ") + timbre.name;
    }
    fields.add_fault("default_timbre is missing; it must be the name of a timbre: " + names);
  }
}

// The fields with the defaults of those that were left out.
toml::Table completed(const Description& description, toml::Table fields) {
  if (!fields.find("measured")) fields.insert("measured", toml::Table());
  if (description.kind == Kind::kGansynth) return fields;
  toml::Table sampling;
  sampling.insert("temperature", description.sampling.temperature);
  sampling.insert("top_p", description.sampling.top_p);
  fields.insert("sampling", std::move(sampling));
  if (!fields.find("timbres")) fields.insert("timbres", toml::Array());
  for (toml::Value& timbre : *fields.find("timbres")->as<toml::Array>()) {
    toml::Table& table = *timbre.as<toml::Table>();
    if (!table.find("family")) table.insert("family", std::string("other"));
  }
  return fields;
}

}  // namespace

models::WeightShapes Description::weight_shapes() const {
  return kind == Kind::kGansynth ? models::weight_shapes(generator)
                                 : models::weight_shapes(samplernn);
}

std::optional<Description> check_fields(const toml::Table& table, Faults& faults) {
  Description description;
  Fields fields(table, "", faults);
  fields.whole("format", 1, 1, "1, the only format");
  const auto name = fields.identifier("name");
  const auto kind = fields.choice("kind", {"gansynth", "samplernn"});
  fields.text("description");
  fields.texts("authors", kNames);
  fields.text("licence", "an SPDX licence, such as 'CC0-1.0'");
  const auto sample_rate = fields.whole("sample_rate", 8000, 192000);
  if (fields.has("training")) {
    if (const auto* const training = fields.table("training")) check_training(*training, faults);
  }
  if (fields.has("measured")) {
    if (const auto* const measured = fields.table("measured", "a table of numbers")) {
      check_measured(*measured, faults);
    }
  }
  if (!kind) return std::nullopt;  // which other fields there are depends on it
  const bool gansynth = *kind == 0;
  description.kind = gansynth ? Kind::kGansynth : Kind::kSamplernn;

  std::optional<std::string> default_timbre;
  if (fields.has("default_timbre") || gansynth) {
    default_timbre = fields.identifier("default_timbre", "the name of a timbre");
  }
  if (fields.has("pitch_range") || gansynth) {
    if (const auto range = fields.wholes("pitch_range", 2, 2, 0, 127, kPitches)) {
      description.pitch_range = {static_cast<int>((*range)[0]), static_cast<int>((*range)[1])};
      if ((*range)[0] > (*range)[1]) {
        fields.add_fault(shown_range(*description.pitch_range) +
                         " must begin with the lower pitch");
      }
    }
  }
  if (fields.has("timbres") || gansynth) {
    const auto timbres = fields.tables(
        "timbres", gansynth ? 1 : 0, kMostTimbres,
        gansynth ? "one table [[timbres]] or more" : "a table [[timbres]] for each class");
    for (std::size_t i = 0; timbres && i < timbres->size(); ++i) {
      if (auto timbre = timbre_of(*(*timbres)[i], i, description.kind, faults)) {
        description.timbres.push_back(*std::move(timbre));
      }
    }
  }
  if (fields.has("data")) {
    if (const auto* const data = fields.table("data")) check_data(*data, description.kind, faults);
  }
  if (gansynth) {
    if (const auto* const inner = fields.table("spectrogram")) {
      if (const auto read = spectrogram_of(*inner, faults)) description.spectrogram = *read;
    }
    if (const auto* const inner = fields.table("generator")) {
      if (const auto read = generator_of(*inner, faults)) description.generator = *read;
    }
    for (Timbre& timbre : description.timbres) {
      timbre.partials.lowest_pitch = description.generator.pitch_min;
    }
    if (fields.has("sustain")) {
      if (const auto* const inner = fields.table("sustain")) {
        description.sustain = sustain_of(*inner, faults);
      }
    }
    if (fields.has("macros")) {
      const auto macros = fields.tables("macros", 0, kMostMacros, "up to 8 tables [[macros]]");
      for (std::size_t i = 0; macros && i < macros->size(); ++i) {
        if (auto macro = macro_of(*(*macros)[i], i, faults)) {
          description.macros.push_back(*std::move(macro));
        }
      }
    }
  } else {
    if (const auto* const inner = fields.table("samplernn")) {
      if (const auto read = samplernn_of(*inner, faults)) description.samplernn = *read;
    }
    if (fields.has("sampling")) {
      if (const auto* const inner = fields.table("sampling")) {
        if (const auto read = sampling_of(*inner, faults)) description.sampling = *read;
      }
    }
  }
  fields.finish();
  if (!faults.empty()) return std::nullopt;

  description.name = *name;
  description.sample_rate = static_cast<unsigned>(*sample_rate);
  description.generator.sample_rate = description.samplernn.sample_rate =
      static_cast<double>(*sample_rate);
  check_timbre_names(description, default_timbre, fields);
  check_places(description, fields);
  check_keys(description, fields);
  if (gansynth) {
    check_gansynth(description, fields);
  } else {
    check_samplernn(description, default_timbre.has_value(), fields);
  }
  if (!fields.faultless()) return std::nullopt;
  description.fields = completed(description, table);
  return description;
}

}  // namespace audiogen::presets
