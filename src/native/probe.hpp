// What a processor can do, asked of it: see probe.cpp.
#pragma once
#include <cstdint>

namespace mathdnn {

struct ProbeKernels {
    int operations;  // floating-point operations in one round of `multiply_add`
    float (*multiply_add)(std::int64_t rounds, float factor, float addend);
    float (*read)(const float *from, std::int64_t floats);  // aligned to 64 bytes, a multiple of 256
};

namespace baseline { extern const ProbeKernels probe; }
namespace avx2 { extern const ProbeKernels probe; }
namespace avx512 { extern const ProbeKernels probe; }

}  // namespace mathdnn
