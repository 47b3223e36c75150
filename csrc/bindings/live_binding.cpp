// Python bindings of live playing: the engine with a worker thread, and the MIDI reader.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bindings/blocks.h"
#include "engine/live_engine.h"
#include "engine/midi.h"

namespace py = pybind11;

namespace audiogen::bindings::live_binding {

using engine::Event;
using engine::Instrument;
using engine::LiveEngine;
using engine::LiveSettings;
using engine::MidiReader;

static std::unique_ptr<LiveEngine> make_live_engine(
    std::shared_ptr<Instrument> instrument, std::uint32_t sample_rate, std::size_t max_block,
    std::size_t max_voices, std::uint64_t seed, std::size_t n_channels, std::size_t n_inputs,
    std::optional<std::size_t> lookahead, bool synchronous, std::size_t n_threads) {
  LiveSettings settings;
  settings.sample_rate = sample_rate;
  settings.max_block = max_block;
  settings.max_voices = max_voices;
  settings.seed = seed;
  settings.n_channels = n_channels;
  settings.n_inputs = n_inputs;
  settings.lookahead = lookahead;
  settings.synchronous = synchronous;
  settings.n_threads = n_threads;
  py::gil_scoped_release release;
  return std::make_unique<LiveEngine>(std::move(instrument), settings);
}

static py::array_t<float> process(LiveEngine& live, std::size_t n, const Events& events,
                                  const Input& input) {
  if (n > live.max_block() && !live.synchronous()) {
    throw std::invalid_argument("n=" + std::to_string(n) +
                                " must be at most max_block=" + std::to_string(live.max_block()));
  }
  return process_block(live, n, events, input);
}

static std::size_t post(LiveEngine& live, const Events& events) {
  const std::span<const Event> list(events.data(), static_cast<std::size_t>(events.size()));
  std::size_t n = 0;
  for (const Event& event : list) n += live.post(event) ? 1 : 0;
  return n;
}

static Events read_midi(MidiReader& reader, const py::bytes& bytes, std::uint32_t offset) {
  std::vector<Event> events;
  std::array<Event, 64> some;
  const std::string_view view(bytes);
  std::span<const std::uint8_t> left(reinterpret_cast<const std::uint8_t*>(view.data()),
                                     view.size());
  while (!left.empty()) {
    const MidiReader::Progress progress = reader.read(left, offset, some);
    events.insert(events.end(), some.begin(), some.begin() + progress.n_events);
    left = left.subspan(progress.n_bytes);
  }
  Events out(static_cast<py::ssize_t>(events.size()));
  std::copy(events.begin(), events.end(), out.mutable_data());
  return out;
}

}  // namespace audiogen::bindings::live_binding

void bind_live(py::module_& module) {
  using namespace audiogen::bindings::live_binding;
  py::class_<LiveEngine>(module, "LiveEngine",
                         "An engine with a worker thread that renders ahead of time.")
      .def(py::init(&make_live_engine), py::arg("instrument"), py::arg("sample_rate"),
           py::arg("max_block"), py::arg("max_voices"), py::arg("seed") = 0,
           py::arg("n_channels") = 2, py::arg("n_inputs") = 0, py::arg("lookahead") = py::none(),
           py::arg("synchronous") = false, py::arg("n_threads") = 1)
      .def("process", &process, py::arg("n"), py::arg("events"), py::arg("input") = py::none(),
           "Read the next n samples, float32 [n, n_channels]; input [n, n_inputs] is silence if "
           "None. "
           "Never waits for the worker thread.")
      .def("post", &post, py::arg("events"),
           "Queue events for the next block's start, from any thread; returns how many were "
           "accepted.")
      .def("swap", &LiveEngine::swap, py::arg("instrument"),
           py::call_guard<py::gil_scoped_release>(),
           "Replace the instrument at the next block; sounding notes fade out in 20 ms.")
      .def_property_readonly("latency", &LiveEngine::latency,
                             "Delay from an event to its sound, samples.")
      .def_property_readonly("lookahead", &LiveEngine::lookahead)
      .def_property_readonly("max_block", &LiveEngine::max_block)
      .def_property_readonly("n_channels", &LiveEngine::n_channels)
      .def_property_readonly("ready", &LiveEngine::ready,
                             "Whether the next `lookahead` samples are certain not to be late.")
      .def_property_readonly("n_late", &LiveEngine::n_late, "Blocks for which samples were late.")
      .def_property_readonly("n_delayed", &LiveEngine::n_delayed, "Notes that were started late.")
      .def_property_readonly("n_dropped", &LiveEngine::n_dropped,
                             "Events that were dropped because a queue was full.")
      .def_property_readonly("n_sounding", &LiveEngine::n_sounding)
      .def_property_readonly("n_transposed", &LiveEngine::n_transposed)
      .def_property_readonly("n_stolen", &LiveEngine::n_stolen)
      .def_property_readonly("peak", &LiveEngine::peak, "Peak of the last block.")
      .def_property_readonly("load", &LiveEngine::load,
                             "Rendering time over rendered duration; 0 if synchronous.");
  py::class_<MidiReader>(module, "MidiReader",
                         "Parses a stream of MIDI bytes in pieces of any size.")
      .def(py::init())
      .def(
          "set_programs",
          [](MidiReader& reader, const Instrument& instrument) {
            reader.set_programs(instrument.programs());
          },
          py::arg("instrument"), "Let program changes choose timbres of this instrument.")
      .def("choose_timbre", &MidiReader::choose_timbre, py::arg("timbre"),
           "Set the timbre, by index, of every channel until its next program change.")
      .def_property_readonly("timbre", &MidiReader::timbre,
                             "Index of the timbre that was chosen last, on any channel.")
      .def("read", &read_midi, py::arg("bytes"), py::arg("offset") = 0,
           "Parse bytes; returns the events of the completed messages.");
}
