// Dense layers on 16 images: forward, and the gradients with respect to input, weights and bias (kernels.hpp).
#include "derivative.hpp"

namespace mathdnn::ISA {
namespace {

constexpr int W = width<float>;

constexpr int S = registers == 16 && lanes > W ? 2 : 1;  // slices at once, so that a weight that was loaded serves both

template <int TO> void forward_tile(const Dense &d, const float *x, const float *w, float *y, int o) {
    for (int s = 0; s < lanes; s += S * W) {
        F acc[S][TO];
        unroll<S * TO>(MATHDNN_EACH(t) { acc[t / TO][t % TO] = splat(w[d.in * d.pitch + o + t % TO]); });
        const float *row = w + o, *p = x + s;
        for (int i = 0; i < d.in; i++, row += d.pitch, p += lanes) {
            F v[S];
            unroll<S>(MATHDNN_EACH(k) { v[k] = load(p + k * W); });
            unroll<TO>(MATHDNN_EACH(t) {
                const F weight = splat(row[t]);
                unroll<S>(MATHDNN_EACH(k) { acc[k][t] = fma(weight, v[k], acc[k][t]); });
            });
        }
        unroll<S * TO>(MATHDNN_EACH(t) { store(y + (o + t % TO) * lanes + s + t / TO * W, acc[t / TO][t % TO]); });
    }
}

constexpr int outputs = registers == 32 ? 16 : 6;

template <int... i> void forward_rest(const Dense &d, const float *x, const float *w, float *y, int o, int count,
                                    std::integer_sequence<int, i...>) {
    static constexpr void (*all[])(const Dense &, const float *, const float *, float *, int) = {forward_tile<i + 1>...};
    all[count - 1](d, x, w, y, o);
}

void forward(const Dense &d, const float *x, const float *w, float *y, int first, int end) {
    for (int o = first; o < end; o += outputs)
        forward_rest(d, x, w, y, o, end - o < outputs ? end - o : outputs, std::make_integer_sequence<int, outputs>{});
}

// TI rows from w on, N numbers of each, times N numbers of each image. Every number of a row stands at a fixed offset from
// the row's own pointer: an address with an index is a second operation on Intel's processors.
template <int TI, int N> MATHDNN_INLINE void input_part(const float *w, std::int64_t pitch, const float *p, F (&acc)[S][TI]) {
    F v[S][N];
    unroll<S * N>(MATHDNN_EACH(k) { v[k / N][k % N] = load(p + k % N * lanes + k / N * W); });
    constexpr int together = 5;  // rows, so that as many sums are under way
    unroll<(TI + together - 1) / together>(MATHDNN_EACH(group) {
        constexpr int first = group * together, count = TI - first < together ? TI - first : together;
        const float *row[count];
        unroll<count>(MATHDNN_EACH(t) { row[t] = held(w + (first + t) * pitch); });
        unroll<N * count>(MATHDNN_EACH(i) {
            constexpr int n = i / count, t = i % count;
            const F weight = splat(row[t][n]);
            unroll<S>(MATHDNN_EACH(k) { acc[k][first + t] = fma(weight, v[k][n], acc[k][first + t]); });
        });
    });
}

template <int TI> void input_tile(const Dense &d, const float *dy, const float *w, float *x, Activate f, int i) {
    for (int s = 0; s < lanes; s += S * W) {
        F acc[S][TI];
        unroll<S * TI>(MATHDNN_EACH(t) { acc[t / TI][t % TI] = F{}; });
        std::int64_t o = 0;
        if constexpr (registers == 32)
            for (; o + 8 <= d.out; o += 8) input_part<TI, 8>(w + i * d.pitch + o, d.pitch, dy + o * lanes + s, acc);
        const float *p = dy + o * lanes + s, *rows[(TI + 2) / 3];  // a pointer for three rows: p, p + pitch, p + 2 pitch
        unroll<(TI + 2) / 3>(MATHDNN_EACH(t) { rows[t] = held(w + (i + 3 * t) * d.pitch); });
        for (; o < d.out; o++, p += lanes) {
            F v[S];
            unroll<S>(MATHDNN_EACH(k) { v[k] = load(p + k * W); });
            unroll<TI>(MATHDNN_EACH(t) {
                const F weight = splat(rows[t / 3][o + (t % 3) * d.pitch]);
                unroll<S>(MATHDNN_EACH(k) { acc[k][t] = fma(weight, v[k], acc[k][t]); });
            });
        }
        unroll<S * TI>(MATHDNN_EACH(t) {
            float *q = x + (i + t % TI) * lanes + s + t / TI * W;
            store(q, derived(f, load(q), acc[t / TI][t % TI]));
        });
    }
}

void input_gradient(const Dense &d, const float *dy, const float *w, float *x, Activate f, int first, int end) {
    constexpr int TI = registers == 32 ? 15 : 6;
    int i = first;
    for (; i + TI <= end; i += TI) input_tile<TI>(d, dy, w, x, f, i);
    if constexpr (TI > 6) for (; i + 5 <= end; i += 5) input_tile<5>(d, dy, w, x, f, i);
    if constexpr (TI == 6) for (; i + 3 <= end; i += 3) input_tile<3>(d, dy, w, x, f, i);
    for (; i < end; i++) input_tile<1>(d, dy, w, x, f, i);
}

template <int TI, int TV> void weight_tile(const Dense &d, const float *x, const float *dy, float *dw, std::int64_t i, int o,
                                           int images, bool fresh) {
    F acc[TI][TV];
    float *sums = dw + i * d.pitch + o;
    unroll<TI>(MATHDNN_EACH(t) {
        unroll<TV>(MATHDNN_EACH(v) { acc[t][v] = fresh ? F{} : load(sums + t * d.pitch + v * W); });
    });
    const float *p = dy + o, *q = x + i * lanes;
    for (int n = 0; n < images; n++, p += d.pitch, q++) {
        F row[TV];
        unroll<TV>(MATHDNN_EACH(v) { row[v] = load(p + v * W); });
        unroll<TI>(MATHDNN_EACH(t) {
            const F scalar = splat(q[t * lanes]);
            unroll<TV>(MATHDNN_EACH(v) { acc[t][v] = fma(scalar, row[v], acc[t][v]); });
        });
    }
    unroll<TI>(MATHDNN_EACH(t) {
        unroll<TV>(MATHDNN_EACH(v) { store(sums + t * d.pitch + v * W, acc[t][v]); });
    });
}

template <int TV> void weight_columns(const Dense &d, const float *x, const float *dy, float *dw, int first, int end,
                                            int o, int images, bool fresh) {
    constexpr int TI = 6;
    int i = first;
    for (; i + TI <= end; i += TI) weight_tile<TI, TV>(d, x, dy, dw, i, o, images, fresh);
    for (; i < end; i++) weight_tile<1, TV>(d, x, dy, dw, i, o, images, fresh);
}

void weight_gradient(const Dense &d, const float *x, const float *dy, float *dw, int first, int end, int images,
                           bool fresh) {
    constexpr int TV = registers == 32 ? 4 : 2;
    const int rows = end < d.in ? end : d.in;
    int o = 0;
    for (; o + TV * W <= d.pitch; o += TV * W) weight_columns<TV>(d, x, dy, dw, first, rows, o, images, fresh);
    for (; o < d.pitch; o += W) weight_columns<1>(d, x, dy, dw, first, rows, o, images, fresh);
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

void distance_forward(const Dense &d, const float *x, const float *w, float *y, int first, int end) {
    for (int o = first; o < end; o++)
        for (int s = 0; s < lanes; s += W) {
            F sum{};
            for (int i = 0; i < d.in; i++) {
                const F e = load(x + i * lanes + s) - splat(w[o * d.in + i]);
                sum = fma(e, e, sum);
            }
            store(y + o * lanes + s, -sum);
        }
}

void distance_back(const Dense &d, const float *dy, const float *w, float *x, Activate f, int first, int end) {
    for (int i = first; i < end; i++)
        for (int s = 0; s < lanes; s += W) {
            const F v = load(x + i * lanes + s);
            F sum{};
            for (int o = 0; o < d.out; o++) sum = fma(load(dy + o * lanes + s), splat(w[o * d.in + i]) - v, sum);
            store(x + i * lanes + s, derived(f, v, sum + sum));
        }
}

}  // namespace

const DenseKernels dense = {forward, input_gradient, weight_gradient, images_first, distance_forward, distance_back};

}  // namespace mathdnn::ISA
