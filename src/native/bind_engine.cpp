// The engine's Python side. Everything was validated in mathdnn/native/engine.py: sizes, ranges of indices and labels.
#include "bind_engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "engine.hpp"

namespace nb = nanobind;
using namespace mathdnn;

namespace {

using Numbers = std::vector<std::int64_t>;
template <class T> using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Images = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

using Described = std::tuple<Numbers, double, Numbers, Numbers, std::vector<double>>;

// buffers: maps, rows, columns, pad rows, pad columns, activation; constants: amplitude, slope of the same buffer.
// operations: kind, in, out, weight, bias, rows, columns, strides, dilations, pitch, paddings of a window, whether its divisor
// counts them; then the divisor, the table's begin and map, and what is fixed.
Program program(const std::vector<Numbers> &buffers, const std::vector<std::vector<double>> &constants,
                const std::vector<Described> &operations, std::int64_t parameters,
                int loss, int optimizer, double momentum, double decay, bool nesterov) {
    Program p;
    for (std::size_t k = 0; k < buffers.size(); k++) {
        const Numbers &b = buffers[k];
        Buffer buffer{int(b.at(0)), int(b.at(1)), int(b.at(2)), int(b.at(3)), int(b.at(4)), {}, 0};
        buffer.activate = {static_cast<Activation>(b.at(5)), float(constants.at(k).at(0)), float(constants.at(k).at(1))};
        p.buffers.push_back(buffer);
    }
    for (const auto &[n, divisor, begin, map, fixed] : operations) {
        Operation op{};
        op.kind = static_cast<Kind>(n.at(0));
        op.in = int(n.at(1));
        op.out = int(n.at(2));
        op.weight = n.at(3);
        op.bias = n.at(4);
        op.convolution.rows = op.window.rows = int(n.at(5));
        op.convolution.columns = op.window.columns = int(n.at(6));
        op.convolution.stride_rows = op.window.stride_rows = int(n.at(7));
        op.convolution.stride_columns = op.window.stride_columns = int(n.at(8));
        op.convolution.dilation_rows = int(n.at(9));
        op.convolution.dilation_columns = int(n.at(10));
        op.window.divisor = float(divisor);
        op.window.dilation_rows = op.convolution.dilation_rows;
        op.window.dilation_columns = op.convolution.dilation_columns;
        op.window.pad_rows = int(n.at(12));
        op.window.pad_columns = int(n.at(13));
        op.window.include = n.at(14) != 0;
        const Buffer &in = p.buffers.at(op.in), &out = p.buffers.at(op.out);
        op.dense = {in.maps * in.rows * in.columns, out.maps, n.at(11)};
        op.begin.assign(begin.begin(), begin.end());
        op.map.assign(map.begin(), map.end());
        op.constants.assign(fixed.begin(), fixed.end());
        p.operations.push_back(std::move(op));
    }
    p.parameters = parameters;
    p.loss = static_cast<Loss>(loss);
    p.optimizer = static_cast<Optimizer>(optimizer);
    p.momentum = float(momentum);
    p.decay = float(decay);
    p.nesterov = nesterov;
    return p;
}

Pictures pictures(const Images &images, const std::optional<Array<const std::int32_t>> &labels,
                  const Array<const float> &table, double gain, double offset) {
    Pictures p;
    if (images.dtype() == nb::dtype<std::uint8_t>()) p.bytes = static_cast<const std::uint8_t *>(images.data());
    else p.floats = static_cast<const float *>(images.data());
    p.table = table.data();
    p.gain = float(gain);
    p.offset = float(offset);
    p.label = labels ? labels->data() : nullptr;
    return p;
}

std::vector<Batch> batches(const Array<const std::int64_t> &order, const std::optional<Array<const std::int64_t>> &shifts,
                           std::int64_t size, std::int64_t first, std::int64_t end) {
    std::vector<Batch> all;
    for (std::int64_t k = first; k < end; k++) {
        const auto count = std::min<std::int64_t>(size, std::int64_t(order.shape(0)) - k * size);
        all.push_back({order.data() + k * size, shifts ? shifts->data() : nullptr, int(count)});
    }
    return all;
}

std::tuple<std::int64_t, double> train(Engine &engine, Images images, Array<const std::int32_t> labels,
                                       Array<const float> table, double gain, double offset, Array<const std::int64_t> order,
                                       std::optional<Array<const std::int64_t>> shifts, std::int64_t size, std::int64_t first,
                                       std::int64_t end, std::vector<double> rates, std::int64_t done, nb::object stopped) {
    const Pictures source = pictures(images, labels, table, gain, offset);
    const auto all = batches(order, shifts, size, first, end);
    double loss = 0;
    std::int64_t reached = 0;
    bool failed = false;
    {
        nb::gil_scoped_release release;
        reached = engine.train(source, all, rates.data(), done, loss, [&] {
            nb::gil_scoped_acquire acquire;
            if (PyErr_CheckSignals() != 0) return failed = true;  // raised once all threads have come to rest
            if (stopped.is_none()) return false;
            const auto answer = nb::steal(PyObject_CallNoArgs(stopped.ptr()));
            const int true_or_not = answer ? PyObject_IsTrue(answer.ptr()) : -1;  // of any object; no C++ exception
            if (true_or_not < 0) return failed = true;
            return true_or_not == 1;
        });
    }
    if (failed) throw nb::python_error();
    return {first + reached, loss};
}

double gradient(Engine &engine, Images images, Array<const std::int32_t> labels, Array<const float> table, double gain,
                double offset, Array<const std::int64_t> order, Array<float> out) {
    const Pictures source = pictures(images, labels, table, gain, offset);
    nb::gil_scoped_release release;
    return engine.gradient(source, {order.data(), nullptr, int(order.shape(0))}, out.data());
}

void run(Engine &engine, Images images, std::optional<Array<const std::int32_t>> labels, Array<const float> table, double gain,
         double offset, std::optional<Array<float>> outputs, std::optional<Array<float>> losses,
         std::optional<Array<std::int32_t>> best) {
    const Pictures source = pictures(images, labels, table, gain, offset);
    nb::gil_scoped_release release;
    engine.run(source, std::int64_t(images.shape(0)), outputs ? outputs->data() : nullptr, losses ? losses->data() : nullptr,
               best ? best->data() : nullptr);
}

// Parameters (0), and the optimizer's first (1) and second (2) tensor: out of the engine, or into it.
bool copy_state(Engine &engine, int which, Array<float> values, bool in) {
    float *held = which == 0 ? engine.parameters() : which == 1 ? engine.first() : engine.second();
    if (!held) return false;
    const std::size_t bytes = engine.program().parameters * sizeof(float);
    if (in) std::memcpy(held, values.data(), bytes);
    else std::memcpy(values.data(), held, bytes);
    return true;
}

void elementary(int which, Array<const float> x, Array<float> y, const std::string &set) {
    const std::int64_t n = std::int64_t(x.shape(0)), padded = (n + block - 1) / block * block;
    auto in = aligned<float>(padded), out = aligned<float>(padded);
    std::memcpy(in.get(), x.data(), n * sizeof(float));
    layer_kernels(set).elementary(static_cast<Elementary>(which), in.get(), out.get(), padded);
    std::memcpy(y.data(), out.get(), n * sizeof(float));
}

double exactly(int which, float x) {
    switch (static_cast<Elementary>(which)) {
    case Elementary::tanh: return std::tanh(double(x));
    case Elementary::exp: return std::exp(double(x));
    case Elementary::log: return std::log(double(x));
    default: return 1 / (1 + std::exp(-double(x)));
    }
}

// Over the floats number first .. end - 1 in their order (0 is -largest NaN payload ... ; see `nth`): the largest error in
// units of the last place, where it is, and how many floats have a smaller value than their predecessor.
float nth(std::uint32_t k) {  // ordered: k = 2^31 is +0
    const std::uint32_t bits = k >= 0x80000000u ? k - 0x80000000u : 0xffffffffu - k;
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

std::tuple<double, float, std::int64_t> scan(int which, std::uint64_t first, std::uint64_t end, const std::string &set) {
    const LayerKernels &kernels = layer_kernels(set);
    constexpr int piece = 4096;
    auto x = aligned<float>(piece), y = aligned<float>(piece);
    double worst = 0;
    float where = 0, before = -INFINITY;
    std::int64_t falls = 0;
    nb::gil_scoped_release release;
    for (std::uint64_t k = first; k < end; k += piece) {
        for (int i = 0; i < piece; i++) x[i] = nth(std::uint32_t(std::min<std::uint64_t>(k + i, end - 1)));
        kernels.elementary(static_cast<Elementary>(which), x.get(), y.get(), piece);
        for (int i = 0; i < piece; i++) {
            if (std::isnan(y[i])) continue;
            if (y[i] < before) falls++;
            before = y[i];
            const double exact = exactly(which, x[i]);
            if (std::isinf(y[i]) && std::fabs(exact) >= 0x1.ffffffp127) continue;
            int exponent;
            std::frexp(exact, &exponent);
            const double ulp = std::ldexp(1.0, std::max(exponent - 24, -149)), off = std::fabs(double(y[i]) - exact) / ulp;
            if (off > worst) {
                worst = off;
                where = x[i];
            }
        }
    }
    return {worst, where, falls};
}

}  // namespace

void bind_engine(nb::module_ &module) {
    nb::class_<Engine>(module, "Engine")
        .def("__init__",
             [](Engine *self, const std::vector<Numbers> &buffers, const std::vector<std::vector<double>> &constants,
                const std::vector<Described> &operations, std::int64_t parameters,
                int loss, int optimizer, double momentum, double decay, bool nesterov, int threads, const std::string &set,
                int halves) {
                 new (self) Engine(program(buffers, constants, operations, parameters, loss, optimizer, momentum, decay, nesterov),
                                   threads, set, static_cast<Halves>(halves));
             })
        .def("train", &train, nb::arg("images"), nb::arg("labels"), nb::arg("table"), nb::arg("gain"), nb::arg("offset"),
             nb::arg("order"), nb::arg("shifts").none(), nb::arg("size"), nb::arg("first"), nb::arg("end"), nb::arg("rates"),
             nb::arg("done"), nb::arg("stopped").none())
        .def("gradient", &gradient)
        .def("run", &run, nb::arg("images"), nb::arg("labels").none(), nb::arg("table"), nb::arg("gain"), nb::arg("offset"),
             nb::arg("outputs").none(), nb::arg("losses").none(), nb::arg("best").none())
        .def("copy_state", &copy_state);
    module.def("elementary", &elementary);
    module.def("scan", &scan);
}
