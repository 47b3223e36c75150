// Python bindings of the kernels, for float32 arrays in C order.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/random.h"
#include "kernels/dispatch.h"

namespace py = pybind11;

namespace audiogen::bindings::ops_binding {

// audiogen.ops converts its arguments first; any other type or layout is a TypeError here.
using Array = py::array_t<float, py::array::c_style>;
using ComplexArray = py::array_t<std::complex<float>, py::array::c_style>;

using kernels::kernels;

static std::vector<py::ssize_t> shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

static void want_dimensions(const py::array& array, py::ssize_t wanted) {
  if (array.ndim() != wanted) {
    throw std::invalid_argument("the array has " + std::to_string(array.ndim()) +
                                " dimensions; it must have " + std::to_string(wanted));
  }
}

static std::size_t size_at(const py::array& array, int axis) {
  return static_cast<std::size_t>(array.shape(axis));
}

static Array wrap(const Array& x) {
  Array out(shape_of(x));
  const float* from = x.data();
  float* to = out.mutable_data();
  const auto n = static_cast<std::size_t>(x.size());
  py::gil_scoped_release release;
  kernels().wrap(from, to, n);
  return out;
}

// Calls `which`, a kernel along time, on [n_outer, n_frames, n_inner].
template <auto which>
static Array along_time(const Array& x) {
  want_dimensions(x, 3);
  Array out(shape_of(x));
  const float* from = x.data();
  float* to = out.mutable_data();
  const kernels::TimeLayout layout{size_at(x, 0), size_at(x, 1), size_at(x, 2)};
  py::gil_scoped_release release;
  (kernels().*which)(from, to, layout);
  return out;
}

static ComplexArray polar_to_rectangular(const Array& log_magnitude, const Array& phase) {
  if (shape_of(log_magnitude) != shape_of(phase)) {
    throw std::invalid_argument("log_magnitude and phase must have the same shape");
  }
  ComplexArray out(shape_of(phase));
  const float* from = log_magnitude.data();
  const float* angle = phase.data();
  float* to = reinterpret_cast<float*>(out.mutable_data());
  const auto n = static_cast<std::size_t>(phase.size());
  py::gil_scoped_release release;
  kernels().polar_to_rectangular(from, angle, to, n);
  return out;
}

static Array istft(const kernels::IstftPlan& plan, const ComplexArray& spectrum) {
  want_dimensions(spectrum, 3);
  const kernels::OverlapLayout layout = plan.layout(size_at(spectrum, 0));
  if (size_at(spectrum, 1) != layout.n_frames || size_at(spectrum, 2) != layout.n_fft / 2 + 1) {
    throw std::invalid_argument("spectrum must have the shape of the plan");
  }
  Array out(std::vector<std::size_t>{layout.n_batch, layout.span()});
  const auto* from = reinterpret_cast<const float*>(spectrum.data());
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  constexpr std::align_val_t kAlignment{64};
  const auto free = [](float* memory) { ::operator delete(memory, kAlignment); };
  const std::unique_ptr<float, decltype(free)> scratch(
      static_cast<float*>(::operator new(plan.scratch_floats() * sizeof(float), kAlignment)), free);
  kernels().istft(plan, from, to, layout.n_batch, scratch.get());
  return out;
}

static Array philox_uniform(std::uint64_t seed, std::uint32_t stream, std::uint32_t row,
                            std::uint32_t n) {
  Array out(n);
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  for (std::uint32_t i = 0; i < n; i += 4) {
    const core::PhiloxBlock block = core::philox({{i / 4, row, stream, 0}}, seed);
    for (std::uint32_t j = 0; j < 4 && j < n - i; ++j) to[i + j] = core::to_unit(block.word[j]);
  }
  return out;
}

static std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const kernels::KernelTable* table : kernels::available_kernels()) {
    names.emplace_back(table->isa);
  }
  return names;
}

static std::string bfloat16_rows() {
  switch (kernels::bfloat16_rows(kernels::kernels())) {
    case kernels::BFloat16Rows::kNone:
      return "none";
    case kernels::BFloat16Rows::kFloat32:
      return "float32";
    case kernels::BFloat16Rows::kPairs:
      return "pairs";
    case kernels::BFloat16Rows::kTiles:
      return "tiles";
  }
  return "none";
}

static double peak(const std::string& product, std::size_t n) {
  const kernels::KernelTable& table = kernels::kernels();
  if (product == "float32") return table.peak_float32(n);
  if (product == "bfloat16") return table.peak_bfloat16(n);
  if (product == "int8") return table.peak_int8(n);
  if (product == "bfloat16 tiles") {
    const bool permitted = kernels::bfloat16_rows(table) == kernels::BFloat16Rows::kTiles;
    return permitted ? table.peak_tiles(n) : 0.0;
  }
  if (product == "int8 tiles")
    return kernels::has_byte_tiles(table) ? table.peak_byte_tiles(n) : 0.0;
  throw std::invalid_argument("product='" + product +
                              "' not found; use 'float32', 'bfloat16', 'int8', 'bfloat16 tiles'"
                              " or 'int8 tiles'");
}

static double read_floats(const py::array_t<float, py::array::c_style>& x) {
  return kernels::kernels().read_floats(x.data(), static_cast<std::size_t>(x.size()));
}

}  // namespace audiogen::bindings::ops_binding

void bind_ops(py::module_& module) {
  using namespace audiogen::bindings::ops_binding;
  using audiogen::kernels::IstftPlan;
  using audiogen::kernels::KernelTable;
  module.def("isa", [] { return std::string(kernels().isa); }, "Instruction set in use.");
  module.def("bfloat16_rows", &bfloat16_rows,
             "How the instruction set in use computes a generator in bfloat16: 'none', 'float32',"
             " 'pairs' or 'tiles'.");
  module.def("peak", &peak, py::arg("product"), py::arg("n"),
             "Run n rounds of products in registers and return the number of operations; 0 if the"
             " instruction set has no such product.");
  module.def("read_floats", &read_floats, py::arg("x").noconvert(),
             "Read an array and return its sum.");
  module.def("available_isas", &available_isas, "Instruction sets that this CPU supports.");
  module.def("wrap", &wrap, py::arg("x").noconvert());
  module.def("unwrap", &along_time<&KernelTable::unwrap>, py::arg("phase").noconvert());
  module.def("instantaneous_frequency", &along_time<&KernelTable::instantaneous_frequency>,
             py::arg("phase").noconvert());
  module.def("integrate", &along_time<&KernelTable::integrate>, py::arg("inst_freq").noconvert());
  module.def("polar_to_rectangular", &polar_to_rectangular, py::arg("log_magnitude").noconvert(),
             py::arg("phase").noconvert());
  py::class_<IstftPlan>(module, "IstftPlan", "Tables for one n_fft, hop_length and n_frames.")
      .def(py::init<std::size_t, std::size_t, std::size_t>(), py::arg("n_fft"),
           py::arg("hop_length"), py::arg("n_frames"));
  module.def("istft", &istft, py::arg("plan"), py::arg("spectrum").noconvert());
  module.def("philox_uniform", &philox_uniform, py::arg("seed"), py::arg("stream"), py::arg("row"),
             py::arg("n"));
}
