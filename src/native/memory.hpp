// Memory on 64 bytes, and the kernels of an instruction set.
#pragma once
#include <cstddef>
#include <memory>
#include <string>

#include "kernels.hpp"
#include "probe.hpp"

namespace mathdnn {

constexpr int block = 16;  // images

struct Free {
    void operator()(void *memory) const;
};
template <class T> using Aligned = std::unique_ptr<T[], Free>;
template <class T> Aligned<T> aligned(std::size_t count);  // zeroed, on 64 bytes

const ConvolutionKernels<float> &float_kernels(const std::string &set);
const ConvolutionKernels<double> &double_kernels(const std::string &set);
const LayerKernels &layer_kernels(const std::string &set);
const BlockKernels &block_kernels(const std::string &set);
const BlockKernels *half_block_kernels(const std::string &set);  // of 8 images; null where there are none
const ProbeKernels &probe_kernels(const std::string &set);

}  // namespace mathdnn
