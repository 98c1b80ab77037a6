// The machine's limits, and the engine's convolutions alone: one block of 16 images that stays where it is, one thread.
//
// Everything was validated in Python (mathdnn/native/probe.py).
#include "bind_probe.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "engine.hpp"
#include "probe.hpp"

namespace nb = nanobind;
using namespace mathdnn;

namespace {

// The operations done; the sum is compared, so that no compiler leaves them out.
double multiply_add(std::int64_t rounds, const std::string &set) {
    const ProbeKernels &k = probe_kernels(set);
    nb::gil_scoped_release release;
    if (k.multiply_add(rounds, 0.5f, 1.0f) < 0) throw std::runtime_error("a sum of positive numbers below zero");
    return double(rounds) * k.operations;
}

double read_memory(nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> from, const std::string &set) {
    const ProbeKernels &k = probe_kernels(set);
    nb::gil_scoped_release release;
    return k.read(from.data(), std::int64_t(from.shape(0)));
}

constexpr int lanes = 16;

class Convolutions {
  public:
    // size: in maps, rows, columns (padded already), out maps, filter rows, columns; stride 1
    Convolutions(std::vector<std::int32_t> begin, std::vector<std::int32_t> map, const std::vector<int> &size,
                 const std::string &set)
        : begin_(std::move(begin)), map_(std::move(map)), k_(float_kernels(set)), inputs_(size.at(0)), outputs_(size.at(3)) {
        c_.in = {size[1], size[2], size[2], std::int64_t(size[1]) * size[2]};
        c_.rows = size.at(4);
        c_.columns = size.at(5);
        const int rows = size[1] - c_.rows + 1, columns = size[2] - c_.columns + 1;
        c_.out = {rows, columns, columns, std::int64_t(rows) * columns};
        c_.stride_rows = c_.stride_columns = c_.dilation_rows = c_.dilation_columns = 1;
        back_begin_.push_back(0);
        for (int g = 0; g < inputs_; g++) {
            for (int l = 0; l < outputs_; l++)
                for (int e = begin_[l]; e < begin_[l + 1]; e++)
                    if (map_[e] == g) {
                        back_edge_.push_back(e);
                        back_map_.push_back(l);
                    }
            back_begin_.push_back(std::int32_t(back_edge_.size()));
        }
        c_.begin = begin_.data();
        c_.map = map_.data();
        c_.back_begin = back_begin_.data();
        c_.back_edge = back_edge_.data();
        c_.back_map = back_map_.data();
        const std::int64_t weights = std::int64_t(map_.size()) * c_.rows * c_.columns;
        in_ = aligned<float>(inputs_ * c_.in.map * lanes);
        back_ = aligned<float>(inputs_ * c_.in.map * lanes);
        out_ = aligned<float>(outputs_ * c_.out.map * lanes);
        scratch_ = aligned<float>(c_.in.map * lanes);
        sums_ = aligned<float>(weights * lanes);
        w_ = aligned<float>(weights);
        for (std::int64_t i = 0; i < inputs_ * c_.in.map * lanes; i++) in_[i] = float(i % 17) / 16 - 0.5f;
        for (std::int64_t i = 0; i < weights; i++) w_[i] = float(i % 13) / 64 - 0.1f;
    }

    void run(int which, std::int64_t repeats) {
        nb::gil_scoped_release release;
        for (std::int64_t time = 0; time < repeats; time++) {
            if (which == 0)
                for (int l = 0; l < outputs_; l++)
                    k_.forward(c_, in_.get(), w_.get(), nullptr, out_.get(), l, 0, c_.out.rows);
            else if (which == 1)
                for (int g = 0; g < inputs_; g++)
                    k_.input_gradient(c_, out_.get(), w_.get(), back_.get(), Activate{}, g, scratch_.get());
            else
                for (int l = 0; l < outputs_; l++)
                    for (int e = begin_[l]; e < begin_[l + 1]; e++)
                        k_.weight_gradient(c_, in_.get(), out_.get(), sums_.get(), l, map_[e], e, true);
        }
    }

  private:
    std::vector<std::int32_t> begin_, map_, back_begin_, back_edge_, back_map_;
    const ConvolutionKernels<float> &k_;
    int inputs_, outputs_;
    Convolution c_{};
    Aligned<float> in_, back_, out_, scratch_, sums_, w_;
};

}  // namespace

void bind_probe(nb::module_ &module) {
    module.def("multiply_add", &multiply_add);
    module.def("read_memory", &read_memory);
    nb::class_<Convolutions>(module, "Convolutions")
        .def(nb::init<std::vector<std::int32_t>, std::vector<std::int32_t>, const std::vector<int> &, const std::string &>())
        .def("run", &Convolutions::run);
}
