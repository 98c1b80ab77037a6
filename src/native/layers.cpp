// Everything but the convolutions: activations, pooling, dense layers, losses, optimizers, images in.
// Each lane is an image; the order of every sum is fixed (kernels.hpp), so each instruction set gives the same bits.
#include "derivative.hpp"

namespace mathdnn::ISA {
namespace {

constexpr int W = width<float>;

template <class Body> MATHDNN_INLINE void each(std::int64_t floats, Body body) {
    for (std::int64_t i = 0; i < floats; i += W) body(i);
}

void activate(Activate f, float *x, std::int64_t positions) {
    const std::int64_t n = positions * lanes;
    switch (f.kind) {
    case Activation::tanh: return each(n, [&](std::int64_t i) { store(x + i, tanh(load(x + i))); });
    case Activation::relu: return each(n, [&](std::int64_t i) { store(x + i, activated({Activation::relu}, load(x + i))); });
    default: return each(n, [&](std::int64_t i) { store(x + i, activated(f, load(x + i))); });
    }
}

// ---- pooling

MATHDNN_INLINE F window_sum(const Window &w, const float *p) {
    F sum = load(p);
    for (int a = 0; a < w.rows; a++)
        for (int b = a == 0; b < w.columns; b++) sum += load(p + (a * w.in.pitch + b) * lanes);
    return sum;
}

MATHDNN_INLINE const float *corner(const Window &w, const float *x, int y, int column) {
    return x + ((std::int64_t)y * w.stride_rows * w.in.pitch + (std::int64_t)column * w.stride_columns) * lanes;
}

void average_forward(const Window &w, const float *x, float *y, int first, int end) {
    const F divisor = splat(w.divisor);
    for (int r = first; r < end; r++) {
        const float *p = corner(w, x, r, 0);
        float *q = y + r * w.out.pitch * lanes;
        if (w.rows == 2 && w.columns == 2 && w.divisor == 4) {
            const std::int64_t down = w.in.pitch * lanes;
            for (int c = 0; c < w.out.columns; c++, p += w.stride_columns * lanes, q += lanes)
                for (int s = 0; s < lanes; s += W)
                    store(q + s, (((load(p + s) + load(p + lanes + s)) + load(p + down + s)) + load(p + down + lanes + s)) *
                                     splat(0.25f));
            continue;
        }
        for (int c = 0; c < w.out.columns; c++, p += w.stride_columns * lanes, q += lanes)
            for (int s = 0; s < lanes; s += W) store(q + s, window_sum(w, p + s) / divisor);
    }
}

bool tiles(const Window &w) {  // every input position lies in exactly one window
    return w.rows == w.stride_rows && w.columns == w.stride_columns && w.in.rows == w.out.rows * w.rows &&
           w.in.columns == w.out.columns * w.columns;
}

void clear(float *x, std::int64_t positions) {
    each(positions * lanes, [&](std::int64_t i) { store(x + i, F{}); });
}

void finish(const Window &w, const float *scratch, float *x, Activate f) {
    for (int r = 0; r < w.in.rows; r++)
        each(w.in.columns * (std::int64_t)lanes, [&](std::int64_t i) {
            float *q = x + r * w.in.pitch * lanes + i;
            store(q, derived(f, load(q), load(scratch + r * w.in.pitch * lanes + i)));
        });
}

// d in = multiplier dy / divisor for each input of the window
template <class Derive> MATHDNN_INLINE void spread_tiles(const Window &w, const float *dy, float multiplier, float *x,
                                                         Derive derive) {
    const F m = splat(multiplier), divisor = splat(w.divisor);
    const bool power = w.divisor == 4 || w.divisor == 1;
    const F inverse = splat(1 / w.divisor);
    for (int r = 0; r < w.out.rows; r++)
        for (int c = 0; c < w.out.columns; c++)
            for (int s = 0; s < lanes; s += W) {
                const F up = m * load(dy + (r * w.out.pitch + c) * lanes + s);
                const F d = power ? up * inverse : up / divisor;
                for (int a = 0; a < w.rows; a++) {
                    float *q = x + ((r * w.rows + a) * w.in.pitch + c * w.columns) * lanes + s;
                    for (int b = 0; b < w.columns; b++, q += lanes) store(q, derive(load(q), d));
                }
            }
}

void average_backward(const Window &w, const float *dy, float multiplier, float *x, Activate f, float *scratch) {
    if (tiles(w)) {
        if (f.kind == Activation::tanh)
            return spread_tiles(w, dy, multiplier, x, [](F a, F d) { return derived({Activation::tanh}, a, d); });
        return spread_tiles(w, dy, multiplier, x, [&](F a, F d) { return derived(f, a, d); });
    }
    clear(scratch, w.in.rows * w.in.pitch);
    for (int r = 0; r < w.out.rows; r++)
        for (int c = 0; c < w.out.columns; c++)
            for (int s = 0; s < lanes; s += W) {
                const F d = splat(multiplier) * load(dy + (r * w.out.pitch + c) * lanes + s) / splat(w.divisor);
                float *q = scratch + (corner(w, x, r, c) - x) + s;
                for (int a = 0; a < w.rows; a++)
                    for (int b = 0; b < w.columns; b++) {
                        float *at = q + (a * w.in.pitch + b) * lanes;
                        store(at, load(at) + d);
                    }
            }
    finish(w, scratch, x, f);
}

// The first of equal values, the last NaN if there is one: as torch has it.
MATHDNN_INLINE F largest(const Window &w, const float *p, I &index) {
    F best = load(p);
    index = I{};
    for (int a = 0; a < w.rows; a++)
        for (int b = 0; b < w.columns; b++) {
            const F v = load(p + (a * w.in.pitch + b) * lanes);
            const I better = (I)(v > best) | (I)(v != v);
            best = select(better, v, best);
            index = (better & whole(a * w.columns + b)) | (~better & index);
        }
    return best;
}

void max_forward(const Window &w, const float *x, float *y, int first, int end) {
    I index;
    for (int r = first; r < end; r++)
        for (int c = 0; c < w.out.columns; c++)
            for (int s = 0; s < lanes; s += W)
                store(y + (r * w.out.pitch + c) * lanes + s, largest(w, corner(w, x, r, c) + s, index));
}

void max_backward(const Window &w, const float *dy, float *x, Activate f, float *scratch) {
    const bool direct = tiles(w);
    if (!direct) clear(scratch, w.in.rows * w.in.pitch);
    for (int r = 0; r < w.out.rows; r++)
        for (int c = 0; c < w.out.columns; c++)
            for (int s = 0; s < lanes; s += W) {
                const float *p = corner(w, x, r, c) + s;
                I index;
                largest(w, p, index);
                const F d = load(dy + (r * w.out.pitch + c) * lanes + s);
                for (int a = 0; a < w.rows; a++)
                    for (int b = 0; b < w.columns; b++) {
                        const std::int64_t at = (p - x) + (a * w.in.pitch + b) * lanes;
                        const I here = (I)(index == whole(a * w.columns + b));
                        if (direct) store(x + at, derived(f, load(x + at), select(here, d, F{})));
                        else store(scratch + at, select(here, load(scratch + at) + d, load(scratch + at)));
                    }
            }
    if (!direct) finish(w, scratch, x, f);
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

void copy_back(const float *dy, float *x, Activate f, std::int64_t positions) {
    each(positions * lanes, [&](std::int64_t i) { store(x + i, derived(f, load(x + i), load(dy + i))); });
}

// ---- dense

template <int TO> void dense_forward_tile(const Dense &d, const float *x, const float *w, float *y, int o) {
    for (int s = 0; s < lanes; s += W) {
        F acc[TO];
        unroll<TO>(MATHDNN_EACH(t) { acc[t] = splat(w[d.in * d.pitch + o + t]); });
        const float *row = w + o, *p = x + s;
        for (int i = 0; i < d.in; i++, row += d.pitch, p += lanes) {
            const F v = load(p);
            unroll<TO>(MATHDNN_EACH(t) { acc[t] = fma(splat(row[t]), v, acc[t]); });
        }
        unroll<TO>(MATHDNN_EACH(t) { store(y + (o + t) * lanes + s, acc[t]); });
    }
}

constexpr int outputs = registers == 32 ? 16 : 8;

template <int... i> void dense_rest(const Dense &d, const float *x, const float *w, float *y, int o, int count,
                                    std::integer_sequence<int, i...>) {
    static constexpr void (*all[])(const Dense &, const float *, const float *, float *, int) = {dense_forward_tile<i + 1>...};
    all[count - 1](d, x, w, y, o);
}

void dense_forward(const Dense &d, const float *x, const float *w, float *y, int first, int end) {
    for (int o = first; o < end; o += outputs)
        dense_rest(d, x, w, y, o, end - o < outputs ? end - o : outputs, std::make_integer_sequence<int, outputs>{});
}

template <int TI> void dense_input_tile(const Dense &d, const float *dy, const float *w, float *x, Activate f, int i) {
    for (int s = 0; s < lanes; s += W) {
        F acc[TI];
        unroll<TI>(MATHDNN_EACH(t) { acc[t] = F{}; });
        const float *p = dy + s, *rows[(TI + 2) / 3];  // a pointer for three rows: p, p + pitch, p + 2 pitch
        unroll<(TI + 2) / 3>(MATHDNN_EACH(t) {
            rows[t] = w + (i + 3 * t) * d.pitch;
            asm("" : "+r"(rows[t]));
        });
        for (std::int64_t o = 0; o < d.out; o++, p += lanes) {
            const F v = load(p);
            unroll<TI>(MATHDNN_EACH(t) { acc[t] = fma(splat(rows[t / 3][o + (t % 3) * d.pitch]), v, acc[t]); });
        }
        unroll<TI>(MATHDNN_EACH(t) {
            float *q = x + (i + t) * lanes + s;
            store(q, derived(f, load(q), acc[t]));
        });
    }
}

void dense_input_gradient(const Dense &d, const float *dy, const float *w, float *x, Activate f, int first, int end) {
    constexpr int TI = registers == 32 ? 15 : 9;
    int i = first;
    for (; i + TI <= end; i += TI) dense_input_tile<TI>(d, dy, w, x, f, i);
    for (; i + 5 <= end; i += 5) dense_input_tile<5>(d, dy, w, x, f, i);
    for (; i < end; i++) dense_input_tile<1>(d, dy, w, x, f, i);
}

template <int TI, int TV> void dense_weight_tile(const Dense &d, const float *x, const float *dy, float *dw, int i, int o,
                                                 int images, bool fresh) {
    F acc[TI][TV];
    unroll<TI>(MATHDNN_EACH(t) {
        unroll<TV>(MATHDNN_EACH(v) { acc[t][v] = fresh ? F{} : load(dw + (i + t) * d.pitch + o + v * W); });
    });
    for (int n = 0; n < images; n++) {
        F row[TV];
        unroll<TV>(MATHDNN_EACH(v) { row[v] = load(dy + n * d.pitch + o + v * W); });
        unroll<TI>(MATHDNN_EACH(t) {
            const F scalar = splat(x[(i + t) * lanes + n]);
            unroll<TV>(MATHDNN_EACH(v) { acc[t][v] = fma(scalar, row[v], acc[t][v]); });
        });
    }
    unroll<TI>(MATHDNN_EACH(t) {
        unroll<TV>(MATHDNN_EACH(v) { store(dw + (i + t) * d.pitch + o + v * W, acc[t][v]); });
    });
}

template <int TV> void dense_weight_columns(const Dense &d, const float *x, const float *dy, float *dw, int first, int end,
                                            int o, int images, bool fresh) {
    constexpr int TI = registers == 32 ? 6 : 4;
    int i = first;
    for (; i + TI <= end; i += TI) dense_weight_tile<TI, TV>(d, x, dy, dw, i, o, images, fresh);
    for (; i < end; i++) dense_weight_tile<1, TV>(d, x, dy, dw, i, o, images, fresh);
}

void dense_weight_gradient(const Dense &d, const float *x, const float *dy, float *dw, int first, int end, int images,
                           bool fresh) {
    constexpr int TV = registers == 32 ? 4 : 2;
    const int rows = end < d.in ? end : d.in;
    int o = 0;
    for (; o + TV * W <= d.pitch; o += TV * W) dense_weight_columns<TV>(d, x, dy, dw, first, rows, o, images, fresh);
    for (; o < d.pitch; o += W) dense_weight_columns<1>(d, x, dy, dw, first, rows, o, images, fresh);
    if (end <= d.in) return;
    float *bias = dw + d.in * d.pitch;
    for (o = 0; o < d.pitch; o += W) {
        F sum = fresh ? F{} : load(bias + o);
        for (int n = 0; n < images; n++) sum += load(dy + n * d.pitch + o);
        store(bias + o, sum);
    }
}

void images_first(const float *x, float *out, int count, std::int64_t pitch) {
    for (int i = 0; i < count; i += 4)
        for (int n = 0; n < lanes; n++)
            for (int j = i; j < i + 4; j++) out[n * pitch + j] = j < count ? x[j * lanes + n] : 0.0f;
    for (int n = 0; n < lanes; n++)
        for (std::int64_t j = (count + 3) / 4 * 4; j < pitch; j++) out[n * pitch + j] = 0.0f;
}

// ---- images in

typedef std::uint8_t Bytes __attribute__((vector_size(16)));

// A square of 16 images and 16 pixels is turned around in four rounds of pairing rows r and r + 8.
void turn(Bytes (&rows)[16]) {
    for (int round = 0; round < 4; round++) {
        Bytes next[16];
        unroll<8>(MATHDNN_EACH(r) {
            next[2 * r] = __builtin_shuffle(rows[r], rows[r + 8], Bytes{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
            next[2 * r + 1] = __builtin_shuffle(rows[r], rows[r + 8], Bytes{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
        });
        unroll<16>(MATHDNN_EACH(r) { rows[r] = next[r]; });
    }
}

void interleave(const std::uint8_t *const *images, std::uint8_t *out, std::int64_t count) {
    std::int64_t p = 0;
    for (; p + 16 <= count; p += 16) {
        Bytes rows[16];
        for (int n = 0; n < lanes; n++) std::memcpy(&rows[n], images[n] + p, 16);
        turn(rows);
        std::memcpy(out + p * lanes, rows, sizeof rows);
    }
    for (; p < count; p++)
        for (int n = 0; n < lanes; n++) out[p * lanes + n] = images[n][p];
}

void expand(const std::uint8_t *bytes, const float *table, float *out, std::int64_t positions) {
#if defined(__AVX512F__)
    const F background = splat(table[0]);
#endif
    for (std::int64_t i = 0; i < positions * lanes; i += lanes) {
#if defined(__AVX512F__)
        const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + i));
        if (_mm_testz_si128(sixteen, sixteen)) {  // often: the edge of an image is empty
            store(out + i, background);
            continue;
        }
        store(out + i, (F)_mm512_i32gather_ps(_mm512_cvtepu8_epi32(sixteen), table, 4));
#else
        for (int n = 0; n < lanes; n++) out[i + n] = table[bytes[i + n]];
#endif
    }
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

void sum(float *total, const float *const *parts, int count, std::int64_t floats) {
    each(floats, [&](std::int64_t i) {
        F s = load(parts[0] + i);
        for (int p = 1; p < count; p++) s += load(parts[p] + i);
        store(total + i, s);
    });
}

void sgd(const Step &step, float *p, const float *g, float *b, std::int64_t floats) {
    const F rate = splat(-step.lr), momentum = splat(step.momentum), decay = splat(step.decay);
    each(floats, [&](std::int64_t i) {
        F d = load(g + i);
        const F w = load(p + i);
        if (step.decay != 0) d = fma(decay, w, d);
        if (b) {
            const F kept = fma(momentum, load(b + i), d);
            store(b + i, kept);
            d = step.nesterov ? fma(momentum, kept, d) : kept;
        }
        store(p + i, fma(rate, d, w));
    });
}

void adamw(const Step &step, float *p, const float *g, float *m, float *v, std::int64_t floats) {
    each(floats, [&](std::int64_t i) {
        const F d = load(g + i);
        const F first = fma(splat(0.1f), d - load(m + i), load(m + i));
        const F second = fma(splat(0.001f) * d, d, splat(0.999f) * load(v + i));
        store(m + i, first);
        store(v + i, second);
        const F scale = root(second) / splat(step.correction) + splat(1e-8f);
        store(p + i, fma(splat(-step.rate), first / scale, splat(step.keep) * load(p + i)));
    });
}

void elementary(Elementary which, const float *x, float *y, std::int64_t floats) {
    switch (which) {
    case Elementary::tanh: return each(floats, [&](std::int64_t i) { store(y + i, tanh(load(x + i))); });
    case Elementary::exp: return each(floats, [&](std::int64_t i) { store(y + i, exp(load(x + i))); });
    case Elementary::log: return each(floats, [&](std::int64_t i) { store(y + i, log(load(x + i))); });
    case Elementary::logistic: return each(floats, [&](std::int64_t i) { store(y + i, logistic(load(x + i))); });
    }
}

}  // namespace

const LayerKernels layers = {activate, average_forward, average_backward, max_forward, max_backward, scale,
                             scale_gradient, copy_back, dense_forward, dense_input_gradient, dense_weight_gradient,
                             images_first, interleave, expand, cross_entropy, squared, sum, sgd, adamw, elementary};

}  // namespace mathdnn::ISA
