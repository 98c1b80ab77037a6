// The convolution over a connection table for Python (table.hpp computes it).
//
// Everything was validated in Python (mathdnn/native/table.py).
#include "bind_table.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <tuple>

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "store.hpp"
#include "table.hpp"

namespace nb = nanobind;
using namespace mathdnn;

namespace {

template <class T> using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class T> using Given = std::optional<Array<T>>;

template <class T> T *data(const Given<T> &array) { return array ? array->data() : nullptr; }

// A result in memory of the store, and back to it when its last reader is gone.
template <class T> nb::ndarray<nb::numpy, T> fresh(std::initializer_list<std::size_t> shape) {
    std::size_t count = 1;
    for (const std::size_t side : shape) count *= side;
    auto *block = new Store::Block(Store::results().take(count * sizeof(T)));
    nb::capsule owner(block, [](void *old) noexcept {
        Store::results().give(*static_cast<Store::Block *>(old));
        delete static_cast<Store::Block *>(old);
    });
    return nb::ndarray<nb::numpy, T>(block->memory, shape.size(), shape.begin(), owner);
}
template <class T> using Result = std::optional<nb::ndarray<nb::numpy, T>>;

template <class T>
nb::ndarray<nb::numpy, T> forward(Table<T> &table, Array<const T> x, Array<const T> w, Given<const T> bias) {
    const auto n = std::size_t(x.shape(0));
    auto y = fresh<T>({n, std::size_t(table.maps_out()), std::size_t(table.out_rows()), std::size_t(table.out_columns())});
    nb::gil_scoped_release release;
    table.forward(std::int64_t(n), x.data(), w.data(), data(bias), y.data());
    return y;
}

template <class T>
std::tuple<Result<T>, Result<T>, Result<T>> backward(Table<T> &table, Given<const T> x, Array<const T> g, Given<const T> w,
                                                     bool for_x, bool for_w, bool for_bias) {
    const auto n = std::size_t(g.shape(0));
    Result<T> dx, dw, db;
    if (for_x) dx = fresh<T>({n, std::size_t(table.maps_in()), std::size_t(table.rows()), std::size_t(table.columns())});
    if (for_w) dw = fresh<T>({std::size_t(table.edges()), std::size_t(table.filter_rows()), std::size_t(table.filter_columns())});
    if (for_bias) db = fresh<T>({std::size_t(table.maps_out())});
    const auto place = [](Result<T> &result) { return result ? result->data() : nullptr; };
    nb::gil_scoped_release release;
    table.backward(std::int64_t(n), data(x), g.data(), data(w), place(dx), place(dw), place(db));
    return {dx, dw, db};
}

using Places = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Filters (n, rows, columns) at their places among `total`, zeros elsewhere; and filters from their places.
template <class T> nb::ndarray<nb::numpy, T> scattered(Array<const T> filters, Places at, std::size_t total) {
    const std::size_t taps = filters.shape(1) * filters.shape(2);
    auto all = fresh<T>({total, filters.shape(1), filters.shape(2)});
    std::fill_n(all.data(), total * taps, T(0));
    for (std::size_t k = 0; k < at.shape(0); k++) std::copy_n(filters.data() + k * taps, taps, all.data() + at.data()[k] * taps);
    return all;
}
template <class T> nb::ndarray<nb::numpy, T> gathered(Array<const T> all, Places at) {
    const std::size_t taps = all.shape(1) * all.shape(2);
    auto filters = fresh<T>({at.shape(0), all.shape(1), all.shape(2)});
    for (std::size_t k = 0; k < at.shape(0); k++) std::copy_n(all.data() + at.data()[k] * taps, taps, filters.data() + k * taps);
    return filters;
}

template <class T> void bind(nb::module_ &module, const char *name) {
    nb::class_<Table<T>>(module, name)
        .def(nb::init<std::vector<std::int32_t>, std::vector<std::int32_t>, const std::vector<int> &, int, const std::string &>())
        .def("forward", &forward<T>, nb::arg("x"), nb::arg("w"), nb::arg("bias").none())
        .def("backward", &backward<T>, nb::arg("x").none(), nb::arg("g"), nb::arg("w").none(), nb::arg("for_x"),
             nb::arg("for_w"), nb::arg("for_bias"))
        .def("fill", &Table<T>::fill)
        .def("bytes", &Table<T>::bytes)
        .def_prop_ro("shared", &Table<T>::shared)
        .def_static("scattered", &scattered<T>)
        .def_static("gathered", &gathered<T>);
}

}  // namespace

void bind_table(nb::module_ &module) {
    bind<float>(module, "TableFloat");
    bind<double>(module, "TableDouble");
}
