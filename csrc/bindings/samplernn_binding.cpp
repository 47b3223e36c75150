// Python bindings of SampleRNN: weights and streams of samples.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "core/safetensors.h"
#include "models/sample_table.h"
#include "models/samplernn.h"

namespace py = pybind11;

namespace audiogen::bindings::samplernn_binding {

using models::SampleRNNConfig;
using models::SampleRNNWeights;
using models::SampleStream;
using models::SampleTable;
using Precision = SampleRNNWeights::Precision;
using Array = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Levels = py::array_t<std::int32_t, py::array::c_style>;

template <class Choice>
static Choice choice_from(const std::string& field, const py::handle& value,
                          const std::vector<std::pair<const char*, Choice>>& choices) {
  const auto name = py::cast<std::string>(value);
  std::string names;
  for (const auto& [known, choice] : choices) {
    if (name == known) return choice;
    names += (names.empty() ? "'" : ", '") + std::string(known) + "'";
  }
  throw std::invalid_argument(field + "='" + name + "' not found; use one of " + names);
}

// Converts the fields of the Python SampleRNNConfig that generation needs, and `sample_rate`, Hz.
static SampleRNNConfig config_from(const py::dict& fields) {
  using Rnn = SampleRNNConfig::Rnn;
  using Quantisation = SampleRNNConfig::Quantisation;
  using Conditioning = SampleRNNConfig::Conditioning;
  SampleRNNConfig config;
  for (const auto& [key, value] : fields) {
    const auto name = py::cast<std::string>(key);
    try {
      if (name == "frame_sizes") {
        config.frame_sizes = py::cast<std::vector<std::size_t>>(value);
      } else if (name == "dim") {
        config.dim = py::cast<std::size_t>(value);
      } else if (name == "n_rnn") {
        config.n_rnn = py::cast<std::size_t>(value);
      } else if (name == "rnn") {
        config.rnn = choice_from<Rnn>(name, value, {{"gru", Rnn::kGru}, {"lstm", Rnn::kLstm}});
      } else if (name == "embedding_size") {
        config.embedding_size = py::cast<std::size_t>(value);
      } else if (name == "q_levels") {
        config.q_levels = py::cast<std::size_t>(value);
      } else if (name == "quantisation") {
        config.quantisation = choice_from<Quantisation>(
            name, value, {{"linear", Quantisation::kLinear}, {"mu_law", Quantisation::kMuLaw}});
      } else if (name == "conditioning") {
        config.conditioning = choice_from<Conditioning>(name, value,
                                                        {{"none", Conditioning::kNone},
                                                         {"class", Conditioning::kClass},
                                                         {"note", Conditioning::kNote}});
      } else if (name == "n_classes") {
        config.n_classes = py::cast<std::size_t>(value);
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

static std::shared_ptr<SampleRNNWeights> network_from(const py::dict& fields,
                                                      const py::dict& weights,
                                                      const std::string& precision) {
  const auto chosen = choice_from<Precision>("precision", py::str(precision),
                                             {{"float32", Precision::kFloat32},
                                              {"bfloat16", Precision::kBFloat16},
                                              {"int8", Precision::kInt8}});
  SampleRNNConfig config = config_from(fields);
  const core::FloatArrays arrays = arrays_from(weights);
  py::gil_scoped_release release;
  return std::make_shared<SampleRNNWeights>(std::move(config), arrays, chosen);
}

// The streams of a table: a dict for each.
static py::list streams_of(const SampleTable& table) {
  py::list out;
  for (const SampleTable::Stream& stream : table.streams()) {
    const auto array = [](const std::vector<float>& numbers) {
      return py::array_t<float>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
    };
    out.append(py::dict(py::arg("seed") = stream.seed, py::arg("index") = stream.index,
                        py::arg("temperature") = array(stream.temperature),
                        py::arg("top_p") = array(stream.top_p)));
  }
  return out;
}

static void fill(SampleTable& table, std::size_t index, const Array& samples) {
  const std::size_t n_streams = table.streams().size();
  if (index >= n_streams) {
    throw std::invalid_argument("stream=" + std::to_string(index) + " must be below " +
                                std::to_string(n_streams));
  }
  const std::size_t n = table.streams()[index].temperature.size();
  if (samples.ndim() != 1 || static_cast<std::size_t>(samples.size()) != n) {
    throw std::invalid_argument("samples of stream " + std::to_string(index) + " must be " +
                                std::to_string(n));
  }
  table.fill(index, samples.data());
}

static SampleStream stream_of(const std::shared_ptr<SampleRNNWeights>& network,
                              std::size_t n_streams, std::uint64_t seed, std::uint32_t first_stream,
                              std::size_t threads) {
  SampleStream stream(network, n_streams, threads);
  stream.reset(seed, first_stream);
  return stream;
}

static void want_stream(const SampleStream& stream, std::size_t index) {
  if (index >= stream.n_streams()) {
    throw std::invalid_argument("stream=" + std::to_string(index) + " must be 0 to " +
                                std::to_string(stream.n_streams() - 1));
  }
}

static void want_class(const SampleStream& stream, std::size_t index) {
  const std::size_t n_classes = stream.config().n_classes;
  if (index >= n_classes) {
    throw std::invalid_argument("index=" + std::to_string(index) + " not found; " +
                                (n_classes ? "use 0 to " + std::to_string(n_classes - 1)
                                           : "the network was trained without classes"));
  }
}

static void want_notes(const SampleStream& stream) {
  if (stream.config().conditioning != SampleRNNConfig::Conditioning::kNote) {
    throw std::invalid_argument(
        "notes are not supported by this network; use one with conditioning='note'");
  }
}

static void want_pitch(double pitch) {
  if (!std::isfinite(pitch) || std::abs(pitch) > 1000.0) {
    throw std::invalid_argument("pitch=" + std::to_string(pitch) + " must be a MIDI number");
  }
}

static void set_class(SampleStream& stream, std::size_t at, std::size_t index) {
  want_stream(stream, at);
  want_class(stream, index);
  stream.set_class(at, index);
}

static void start_note(SampleStream& stream, std::size_t at, double pitch, double velocity,
                       std::size_t index) {
  want_notes(stream);
  want_stream(stream, at);
  want_pitch(pitch);
  want_class(stream, index);
  if (!(velocity >= 0.0 && velocity <= 1.0)) {
    throw std::invalid_argument("velocity=" + std::to_string(velocity) + " must be 0 to 1");
  }
  stream.start_note(at, {pitch, velocity, index});
}

static void set_pitch(SampleStream& stream, std::size_t at, double pitch) {
  want_notes(stream);
  want_stream(stream, at);
  want_pitch(pitch);
  stream.set_pitch(at, pitch);
}

static void release(SampleStream& stream, std::size_t at) {
  want_notes(stream);
  want_stream(stream, at);
  stream.release(at);
}

static std::size_t want_levels(const SampleStream& stream, const Levels& levels) {
  if (levels.ndim() != 2 || static_cast<std::size_t>(levels.shape(0)) != stream.n_streams()) {
    std::string shape;
    for (py::ssize_t i = 0; i < levels.ndim(); ++i) {
      shape += (i ? ", " : "") + std::to_string(levels.shape(i));
    }
    throw std::invalid_argument("levels has shape [" + shape + "]; it must be [" +
                                std::to_string(stream.n_streams()) + ", n]");
  }
  const auto q_levels = static_cast<std::int32_t>(stream.config().q_levels);
  for (py::ssize_t i = 0; i < levels.size(); ++i) {
    if (levels.data()[i] < 0 || levels.data()[i] >= q_levels) {
      throw std::invalid_argument("levels holds " + std::to_string(levels.data()[i]) +
                                  "; levels must be 0 to " + std::to_string(q_levels - 1));
    }
  }
  return static_cast<std::size_t>(levels.shape(1));
}

static void feed(SampleStream& stream, const Levels& levels) {
  const std::size_t n = want_levels(stream, levels);
  const std::int32_t* from = levels.data();
  py::gil_scoped_release release;
  stream.feed(from, n);
}

static Array logits(SampleStream& stream, const Levels& levels) {
  const std::size_t n = want_levels(stream, levels);
  Array out(std::vector<std::size_t>{stream.n_streams(), n, stream.config().n_logits()});
  const std::int32_t* from = levels.data();
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  stream.logits(from, n, to);
  return out;
}

static models::Sampling sampling_from(std::size_t n, const Array& temperature, float top_p) {
  const bool one = temperature.ndim() == 0 || temperature.size() == 1;
  if (!one && (temperature.ndim() != 1 || static_cast<std::size_t>(temperature.size()) != n)) {
    throw std::invalid_argument("temperature has " + std::to_string(temperature.size()) +
                                " numbers in " + std::to_string(temperature.ndim()) +
                                " dimensions; it must have one number, or one for each of the " +
                                std::to_string(n) + " samples");
  }
  for (py::ssize_t i = 0; i < temperature.size(); ++i) {
    const float t = temperature.data()[i];
    if (!(t >= 0.0f) || !std::isfinite(t)) {
      throw std::invalid_argument("temperature=" + std::to_string(t) + " must be 0 or more");
    }
  }
  if (!(top_p > 0.0f && top_p <= 1.0f)) {
    throw std::invalid_argument("top_p=" + std::to_string(top_p) +
                                " must be above 0 and at most 1");
  }
  return {{temperature.data(), static_cast<std::size_t>(temperature.size())}, top_p};
}

static Array process(SampleStream& stream, std::size_t n, const Array& temperature, float top_p) {
  const models::Sampling sampling = sampling_from(n, temperature, top_p);
  Array out(std::vector<std::size_t>{stream.n_streams(), n});
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  stream.process(to, n, sampling);
  return out;
}

static Levels draw(SampleStream& stream, std::size_t n, const Array& temperature, float top_p) {
  const models::Sampling sampling = sampling_from(n, temperature, top_p);
  Levels out(std::vector<std::size_t>{stream.n_streams(), n});
  std::int32_t* to = out.mutable_data();
  py::gil_scoped_release release;
  stream.draw(to, nullptr, n, sampling);
  return out;
}

}  // namespace audiogen::bindings::samplernn_binding

void bind_samplernn(py::module_& module) {
  using namespace audiogen::bindings::samplernn_binding;
  py::class_<SampleTable, std::shared_ptr<SampleTable>>(
      module, "SampleTable", "Samples that something else computes (models/sample_table.h).")
      .def(py::init<>())
      .def("streams", &streams_of,
           "For each stream seed, index (its class), temperature and top_p of each sample.")
      .def("fill", &fill, py::arg("stream"), py::arg("samples"),
           "Set the samples of a stream, after the DC blocker.");
  py::class_<SampleRNNWeights, std::shared_ptr<SampleRNNWeights>>(
      module, "SampleRNN", "A SampleRNN from the fields of SampleRNNConfig and its weights.")
      .def(py::init(&network_from), py::arg("config"), py::arg("weights"),
           py::arg("precision") = "float32");
  py::class_<SampleStream>(module, "SampleStream", "Generates independent streams of samples.")
      .def(py::init(&stream_of), py::arg("network"), py::arg("n_streams") = 1, py::arg("seed") = 0,
           py::arg("first_stream") = 0, py::arg("threads") = 1)
      .def("reset", &SampleStream::reset, py::arg("seed") = 0, py::arg("first_stream") = 0,
           "Restore the initial state of all streams.")
      .def("feed", &feed, py::arg("levels"),
           "Advance with levels [n_streams, n] in place of drawn ones.")
      .def("process", &process, py::arg("n"), py::arg("temperature") = 1.0f,
           py::arg("top_p") = 1.0f, "Draw n samples of each stream, float32 [n_streams, n].")
      .def("draw", &draw, py::arg("n"), py::arg("temperature") = 1.0f, py::arg("top_p") = 1.0f,
           "Draw n levels of each stream, int32 [n_streams, n].")
      .def("logits", &logits, py::arg("levels"),
           "Feed levels [n_streams, n]; returns their logits, float32 [n_streams, n, n_logits].")
      .def("set_class", &set_class, py::arg("stream"), py::arg("index"))
      .def("start_note", &start_note, py::arg("stream"), py::arg("pitch"),
           py::arg("velocity") = 1.0, py::arg("index") = 0,
           "Start a note: reset a stream to its initial state.")
      .def("set_pitch", &set_pitch, py::arg("stream"), py::arg("pitch"),
           "Set the pitch from the next sample on.")
      .def("release", &release, py::arg("stream"), "Release the note at the next sample.")
      .def(
          "copy", [](const SampleStream& stream) { return SampleStream(stream); },
          "Save the state: returns a copy that continues from here.")
      .def_property_readonly("n_streams", &SampleStream::n_streams)
      .def_property_readonly(
          "position", [](const SampleStream& stream) { return stream.position(); },
          "Samples of the first stream since its initial state.");
}
