// Losses with their derivatives, and the optimizers' steps (kernels.hpp). Each lane is an image, or a parameter.
#include "derivative.hpp"

namespace mathdnn::ISA {
namespace {

constexpr int W = width<float>;

template <class Body> MATHDNN_INLINE void each(std::int64_t floats, Body body) {
    for (std::int64_t i = 0; i < floats; i += W) body(i);
}

// ---- losses

MATHDNN_INLINE I lane_numbers(int s) {
    I k;
    for (int i = 0; i < W; i++) k[i] = s + i;
    return k;
}

MATHDNN_INLINE F best_class(const float *z, int classes, std::int32_t *best, int s) {
    F m = load(z + s);
    I k{};
    for (int c = 1; c < classes; c++) {
        const F v = load(z + c * lanes + s);
        const I better = ((I)(v > m) | (I)(v != v)) & (I)(m == m);  // the first NaN, else the first of the largest
        m = select(better, v, m);
        k = (better & whole(c)) | (~better & k);
    }
    for (int i = 0; i < W; i++) best[s + i] = k[i];
    return m;
}

MATHDNN_INLINE I load_labels(const std::int32_t *label, int s) {
    I y;
    std::memcpy(&y, label + s, sizeof y);
    return y;
}

// L = ln sum_c e^(z_c - m) + m - z_y,  dL/dz_c = e^(z_c - m) / sum - [c = y],  m the largest z
void cross_entropy(float *z, const std::int32_t *label, int classes, int images, float scale, Activate f, float *loss,
                   std::int32_t *best, bool gradient) {
    for (int s = 0; s < lanes; s += W) {
        const F m = best_class(z, classes, best, s);
        const I y = load_labels(label, s), real = (I)(lane_numbers(s) < whole(images));
        F sum{}, right{};
        for (int c = 0; c < classes; c++) {
            const F v = load(z + c * lanes + s);
            sum += exp(v - m);
            right = select((I)(y == whole(c)), v, right);
        }
        store(loss + s, select(real, log(sum) + (m - right), F{}));
        if (!gradient) continue;
        for (int c = 0; c < classes; c++) {
            const F v = load(z + c * lanes + s);
            const F d = (exp(v - m) / sum - select((I)(y == whole(c)), splat(1.0f), F{})) * splat(scale);
            store(z + c * lanes + s, select(real, derived(f, v, d), F{}));
        }
    }
}

// L = sum_c (z_c - [c = y])^2
void squared(float *z, const std::int32_t *label, int classes, int images, float scale, Activate f, float *loss,
             std::int32_t *best, bool gradient) {
    for (int s = 0; s < lanes; s += W) {
        best_class(z, classes, best, s);
        const I y = load_labels(label, s), real = (I)(lane_numbers(s) < whole(images));
        F sum{};
        for (int c = 0; c < classes; c++) {
            const F v = load(z + c * lanes + s), e = v - select((I)(y == whole(c)), splat(1.0f), F{});
            sum = fma(e, e, sum);
            if (gradient) store(z + c * lanes + s, select(real, derived(f, v, (e + e) * splat(scale)), F{}));
        }
        store(loss + s, select(real, sum, F{}));
    }
}

// ---- optimizers

// The gradient at i: the parts added in their order.
MATHDNN_INLINE F gathered(const float *const *parts, int count, std::int64_t i) {
    F s = load(parts[0] + i);
    for (int p = 1; p < count; p++) s += load(parts[p] + i);
    return s;
}

// Where several threads compute, zeros take the place of what was read. To write into a cache line that another core has read takes ten times as long as
// into one that it has written (13 and 52 us for 1900 lines of a neighbour and of a core far away, and 2 and 5): it then
// moves as a whole, and comes back as a whole when its owner writes the next gradient.
MATHDNN_INLINE F spent(float *const *parts, int count, std::int64_t i, bool several) {
    const F s = gathered(parts, count, i);
    for (int p = 0; several && p < count; p++) store(parts[p] + i, F{});
    return s;
}

void take(float *from, float *to, std::int64_t floats) {
    each(floats, [&](std::int64_t i) {
        store(to + i, load(from + i));
        store(from + i, F{});
    });
}

void sum(float *total, const float *const *parts, int count, std::int64_t floats) {
    each(floats, [&](std::int64_t i) { store(total + i, gathered(parts, count, i)); });
}

void sgd(const Step &step, float *p, float *sent, float *const *parts, int count, float *b, std::int64_t floats) {
    const F rate = splat(-step.lr), momentum = splat(step.momentum), decay = splat(step.decay);
    each(floats, [&](std::int64_t i) {
        F d = spent(parts, count, i, sent);
        const F w = load(p + i);
        if (step.decay != 0) d = fma(decay, w, d);
        if (b) {
            const F kept = fma(momentum, load(b + i), d);
            store(b + i, kept);
            d = step.nesterov ? fma(momentum, kept, d) : kept;
        }
        const F next = fma(rate, d, w);
        store(p + i, next);
        if (sent) store(sent + i, next);
    });
}

void adamw(const Step &step, float *p, float *sent, float *const *parts, int count, float *m, float *v,
           std::int64_t floats) {
    each(floats, [&](std::int64_t i) {
        const F d = spent(parts, count, i, sent);
        const F first = fma(splat(0.1f), d - load(m + i), load(m + i));
        const F second = fma(splat(0.001f) * d, d, splat(0.999f) * load(v + i));
        store(m + i, first);
        store(v + i, second);
        const F scale = root(second) / splat(step.correction) + splat(1e-8f);
        const F next = fma(splat(-step.rate), first / scale, splat(step.keep) * load(p + i));
        store(p + i, next);
        if (sent) store(sent + i, next);
    });
}

}  // namespace

const LearningKernels learning = {cross_entropy, squared, sum, sgd, adamw, take};

}  // namespace mathdnn::ISA
