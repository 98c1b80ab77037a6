// Convolution along the edges of a connection table: forward and the three gradients (kernels.hpp has the formula).
//
// A tile of columns of one output row stays in registers while all edges and taps are added to it. Along a row of the
// filter each loaded vector serves all its taps: K fused multiply-adds a load. Filters 1, 3 and 5 wide with unit column
// stride and dilation have this form, compiled for every tile width; all others take the general form, with one load
// a multiply-add.
#include "derivative.hpp"

namespace mathdnn::ISA {
namespace {

constexpr int widest = registers == 32 ? 14 : 8;  // columns in a tile: accumulators, K weights and one input fit

// The activation follows while the next tile's multiply-adds begin: it needs other units of the processor.
template <class T, int TX> MATHDNN_INLINE void give(Activate f, V<T> (&acc)[TX], T *q) {
    unroll<TX>(MATHDNN_EACH(i) { store(q + i * lanes, acc[i]); });
    if (f.kind == Activation::none) return;
    if (f.kind == Activation::tanh)
        for (int i = 0; i < TX; i++) store(q + i * lanes, activated({Activation::tanh}, load(q + i * lanes)));
    else
        for (int i = 0; i < TX; i++) store(q + i * lanes, activated(f, load(q + i * lanes)));
}

template <class T, int K, int TX> void forward_tile(const Convolution &c, const T *in, const T *w, const T *bias, T *out,
                                                    int l, int first, int end, int x) {
    const std::int64_t pitch = c.in.pitch * lanes;
    for (int y = first; y < end; y++) {
        for (int slice = 0; slice < lanes; slice += width<T>) {
            V<T> acc[TX];
            unroll<TX>(MATHDNN_EACH(i) { acc[i] = splat(bias ? bias[l] : T(0)); });
            const T *corner = in + ((std::int64_t)y * c.stride_rows * c.in.pitch + x) * lanes + slice;
            for (int e = c.begin[l]; e < c.begin[l + 1]; e++) {
                const T *p = corner + c.map[e] * c.in.map * lanes;
                const T *tap = w + (std::int64_t)e * c.rows * K;
                for (int a = 0; a < c.rows; a++, p += pitch * c.dilation_rows, tap += K) {
                    V<T> weight[K];
                    unroll<K>(MATHDNN_EACH(b) { weight[b] = splat(tap[b]); });
                    unroll<TX + K - 1>(MATHDNN_EACH(j) {
                        const V<T> v = load(p + j * lanes);
                        unroll<K>(MATHDNN_EACH(b) {
                            if constexpr (j - b >= 0 && j - b < TX) acc[j - b] = fma(weight[b], v, acc[j - b]);
                        });
                    });
                }
            }
            give<T, TX>(c.activate, acc, out + (l * c.out.map + y * c.out.pitch + x) * lanes + slice);
        }
    }
}

template <class T, int TX> void forward_general(const Convolution &c, const T *in, const T *w, const T *bias, T *out,
                                                int l, int first, int end, int x) {
    for (int y = first; y < end; y++) {
        for (int slice = 0; slice < lanes; slice += width<T>) {
            V<T> acc[TX];
            unroll<TX>(MATHDNN_EACH(i) { acc[i] = splat(bias ? bias[l] : T(0)); });
            const T *corner = in + ((std::int64_t)y * c.stride_rows * c.in.pitch + (std::int64_t)x * c.stride_columns) * lanes;
            const std::int64_t step = (std::int64_t)c.stride_columns * lanes;
            for (int e = c.begin[l]; e < c.begin[l + 1]; e++) {
                const T *tap = w + (std::int64_t)e * c.rows * c.columns;
                for (int a = 0; a < c.rows; a++) {
                    const T *p = corner + (c.map[e] * c.in.map + (std::int64_t)a * c.dilation_rows * c.in.pitch) * lanes + slice;
                    for (int b = 0; b < c.columns; b++, p += c.dilation_columns * lanes) {
                        const V<T> weight = splat(*tap++);
                        unroll<TX>(MATHDNN_EACH(i) { acc[i] = fma(weight, load(p + i * step), acc[i]); });
                    }
                }
            }
            give<T, TX>(c.activate, acc, out + (l * c.out.map + y * c.out.pitch + x) * lanes + slice);
        }
    }
}

// One row y of the (padded) input gradient, columns x .. x + TX - 1. Whole: the tile is the whole row of a map without
// border, so that no tap falls beside the output; otherwise the first and last K - 1 output columns are looked at first.
template <class T, int K, int TX, bool Whole> void input_tile(const Convolution &c, const T *dout, const T *w, T *in,
                                                              Activate f, int g, int x) {
    for (int y = c.pad_rows; y < c.in.rows - c.pad_rows; y++) {
        for (int slice = 0; slice < lanes; slice += width<T>) {
            V<T> acc[TX];
            unroll<TX>(MATHDNN_EACH(i) { acc[i] = V<T>{}; });
            for (int e = c.back_begin[g]; e < c.back_begin[g + 1]; e++) {
                const T *taps = w + (std::int64_t)c.back_edge[e] * c.rows * K;
                const T *map = dout + (c.back_map[e] * c.out.map + x - (K - 1)) * lanes + slice;
                for (int a = 0; a < c.rows; a++) {
                    const int up = y - a * c.dilation_rows;
                    if (up < 0) break;
                    if (up % c.stride_rows || up / c.stride_rows >= c.out.rows) continue;
                    const T *p = map + up / c.stride_rows * c.out.pitch * lanes;
                    V<T> weight[K];
                    unroll<K>(MATHDNN_EACH(b) { weight[b] = splat(taps[a * K + b]); });
                    unroll<TX + K - 1>(MATHDNN_EACH(j) {
                        constexpr bool left = j < K - 1, right = j >= TX;
                        if constexpr (Whole && (left || right)) return;
                        if constexpr (left) if (x - (K - 1) + j < 0) return;
                        if constexpr (left || right) if (x - (K - 1) + j >= c.out.columns) return;
                        const V<T> v = load(p + j * lanes);
                        unroll<K>(MATHDNN_EACH(b) {
                            constexpr int i = j - (K - 1) + b;
                            if constexpr (i >= 0 && i < TX) acc[i] = fma(weight[b], v, acc[i]);
                        });
                    });
                }
            }
            T *q = in + (g * c.in.map + y * c.in.pitch + x) * lanes + slice;
            if (f.kind == Activation::none) {
                unroll<TX>(MATHDNN_EACH(i) { store(q + i * lanes, acc[i]); });
            } else if (f.kind == Activation::tanh) {
                f.kind = Activation::tanh;
                unroll<TX>(MATHDNN_EACH(i) {
                    store(q + i * lanes, derived({Activation::tanh}, load(q + i * lanes), acc[i]));
                });
            } else {
                T kept[TX * width<T>] __attribute__((aligned(64)));
                unroll<TX>(MATHDNN_EACH(i) { store(kept + i * width<T>, acc[i]); });
                for (int i = 0; i < TX; i++)
                    store(q + i * lanes, derived(f, load(q + i * lanes), load(kept + i * width<T>)));
            }
        }
    }
}

// The taps k of one axis that reach the outputs from a position of the padded input: k = first, first + step, ...; the
// output of the first, and how far back that of the next lies.
struct Taps {
    int first, step, out, back;
};
MATHDNN_INLINE Taps taps_at(int position, int stride, int dilation) {
    int step = 1;
    while (step * dilation % stride) step++;
    int first = 0;
    while (first < step && (position - first * dilation) % stride) first++;
    if (first == step) return {1 << 30, 1, 0, 0};  // between the strides
    return {first, step, (position - first * dilation) / stride, step * dilation / stride};
}

// Columns x, x + S, ... of each row of the input gradient: their outputs lie side by side, whatever the column stride S.
template <class T, int TX> void input_general(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g, int x) {
    const Taps across = taps_at(x, c.stride_columns, c.dilation_columns);
    for (int y = c.pad_rows; y < c.in.rows - c.pad_rows; y++) {
        const Taps down = taps_at(y, c.stride_rows, c.dilation_rows);
        for (int slice = 0; slice < lanes; slice += width<T>) {
            V<T> acc[TX];
            unroll<TX>(MATHDNN_EACH(i) { acc[i] = V<T>{}; });
            for (int e = c.back_begin[g]; e < c.back_begin[g + 1]; e++) {
                const T *taps = w + (std::int64_t)c.back_edge[e] * c.rows * c.columns;
                const T *map = dout + c.back_map[e] * c.out.map * lanes + slice;
                for (int a = down.first, row = down.out; a < c.rows && row >= 0; a += down.step, row -= down.back) {
                    if (row >= c.out.rows) continue;
                    const T *p = map + row * c.out.pitch * lanes;
                    for (int b = across.first, q = across.out; b < c.columns && q + TX > 0; b += across.step, q -= across.back) {
                        const V<T> weight = splat(taps[a * c.columns + b]);
                        if (q >= 0 && q + TX <= c.out.columns)
                            unroll<TX>(MATHDNN_EACH(i) { acc[i] = fma(weight, load(p + (q + i) * lanes), acc[i]); });
                        else
                            unroll<TX>(MATHDNN_EACH(i) {
                                if (q + i >= 0 && q + i < c.out.columns) acc[i] = fma(weight, load(p + (q + i) * lanes), acc[i]);
                            });
                    }
                }
            }
            T *to = in + (g * c.in.map + y * c.in.pitch + x) * lanes + slice;
            const std::int64_t step = (std::int64_t)c.stride_columns * lanes;
            T kept[TX * width<T>] __attribute__((aligned(64)));
            unroll<TX>(MATHDNN_EACH(i) { store(kept + i * width<T>, acc[i]); });
            for (int i = 0; i < TX; i++) store(to + i * step, derived(f, load(to + i * step), load(kept + i * width<T>)));
        }
    }
}

template <class T> MATHDNN_INLINE void keep(T *sums, V<T> value, bool fresh) {
    store(sums, fresh ? value : load(sums) + value);
}

// KY K sums and PX positions: PX columns of the derivative times the PX + K - 1 inputs above them.
template <class T, int K, int KY, int PX> MATHDNN_INLINE void weight_tile(V<T> (&acc)[KY * K], const T *d, const T *p,
                                                                          std::int64_t down) {
    V<T> v[PX];
    unroll<PX>(MATHDNN_EACH(i) { v[i] = load(d + i * lanes); });
    unroll<KY>(MATHDNN_EACH(a) {
        unroll<PX + K - 1>(MATHDNN_EACH(j) {
            const V<T> u = load(p + a * down + j * lanes);
            unroll<PX>(MATHDNN_EACH(i) {
                constexpr int b = j - i;
                if constexpr (b >= 0 && b < K) acc[a * K + b] = fma(v[i], u, acc[a * K + b]);
            });
        });
    });
}

// KY rows of a filter K wide: KY K sums in registers over all positions. Five positions at a time: 45 loads for 125
// multiply-adds with 31 registers (two at a time: 32 for 50).
template <class T, int K, int KY> void weight_rows(const Convolution &c, const T *in, const T *dout, T *sums, int first,
                                                   bool fresh) {
    constexpr int PX = registers == 32 ? 5 : 3;
    const std::int64_t down = c.in.pitch * c.dilation_rows * lanes;
    for (int slice = 0; slice < lanes; slice += width<T>) {
        V<T> acc[KY * K];
        unroll<KY * K>(MATHDNN_EACH(t) { acc[t] = V<T>{}; });
        for (int y = 0; y < c.out.rows; y++) {
            const T *d = dout + y * c.out.pitch * lanes + slice;
            const T *p = in + ((std::int64_t)y * c.stride_rows + (std::int64_t)first * c.dilation_rows) * c.in.pitch * lanes + slice;
            int x = 0;
            for (; x + PX <= c.out.columns; x += PX, d += PX * lanes, p += PX * lanes) weight_tile<T, K, KY, PX>(acc, d, p, down);
            for (; x < c.out.columns; x++, d += lanes, p += lanes) weight_tile<T, K, KY, 1>(acc, d, p, down);
        }
        unroll<KY * K>(MATHDNN_EACH(t) { keep(sums + (first * K + t) * lanes + slice, acc[t], fresh); });
    }
}

// N taps at a time, U columns apart in sums of their own, so that enough multiply-adds are under way. U depends on N, not
// on the number of registers, since the bits depend on it; 13 registers serve all.
template <class T, int N> void weight_taps(const Convolution &c, const T *in, const T *dout, T *sums, int tap, bool fresh) {
    constexpr int U = N >= 7 ? 1 : N >= 4 ? 2 : 4;
    const std::int64_t step = (std::int64_t)c.stride_columns * lanes;
    std::int64_t offset[N];
    for (int t = 0; t < N; t++)
        offset[t] = ((std::int64_t)((tap + t) / c.columns) * c.dilation_rows * c.in.pitch +
                     (std::int64_t)((tap + t) % c.columns) * c.dilation_columns) * lanes;
    for (int slice = 0; slice < lanes; slice += width<T>) {
        V<T> acc[U][N];
        unroll<U * N>(MATHDNN_EACH(t) { acc[t / N][t % N] = V<T>{}; });
        for (int y = 0; y < c.out.rows; y++) {
            const T *d = dout + y * c.out.pitch * lanes + slice;
            const T *p = in + (std::int64_t)y * c.stride_rows * c.in.pitch * lanes + slice;
            int x = 0;
            for (; x + U <= c.out.columns; x += U, d += U * lanes, p += U * step)
                unroll<U>(MATHDNN_EACH(u) {
                    const V<T> v = load(d + u * lanes);
                    unroll<N>(MATHDNN_EACH(t) { acc[u][t] = fma(v, load(p + u * step + offset[t]), acc[u][t]); });
                });
            for (; x < c.out.columns; x++, d += lanes, p += step) {
                const V<T> v = load(d);
                unroll<N>(MATHDNN_EACH(t) { acc[0][t] = fma(v, load(p + offset[t]), acc[0][t]); });
            }
        }
        unroll<N>(MATHDNN_EACH(t) {
            unroll<U - 1>(MATHDNN_EACH(u) { acc[0][t] += acc[u + 1][t]; });
            keep(sums + (tap + t) * lanes + slice, acc[0][t], fresh);
        });
    }
}

template <class T> using Forward = void (*)(const Convolution &, const T *, const T *, const T *, T *, int, int, int, int);
template <class T> using Input = void (*)(const Convolution &, const T *, const T *, T *, Activate, int, int);
template <class T> using Weight = void (*)(const Convolution &, const T *, const T *, T *, int, bool);

template <class T, int K, int... i> Forward<T> forward_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Forward<T> all[] = {forward_tile<T, K, i + 1>...};
    return all[columns - 1];
}
template <class T, int... i> Forward<T> general_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Forward<T> all[] = {forward_general<T, i + 1>...};
    return all[columns - 1];
}
template <class T, int... i> Input<T> input_general_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Input<T> all[] = {input_general<T, i + 1>...};
    return all[columns - 1];
}
template <class T, int... i> Weight<T> taps_of(int taps, std::integer_sequence<int, i...>) {
    static constexpr Weight<T> all[] = {weight_taps<T, i + 1>...};
    return all[taps - 1];
}
template <class T, int K, bool Whole, int... i> Input<T> input_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Input<T> all[] = {input_tile<T, K, i + 1, Whole>...};
    return all[columns - 1];
}

using Widths = std::make_integer_sequence<int, widest>;
constexpr int most_taps = 12;  // at a time, with the registers every instruction set has

bool narrow(const Convolution &c) {
    return c.stride_columns == 1 && c.dilation_columns == 1 && (c.columns == 1 || c.columns == 3 || c.columns == 5);
}

template <class T> void forward(const Convolution &c, const T *in, const T *w, const T *bias, T *out, int l, int first,
                                int end) {
    const int tiles = (c.out.columns + widest - 1) / widest;
    for (int t = 0, x = 0; t < tiles; t++) {
        const int columns = (c.out.columns - x) / (tiles - t);
        const Forward<T> run = !narrow(c)        ? general_of<T>(columns, Widths{})
                               : c.columns == 1 ? forward_of<T, 1>(columns, Widths{})
                               : c.columns == 3 ? forward_of<T, 3>(columns, Widths{})
                                                : forward_of<T, 5>(columns, Widths{});
        run(c, in, w, bias, out, l, first, end, x);
        x += columns;
    }
}

template <class T> void input_columns(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g) {
    for (int phase = 0; phase < c.stride_columns; phase++) {
        const int inside = c.in.columns - 2 * c.pad_columns, count = (inside - phase + c.stride_columns - 1) / c.stride_columns;
        const int tiles = (count + widest - 1) / widest;
        for (int t = 0, j = 0; t < tiles; t++) {
            const int columns = (count - j) / (tiles - t);
            input_general_of<T>(columns, Widths{})(c, dout, w, in, f, g, c.pad_columns + phase + j * c.stride_columns);
            j += columns;
        }
    }
}

template <class T> void input_gradient(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g, T *) {
    if (!narrow(c)) return input_columns(c, dout, w, in, f, g);
    const int inside = c.in.columns - 2 * c.pad_columns, tiles = (inside + widest - 1) / widest;
    const bool whole = tiles == 1 && c.pad_columns == 0 && inside == c.out.columns + c.columns - 1;
    for (int t = 0, x = 0; t < tiles; t++) {
        const int columns = (inside - x) / (tiles - t);
        const Input<T> run = c.columns == 1   ? input_of<T, 1, false>(columns, Widths{})
                             : c.columns == 3 ? (whole ? input_of<T, 3, true>(columns, Widths{})
                                                       : input_of<T, 3, false>(columns, Widths{}))
                                              : (whole ? input_of<T, 5, true>(columns, Widths{})
                                                       : input_of<T, 5, false>(columns, Widths{}));
        run(c, dout, w, in, f, g, c.pad_columns + x);
        x += columns;
    }
}

template <class T, int K> void weight_narrow(const Convolution &c, const T *in, const T *dout, T *sums, bool fresh) {
    constexpr int KY = registers == 32 ? 5 : 2;
    int a = 0;
    for (; a + KY <= c.rows; a += KY) weight_rows<T, K, KY>(c, in, dout, sums, a, fresh);
    if constexpr (KY > 3) for (; a + 3 <= c.rows; a += 3) weight_rows<T, K, 3>(c, in, dout, sums, a, fresh);
    for (; a < c.rows; a++) weight_rows<T, K, 1>(c, in, dout, sums, a, fresh);
}

template <class T> void weight_gradient(const Convolution &c, const T *in, const T *dout, T *sums, int l, int g, int e,
                                        bool fresh) {
    in += g * c.in.map * lanes;
    dout += l * c.out.map * lanes;
    sums += (std::int64_t)e * c.rows * c.columns * lanes;
    if (narrow(c)) {
        if (c.columns == 1) return weight_narrow<T, 1>(c, in, dout, sums, fresh);
        if (c.columns == 3) return weight_narrow<T, 3>(c, in, dout, sums, fresh);
        return weight_narrow<T, 5>(c, in, dout, sums, fresh);
    }
    const int taps = c.rows * c.columns, rounds = (taps + most_taps - 1) / most_taps;
    for (int t = 0, tap = 0; t < rounds; t++) {
        const int some = (taps - tap) / (rounds - t);
        taps_of<T>(some, std::make_integer_sequence<int, most_taps>{})(c, in, dout, sums, tap, fresh);
        tap += some;
    }
}

template <class T> void bias_gradient(const Plane &out, const T *dout, T *sums, int l, bool fresh) {
    for (int slice = 0; slice < lanes; slice += width<T>) {
        V<T> acc[4] = {};  // column x in sum x mod 4
        for (int y = 0; y < out.rows; y++) {
            const T *p = dout + (l * out.map + y * out.pitch) * lanes + slice;
            int x = 0;
            for (; x + 4 <= out.columns; x += 4)
                unroll<4>(MATHDNN_EACH(i) { acc[i] += load(p + (x + i) * lanes); });
            for (; x < out.columns; x++) acc[x % 4] += load(p + x * lanes);
        }
        keep(sums + slice + l * lanes, (acc[0] + acc[1]) + (acc[2] + acc[3]), fresh);
    }
}

// ---- images to lanes and back, and the lanes to one number

#if defined(__AVX512F__)
// A square of 16 x 16 numbers is turned around in four rounds of pairing rows r and r + 8.
MATHDNN_INLINE void turn(F (&rows)[16]) {
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    unroll<4>([&](auto) __attribute__((always_inline)) {
        F next[16];
        unroll<8>(MATHDNN_EACH(r) {
            next[2 * r] = (F)_mm512_permutex2var_ps((__m512)rows[r], low, (__m512)rows[r + 8]);
            next[2 * r + 1] = (F)_mm512_permutex2var_ps((__m512)rows[r], high, (__m512)rows[r + 8]);
        });
        unroll<16>(MATHDNN_EACH(r) { rows[r] = next[r]; });
    });
}
MATHDNN_INLINE __mmask16 lowest(std::int64_t count) { return (__mmask16)((1u << count) - 1); }
#endif

template <class T> void fold(const T *sums, T *out, std::int64_t count) {
    std::int64_t i = 0;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        for (; i + 16 <= count; i += 16, sums += 16 * lanes) {
            F rows[16];
            unroll<16>(MATHDNN_EACH(n) { rows[n] = load(sums + n * lanes); });
            turn(rows);
            unroll<8>(MATHDNN_EACH(n) { rows[n] += rows[n + 8]; });
            unroll<4>(MATHDNN_EACH(n) { rows[n] += rows[n + 4]; });
            unroll<2>(MATHDNN_EACH(n) { rows[n] += rows[n + 2]; });
            rows[0] += rows[1];
            _mm512_storeu_ps(out + i, (__m512)rows[0]);
        }
    }
#endif
    for (; i < count; i++, sums += lanes) {
        T eight[8], four[4];
        for (int n = 0; n < 8; n++) eight[n] = sums[n] + sums[n + 8];
        for (int n = 0; n < 4; n++) four[n] = eight[n] + eight[n + 4];
        out[i] = (four[0] + four[2]) + (four[1] + four[3]);
    }
}

template <class T> void lanes_in(const T *const *images, T *out, std::int64_t count) {
    std::int64_t p = 0;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        for (; p + 16 <= count; p += 16) {
            F rows[16];
            unroll<16>(MATHDNN_EACH(n) { rows[n] = (F)_mm512_loadu_ps(images[n] + p); });
            turn(rows);
            unroll<16>(MATHDNN_EACH(n) { store(out + (p + n) * lanes, rows[n]); });
        }
        if (const std::int64_t left = count - p; left > 0) {
            F rows[16];
            unroll<16>(MATHDNN_EACH(n) { rows[n] = (F)_mm512_maskz_loadu_ps(lowest(left), images[n] + p); });
            turn(rows);
            unroll<15>(MATHDNN_EACH(n) { if (n < left) store(out + (p + n) * lanes, rows[n]); });
            return;
        }
    }
#endif
    for (; p < count; p++)
        for (int n = 0; n < lanes; n++) out[p * lanes + n] = images[n][p];
}

template <class T> void lanes_out(const T *in, T *const *images, int real, std::int64_t count) {
    std::int64_t p = 0;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        for (; p + 16 <= count; p += 16) {
            F rows[16];
            unroll<16>(MATHDNN_EACH(n) { rows[n] = load(in + (p + n) * lanes); });
            turn(rows);
            if (real == lanes) unroll<16>(MATHDNN_EACH(n) { _mm512_storeu_ps(images[n] + p, (__m512)rows[n]); });
            else unroll<16>(MATHDNN_EACH(n) { if (n < real) _mm512_storeu_ps(images[n] + p, (__m512)rows[n]); });
        }
        if (const std::int64_t left = count - p; left > 0) {
            F rows[16] = {};
            unroll<15>(MATHDNN_EACH(n) { if (n < left) rows[n] = load(in + (p + n) * lanes); });
            turn(rows);
            unroll<16>(MATHDNN_EACH(n) {
                if (n < real) _mm512_mask_storeu_ps(images[n] + p, lowest(left), (__m512)rows[n]);
            });
            return;
        }
    }
#endif
    for (; p < count; p++)
        for (int n = 0; n < real; n++) images[n][p] = in[p * lanes + n];
}

}  // namespace

const ConvolutionKernels<float> convolution_float = {forward<float>, input_gradient<float>, weight_gradient<float>,
                                                     bias_gradient<float>, fold<float>, lanes_in<float>,
                                                     lanes_out<float>};
const ConvolutionKernels<double> convolution_double = {forward<double>, input_gradient<double>, weight_gradient<double>,
                                                       bias_gradient<double>, fold<double>, lanes_in<double>,
                                                       lanes_out<double>};

}  // namespace mathdnn::ISA
