// Python bindings of the GANSynth generator: weights, whole notes, and notes frame by frame.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "core/safetensors.h"
#include "models/frame_table.h"
#include "models/gansynth.h"

namespace py = pybind11;

namespace audiogen::bindings::gansynth_binding {

using models::FrameStream;
using models::FrameTable;
using models::GeneratorConfig;
using models::GeneratorWeights;
using models::Partials;
using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Frames = std::pair<std::size_t, std::size_t>;
using Ratios = std::vector<double>;  // of partials

// Converts the fields of the Python GeneratorConfig and `sample_rate`, Hz.
static GeneratorConfig config_from(const py::dict& fields) {
  GeneratorConfig config;
  for (const auto& [key, value] : fields) {
    const auto name = py::cast<std::string>(key);
    try {
      if (name == "conditioning") {
        const auto conditioning = py::cast<std::string>(value);
        if (conditioning != "one_hot" && conditioning != "harmonic") {
          throw std::invalid_argument("conditioning='" + conditioning +
                                      "' not found; use 'one_hot' or 'harmonic'");
        }
        config.conditioning = conditioning == "one_hot" ? models::Conditioning::kOneHot
                                                        : models::Conditioning::kHarmonic;
      } else if (name == "latent_size") {
        config.latent_size = py::cast<std::size_t>(value);
      } else if (name == "channels") {
        config.channels = py::cast<std::vector<std::size_t>>(value);
      } else if (name == "start_shape") {
        std::tie(config.start_frames, config.start_bins) = py::cast<Frames>(value);
      } else if (name == "pitch_min") {
        config.pitch_min = py::cast<int>(value);
      } else if (name == "n_pitches") {
        config.n_pitches = py::cast<std::size_t>(value);
      } else if (name == "note_off_frame") {
        config.note_off_frame = py::cast<std::size_t>(value);
      } else if (name == "n_maps") {
        config.n_maps = py::cast<std::size_t>(value);
      } else if (name == "sample_rate") {
        config.sample_rate = py::cast<double>(value);
      } else {
        throw std::invalid_argument("config has an unknown field '" + name + "'");
      }
    } catch (const py::cast_error&) {
      throw std::invalid_argument("config['" + name + "'] is " +
                                  py::cast<std::string>(py::repr(value)) +
                                  ", which isn't of the right type");
    }
  }
  return config;
}

// Checks the arguments of a note and starts it.
static void start(FrameStream& stream, const Array& z, float pitch, float velocity,
                  std::uint64_t seed, std::uint32_t noise_stream, const Ratios& partials) {
  const GeneratorConfig& config = stream.config();
  const std::span<const float> latent(z.data(), static_cast<std::size_t>(z.size()));
  if (z.ndim() != 1 || latent.size() != config.latent_size) {
    throw std::invalid_argument("z has " + std::to_string(z.size()) + " numbers in " +
                                std::to_string(z.ndim()) + " dimensions; it must have " +
                                std::to_string(config.latent_size) + " in one");
  }
  for (const float number : latent) {
    if (!std::isfinite(number)) throw std::invalid_argument("z holds NaN or infinity");
  }
  if (!std::isfinite(pitch)) throw std::invalid_argument("pitch must be finite");
  const float lowest = static_cast<float>(config.pitch_min);
  const float highest = lowest + static_cast<float>(config.n_pitches) - 1.0f;
  if (config.conditioning == models::Conditioning::kOneHot &&
      !(lowest <= pitch && pitch <= highest)) {
    throw std::invalid_argument("pitch=" + std::to_string(pitch) + " must be " +
                                std::to_string(config.pitch_min) + " to " +
                                std::to_string(static_cast<int>(highest)));
  }
  if (!(velocity >= 0.0f && velocity <= 1.0f)) {
    throw std::invalid_argument("velocity=" + std::to_string(velocity) + " must be 0 to 1");
  }
  if (!partials.empty() && !Partials::are_valid(partials)) {
    throw std::invalid_argument("partials must be 1 to " + std::to_string(Partials::kMost) +
                                " ascending ratios above 0 and up to 2048");
  }
  stream.start({latent, pitch, velocity, seed, noise_stream, Partials(partials)});
}

static FrameStream stream_of(const std::shared_ptr<GeneratorWeights>& generator, const Array& z,
                             float pitch, float velocity, std::uint64_t seed,
                             std::uint32_t noise_stream, const Ratios& partials) {
  FrameStream stream(generator);
  start(stream, z, pitch, velocity, seed, noise_stream, partials);
  return stream;
}

static Array next(FrameStream& stream) {
  const std::size_t n_bins = stream.config().n_bins();
  Array out(std::vector<std::size_t>{2, n_bins});
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  stream.next(to, to + n_bins);
  return out;
}

static Array take(FrameStream& stream, std::size_t n) {
  const std::size_t n_bins = stream.config().n_bins();
  const std::size_t left = stream.config().n_frames() - stream.frame();
  if (n > left) {
    throw std::invalid_argument("n_frames=" + std::to_string(n) + " must be at most " +
                                std::to_string(left) + ", the rest of the note");
  }
  Array out(std::vector<std::size_t>{2, n, n_bins});
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  for (std::size_t t = 0; t < n; ++t) stream.next(to + t * n_bins, to + (n + t) * n_bins);
  return out;
}

static Array generate(const std::shared_ptr<GeneratorWeights>& generator, const Array& z,
                      float pitch, float velocity, std::uint64_t seed, std::optional<Frames> frames,
                      std::uint32_t noise_stream, const Ratios& partials) {
  const std::size_t n_frames = generator->config().n_frames();
  const auto [first, last] = frames.value_or(Frames{0, n_frames});
  if (first > last || last > n_frames) {
    throw std::invalid_argument("frames=(" + std::to_string(first) + ", " + std::to_string(last) +
                                ") must be a range within 0 to " + std::to_string(n_frames));
  }
  FrameStream stream = stream_of(generator, z, pitch, velocity, seed, noise_stream, partials);
  stream.seek(first);
  return take(stream, last - first);
}

// The notes of a table: arrays with a row per note.
static py::dict notes_of(const FrameTable& table) {
  const auto& notes = table.notes();
  const std::size_t n = notes.size(), size = n ? notes.front().z.size() : 0;
  py::array_t<float> z(std::vector<std::size_t>{n, size}), pitch(n), velocity(n);
  py::array_t<std::uint64_t> seed(n);
  py::array_t<std::uint32_t> noise_stream(n);
  py::array_t<std::int64_t> first(n), end(n);
  py::array_t<double> partials(std::vector<std::size_t>{n, Partials::kMost});
  for (std::size_t i = 0; i < n; ++i) {
    const FrameTable::Note& note = notes[i];
    std::copy_n(note.z.data(), size, z.mutable_data() + i * size);
    pitch.mutable_data()[i] = note.pitch;
    velocity.mutable_data()[i] = note.velocity;
    seed.mutable_data()[i] = note.seed;
    noise_stream.mutable_data()[i] = note.noise_stream;
    for (std::size_t h = 0; h < Partials::kMost; ++h) {
      partials.mutable_data()[i * Partials::kMost + h] =
          note.partials.ratio(static_cast<double>(h + 1));
    }
    first.mutable_data()[i] = static_cast<std::int64_t>(note.first);
    end.mutable_data()[i] = static_cast<std::int64_t>(note.end);
  }
  return py::dict(py::arg("z") = z, py::arg("pitch") = pitch, py::arg("velocity") = velocity,
                  py::arg("seed") = seed, py::arg("noise_stream") = noise_stream,
                  py::arg("partials") = partials, py::arg("first") = first, py::arg("end") = end);
}

static void fill(FrameTable& table, std::size_t index, const Array& image) {
  if (index >= table.notes().size()) {
    throw std::invalid_argument("note=" + std::to_string(index) + " must be below " +
                                std::to_string(table.notes().size()));
  }
  const FrameTable::Note& note = table.notes()[index];
  const std::size_t n_frames = note.end - note.first, n_bins = table.n_bins();
  if (image.ndim() != 3 || image.shape(0) != 2 ||
      image.shape(1) != static_cast<py::ssize_t>(n_frames) ||
      image.shape(2) != static_cast<py::ssize_t>(n_bins)) {
    throw std::invalid_argument("image of note " + std::to_string(index) + " must have shape [2, " +
                                std::to_string(n_frames) + ", " + std::to_string(n_bins) + "]");
  }
  table.fill(index, image.data());
}

static py::dict read_safetensors(const std::filesystem::path& path) {
  py::dict arrays;
  for (const auto& [name, array] : core::read_safetensors(path)) {
    arrays[py::str(name)] = Array(array.shape, array.values.data());
  }
  return arrays;
}

}  // namespace audiogen::bindings::gansynth_binding

void bind_gansynth(py::module_& module) {
  using namespace audiogen::bindings::gansynth_binding;
  py::class_<FrameStream>(module, "FrameStream", "Computes the frames of one note, in any order.")
      .def("start", &start, py::arg("z"), py::arg("pitch"), py::arg("velocity") = 1.0f,
           py::arg("seed") = 0, py::arg("noise_stream") = 0, py::arg("partials") = Ratios{},
           "Start another note.")
      .def("seek", &FrameStream::seek, py::arg("frame"), "Set the next frame.")
      .def("next", &next, "The next frame, [2, n_bins], in the generator's units.")
      .def("take", &take, py::arg("n_frames"), "The next n_frames frames, [2, n_frames, n_bins].")
      .def_property_readonly("frame", &FrameStream::frame);
  py::class_<FrameTable, std::shared_ptr<FrameTable>>(
      module, "FrameTable", "Frames of notes that something else computes (models/frame_table.h).")
      .def(py::init([](const GeneratorWeights& generator) {
             return std::make_shared<FrameTable>(generator.config());
           }),
           py::arg("generator"))
      .def("notes", &notes_of, "Inputs and ranges of frames of all notes: arrays [n_notes, ...].")
      .def("fill", &fill, py::arg("note"), py::arg("image"),
           "Set the frames of a note, [2, end - first, n_bins], in the generator's units.");
  py::class_<GeneratorWeights, std::shared_ptr<GeneratorWeights>>(
      module, "Generator",
      "A GANSynth generator from the fields of GeneratorConfig and its weights.")
      .def(py::init(
               [](const py::dict& config, const py::dict& weights, const std::string& precision) {
                 auto sizes = config_from(config);
                 const auto arrays = audiogen::bindings::arrays_from(weights);
                 const auto chosen = audiogen::models::precision_of(precision);
                 py::gil_scoped_release release;
                 return std::make_shared<GeneratorWeights>(std::move(sizes), arrays, chosen);
               }),
           py::arg("config"), py::arg("weights"), py::arg("precision") = "float32")
      .def("generate", &generate, py::arg("z"), py::arg("pitch"), py::arg("velocity") = 1.0f,
           py::arg("seed") = 0, py::arg("frames") = py::none(), py::arg("noise_stream") = 0,
           py::arg("partials") = Ratios{},
           "Frames of a note, [2, n_frames, n_bins], in the generator's units.")
      .def("stream", &stream_of, py::arg("z"), py::arg("pitch"), py::arg("velocity") = 1.0f,
           py::arg("seed") = 0, py::arg("noise_stream") = 0, py::arg("partials") = Ratios{},
           "Start a note; returns its FrameStream.");
  module.def("read_safetensors", &read_safetensors, py::arg("path"),
             "Tensors of a safetensors file as float32 arrays by name.");
}
