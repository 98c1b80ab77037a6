// The Python face of the kernels. Sizes are checked in Python before a pointer is taken.
#include <nanobind/nanobind.h>

#include "bind_engine.hpp"
#include "bind_probe.hpp"
#include "bind_sgd.hpp"
#include "bind_table.hpp"

namespace nb = nanobind;

namespace {

// The best instruction set of this processor that the kernels are compiled for.
const char *instruction_set() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return "avx512";
    if (__builtin_cpu_supports("x86-64-v3")) return "avx2";
#endif
    return "baseline";
}

}  // namespace

NB_MODULE(_native, module) {
    nb::set_leak_warnings(false);  // Python's caches may keep kernels to the end
    module.def("instruction_set", &instruction_set);
    bind_sgd(module);
    bind_engine(module);
    bind_table(module);
    bind_probe(module);
}
