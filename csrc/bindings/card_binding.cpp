// Python binding of the sound card's callback: its address, and the data that it records.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bindings/blocks.h"
#include "engine/card_output.h"

namespace py = pybind11;

namespace audiogen::bindings::card_binding {

using engine::CardOutput;
using engine::Event;
using engine::LiveEngine;

static std::size_t post(CardOutput& output, const Events& events, double age_s) {
  const double time_s = CardOutput::now_s() - age_s;
  const std::span<const Event> list(events.data(), static_cast<std::size_t>(events.size()));
  std::size_t n = 0;
  for (const Event& event : list) n += output.post(event, time_s) ? 1 : 0;
  return n;
}

static py::array_t<float> read_samples(CardOutput& output) {
  const std::size_t n_channels = output.n_engine_channels();
  const std::size_t n = output.n_readable() / n_channels;
  py::array_t<float> out(std::vector<std::size_t>{n, n_channels});
  output.read({out.mutable_data(), n * n_channels});
  return out;
}

static py::array_t<float> read_calls(CardOutput& output) {
  std::vector<CardOutput::Call> calls(4096);
  calls.resize(output.read_calls(calls));
  py::array_t<float> out(std::vector<std::size_t>{calls.size(), 2});
  for (std::size_t i = 0; i < calls.size(); ++i) {
    out.mutable_at(i, 0) = calls[i].late_s;
    out.mutable_at(i, 1) = calls[i].lasted_s;
  }
  return out;
}

}  // namespace audiogen::bindings::card_binding

void bind_card(py::module_& module) {
  using namespace audiogen::bindings::card_binding;
  py::class_<CardOutput>(module, "CardOutput",
                         "Plays a LiveEngine through a sound card: a callback for PortAudio that "
                         "runs no Python code.")
      .def(py::init<LiveEngine&, std::size_t, std::size_t>(), py::arg("live"),
           py::arg("n_channels") = 2, py::arg("n_recorded") = 0, py::keep_alive<1, 2>())
      .def_property_readonly(
          "callback",
          [](const CardOutput&) {
            return reinterpret_cast<std::uintptr_t>(CardOutput::callback());
          },
          "Address of the PaStreamCallback.")
      .def_property_readonly(
          "user_data", [](CardOutput& output) { return reinterpret_cast<std::uintptr_t>(&output); },
          "Address that the callback gets as userData; the object must outlive the stream.")
      .def("post", &post, py::arg("events"), py::arg("age_s") = 0.0,
           "Queue events that happened age_s seconds ago; they take effect one block and 1 ms "
           "after they happened, to the sample. Returns the number of accepted events.")
      .def("read", &read_samples,
           "The samples recorded since the last call, float32 [n, n_channels].")
      .def("read_calls", &read_calls,
           "Lateness and duration (s) of the callbacks since the last call, float32 [n_calls, 2]; "
           "at most 4096.")
      .def_property_readonly("n_samples", &CardOutput::n_samples)
      .def_property_readonly("n_calls", &CardOutput::n_calls)
      .def_property_readonly("n_underflows", &CardOutput::n_underflows,
                             "Blocks that the card missed, by its own count.")
      .def_property_readonly("n_late_events", &CardOutput::n_late_events,
                             "Events that took effect later than requested.")
      .def_property_readonly("n_unrecorded", &CardOutput::n_unrecorded,
                             "Samples that were not recorded because earlier ones were not read.")
      .def_property_readonly("period", &CardOutput::period,
                             "Length of the card's last whole period, samples.")
      .def_property_readonly("peak", &CardOutput::peak,
                             "Peak of the last blocks, falling by 20 dB per second.");
}
