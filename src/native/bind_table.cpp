// The convolution over a connection table on ordinary arrays (n, maps, rows, columns): forward, and the two maps that
// are its derivatives. Blocks of 16 images are turned into lanes, computed, and turned back. A thread takes the next
// block, or for the weight gradient the next piece of a fixed cut; the number of threads changes no bit.
//
// Everything was validated in Python (mathdnn/native/table.py).
#include "bind_table.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "engine.hpp"

namespace nb = nanobind;
using namespace mathdnn;

namespace {

template <class T> using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T> const ConvolutionKernels<T> &kernels(const std::string &set);
template <> const ConvolutionKernels<float> &kernels<float>(const std::string &set) { return float_kernels(set); }
template <> const ConvolutionKernels<double> &kernels<double>(const std::string &set) { return double_kernels(set); }

struct Edges {
    std::vector<std::int32_t> begin, map, back_begin, back_edge, back_map;
    Edges(std::vector<std::int32_t> b, std::vector<std::int32_t> m, int inputs) : begin(std::move(b)), map(std::move(m)) {
        back_begin.push_back(0);
        for (int g = 0; g < inputs; g++) {
            for (std::size_t l = 0; l + 1 < begin.size(); l++)
                for (int e = begin[l]; e < begin[l + 1]; e++)
                    if (map[e] == g) {
                        back_edge.push_back(e);
                        back_map.push_back(static_cast<std::int32_t>(l));
                    }
            back_begin.push_back(static_cast<std::int32_t>(back_edge.size()));
        }
    }
};

template <class T> class Table {
  public:
    // size: in maps, rows, columns, out maps, rows, columns, filter rows, columns, strides, paddings, dilations
    Table(std::vector<std::int32_t> begin, std::vector<std::int32_t> map, const std::vector<int> &size, int threads,
          const std::string &set)
        : edges_(std::move(begin), std::move(map), size.at(0)), k_(kernels<T>(set)), team_(threads), maps_in_(size[0]),
          rows_(size[1]), columns_(size[2]), maps_out_(size[3]) {
        const int pr = size.at(10), pc = size.at(11);
        const std::int64_t pitch = columns_ + 2 * pc, out = size[5];
        c_.in = {rows_ + 2 * pr, columns_ + 2 * pc, pitch, pitch * (rows_ + 2 * pr)};
        c_.out = {size[4], size[5], out, out * size[4]};
        c_.pad_rows = pr;
        c_.pad_columns = pc;
        c_.rows = size[6];
        c_.columns = size[7];
        c_.stride_rows = size[8];
        c_.stride_columns = size[9];
        c_.dilation_rows = size.at(12);
        c_.dilation_columns = size.at(13);
        c_.begin = edges_.begin.data();
        c_.map = edges_.map.data();
        c_.back_begin = edges_.back_begin.data();
        c_.back_edge = edges_.back_edge.data();
        c_.back_map = edges_.back_map.data();
        inside_ = std::int64_t(maps_in_) * rows_ * columns_;
        outside_ = std::int64_t(maps_out_) * c_.out.map;
        weights_ = std::int64_t(edges_.map.size()) * c_.rows * c_.columns;
        zeros_ = aligned<T>(std::max(inside_, outside_));
        for (int rank = 0; rank < threads; rank++) {
            Room room;
            room.in = aligned<T>(maps_in_ * c_.in.map * block);
            room.out = aligned<T>(outside_ * block);
            room.packed = aligned<T>(c_.in.rows == rows_ && c_.in.columns == columns_ ? 1 : inside_ * block);
            room.scratch = aligned<T>(c_.in.map * block);
            rooms_.push_back(std::move(room));
        }
    }

    void forward(Array<const T> x, Array<const T> w, std::optional<Array<const T>> bias, Array<T> y) {
        const auto n = std::int64_t(x.shape(0));
        const T *b = bias ? bias->data() : nullptr;
        blocks(n, [&](Room &room, std::int64_t at, int real) {
            input(room, x.data(), at, real);
            for (int l = 0; l < maps_out_; l++) k_.forward(c_, room.in.get(), w.data(), b, room.out.get(), l, 0, c_.out.rows);
            T *images[block];
            for (int i = 0; i < real; i++) images[i] = y.data() + (at + i) * outside_;
            k_.lanes_out(room.out.get(), images, real, outside_);
        });
    }

    void back(Array<const T> g, Array<const T> w, Array<T> dx) {
        blocks(std::int64_t(g.shape(0)), [&](Room &room, std::int64_t at, int real) {
            derivative(room, g.data(), at, real);
            for (int m = 0; m < maps_in_; m++)
                k_.input_gradient(c_, room.out.get(), w.data(), room.in.get(), {}, m, room.scratch.get());
            T *images[block];
            for (int i = 0; i < real; i++) images[i] = dx.data() + (at + i) * inside_;
            if (padded()) rows(room, [](T *padded, T *packed, std::int64_t count) { std::copy_n(padded, count, packed); });
            k_.lanes_out(padded() ? room.packed.get() : room.in.get(), images, real, inside_);
        });
    }

    void filters(Array<const T> x, Array<const T> g, Array<T> dw) {
        const auto n = std::int64_t(x.shape(0)), count = (n + block - 1) / block;
        // Two pieces and a rest up to 15 blocks, then eight and a rest: as in the engine.
        const std::int64_t size = std::max<std::int64_t>(1, count < 16 ? count / 2 : count / 8);
        const std::int64_t pieces = (count + size - 1) / size;
        std::vector<Aligned<T>> found;
        for (std::int64_t k = 0; k < pieces; k++) found.push_back(aligned<T>(weights_));
        std::atomic<std::int64_t> taken{0};
        run([&](int rank) {
            Room &room = rooms_[rank];
            if (!room.sums) room.sums = aligned<T>(weights_ * block);
            for (std::int64_t k = taken++; k < pieces; k = taken++) {
                for (std::int64_t b = k * size; b < std::min(count, (k + 1) * size); b++) {
                    const int real = int(std::min<std::int64_t>(block, n - b * block));
                    input(room, x.data(), b * block, real);
                    derivative(room, g.data(), b * block, real);
                    for (int l = 0; l < maps_out_; l++)
                        for (int e = c_.begin[l]; e < c_.begin[l + 1]; e++)
                            k_.weight_gradient(c_, room.in.get(), room.out.get(), room.sums.get(), l, c_.map[e], e, b == k * size);
                }
                k_.fold(room.sums.get(), found[k].get(), weights_);
            }
        });
        for (std::int64_t i = 0; i < weights_; i++) {
            T sum = pieces ? found[0][i] : T(0);
            for (std::int64_t k = 1; k < pieces; k++) sum += found[k][i];
            dw.data()[i] = sum;
        }
    }

  private:
    struct Room {
        Aligned<T> in, out, packed, scratch, sums;
    };

    bool padded() const { return c_.pad_rows || c_.pad_columns; }

    void run(const std::function<void(int)> &work) {
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> lock(one_at_a_time_);
        team_.run(work);
    }

    template <class Work> void blocks(std::int64_t n, Work work) {
        std::atomic<std::int64_t> taken{0};
        run([&](int rank) {
            for (std::int64_t at = block * taken++; at < n; at = block * taken++)
                work(rooms_[rank], at, int(std::min<std::int64_t>(block, n - at)));
        });
    }

    template <class Copy> void rows(Room &room, Copy copy) {
        for (int m = 0; m < maps_in_; m++)
            for (int r = 0; r < rows_; r++)
                copy(room.in.get() + (m * c_.in.map + (r + c_.pad_rows) * c_.in.pitch + c_.pad_columns) * block,
                     room.packed.get() + (std::int64_t(m) * rows_ + r) * columns_ * block, std::int64_t(columns_) * block);
    }

    void turned(const T *from, std::int64_t at, int real, std::int64_t count, T *to) {
        const T *images[block];
        for (int i = 0; i < block; i++) images[i] = i < real ? from + (at + i) * count : zeros_.get();
        k_.lanes_in(images, to, count);
    }

    void input(Room &room, const T *x, std::int64_t at, int real) {
        turned(x, at, real, inside_, padded() ? room.packed.get() : room.in.get());
        if (padded()) rows(room, [](T *padded, T *packed, std::int64_t count) { std::copy_n(packed, count, padded); });
    }

    void derivative(Room &room, const T *g, std::int64_t at, int real) { turned(g, at, real, outside_, room.out.get()); }

    Edges edges_;
    const ConvolutionKernels<T> &k_;
    Team team_;
    std::mutex one_at_a_time_;
    int maps_in_, rows_, columns_, maps_out_;
    Convolution c_{};
    std::int64_t inside_ = 0, outside_ = 0, weights_ = 0;
    Aligned<T> zeros_;
    std::vector<Room> rooms_;
};

template <class T> void bind(nb::module_ &module, const char *name) {
    nb::class_<Table<T>>(module, name)
        .def(nb::init<std::vector<std::int32_t>, std::vector<std::int32_t>, const std::vector<int> &, int, const std::string &>())
        .def("forward", &Table<T>::forward, nb::arg("x"), nb::arg("w"), nb::arg("bias").none(), nb::arg("y"))
        .def("back", &Table<T>::back)
        .def("filters", &Table<T>::filters);
}

}  // namespace

void bind_table(nb::module_ &module) {
    bind<float>(module, "TableFloat");
    bind<double>(module, "TableDouble");
}
