// What the engine's kernels take and do; each instruction set has its own set of them.
//
//   l output map, g input map, e edge (l, g)     y, x position     a, b position in the filter     n lane, an image of 16
//   (of 8 in the sets for half a block: 8 lanes, and 32 bytes where lanes lie, in place of 16 and 64 below)
//   z[l,y,x,n] = bias[l] + sum over the edges e of l and over a, b:  w[e,a,b] in[g, y S + a D, x S + b D, n]
//
// A plane holds its own zero border: positions count from its corner. What is multiplied by the border's zeros is left out
// of the sums, whatever the border holds. All pointers are aligned to 64 bytes; strides count
// positions (16 lanes each). Sums run in the order edges, a, b (forward), edges, a, b from the back (input gradient),
// rows, columns (weight gradient), whatever the instruction set; that is what makes the bits equal.
#pragma once
#include <cstdint>

namespace mathdnn {

enum class Activation : int { none, tanh, relu, sigmoid, scaled_tanh };
struct Activate {
    Activation kind = Activation::none;
    float amplitude = 1, slope = 1;  // scaled tanh: amplitude tanh(slope x)
};

struct Plane {            // one map of 16 images
    int rows, columns;    // of the inside, without the border
    std::int64_t pitch;   // positions from one row to the next
    std::int64_t map;     // positions from one map to the next
};

struct Convolution {
    Plane in, out;        // in: the inside is the whole padded plane here
    int pad_rows, pad_columns, rows, columns;  // of the filter
    int stride_rows, stride_columns, dilation_rows, dilation_columns;
    const std::int32_t *begin;       // output map l has the edges begin[l] .. begin[l + 1] - 1
    const std::int32_t *map;         // edge -> input map
    const std::int32_t *back_begin;  // input map g has back_begin[g] .. back_begin[g + 1] - 1 in the two lists below
    const std::int32_t *back_edge;
    const std::int32_t *back_map;    // output map of that edge
    Activate activate;               // of the output, going forward
};

struct Dense {            // y[o] = w[in, o] + sum_i x[i] w[i, o]; rows of w are `pitch` apart, a multiple of 16
    int in, out;
    std::int64_t pitch;
};

template <class T> struct ConvolutionKernels {
    void (*forward)(const Convolution &, const T *in, const T *w, const T *bias, T *out, int l, int first, int end);
    // d in = the sum times f'(a), where a (the input itself, after its activation) is read from and overwritten in place.
    void (*input_gradient)(const Convolution &, const T *dout, const T *w, T *in, Activate, int g, T *scratch);
    // sums[e, a, b, n]: written where `fresh`, else added to
    void (*weight_gradient)(const Convolution &, const T *in, const T *dout, T *sums, int l, int g, int e, bool fresh);
    void (*bias_gradient)(const Plane &, const T *dout, T *sums, int l, bool fresh);
    void (*fold)(const T *sums, T *out, std::int64_t count);  // the 16 lanes to one number
    void (*lanes_in)(const T *const *images, T *out, std::int64_t count);                 // 16 rows -> (count, 16)
    void (*lanes_out)(const T *in, T *const *images, int rows, std::int64_t count);       // and back, the first `rows`
};

struct Window {           // pooling: y = (sum or maximum over the window's positions inside the plane) / divisor
    Plane in, out;
    int rows, columns, stride_rows, stride_columns, pad_rows, pad_columns, dilation_rows, dilation_columns;
    float divisor;        // 0: as many as the window has positions, those in the padding counted where `include`
    bool include;
};

struct Step {             // one step of an optimizer
    float lr, momentum, decay;
    bool nesterov;
    float keep, rate, correction;  // AdamW: 1 - lr decay, lr / (1 - beta1^t), sqrt(1 - beta2^t)
};

enum class Elementary : int { tanh, exp, log, logistic };

struct LayerKernels {
    void (*activate)(Activate, float *x, std::int64_t positions);
    void (*copy_back)(const float *dy, float *x, Activate, std::int64_t positions);
    void (*interleave)(const std::uint8_t *const *images, std::uint8_t *out, std::int64_t count);  // -> (count, 16)
    void (*expand)(const std::uint8_t *bytes, const float *table, float *out, std::int64_t positions);
    void (*elementary)(Elementary, const float *x, float *y, std::int64_t floats);  // a multiple of 16
};

// One map of 16 images. Functions that go backwards write d in = d out ... f'(a) over the input a itself. Where `bias` is
// not null, d in is summed over the positions into its 16 lanes: written where `fresh`, else added.
struct PoolKernels {
    void (*average_forward)(const Window &, const float *x, float *y, int first, int end);  // rows of the output
    void (*average_backward)(const Window &, const float *dy, float multiplier, float *x, Activate, float *scratch,
                             float *bias, bool fresh);
    void (*max_forward)(const Window &, const float *x, float *y, int first, int end);
    void (*max_backward)(const Window &, const float *dy, float *x, Activate, float *scratch, float *bias, bool fresh);
    void (*scale)(const Plane &, float *y, float coefficient, float bias, int first, int end);
    void (*scale_gradient)(const Window &, const float *dy, const float *x, float *sums, bool fresh);
};

struct DenseKernels {
    void (*forward)(const Dense &, const float *x, const float *w, float *y, int first, int end);
    void (*input_gradient)(const Dense &, const float *dy, const float *w, float *x, Activate, int first, int end);
    // rows first .. end - 1 of the gradient, the bias being row `in`; dy with an image a row, `pitch` apart
    void (*weight_gradient)(const Dense &, const float *x, const float *dy, float *dw, int first, int end, int images,
                            bool fresh);
    void (*images_first)(const float *x, float *out, int count, std::int64_t pitch);  // (count, 16) -> (16, pitch)
    // y[o] = - sum_i (x[i] - w[o, i])^2, w fixed; outputs first .. end - 1, and inputs going backwards
    void (*distance_forward)(const Dense &, const float *x, const float *w, float *y, int first, int end);
    void (*distance_back)(const Dense &, const float *dy, const float *w, float *x, Activate, int first, int end);
};

struct LearningKernels {
    // z (classes, 16): loss and largest class an image; where `gradient`, z <- scale dL/dz f'
    void (*cross_entropy)(float *z, const std::int32_t *label, int classes, int images, float scale, Activate,
                          float *loss, std::int32_t *best, bool gradient);
    void (*squared)(float *z, const std::int32_t *label, int classes, int images, float scale, Activate, float *loss,
                    std::int32_t *best, bool gradient);
    // The gradient is the sum of parts in their order.
    void (*sum)(float *total, const float *const *parts, int count, std::int64_t floats);
    // Where `sent` is not null, the parameters go there as well, and 0 takes the place of the gradient.
    void (*sgd)(const Step &, float *p, float *sent, float *const *parts, int count, float *b, std::int64_t floats);
    void (*adamw)(const Step &, float *p, float *sent, float *const *parts, int count, float *m, float *v,
                  std::int64_t floats);
    void (*take)(float *from, float *to, std::int64_t floats);  // and 0 in its place
};

// All that a block of `lanes` images needs.
struct BlockKernels {
    int lanes;
    const ConvolutionKernels<float> &convolution;
    const LayerKernels &layers;
    const PoolKernels &pooling;
    const DenseKernels &dense;
    const LearningKernels &learning;
};

#define MATHDNN_DECLARE_KERNELS(set)                             \
    namespace set {                                              \
    extern const ConvolutionKernels<float> convolution_float;    \
    extern const ConvolutionKernels<double> convolution_double;  \
    extern const LayerKernels layers;                            \
    extern const PoolKernels pooling;                            \
    extern const DenseKernels dense;                             \
    extern const LearningKernels learning;                       \
    }
MATHDNN_DECLARE_KERNELS(baseline)
MATHDNN_DECLARE_KERNELS(avx2)
MATHDNN_DECLARE_KERNELS(avx512)
MATHDNN_DECLARE_KERNELS(avx2_half)  // blocks of 8 images
MATHDNN_DECLARE_KERNELS(avx512_half)
#undef MATHDNN_DECLARE_KERNELS

}  // namespace mathdnn
