// The machine's limits, measured: fused multiply-adds a second of one core, and bytes a second read from memory.
//
//   multiply_add   x_k <- x_k f + a  for k < chains, again and again: independent chains, so that only the units' number
//                  counts, not how long one takes (4 rounds, two a round: 8 chains do; 12 fit 16 registers)
//   read           the sum over an array, in 16 partial sums
#include "probe.hpp"

#include "vector.hpp"

namespace mathdnn::ISA {
namespace {

constexpr int chains = 12, sums = 4;

float total(F v) {
    alignas(64) float lane[width<float>];
    store(lane, v);
    float sum = 0;
    for (int i = 0; i < width<float>; i++) sum += lane[i];
    return sum;
}

float multiply_add(std::int64_t rounds, float factor, float addend) {
    const F f = splat(factor), a = splat(addend);
    F x[chains];
    for (int k = 0; k < chains; k++) x[k] = splat(float(k));
    for (std::int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
        for (int k = 0; k < chains; k++) x[k] = fma(x[k], f, a);
    }
    F sum = x[0];
    for (int k = 1; k < chains; k++) sum = sum + x[k];
    return total(sum);
}

float read(const float *from, std::int64_t floats) {
    F x[sums];
    for (int k = 0; k < sums; k++) x[k] = splat(0.0f);
    for (std::int64_t i = 0; i < floats; i += sums * width<float>) {
#pragma GCC unroll 4
        for (int k = 0; k < sums; k++) x[k] = x[k] + load(from + i + k * width<float>);
    }
    return total((x[0] + x[1]) + (x[2] + x[3]));
}

}  // namespace

extern const ProbeKernels probe;
const ProbeKernels probe{2 * chains * width<float>, multiply_add, read};

}  // namespace mathdnn::ISA
