#include "memory.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace mathdnn {

void Free::operator()(void *memory) const { std::free(memory); }

template <class T> Aligned<T> aligned(std::size_t count) {
    const std::size_t bytes = (count * sizeof(T) + 127) / 64 * 64;
    auto *memory = static_cast<T *>(std::aligned_alloc(64, bytes));
    if (!memory) throw std::bad_alloc();
    std::memset(static_cast<void *>(memory), 0, bytes);
    return Aligned<T>(memory);
}
template Aligned<float> aligned<float>(std::size_t);
template Aligned<double> aligned<double>(std::size_t);
template Aligned<std::uint8_t> aligned<std::uint8_t>(std::size_t);

namespace {

enum class Set { baseline, avx2, avx512 };

Set known(const std::string &set) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == "avx512" && __builtin_cpu_supports("x86-64-v4")) return Set::avx512;
    if (set == "avx2" && __builtin_cpu_supports("x86-64-v3")) return Set::avx2;
#endif
    if (set == "baseline") return Set::baseline;
    throw std::invalid_argument("this processor or build has no instruction set " + set);
}

#define MATHDNN_BLOCK(set, lanes) \
    { lanes, set::convolution_float, set::layers, set::pooling, set::dense, set::learning }

}  // namespace

namespace baseline { static const BlockKernels of_block = MATHDNN_BLOCK(baseline, block); }
#if defined(__x86_64__)
namespace avx2 { static const BlockKernels of_block = MATHDNN_BLOCK(avx2, block); }
namespace avx512 { static const BlockKernels of_block = MATHDNN_BLOCK(avx512, block); }
#endif

#if defined(__x86_64__)
#define MATHDNN_PICK(name)                                                     \
    switch (known(set)) {                                                      \
    case Set::avx512: return avx512::name;                                     \
    case Set::avx2: return avx2::name;                                         \
    default: return baseline::name;                                            \
    }
#else
#define MATHDNN_PICK(name) \
    known(set);            \
    return baseline::name;
#endif
const ConvolutionKernels<float> &float_kernels(const std::string &set) { MATHDNN_PICK(convolution_float) }
const ConvolutionKernels<double> &double_kernels(const std::string &set) { MATHDNN_PICK(convolution_double) }
const LayerKernels &layer_kernels(const std::string &set) { MATHDNN_PICK(layers) }
const ProbeKernels &probe_kernels(const std::string &set) { MATHDNN_PICK(probe) }
const BlockKernels &block_kernels(const std::string &set) { MATHDNN_PICK(of_block) }
#undef MATHDNN_PICK

const BlockKernels *half_block_kernels(const std::string &set) {
#if defined(__x86_64__)
    static const BlockKernels avx2 = MATHDNN_BLOCK(avx2_half, block / 2), avx512 = MATHDNN_BLOCK(avx512_half, block / 2);
    switch (known(set)) {
    case Set::avx512: return &avx512;
    case Set::avx2: return &avx2;
    default: return nullptr;
    }
#else
    known(set);
    return nullptr;
#endif
}

}  // namespace mathdnn
