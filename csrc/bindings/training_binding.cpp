// Python bindings of a GRU layer's gates for training; torch computes the matrix products.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels/networks/gru_batch.h"

namespace py = pybind11;

namespace audiogen::bindings::training_binding {

using Floats = py::array_t<float, py::array::c_style>;

// The loop over time of one GRU layer. The object keeps references to its arrays. Arrays of the
// products are float32, or bfloat16 as int16, because numpy has no bfloat16.
class GruLoop {
 public:
  // x, recurrent [n_steps, batch, 3 dim]; h [n_steps + 1, batch, dim], whose first state is set;
  // factors [n_steps + 1, batch, dim], h in the type of the products.
  GruLoop(py::array x, py::array recurrent, Floats h, py::array factors)
      : x_(std::move(x)),
        recurrent_(std::move(recurrent)),
        h_(std::move(h)),
        factors_(std::move(factors)) {
    if (x_.ndim() != 3 || h_.ndim() != 3 || x_.shape(0) + 1 != h_.shape(0) ||
        x_.shape(1) != h_.shape(1) || x_.shape(2) != 3 * h_.shape(2)) {
      throw std::invalid_argument(
          "x must be [n_steps, batch, 3 dim] and h [n_steps + 1, batch, dim]");
    }
    n_steps_ = static_cast<std::size_t>(x_.shape(0));
    sizes_.batch = static_cast<std::size_t>(x_.shape(1));
    sizes_.dim = static_cast<std::size_t>(h_.shape(2));
    sizes_.form = is_float(x_) ? kernels::MatrixForm::kFloat32 : kernels::MatrixForm::kBFloat16;
    check_like(x_, x_, "x");
    check_like(recurrent_, x_, "recurrent");
    check_like(factors_, h_, "factors");
  }

  // Computes the states after step `t`, whose recurrent product must be set.
  void forward(std::size_t t) {
    want_step(t);
    const std::size_t states = sizes_.batch * sizes_.dim;
    kernels::gru_batch(sizes_, {number(x_, 3 * t * states), number(recurrent_, 3 * t * states),
                                h_.data() + t * states, h_.mutable_data() + (t + 1) * states,
                                mutable_number(factors_, (t + 1) * states)});
  }

  // Computes the gradients at step `t`, last step first. Inputs: dh [n_steps, batch, dim] and
  // passed [batch, dim]. Outputs: dx and drecurrent [n_steps, batch, 3 dim]. Updated: dstate
  // [batch, dim].
  void backward(std::size_t t, const Floats& dh, const py::array& passed, Floats& dstate,
                py::array& dx, py::array& drecurrent) {
    want_step(t);
    const std::size_t states = sizes_.batch * sizes_.dim;
    if (!has_shape(dstate, {h_.shape(1), h_.shape(2)}) ||
        !has_shape(dh, {x_.shape(0), h_.shape(1), h_.shape(2)})) {
      throw std::invalid_argument("dh or dstate has the wrong shape");
    }
    check_like(passed, dstate, "passed");
    check_like(dx, x_, "dx");
    check_like(drecurrent, x_, "drecurrent");
    kernels::gru_batch_gradient(
        sizes_,
        {number(x_, 3 * t * states), number(recurrent_, 3 * t * states), h_.data() + t * states,
         dh.data() + t * states, passed.data(), dstate.mutable_data(),
         mutable_number(dx, 3 * t * states), mutable_number(drecurrent, 3 * t * states)});
  }

 private:
  const void* number(const py::array& array, std::size_t at) const {
    return static_cast<const char*>(array.data()) + at * static_cast<std::size_t>(array.itemsize());
  }
  void* mutable_number(py::array& array, std::size_t at) const {
    return static_cast<char*>(array.mutable_data()) +
           at * static_cast<std::size_t>(array.itemsize());
  }
  static bool is_float(const py::array& array) {
    return array.dtype().equal(py::dtype::of<float>());
  }
  static bool has_shape(const py::array& array, const std::vector<py::ssize_t>& shape) {
    return std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()) == shape;
  }
  // Throws unless the array is contiguous, has the products' type, and has the shape of `like`.
  void check_like(const py::array& array, const py::array& like, const char* name) const {
    const bool fits = sizes_.form == kernels::MatrixForm::kFloat32
                          ? is_float(array)
                          : array.dtype().equal(py::dtype::of<std::int16_t>());
    if (!fits || !(array.flags() & py::array::c_style) ||
        !has_shape(array, {like.shape(), like.shape() + like.ndim()})) {
      throw std::invalid_argument(std::string(name) + " has the wrong shape or type");
    }
  }
  void want_step(std::size_t t) const {
    if (t >= n_steps_)
      throw std::invalid_argument("step t=" + std::to_string(t) + " must be below n_steps");
  }

  py::array x_, recurrent_;
  Floats h_;
  py::array factors_;
  std::size_t n_steps_ = 0;
  kernels::GruBatch sizes_{};
};

}  // namespace audiogen::bindings::training_binding

void bind_training(py::module_& module) {
  using namespace audiogen::bindings::training_binding;
  py::class_<GruLoop>(module, "GruLoop", "The loop over time of a GRU layer in training.")
      .def(py::init<py::array, py::array, Floats, py::array>(), py::arg("x"), py::arg("recurrent"),
           py::arg("h").noconvert(), py::arg("factors"))
      .def("forward", &GruLoop::forward, py::arg("t"))
      .def("backward", &GruLoop::backward, py::arg("t"), py::arg("dh").noconvert(),
           py::arg("passed"), py::arg("dstate").noconvert(), py::arg("dx"), py::arg("drecurrent"));
}
