// Many runs of batch-1 SGD over the threads. A run belongs to one thread from its first step to its last, so the number
// of threads cannot change a bit. Everything was validated in Python (mathdnn/native/sgd.py).
#include "bind_sgd.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "floating_point.hpp"
#include "sgd.hpp"

namespace nb = nanobind;
using namespace mathdnn;

namespace {

using Order = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Labels = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Scores = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Weights = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu>;

struct Kernels {
    SgdSteps steps;
    SgdRead read;
    SgdDerivative derivative;
};

Kernels kernels(const std::string &set) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == "avx512" && __builtin_cpu_supports("x86-64-v4")) return {avx512::sgd_steps, avx512::sgd_read, avx512::sgd_derivative};
    if (set == "avx2" && __builtin_cpu_supports("x86-64-v3")) return {avx2::sgd_steps, avx2::sgd_read, avx2::sgd_derivative};
#endif
    if (set == "baseline") return {baseline::sgd_steps, baseline::sgd_read, baseline::sgd_derivative};
    throw std::invalid_argument("this processor or build has no instruction set " + set);
}

struct Free {
    void operator()(float *memory) const { std::free(memory); }
};

std::unique_ptr<float, Free> aligned(std::size_t count) {
    const std::size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    auto *memory = static_cast<float *>(std::aligned_alloc(64, bytes ? bytes : 64));
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, bytes);
    return std::unique_ptr<float, Free>(memory);
}

struct Run {
    SgdJob job;
    std::int64_t steps;
    float *w;  // d floats: in, the initial weights; out, the trained ones
    std::int64_t failed = all_finite;
};

// A piece is about a millisecond of work: so long can an interrupt wait.
std::int64_t piece_of(std::int64_t d) { return 1 + (std::int64_t{1} << 23) / (d + 64); }

// Takes runs from the shared counter until none is left. `interrupted` is asked between two pieces.
template <class Interrupted>
void work(std::vector<Run> &runs, std::atomic<std::size_t> &taken, std::int64_t padded, SgdSteps kernel,
          float *scratch, Interrupted interrupted) {
    DefaultFloatingPoint environment;
    for (std::size_t i = taken++; i < runs.size(); i = taken++) {
        Run &run = runs[i];
        run.job.w = scratch;
        run.job.rows = scratch + padded;
        std::memcpy(run.job.w, run.w, run.job.d * sizeof(float));
        std::memset(run.job.w + run.job.d, 0, (padded - run.job.d) * sizeof(float));  // a run that diverged leaves NaN there
        const std::int64_t piece = piece_of(run.job.d);
        for (std::int64_t t = 0; t < run.steps && run.failed == all_finite; t += piece) {
            if (interrupted()) return;
            run.failed = kernel(run.job, t, t + piece < run.steps ? t + piece : run.steps);
        }
        std::memcpy(run.w, run.job.w, run.job.d * sizeof(float));
    }
}

// Whether every row of the order exists, and has a label of -1 or +1. Without branches: 0.7 ns a step.
bool usable(const Order &order, const Labels &labels) {
    const std::uint64_t last = labels.shape(0) - 1;  // differences wrap around; a negative row has the sign of its own
    const std::int64_t steps = static_cast<std::int64_t>(order.shape(0));
    std::uint64_t outside = 0;
    for (std::int64_t t = 0; t < steps; t++) {
        const auto row = static_cast<std::uint64_t>(order.data()[t]);
        outside |= row | (last - row);
    }
    if (outside >> 63) return false;
    std::uint32_t wrong = 0;
    for (std::int64_t t = 0; t < steps; t++) {
        std::uint32_t bits;
        std::memcpy(&bits, labels.data() + order.data()[t], sizeof bits);
        wrong |= (bits & 0x7fffffff) ^ 0x3f800000;
    }
    return wrong == 0;
}

std::vector<std::int64_t> sgd_many(Matrix X, std::vector<Order> orders, std::vector<Labels> labels, Weights w,
                                   std::vector<Scores> scores, int loss, int decay, double lr, double weight_decay,
                                   std::int64_t steps_before, int threads, const std::string &set) {
    const SgdSteps kernel = kernels(set).steps;
    const bool bytes = X.dtype() == nb::dtype<std::uint8_t>();
    const std::int64_t d = X.shape(1), padded = (d + lanes - 1) / lanes * lanes;
    std::vector<Run> runs(orders.size());
    for (std::size_t i = 0; i < runs.size(); i++) {
        const std::int64_t itemsize = bytes ? 1 : sizeof(float);
        runs[i].job = {X.data(), bytes, X.stride(0) * itemsize, d, padded, orders[i].data(), labels[i].data(),
                       static_cast<MarginLoss>(loss), static_cast<Decay>(decay), lr, weight_decay,
                       steps_before, nullptr, nullptr, scores.empty() ? nullptr : scores[i].data()};
        runs[i].steps = orders[i].shape(0);
        runs[i].w = w.data() + i * d;
    }
    std::atomic<std::size_t> taken{0};
    std::atomic<bool> stop{false};
    const std::size_t count = std::min<std::size_t>(threads, runs.size() ? runs.size() : 1);
    std::vector<std::unique_ptr<float, Free>> scratch;
    for (std::size_t i = 0; i < count; i++) scratch.push_back(aligned(3 * padded));
    std::vector<std::thread> helpers;
    std::mutex mutex;
    std::condition_variable ended;
    int busy = 0;
    {
        nb::gil_scoped_release release;
        for (std::size_t i = 1; i < count; i++) {
            std::lock_guard guard(mutex);
            try {
                helpers.emplace_back([&, memory = scratch[i].get()] {
                    work(runs, taken, padded, kernel, memory, [&] { return stop.load(std::memory_order_relaxed); });
                    std::lock_guard last(mutex);
                    busy--;
                    ended.notify_one();
                });
                busy++;
            } catch (const std::system_error &) {
                break;  // no more threads to be had: the others do the work
            }
        }
        const auto interrupted = [&] {
            nb::gil_scoped_acquire acquire;
            if (!stop && PyErr_CheckSignals() != 0) stop = true;
            return stop.load();
        };
        work(runs, taken, padded, kernel, scratch[0].get(), interrupted);
        std::unique_lock lock(mutex);
        while (!ended.wait_for(lock, std::chrono::milliseconds(20), [&] { return busy == 0; }))
            if (interrupted()) break;
        lock.unlock();
        for (auto &helper : helpers) helper.join();
    }
    if (stop) throw nb::python_error();
    std::vector<std::int64_t> failed(runs.size());
    for (std::size_t i = 0; i < runs.size(); i++) failed[i] = runs[i].failed;
    return failed;
}

float sgd_read(Matrix X, Order order, const std::string &set) {
    SgdJob job{};
    job.X = X.data();
    job.row_stride = X.stride(0) * static_cast<std::int64_t>(sizeof(float));
    job.d = X.shape(1);
    job.order = order.data();
    nb::gil_scoped_release release;
    return kernels(set).read(job, order.shape(0));
}

void sgd_derivative(int loss, Labels margins, nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu> out,
                    const std::string &set) {
    DefaultFloatingPoint environment;
    kernels(set).derivative(static_cast<MarginLoss>(loss), margins.data(), out.data(), margins.shape(0));
}

}  // namespace

void bind_sgd(nb::module_ &module) {
    module.def("sgd_usable", &usable);
    module.def("sgd_many", &sgd_many);
    module.def("sgd_read", &sgd_read);
    module.def("sgd_derivative", &sgd_derivative);
}
