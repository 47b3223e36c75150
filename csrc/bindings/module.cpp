// The Python module `audiogen._native`: gathers the bindings and translates exceptions.
#include <pybind11/pybind11.h>

#include <exception>
#include <stdexcept>

#include "core/errors.h"

namespace py = pybind11;

void bind_ops(py::module_& module);
void bind_gansynth(py::module_& module);
void bind_samplernn(py::module_& module);
void bind_engine(py::module_& module);
void bind_card(py::module_& module);
void bind_live(py::module_& module);
void bind_presets(py::module_& module);
void bind_training(py::module_& module);

static void raise(const char* name, const char* message) {
  PyErr_SetString(py::module_::import("audiogen.errors").attr(name).ptr(), message);
}

static void translate(std::exception_ptr pending) {
  try {
    if (pending) std::rethrow_exception(pending);
  } catch (const audiogen::core::FormatError& error) {
    raise("FormatError", error.what());
  } catch (const std::invalid_argument& error) {
    raise("ParameterError", error.what());
  }
}

PYBIND11_MODULE(_native, module) {
  module.doc() = "Native kernels and engine of audiogen.";
  py::register_local_exception_translator(&translate);
  bind_ops(module);
  bind_gansynth(module);
  bind_samplernn(module);
  bind_engine(module);
  bind_live(module);
  bind_card(module);
  bind_presets(module);
  bind_training(module);
}
