// Python bindings of the engine and its instruments.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/blocks.h"
#include "engine/engine.h"
#include "engine/frames/frame_instrument.h"
#include "engine/parameters.h"
#include "engine/samples/sample_instrument.h"
#include "models/gansynth.h"
#include "models/samplernn.h"

namespace py = pybind11;
using namespace pybind11::literals;

namespace audiogen::bindings::engine_binding {

using engine::Engine;
using engine::Event;
using engine::FrameInstrument;
using engine::Instrument;
using engine::SampleInstrument;

static std::shared_ptr<FrameInstrument> make_frame_instrument(
    std::shared_ptr<models::GeneratorWeights> generator, const py::dict& spectrogram,
    const py::dict& sustain, std::pair<float, float> pitch_range,
    std::vector<std::vector<float>> timbres, const std::vector<py::dict>& macros,
    const std::vector<py::object>& partials) {
  engine::FrameSettings settings;
  engine::Spectrogram& s = settings.spectrogram;
  s.sample_rate = py::cast<double>(spectrogram["sample_rate"]);
  s.n_fft = py::cast<std::size_t>(spectrogram["n_fft"]);
  s.hop_length = py::cast<std::size_t>(spectrogram["hop_length"]);
  s.magnitude_scale = py::cast<float>(spectrogram["magnitude_scale"]);
  s.magnitude_offset = py::cast<float>(spectrogram["magnitude_offset"]);
  s.frequency_scale = py::cast<float>(spectrogram["frequency_scale"]);
  s.phase = py::cast<std::string>(spectrogram["phase"]) == "harmonic"
                ? engine::PhaseChannel::kHarmonic
                : engine::PhaseChannel::kInstantaneousFrequency;
  if (spectrogram.contains("band_map")) {
    const auto map = py::cast<py::tuple>(spectrogram["band_map"]);
    s.mel.starts = py::cast<std::vector<std::uint32_t>>(map[0]);
    s.mel.bands = py::cast<std::vector<std::uint32_t>>(map[1]);
    s.mel.weights = py::cast<std::vector<float>>(map[2]);
    s.mel.floor = py::cast<float>(spectrogram["magnitude_floor"]);
  }
  if (!sustain.empty()) {
    settings.sustain = {py::cast<std::size_t>(sustain["loop_start_frame"]),
                        py::cast<std::size_t>(sustain["loop_end_frame"]),
                        py::cast<std::size_t>(sustain["release_frame"])};
  }
  settings.pitch_range = {pitch_range.first, pitch_range.second};
  settings.timbres = std::move(timbres);
  for (const py::dict& macro : macros) {
    const auto [lowest, highest] = py::cast<std::pair<float, float>>(macro["range"]);
    settings.macros.push_back({py::cast<std::vector<float>>(macro["direction"]), lowest, highest});
  }
  for (const py::object& of_timbre : partials) {
    settings.partials.push_back({py::cast<std::vector<double>>(of_timbre.attr("ratios")),
                                 py::cast<std::vector<double>>(of_timbre.attr("inharmonicity")),
                                 py::cast<int>(of_timbre.attr("lowest_pitch"))});
  }
  settings.generator = std::move(generator);
  py::gil_scoped_release release;
  return std::make_shared<FrameInstrument>(std::move(settings));
}

static std::shared_ptr<SampleInstrument> make_sample_instrument(
    std::shared_ptr<models::SampleRNNWeights> network, float temperature, float top_p,
    std::pair<float, float> pitch_range, std::size_t n_timbres) {
  engine::SampleSettings settings;
  settings.network = std::move(network);
  settings.temperature = temperature;
  settings.top_p = top_p;
  settings.pitch_range = {pitch_range.first, pitch_range.second};
  settings.n_timbres = n_timbres;
  return std::make_shared<SampleInstrument>(std::move(settings));
}

static py::array_t<float> process(Engine& engine, std::size_t n, const Events& events,
                                  const Input& input) {
  if (n > engine.max_block()) {
    throw std::invalid_argument("n=" + std::to_string(n) +
                                " must be at most max_block=" + std::to_string(engine.max_block()));
  }
  return process_block(engine, n, events, input);
}

}  // namespace audiogen::bindings::engine_binding

void bind_engine(py::module_& module) {
  using namespace audiogen::bindings::engine_binding;
  PYBIND11_NUMPY_DTYPE(Event, offset, kind, id, timbre, pitch, value, pan);
  module.attr("event_dtype") = py::dtype::of<Event>();
  py::list parameters;
  for (const audiogen::engine::ParameterInfo& info : audiogen::engine::kParameters) {
    parameters.append(py::dict("name"_a = info.name, "unit"_a = info.unit, "lowest"_a = info.lowest,
                               "highest"_a = info.highest, "initial"_a = info.initial,
                               "smoothing_s"_a = info.smoothing_s, "controller"_a = info.controller,
                               "help"_a = info.help));
  }
  module.attr("parameters") = py::tuple(parameters);
  py::class_<Instrument, std::shared_ptr<Instrument>>(module, "AnyInstrument",
                                                      "An opened preset, for an engine.")
      .def_property_readonly("sample_rate", &Instrument::sample_rate)
      .def_property_readonly("n_timbres", &Instrument::n_timbres)
      .def_property_readonly(
          "default_timbre",
          [](const Instrument& instrument) { return instrument.programs().default_timbre; })
      .def_property_readonly(
          "programs", [](const Instrument& instrument) { return instrument.programs().timbres; },
          "Index of the timbre of each of the 128 General MIDI programs.")
      .def_property_readonly(
          "transposes",
          [](const Instrument& instrument) { return instrument.programs().transposes; },
          "Sounding pitch minus key of each of the 128 General MIDI programs, at key 60.")
      .def_property_readonly(
          "semitones_per_key",
          [](const Instrument& instrument) { return instrument.programs().semitones_per_key; },
          "Semitones from key to key of each of the 128 General MIDI programs.")
      .def(
          "set_places",
          [](Instrument& instrument, const std::vector<std::pair<float, float>>& places) {
            std::vector<audiogen::engine::Place> list;
            for (const auto& [x, y] : places) list.push_back({x, y});
            instrument.set_places(std::move(list));
          },
          py::arg("places"), "Set the places of the timbres on the timbre map, before playing.")
      .def(
          "set_kit",
          [](Instrument& instrument, const std::vector<std::tuple<int, float, float, int>>& drums,
             float pitch, bool have_timbres) {
            std::vector<audiogen::engine::Drum> list;
            for (const auto& [key, own, pan, group] : drums) list.push_back({key, own, pan, group});
            instrument.set_kit(audiogen::engine::Kit::of(list, pitch, have_timbres));
          },
          py::arg("drums"), py::arg("pitch"), py::arg("have_timbres") = true,
          "Make it a drum kit, before playing: key, pitch, pan and group of each timbre, and the"
          " pitch of other keys.");
  py::class_<FrameInstrument, Instrument, std::shared_ptr<FrameInstrument>>(module, "Instrument",
                                                                            "A GANSynth preset.")
      .def(py::init(&make_frame_instrument), py::arg("generator"), py::arg("spectrogram"),
           py::arg("sustain"), py::arg("pitch_range"), py::arg("timbres"),
           py::arg("macros") = std::vector<py::dict>(),
           py::arg("partials") = std::vector<py::object>())
      .def("add_timbre", &FrameInstrument::add_timbre, py::arg("z"),
           "Add a latent as a timbre; returns its index.");
  py::class_<SampleInstrument, Instrument, std::shared_ptr<SampleInstrument>>(
      module, "SampleInstrument", "A SampleRNN preset; an unconditional one needs no pitch range.")
      .def(py::init(&make_sample_instrument), py::arg("network"), py::arg("temperature") = 1.0f,
           py::arg("top_p") = 1.0f, py::arg("pitch_range") = std::pair(-128.0f, 256.0f),
           py::arg("n_timbres") = 1);
  py::class_<Engine>(module, "Engine", "Renders blocks of samples from events.")
      .def(py::init([](std::shared_ptr<Instrument> instrument, std::uint32_t sample_rate,
                       std::size_t max_block, std::size_t max_voices, std::uint64_t seed,
                       std::size_t n_channels, std::size_t n_inputs, std::size_t n_threads) {
             py::gil_scoped_release release;
             return std::make_unique<Engine>(std::move(instrument), sample_rate, max_block,
                                             max_voices, seed, n_channels, n_inputs, n_threads);
           }),
           py::arg("instrument"), py::arg("sample_rate"), py::arg("max_block"),
           py::arg("max_voices"), py::arg("seed") = 0, py::arg("n_channels") = 1,
           py::arg("n_inputs") = 0, py::arg("n_threads") = 1)
      .def("reset", &Engine::reset, py::arg("seed") = 0)
      .def("process", &process, py::arg("n"), py::arg("events"), py::arg("input") = py::none(),
           "Render the next n samples, float32 [n, n_channels]; input [n, n_inputs] is silence if "
           "None.")
      .def_property_readonly("input_latency", &Engine::input_latency)
      .def_property_readonly("latency", &Engine::latency)
      .def_property_readonly("max_block", &Engine::max_block)
      .def_property_readonly("n_channels", &Engine::n_channels)
      .def_property_readonly("n_sounding", &Engine::n_sounding)
      .def_property_readonly("n_transposed", &Engine::n_transposed)
      .def_property_readonly("n_stolen", &Engine::n_stolen);
}
