// Python bindings of presets: open folders, check fields, make instruments.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/errors.h"
#include "engine/frames/mel_bands.h"
#include "engine/open_instrument.h"
#include "models/precision.h"
#include "presets/preset.h"

namespace py = pybind11;

namespace audiogen::bindings::presets_binding {

namespace toml = presets::toml;
using presets::Preset;

// Returns the result of `call`; translates FormatError to PresetError.
template <class Call>
static auto checked(const Call& call) {
  try {
    return call();
  } catch (const core::FormatError& error) {
    PyErr_SetString(py::module_::import("audiogen.errors").attr("PresetError").ptr(), error.what());
    throw py::error_already_set();
  }
}

// ---- Values ----

static py::object to_python(const toml::Value& value);

static py::dict to_python(const toml::Table& table) {
  py::dict out;
  for (std::size_t i = 0; i < table.size(); ++i) {
    out[py::str(table.key(i))] = to_python(table.value(i));
  }
  return out;
}

static py::object to_python(const toml::Value& value) {
  if (const auto* const table = value.as<toml::Table>()) return to_python(*table);
  if (const auto* const array = value.as<toml::Array>()) {
    py::list out;
    for (const toml::Value& item : *array) out.append(to_python(item));
    return out;
  }
  if (const auto* const text = value.as<std::string>()) return py::str(*text);
  if (const auto* const flag = value.as<bool>()) return py::bool_(*flag);
  if (const auto* const whole = value.as<std::int64_t>()) return py::int_(*whole);
  return py::float_(*value.as<double>());
}

[[noreturn]] static void refuse(const std::string& path, const py::handle& value) {
  throw core::FormatError(path + " is of type " +
                          py::cast<std::string>(py::type::of(value).attr("__name__")) +
                          ", which TOML cannot hold; give a text, number, list or table");
}

static toml::Value from_python(const py::handle& value, const std::string& path, std::size_t depth);

// Converts a dict; fields that are None are omitted.
static toml::Table table_from(const py::handle& mapping, const std::string& path,
                              std::size_t depth) {
  toml::Table table;
  for (const py::handle item : mapping.attr("items")()) {
    const auto [key, value] = py::cast<std::pair<py::object, py::object>>(item);
    if (!py::isinstance<py::str>(key)) refuse(path.empty() ? "a key" : "a key of " + path, key);
    if (value.is_none()) continue;
    // Encoding fails for half a surrogate pair, which has no UTF-8 form.
    auto name = py::cast<std::string>(key);
    const std::string inner = path.empty() ? name : path + "." + name;
    table.insert(std::move(name), from_python(value, inner, depth));
  }
  return table;
}

static toml::Value from_python(const py::handle& value, const std::string& path,
                               std::size_t depth) {
  if (depth > toml::kMostDepth) {
    throw core::FormatError(path.substr(0, 80) + " is nested deeper than " +
                            std::to_string(toml::kMostDepth) + " levels");
  }
  if (py::isinstance<py::str>(value)) return py::cast<std::string>(value);
  if (py::isinstance<py::bool_>(value)) return py::cast<bool>(value);
  if (py::isinstance<py::float_>(value)) return py::cast<double>(value);
  if (py::isinstance<py::int_>(value)) {
    int overflow = 0;
    const long long whole = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow != 0) throw core::FormatError(path + " is beyond the range of 64 bits");
    return static_cast<std::int64_t>(whole);
  }
  if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) {
    toml::Array array;
    std::size_t i = 0;
    for (const py::handle item : value) {
      array.push_back(from_python(item, path + "[" + std::to_string(i++) + "]", depth + 1));
    }
    return array;
  }
  if (py::hasattr(value, "tolist")) return from_python(value.attr("tolist")(), path, depth + 1);
  if (py::hasattr(value, "items")) return table_from(value, path, depth + 1);
  refuse(path, value);
}

// ---- Functions ----

// Returns the fields with their defaults, or None, and a message for each wrong field.
static py::tuple check_preset_fields(const py::object& fields) {
  return checked([&] {
    presets::Faults faults;
    const auto description = presets::check_fields(table_from(fields, "", 0), faults);
    py::object out = py::none();
    if (description) out = to_python(description->fields);
    return py::make_tuple(std::move(out), faults);
  });
}

static Preset described_by(const Preset& preset, const py::object& fields) {
  return checked([&] {
    presets::Faults faults;
    auto description = presets::check_fields(table_from(fields, "", 0), faults);
    if (!description) throw core::FormatError(presets::fault_message(presets::kTomlName, faults));
    return preset.described_by(*std::move(description));
  });
}

static py::dict weights(const Preset& preset) {
  py::dict out;
  for (const auto& [name, array] : preset.weights().arrays()) {
    out[py::str(name)] = py::array_t<float>(array.shape, array.values.data());
  }
  return out;
}

static std::shared_ptr<engine::Instrument> instrument(
    const Preset& preset, const std::string& precision, std::optional<std::vector<float>> latent,
    std::shared_ptr<models::FrameTable> frames, std::shared_ptr<models::SampleTable> samples) {
  const engine::InstrumentOptions options{models::precision_of(precision), std::move(latent),
                                          std::move(frames), std::move(samples)};
  const py::gil_scoped_release release;
  return engine::make_instrument(preset, options);
}

// Returns the network alone: a Generator or a SampleRNN.
static py::object network(const Preset& preset, const std::string& precision) {
  const models::Precision chosen = models::precision_of(precision);
  if (preset.description().kind == presets::Kind::kGansynth) {
    return py::cast(std::const_pointer_cast<models::GeneratorWeights>(preset.generator(chosen)));
  }
  return py::cast(std::const_pointer_cast<models::SampleRNNWeights>(preset.samplernn(chosen)));
}

static py::tuple band_map(std::size_t n_bins, double nyquist_hz, bool released) {
  if (n_bins < 2)
    throw std::invalid_argument("n_bins=" + std::to_string(n_bins) + " must be 2 or more");
  const engine::BandMap map = engine::make_band_map(n_bins, nyquist_hz, released);
  const auto array = [](const auto& values) {
    return py::array(static_cast<py::ssize_t>(values.size()), values.data());
  };
  return py::make_tuple(array(map.starts), array(map.bands), array(map.weights));
}

}  // namespace audiogen::bindings::presets_binding

void bind_presets(py::module_& module) {
  using namespace audiogen::bindings::presets_binding;
  namespace presets = audiogen::presets;
  py::class_<Preset>(module, "Preset", "An opened preset: its description and weights.")
      .def_property_readonly(
          "description",
          [](const Preset& preset) { return to_python(preset.description().fields); },
          "The fields of preset.toml as a dict, with defaults for missing fields.")
      .def("weights", &weights, "The tensors by name: float32 arrays, copied.")
      .def("instrument", &instrument, py::arg("precision") = "float32",
           py::arg("latent") = py::none(), py::arg("frames") = nullptr,
           py::arg("samples") = nullptr,
           "Make an instrument with the preset's timbres, or with a latent as its only timbre; a "
           "FrameTable or SampleTable has what something else computes.")
      .def("network", &network, py::arg("precision") = "float32",
           "The network, a Generator or a SampleRNN, which instruments share.")
      .def(
          "described_by", &described_by, py::arg("fields"),
          "A preset with the same weights and other fields, which must describe the same network.");
  module.def(
      "open_preset",
      [](const std::filesystem::path& folder) {
        return checked([&] {
          const py::gil_scoped_release release;
          return presets::open(folder);
        });
      },
      py::arg("folder"),
      "Open the folder of a preset. Raises PresetError, which names the file and the first fault.");
  module.def(
      "preset_faults",
      [](const std::filesystem::path& folder) {
        const py::gil_scoped_release release;
        return presets::faults(folder);
      },
      py::arg("folder"), "A message for each fault of a preset's folder; empty if it opens.");
  module.def(
      "read_preset_fields",
      [](const std::filesystem::path& path) {
        return checked([&] { return to_python(presets::read_fields(path)); });
      },
      py::arg("path"), "The fields of a preset.toml, unchecked. Raises PresetError.");
  module.def("check_preset_fields", &check_preset_fields, py::arg("fields"),
             "Returns (fields with defaults or None, a message for each wrong field).");
  module.def("band_map", &band_map, py::arg("n_bins"), py::arg("nyquist_hz"), py::arg("released"),
             "Returns (starts, bands, weights), as `representation.mel.band_map`.");
}
