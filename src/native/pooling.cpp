// Pooling on one map of 16 images: average, maximum, and the trained scale of 1998 (kernels.hpp).
//
// Where every window lies inside and has all its positions (`whole`) there is a short way; else each window is cut to what
// lies inside the plane first.
#include "derivative.hpp"

namespace mathdnn::ISA {
namespace {

constexpr int W = width<float>;

template <class Body> MATHDNN_INLINE void each(std::int64_t floats, Body body) {
    for (std::int64_t i = 0; i < floats; i += W) body(i);
}

struct Span {         // of a window on one axis
    int first, end;   // its positions inside the plane
    int start, step;  // where its position 0 lies, and how far apart they are
    float count;      // what the divisor counts
};

Span span(int number, int stride, int pad, int positions, int dilation, int size, bool include) {
    Span s{0, positions, number * stride - pad, dilation, 0};
    while (s.first < s.end && s.start + s.first * dilation < 0) s.first++;
    while (s.end > s.first && s.start + (s.end - 1) * dilation >= size) s.end--;
    const int last = s.start + positions < size + pad ? s.start + positions : size + pad;
    s.count = float(include ? last - s.start : s.end - s.first);
    return s;
}
MATHDNN_INLINE Span down(const Window &w, int r) {
    return span(r, w.stride_rows, w.pad_rows, w.rows, w.dilation_rows, w.in.rows, w.include);
}
MATHDNN_INLINE Span across(const Window &w, int c) {
    return span(c, w.stride_columns, w.pad_columns, w.columns, w.dilation_columns, w.in.columns, w.include);
}

bool whole(const Window &w) {
    return w.divisor > 0 && w.pad_rows == 0 && w.pad_columns == 0 && w.dilation_rows == 1 && w.dilation_columns == 1 &&
           (w.out.rows - 1) * w.stride_rows + w.rows <= w.in.rows &&
           (w.out.columns - 1) * w.stride_columns + w.columns <= w.in.columns;
}

bool tiles(const Window &w) {  // every input position lies in exactly one window
    return whole(w) && w.rows == w.stride_rows && w.columns == w.stride_columns && w.in.rows == w.out.rows * w.rows &&
           w.in.columns == w.out.columns * w.columns;
}

// visit(index in the window, floats from the start of the map) for each position inside
template <class Visit> MATHDNN_INLINE void visit_window(const Window &w, const Span &v, const Span &h, Visit visit) {
    for (int a = v.first; a < v.end; a++)
        for (int b = h.first; b < h.end; b++)
            visit(a * w.columns + b, ((std::int64_t)(v.start + a * v.step) * w.in.pitch + h.start + b * h.step) * lanes);
}

MATHDNN_INLINE float divisor_of(const Window &w, const Span &v, const Span &h) {
    return w.divisor > 0 ? w.divisor : v.count * h.count;
}

MATHDNN_INLINE F window_sum(const Window &w, const float *p) {
    F sum = load(p);
    for (int a = 0; a < w.rows; a++)
        for (int b = a == 0; b < w.columns; b++) sum += load(p + (a * w.in.pitch + b) * lanes);
    return sum;
}

MATHDNN_INLINE const float *corner(const Window &w, const float *x, int y, int column) {
    return x + ((std::int64_t)y * w.stride_rows * w.in.pitch + (std::int64_t)column * w.stride_columns) * lanes;
}

void average_cut(const Window &w, const float *x, float *y, int first, int end) {
    for (int r = first; r < end; r++)
        for (int c = 0; c < w.out.columns; c++) {
            const Span v = down(w, r), h = across(w, c);
            for (int s = 0; s < lanes; s += W) {
                F sum{};
                visit_window(w, v, h, [&](int, std::int64_t at) { sum += load(x + at + s); });
                store(y + (r * w.out.pitch + c) * lanes + s, sum / splat(divisor_of(w, v, h)));
            }
        }
}

void average_forward(const Window &w, const float *x, float *y, int first, int end) {
    if (!whole(w)) return average_cut(w, x, y, first, end);
    const F divisor = splat(w.divisor);
    for (int r = first; r < end; r++) {
        const float *p = corner(w, x, r, 0);
        float *q = y + r * w.out.pitch * lanes;
        if (w.rows == 2 && w.columns == 2 && w.divisor == 4) {
            const std::int64_t below = w.in.pitch * lanes;
            for (int c = 0; c < w.out.columns; c++, p += w.stride_columns * lanes, q += lanes)
                for (int s = 0; s < lanes; s += W)
                    store(q + s, (((load(p + s) + load(p + lanes + s)) + load(p + below + s)) + load(p + below + lanes + s)) *
                                     splat(0.25f));
            continue;
        }
        for (int c = 0; c < w.out.columns; c++, p += w.stride_columns * lanes, q += lanes)
            for (int s = 0; s < lanes; s += W) store(q + s, window_sum(w, p + s) / divisor);
    }
}

void clear(float *x, std::int64_t positions) {
    each(positions * lanes, [&](std::int64_t i) { store(x + i, F{}); });
}

// The derivatives lie in `scratch` without f'; they come over the inputs, and are summed.
void finish(const Window &w, const float *scratch, float *x, Activate f, float *bias, bool fresh) {
    for (int s = 0; s < lanes; s += W) {
        F sum{};
        for (int r = 0; r < w.in.rows; r++)
            for (int c = 0; c < w.in.columns; c++) {
                const std::int64_t at = (r * w.in.pitch + c) * lanes + s;
                const F d = derived(f, load(x + at), load(scratch + at));
                store(x + at, d);
                sum += d;
            }
        if (bias) store(bias + s, fresh ? sum : load(bias + s) + sum);
    }
}

// d in = multiplier dy / divisor for each input of the window, which has R x C positions (0: as many as it says)
template <int R, int C, class Derive> MATHDNN_INLINE void spread(const Window &w, const float *dy, float multiplier, float *x,
                                                                 float *bias, bool fresh, Derive derive) {
    const int rows = R ? R : w.rows, columns = C ? C : w.columns;
    const F m = splat(multiplier), divisor = splat(w.divisor), inverse = splat(1 / w.divisor);
    const bool power = w.divisor == 4 || w.divisor == 1;
    F total[lanes / W] = {};
    for (int r = 0; r < w.out.rows; r++)
        for (int c = 0; c < w.out.columns; c++)
            unroll<lanes / W>(MATHDNN_EACH(k) {
                constexpr int s = k * W;
                const F up = m * load(dy + (r * w.out.pitch + c) * lanes + s);
                const F d = power ? up * inverse : up / divisor;
                F sum{};
                for (int a = 0; a < rows; a++) {
                    float *q = x + ((r * rows + a) * w.in.pitch + c * columns) * lanes + s;
                    for (int b = 0; b < columns; b++, q += lanes) {
                        const F v = derive(load(q), d);
                        store(q, v);
                        sum += v;
                    }
                }
                total[k] += sum;
            });
    if (!bias) return;
    for (int k = 0; k < lanes / W; k++) store(bias + k * W, fresh ? total[k] : load(bias + k * W) + total[k]);
}

void average_backward(const Window &w, const float *dy, float multiplier, float *x, Activate f, float *scratch, float *bias,
                      bool fresh) {
    if (tiles(w)) {
        if (f.kind == Activation::tanh && w.rows == 2 && w.columns == 2)
            return spread<2, 2>(w, dy, multiplier, x, bias, fresh, [](F a, F d) { return derived({Activation::tanh}, a, d); });
        return spread<0, 0>(w, dy, multiplier, x, bias, fresh, [&](F a, F d) { return derived(f, a, d); });
    }
    clear(scratch, w.in.rows * w.in.pitch);
    for (int r = 0; r < w.out.rows; r++)
        for (int c = 0; c < w.out.columns; c++) {
            const Span v = down(w, r), h = across(w, c);
            for (int s = 0; s < lanes; s += W) {
                const F d = splat(multiplier) * load(dy + (r * w.out.pitch + c) * lanes + s) / splat(divisor_of(w, v, h));
                visit_window(w, v, h, [&](int, std::int64_t at) { store(scratch + at + s, load(scratch + at + s) + d); });
            }
        }
    finish(w, scratch, x, f, bias, fresh);
}

// The first of equal values, the last NaN if there is one: as torch has it.
template <class Visit> MATHDNN_INLINE F largest(Visit visit, I &index) {
    F best = splat(-__builtin_inff());
    index = mathdnn::ISA::whole(-1);
    visit([&](int number, F v) {
        const I better = (I)(v > best) | (I)(v != v) | (I)(index < 0);
        best = select(better, v, best);
        index = (better & mathdnn::ISA::whole(number)) | (~better & index);
    });
    return best;
}

MATHDNN_INLINE F largest_of(const Window &w, const float *x, const Span &v, const Span &h, int s, I &index) {
    return largest([&](auto see) {
        visit_window(w, v, h, [&](int number, std::int64_t at) { see(number, load(x + at + s)); });
    }, index);
}

void max_forward(const Window &w, const float *x, float *y, int first, int end) {
    I index;
    for (int r = first; r < end; r++)
        for (int c = 0; c < w.out.columns; c++) {
            const Span v = down(w, r), h = across(w, c);
            for (int s = 0; s < lanes; s += W) store(y + (r * w.out.pitch + c) * lanes + s, largest_of(w, x, v, h, s, index));
        }
}

void max_backward(const Window &w, const float *dy, float *x, Activate f, float *scratch, float *bias, bool fresh) {
    const bool direct = tiles(w);
    F total[lanes / W] = {};
    if (!direct) clear(scratch, w.in.rows * w.in.pitch);
    for (int r = 0; r < w.out.rows; r++)
        for (int c = 0; c < w.out.columns; c++) {
            const Span v = down(w, r), h = across(w, c);
            for (int s = 0; s < lanes; s += W) {
                I index;
                largest_of(w, x, v, h, s, index);
                const F d = load(dy + (r * w.out.pitch + c) * lanes + s);
                visit_window(w, v, h, [&](int number, std::int64_t at) {
                    const I here = (I)(index == mathdnn::ISA::whole(number));
                    at += s;
                    if (direct) {
                        const F own = derived(f, load(x + at), select(here, d, F{}));
                        store(x + at, own);
                        total[s / W] += own;
                    } else {
                        store(scratch + at, select(here, load(scratch + at) + d, load(scratch + at)));
                    }
                });
            }
        }
    if (!direct) return finish(w, scratch, x, f, bias, fresh);
    if (!bias) return;
    for (int k = 0; k < lanes / W; k++) store(bias + k * W, fresh ? total[k] : load(bias + k * W) + total[k]);
}

void scale(const Plane &p, float *y, float coefficient, float bias, int first, int end) {
    for (int r = first; r < end; r++)
        each(p.columns * (std::int64_t)lanes, [&](std::int64_t i) {
            float *q = y + r * p.pitch * lanes + i;
            store(q, fma(splat(coefficient), load(q), splat(bias)));
        });
}

void scale_gradient(const Window &w, const float *dy, const float *x, float *sums, bool fresh) {
    for (int s = 0; s < lanes; s += W) {
        F sum = fresh ? F{} : load(sums + s);
        for (int r = 0; r < w.out.rows; r++)
            for (int c = 0; c < w.out.columns; c++)
                sum = fma(load(dy + (r * w.out.pitch + c) * lanes + s), window_sum(w, corner(w, x, r, c) + s) / splat(w.divisor), sum);
        store(sums + s, sum);
    }
}

}  // namespace

const PoolKernels pooling = {average_forward, average_backward, max_forward, max_backward, scale, scale_gradient};

}  // namespace mathdnn::ISA
