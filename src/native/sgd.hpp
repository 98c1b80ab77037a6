// Batch-1 SGD on a margin loss: what one run is, and the kernel that every instruction set has.
#pragma once
#include <cstdint>

namespace mathdnn {

enum class MarginLoss : int { logistic, sum_of_squares, hinge, squared_hinge, exponential };
enum class Decay : int { constant, inverse, inverse_sqrt };

constexpr int lanes = 32;  // fixed on every machine: the order of a sum is part of the result

struct SgdJob {
    const void *X;            // rows of d float32, or of d bytes that stand for byte / 255
    bool bytes;
    std::int64_t row_stride;  // in bytes; any sign
    std::int64_t d, padded;   // padded: d rounded up to whole lanes
    const std::int64_t *order;
    const float *labels;      // -1 or +1 in each row that is visited
    MarginLoss loss;
    Decay decay;
    double lr, weight_decay;
    std::int64_t steps_before;  // a decaying step counts on from here
    float *w;                 // padded floats, aligned to 64 bytes, zero beyond d
    float *rows;              // 2 x padded floats, aligned to 64 bytes, zero beyond d
    float *scores;            // one a step, each before its step, or null
};

constexpr std::int64_t all_finite = -1;

// Runs the steps begin..end-1 (0-based). Returns `all_finite`, or the first step whose score was not finite.
// Any cut of a run into such pieces gives the same bits.
using SgdSteps = std::int64_t (*)(const SgdJob &, std::int64_t begin, std::int64_t end);
// Reads the float rows (whole blocks of 64) in the order of the visits, for the limit that memory sets.
using SgdRead = float (*)(const SgdJob &, std::int64_t steps);
// dl/dm at n margins: the elementary functions by themselves, for the tests.
using SgdDerivative = void (*)(MarginLoss, const float *margins, float *out, std::int64_t n);

#define MATHDNN_DECLARE_SGD(set)                                                        \
    namespace set {                                                                     \
    std::int64_t sgd_steps(const SgdJob &, std::int64_t begin, std::int64_t end);       \
    float sgd_read(const SgdJob &, std::int64_t steps);                                 \
    void sgd_derivative(MarginLoss, const float *margins, float *out, std::int64_t n);  \
    }
MATHDNN_DECLARE_SGD(baseline)
MATHDNN_DECLARE_SGD(avx2)
MATHDNN_DECLARE_SGD(avx512)
#undef MATHDNN_DECLARE_SGD

}  // namespace mathdnn
