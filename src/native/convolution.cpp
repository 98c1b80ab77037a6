// Convolution along the edges of a connection table: forward and the three gradients (kernels.hpp has the formula).
//
// A tile of columns of one output row stays in registers while all edges and taps are added to it. Along a row of the
// filter each loaded vector serves all its taps: K fused multiply-adds a load. Filters 1, 3 and 5 wide with unit column
// stride and dilation have this form, compiled for every tile width; all others take the general form, with one load
// a multiply-add.
#include "derivative.hpp"
#include "lanes.hpp"

namespace mathdnn::ISA {
namespace {

// Columns in a tile: their sums, K weights and one input fit into the registers. A core has some eight multiply-adds under
// way, and each sum is one chain of them; so narrow vectors take both slices of a few columns, and not one of many.
template <class T> constexpr int slices_at_once = registers == 16 && lanes > width<T> ? 2 : 1;
template <class T, int K> constexpr int widest = registers == 32 ? 14 : (15 - K) / slices_at_once<T>;
template <class T> constexpr int widest_general = registers == 32 ? 14 : 12 / slices_at_once<T>;

// The activation follows while the next tile's multiply-adds begin: it needs other units of the processor.
template <class T, int TX> MATHDNN_INLINE void give(Activate f, V<T> (&acc)[TX], T *q) {
    unroll<TX>(MATHDNN_EACH(i) { store(q + i * lanes, acc[i]); });
    if (f.kind == Activation::none) return;
    if (f.kind == Activation::tanh)
        for (int i = 0; i < TX; i++) store(q + i * lanes, activated({Activation::tanh}, load(q + i * lanes)));
    else
        for (int i = 0; i < TX; i++) store(q + i * lanes, activated(f, load(q + i * lanes)));
}

// The positions of one axis of the padded input that are not border. The border's zeros are not multiplied: an infinite
// weight makes no NaN of them, as in torch.
struct Inside {
    int first, end;
};
MATHDNN_INLINE Inside rows_inside(const Convolution &c) { return {c.pad_rows, c.in.rows - c.pad_rows}; }
MATHDNN_INLINE Inside columns_inside(const Convolution &c) { return {c.pad_columns, c.in.columns - c.pad_columns}; }
MATHDNN_INLINE bool outside(int position, Inside s) { return position < s.first || position >= s.end; }

// An input for K taps. Where three take it, a compiler makes the load a part of each multiply-add, and the processor, with
// as many loads a cycle as multiply-adds, then waits for loads.
template <int K, class T> MATHDNN_INLINE V<T> for_taps(const T *p) {
    if constexpr (K == 3) return held(load(p));
    else return load(p);
}

// The i of `count` whose position, at + i step, is inside.
MATHDNN_INLINE Inside reached(int at, int step, int count, Inside inside) {
    Inside found{0, count};
    while (found.first < count && at + found.first * step < inside.first) found.first++;
    while (found.end > 0 && at + (found.end - 1) * step >= inside.end) found.end--;
    return found;
}

// Rows that are computed together where their sums fit into the registers: the weights are loaded once for them, and twice as
// many sums are under way.
template <class T, int K, int TX>
constexpr int rows_together = registers == 32 && 2 * slices_at_once<T> * TX + K + 2 <= registers ? 2 : 1;

// The output rows y .. y + R - 1, which reach the same rows of the filter; `corner` is what the first reads there first.
template <class T, int K, int TX, int R>
MATHDNN_INLINE void forward_rows(const Convolution &c, const T *corner, const T *w, const T *bias, T *out, int l, int y, int x,
                                 Inside rows) {
    constexpr int S = slices_at_once<T>;
    const std::int64_t down = c.in.pitch * c.dilation_rows * lanes, next = c.in.pitch * c.stride_rows * lanes;
    const int left = columns_inside(c).first - x, right = columns_inside(c).end - x;
    for (int slice = 0; slice < lanes; slice += S * width<T>) {
        V<T> acc[R * S][TX];
        unroll<R * S * TX>(MATHDNN_EACH(i) { acc[i / TX][i % TX] = splat(bias ? bias[l] : T(0)); });
        for (int e = c.begin[l]; e < c.begin[l + 1]; e++) {
            const T *p = corner + c.map[e] * c.in.map * lanes + slice;
            const T *tap = w + ((std::int64_t)e * c.rows + rows.first) * K;
            for (int a = rows.first; a < rows.end; a++, p += down, tap += K) {
                V<T> weight[K];
                unroll<K>(MATHDNN_EACH(b) { weight[b] = splat(tap[b]); });
                const T *row[R];
                unroll<R>(MATHDNN_EACH(r) { row[r] = p + r * next; });
                unroll<TX + K - 1>(MATHDNN_EACH(j) {
                    if constexpr (j < K - 1) if (j < left) return;
                    if constexpr (j >= TX) if (j >= right) return;
                    unroll<R * S>(MATHDNN_EACH(i) {
                        const V<T> v = for_taps<K>(row[i / S] + j * lanes + i % S * width<T>);
                        unroll<K>(MATHDNN_EACH(b) {
                            if constexpr (j - b >= 0 && j - b < TX) acc[i][j - b] = fma(weight[b], v, acc[i][j - b]);
                        });
                    });
                });
            }
        }
        unroll<R * S>(MATHDNN_EACH(i) {
            T *q = out + (l * c.out.map + (y + i / S) * c.out.pitch + x) * lanes + slice;
            give<T, TX>(c.activate, acc[i], q + i % S * width<T>);
        });
    }
}

template <class T, int K, int TX> void forward_tile(const Convolution &c, const T *in, const T *w, const T *bias, T *out,
                                                    int l, int first, int end, int x) {
    constexpr int R = rows_together<T, K, TX>;
    const auto reached_by = [&](int y) { return reached(y * c.stride_rows, c.dilation_rows, c.rows, rows_inside(c)); };
    for (int y = first; y < end;) {
        const Inside rows = reached_by(y);
        const T *corner = in + ((std::int64_t)(y * c.stride_rows + rows.first * c.dilation_rows) * c.in.pitch + x) * lanes;
        if (R > 1 && y + R <= end && rows.first == 0 && reached_by(y + R - 1).end == c.rows) {
            forward_rows<T, K, TX, R>(c, corner, w, bias, out, l, y, x, rows);
            y += R;
        } else {
            forward_rows<T, K, TX, 1>(c, corner, w, bias, out, l, y, x, rows);
            y++;
        }
    }
}

// A tap of a filter, for a tile of the general form: where it reads, counted from the tile's corner, and for which of the
// tile's columns it meets no border (bit i: column i). So many are looked up at a time.
struct Tap {
    std::int64_t from;
    std::uint64_t columns;
};
constexpr int most_listed = 256;

// acc[s][i] += weight[t] p[from(t) + i step], tap after tap. The taps that no column leaves out run in a loop of their own.
template <class T, int S, int TX>
MATHDNN_INLINE void add_taps(V<T> (&acc)[S][TX], const Tap *tap, int count, const T *w, const T *p, std::int64_t step) {
    constexpr std::uint64_t all = (1u << TX) - 1;
    for (int t = 0; t < count;) {
        if (tap[t].columns == all) {
            do {
                const V<T> weight = splat(w[t]);
                const T *q = p + tap[t].from;
                unroll<S * TX>(MATHDNN_EACH(i) {
                    acc[i % S][i / S] = fma(weight, load(q + i / S * step + i % S * width<T>), acc[i % S][i / S]);
                });
            } while (++t < count && tap[t].columns == all);
            continue;
        }
        const V<T> weight = splat(w[t]);
        const T *q = p + tap[t].from;
        const std::uint64_t some = tap[t].columns;
        unroll<TX>(MATHDNN_EACH(i) {
            if (some >> i & 1)
                unroll<S>(MATHDNN_EACH(s) { acc[s][i] = fma(weight, load(q + i * step + s * width<T>), acc[s][i]); });
        });
        t++;
    }
}

// Taps first .. end - 1 of a filter, for the tile of TX columns from column x of the output.
inline void list_taps(const Convolution &c, int x, int TX, int first, int end, Tap *list) {
    for (int t = first; t < end; t++, list++) {
        const int a = t / c.columns, at = x * c.stride_columns + t % c.columns * c.dilation_columns;
        const Inside some = reached(at, c.stride_columns, TX, columns_inside(c));
        list->from = ((std::int64_t)a * c.dilation_rows * c.in.pitch + at) * lanes;
        list->columns = some.first < some.end ? (1u << some.end) - (1u << some.first) : 0;
    }
}

template <class T, int TX, bool Unit> void forward_general(const Convolution &c, const T *in, const T *w, const T *bias, T *out,
                                                           int l, int first, int end, int x) {
    constexpr int S = slices_at_once<T>;
    const std::int64_t step = Unit ? lanes : (std::int64_t)c.stride_columns * lanes;
    const int taps = c.rows * c.columns;
    Tap list[most_listed];
    if (taps <= most_listed) list_taps(c, x, TX, 0, taps, list);
    for (int y = first; y < end; y++) {
        const Inside rows = reached(y * c.stride_rows, c.dilation_rows, c.rows, rows_inside(c));
        const int from = rows.first * c.columns, to = rows.end * c.columns;
        for (int slice = 0; slice < lanes; slice += S * width<T>) {
            V<T> acc[S][TX];
            unroll<S * TX>(MATHDNN_EACH(i) { acc[i / TX][i % TX] = splat(bias ? bias[l] : T(0)); });
            const T *corner = in + (std::int64_t)y * c.stride_rows * c.in.pitch * lanes + slice;
            for (int e = c.begin[l]; e < c.begin[l + 1]; e++) {
                const T *p = corner + c.map[e] * c.in.map * lanes, *weights = w + (std::int64_t)e * taps;
                for (int t = from; t < to; t += most_listed) {  // once, but for the largest filters
                    const int left = to - t, some = taps <= most_listed || left < most_listed ? left : most_listed;
                    if (taps > most_listed) list_taps(c, x, TX, t, t + some, list);
                    add_taps<T, S, TX>(acc, taps > most_listed ? list : list + t, some, weights + t, p, step);
                }
            }
            T *q = out + (l * c.out.map + y * c.out.pitch + x) * lanes + slice;
            unroll<S>(MATHDNN_EACH(s) { give<T, TX>(c.activate, acc[s], q + s * width<T>); });
        }
    }
}

// The taps k of one axis that reach the outputs from a position of the padded input: k = first, first + step, ...; the
// output of the first, and how far back that of the next lies.
struct Taps {
    int first, step, out, back;
};
MATHDNN_INLINE Taps taps_at(int position, int stride, int dilation) {
    if (stride == 1) return {0, 1, position, dilation};  // divisions take longer than all the rest
    int step = 1;
    while (step * dilation % stride) step++;
    int first = 0;
    while (first < step && (position - first * dilation) % stride) first++;
    if (first == step) return {1 << 30, 1, 0, 0};  // between the strides
    return {first, step, (position - first * dilation) / stride, step * dilation / stride};
}

// A row of dout (p: its column x - (K - 1)), times the K weights of a filter's row, into TX columns of the input gradient.
// Columns of dout beside it are left out; where Whole, all those before the first K - 1 and after the first TX are.
template <class T, int K, int TX, bool Whole, int S>
MATHDNN_INLINE void input_row(const T *p, const T *tap, int before, int after, V<T> (&acc)[S][TX]) {
    V<T> weight[K];
    unroll<K>(MATHDNN_EACH(b) { weight[b] = splat(tap[b]); });
    unroll<TX + K - 1>(MATHDNN_EACH(j) {
        constexpr bool left = j < K - 1, right = j >= TX;
        if constexpr (Whole && (left || right)) return;
        if constexpr (left) if (j < before) return;
        if constexpr (left || right) if (j >= after) return;
        unroll<S>(MATHDNN_EACH(s) {
            const V<T> v = for_taps<K>(p + j * lanes + s * width<T>);
            unroll<K>(MATHDNN_EACH(b) {
                constexpr int i = j - (K - 1) + b;
                if constexpr (i >= 0 && i < TX) acc[s][i] = fma(weight[b], v, acc[s][i]);
            });
        });
    });
}

template <class T, int TX> MATHDNN_INLINE void take(Activate f, V<T> (&acc)[TX], T *q) {
    if (f.kind == Activation::none) {
        unroll<TX>(MATHDNN_EACH(i) { store(q + i * lanes, acc[i]); });
    } else if (f.kind == Activation::tanh) {
        unroll<TX>(MATHDNN_EACH(i) { store(q + i * lanes, derived({Activation::tanh}, load(q + i * lanes), acc[i])); });
    } else {
        T kept[TX * width<T>] __attribute__((aligned(64)));
        unroll<TX>(MATHDNN_EACH(i) { store(kept + i * width<T>, acc[i]); });
        for (int i = 0; i < TX; i++) store(q + i * lanes, derived(f, load(q + i * lanes), load(kept + i * width<T>)));
    }
}

// Some of the edges of an input map. Their sums so far lie in `kept` (one map), but for the first edges.
struct Edges {
    int first, end;
    bool from_zero, last;
};

// Columns x .. x + TX - 1 of each row y of the (padded) input gradient. Whole: the tile is the whole row of a map without
// border, so that no tap falls beside the output; otherwise the first and last K - 1 output columns are looked at first.
template <class T, int K, int TX, bool Whole> void input_tile(const Convolution &c, const T *dout, const T *w, T *in,
                                                              Activate f, int g, T *kept, Edges edges, int x) {
    constexpr int S = slices_at_once<T>;
    const int before = K - 1 - x, after = before + c.out.columns;
    for (int y = c.pad_rows; y < c.in.rows - c.pad_rows; y++) {
        Taps down = taps_at(y, c.stride_rows, c.dilation_rows);
        for (; down.first < c.rows && down.out >= c.out.rows; down.out -= down.back) down.first += down.step;
        int reaching = 0;
        while (down.first + reaching * down.step < c.rows && down.out - reaching * down.back >= 0) reaching++;
        const std::int64_t up = down.back * c.out.pitch * lanes;
        for (int slice = 0; slice < lanes; slice += S * width<T>) {
            const std::int64_t at = (y * c.in.pitch + x) * lanes + slice;
            V<T> acc[S][TX];
            unroll<S * TX>(MATHDNN_EACH(i) {
                acc[i / TX][i % TX] = edges.from_zero ? V<T>{} : load(kept + at + i % TX * lanes + i / TX * width<T>);
            });
            for (int e = edges.first; reaching && e < edges.end; e++) {
                const T *tap = w + ((std::int64_t)c.back_edge[e] * c.rows + down.first) * K;
                const T *p = dout + (c.back_map[e] * c.out.map + down.out * c.out.pitch + x - (K - 1)) * lanes + slice;
                for (int a = 0; a < reaching; a++, tap += down.step * K, p -= up)
                    input_row<T, K, TX, Whole>(p, tap, before, after, acc);
            }
            if (edges.last) {
                T *q = in + g * c.in.map * lanes + at;
                unroll<S>(MATHDNN_EACH(s) { take<T, TX>(f, acc[s], q + s * width<T>); });
            } else {
                unroll<S * TX>(MATHDNN_EACH(i) { store(kept + at + i % TX * lanes + i / TX * width<T>, acc[i / TX][i % TX]); });
            }
        }
    }
}

// Columns x, x + D, ... of each row of the input gradient: their outputs lie side by side, whatever the column stride D.
template <class T, int TX> void input_general(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g,
                                              int x) {
    constexpr int S = slices_at_once<T>;
    const Taps across = taps_at(x, c.stride_columns, c.dilation_columns);
    const std::int64_t step = (std::int64_t)c.stride_columns * lanes, back = (std::int64_t)across.back * lanes;
    const int last = c.out.columns - TX;  // the last output column at which a whole tile begins
    for (int y = c.pad_rows; y < c.in.rows - c.pad_rows; y++) {
        const Taps down = taps_at(y, c.stride_rows, c.dilation_rows);
        for (int slice = 0; slice < lanes; slice += S * width<T>) {
            V<T> acc[S][TX];
            unroll<S * TX>(MATHDNN_EACH(i) { acc[i / TX][i % TX] = V<T>{}; });
            for (int e = c.back_begin[g]; e < c.back_begin[g + 1]; e++) {
                const T *taps = w + (std::int64_t)c.back_edge[e] * c.rows * c.columns;
                const T *map = dout + c.back_map[e] * c.out.map * lanes + slice;
                for (int a = down.first, row = down.out; a < c.rows && row >= 0; a += down.step, row -= down.back) {
                    if (row >= c.out.rows) continue;
                    const T *tap = taps + a * c.columns, *p = map + (row * c.out.pitch + across.out) * lanes;
                    for (int b = across.first, q = across.out; b < c.columns && q + TX > 0;) {
                        if (q >= 0 && q <= last) {
                            do {
                                const V<T> weight = splat(tap[b]);
                                unroll<S * TX>(MATHDNN_EACH(i) {
                                    constexpr int column = i / S, s = i % S;
                                    acc[s][column] = fma(weight, load(p + column * lanes + s * width<T>), acc[s][column]);
                                });
                                p -= back;
                                q -= across.back;
                            } while ((b += across.step) < c.columns && q >= 0);
                            continue;
                        }
                        const V<T> weight = splat(tap[b]);
                        unroll<TX>(MATHDNN_EACH(i) {
                            if (q + i < 0 || q + i >= c.out.columns) return;
                            unroll<S>(MATHDNN_EACH(s) {
                                acc[s][i] = fma(weight, load(p + i * lanes + s * width<T>), acc[s][i]);
                            });
                        });
                        p -= back;
                        q -= across.back;
                        b += across.step;
                    }
                }
            }
            T *to = in + (g * c.in.map + y * c.in.pitch + x) * lanes + slice;
            T kept[S * TX * width<T>] __attribute__((aligned(64)));
            unroll<S * TX>(MATHDNN_EACH(i) { store(kept + i * width<T>, acc[i % S][i / S]); });
            for (int i = 0; i < S * TX; i++) {
                T *at = to + i / S * step + i % S * width<T>;
                store(at, derived(f, load(at), load(kept + i * width<T>)));
            }
        }
    }
}

template <class T> MATHDNN_INLINE void keep(T *sums, V<T> value, bool fresh) {
    store(sums, fresh ? value : load(sums) + value);
}

// KY K sums and PX positions of S slices: PX columns of the derivative times the PX + K - 1 inputs above them, from column
// x; where Edge, of the KY rows of inputs those that `taps` says, and of the columns those inside, else all of them.
template <class T, int K, int KY, int PX, bool Edge, int S>
MATHDNN_INLINE void weight_tile(V<T> (&acc)[S][KY * K], const T *d, const T *p, std::int64_t down, Inside taps,
                                Inside columns) {
    V<T> v[S][PX];
    unroll<S * PX>(MATHDNN_EACH(i) { v[i % S][i / S] = load(d + i / S * lanes + i % S * width<T>); });
    constexpr int across = PX + K - 1;
    const T *row[KY];
    unroll<KY>(MATHDNN_EACH(a) { row[a] = held(p + a * down); });
    // Few sums are apart for longer where rows alternate; that was slower with 15 sums in 16 registers, no faster with 25.
    constexpr bool row_by_row = registers == 16 || K == 5;
    unroll<KY * across>(MATHDNN_EACH(t) {
        constexpr int a = row_by_row ? t / across : t % KY, j = row_by_row ? t % across : t / KY;
        if constexpr (Edge) if (outside(a, taps) || outside(j, columns)) return;
        unroll<S>(MATHDNN_EACH(s) {
            const V<T> u = for_taps<K>(row[a] + j * lanes + s * width<T>);
            unroll<PX>(MATHDNN_EACH(i) {
                constexpr int b = j - i;
                if constexpr (b >= 0 && b < K) acc[s][a * K + b] = fma(v[s][i], u, acc[s][a * K + b]);
            });
        });
    });
}

// KY rows of a filter K wide: KY K sums in registers over all positions, as many at a time as leave room for their
// derivatives. Of 32 registers five: 45 loads for 125 multiply-adds (two at a time: 32 for 50). Of 16 with 15 sums one.
template <class T, int K, int KY> void weight_rows(const Convolution &c, const T *in, const T *dout, T *sums, int first,
                                                   bool fresh) {
    constexpr int S = K == 1 ? slices_at_once<T> : 1, sums_held = S * KY * K;
    constexpr int PX = registers == 32 ? 5 : sums_held + 3 * S + 1 <= 16 ? 3 : sums_held + 2 * S + 1 <= 16 ? 2 : 1;
    const std::int64_t down = c.in.pitch * c.dilation_rows * lanes;
    const Inside rows = rows_inside(c), columns = columns_inside(c);
    for (int slice = 0; slice < lanes; slice += S * width<T>) {
        V<T> acc[S][KY * K];
        unroll<S * KY * K>(MATHDNN_EACH(t) { acc[t % S][t / S] = V<T>{}; });
        for (int y = 0; y < c.out.rows; y++) {
            const int row = y * c.stride_rows + first * c.dilation_rows;
            const Inside taps = reached(row, c.dilation_rows, KY, rows);
            const T *d = dout + y * c.out.pitch * lanes + slice, *p = in + (std::int64_t)row * c.in.pitch * lanes + slice;
            int x = 0;
            const auto tile = [&](auto count, auto edge) __attribute__((always_inline)) {
                weight_tile<T, K, KY, count, edge, S>(acc, d, p, down, taps, {columns.first - x, columns.end - x});
                x += count;
                d += count * lanes;
                p += count * lanes;
            };
            const auto tiles = [&](auto edge, int end) __attribute__((always_inline)) {  // columns x .. end - 1
                while (x + PX <= end) tile(std::integral_constant<int, PX>{}, edge);
                unroll<PX - 1>(MATHDNN_EACH(i) { if (x + i + 1 == end) tile(std::integral_constant<int, i + 1>{}, edge); });
            };
            const bool all = taps.first == 0 && taps.end == KY;
            const int ends[] = {all && columns.first < c.out.columns ? columns.first : c.out.columns,
                                columns.end - (K - 1), c.out.columns};
            for (int part = 0; part < 3; part++) {
                if (part == 1) tiles(std::false_type{}, ends[part]);
                else tiles(std::true_type{}, ends[part]);
            }
        }
        unroll<S * KY * K>(MATHDNN_EACH(i) {
            constexpr int t = i / S, s = i % S;
            keep(sums + (first * K + t) * lanes + slice + s * width<T>, acc[s][t], fresh);
        });
    }
}

// Columns whose sums are apart, so that enough multiply-adds are under way; they depend on the filter alone, since the bits
// depend on them. And how many taps are summed at a time: their sums and the derivatives of a column fit into the registers.
constexpr int apart(int taps) { return taps >= 7 ? 1 : taps >= 4 ? 2 : 4; }
template <class T, int U> constexpr int most_taps = (slices_at_once<T> == 2 ? 6 : 12) / U;

// N taps at a time, U columns apart.
template <class T, int U, int N> void weight_taps(const Convolution &c, const T *in, const T *dout, T *sums, int tap,
                                                  bool fresh) {
    constexpr int S = slices_at_once<T>;
    const std::int64_t step = (std::int64_t)c.stride_columns * lanes;
    const Inside rows = rows_inside(c), columns = columns_inside(c);
    std::int64_t offset[N];
    Inside across[N];  // the columns of the output whose input at this tap is no border
    for (int t = 0; t < N; t++) {
        const int right = (tap + t) % c.columns * c.dilation_columns;
        offset[t] = ((std::int64_t)((tap + t) / c.columns) * c.dilation_rows * c.in.pitch + right) * lanes;
        across[t] = reached(right, c.stride_columns, c.out.columns, columns);
    }
    for (int slice = 0; slice < lanes; slice += S * width<T>) {
        V<T> acc[S][U][N];
        unroll<S * U * N>(MATHDNN_EACH(t) { acc[t / (U * N)][t / N % U][t % N] = V<T>{}; });
        for (int y = 0; y < c.out.rows; y++) {
            const T *d = dout + y * c.out.pitch * lanes + slice;
            const T *p = in + (std::int64_t)y * c.stride_rows * c.in.pitch * lanes + slice;
            Inside inside[N], all{0, c.out.columns};
            for (int t = 0; t < N; t++) {
                inside[t] = across[t];
                if (outside(y * c.stride_rows + (tap + t) / c.columns * c.dilation_rows, rows)) inside[t].end = 0;
                if (inside[t].first > all.first) all.first = inside[t].first;
                if (inside[t].end < all.end) all.end = inside[t].end;
            }
            const auto add = [&](auto count, auto edge, int x) __attribute__((always_inline)) {  // columns x .. x + count - 1
                unroll<count>(MATHDNN_EACH(u) {
                    V<T> v[S];
                    unroll<S>(MATHDNN_EACH(s) { v[s] = load(d + (x + u) * lanes + s * width<T>); });
                    unroll<N>(MATHDNN_EACH(t) {
                        if constexpr (edge) if (outside(x + u, inside[t])) return;
                        unroll<S>(MATHDNN_EACH(s) {
                            acc[s][u][t] = fma(v[s], load(p + (x + u) * step + offset[t] + s * width<T>), acc[s][u][t]);
                        });
                    });
                });
            };
            const auto some = [&](auto count, int x, int end) __attribute__((always_inline)) {
                while (x + count <= end) {
                    if (x >= all.first && x + count <= all.end) {
                        do {
                            add(count, std::false_type{}, x);
                            x += count;
                        } while (x + count <= all.end);
                    } else {
                        add(count, std::true_type{}, x);
                        x += count;
                    }
                }
            };
            some(std::integral_constant<int, U>{}, 0, c.out.columns);
            if constexpr (U > 1) some(std::integral_constant<int, 1>{}, c.out.columns / U * U, c.out.columns);
        }
        unroll<S * N>(MATHDNN_EACH(i) {
            constexpr int t = i / S, s = i % S;
            unroll<U - 1>(MATHDNN_EACH(u) { acc[s][0][t] += acc[s][u + 1][t]; });
            keep(sums + (tap + t) * lanes + slice + s * width<T>, acc[s][0][t], fresh);
        });
    }
}

template <class T> using Forward = void (*)(const Convolution &, const T *, const T *, const T *, T *, int, int, int, int);
template <class T> using Input = void (*)(const Convolution &, const T *, const T *, T *, Activate, int, int);
template <class T> using InputRows = void (*)(const Convolution &, const T *, const T *, T *, Activate, int, T *, Edges, int);
template <class T> using Weight = void (*)(const Convolution &, const T *, const T *, T *, int, bool);

template <class T, int K, int... i> Forward<T> forward_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Forward<T> all[] = {forward_tile<T, K, i + 1>...};
    return all[columns - 1];
}
template <class T, bool Unit, int... i> Forward<T> general_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Forward<T> all[] = {forward_general<T, i + 1, Unit>...};
    return all[columns - 1];
}
template <class T, int... i> Input<T> input_general_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr Input<T> all[] = {input_general<T, i + 1>...};
    return all[columns - 1];
}
template <class T, int U, int... i> Weight<T> taps_of(int taps, std::integer_sequence<int, i...>) {
    static constexpr Weight<T> all[] = {weight_taps<T, U, i + 1>...};
    return all[taps - 1];
}
template <class T, int K, bool Whole, int... i> InputRows<T> input_of(int columns, std::integer_sequence<int, i...>) {
    static constexpr InputRows<T> all[] = {input_tile<T, K, i + 1, Whole>...};
    return all[columns - 1];
}

template <int count> using Widths = std::make_integer_sequence<int, count>;

bool narrow(const Convolution &c) {
    return c.stride_columns == 1 && c.dilation_columns == 1 && (c.columns == 1 || c.columns == 3 || c.columns == 5);
}

// run(columns, x) over tiles of much the same width that make up `count` columns.
template <class Run> MATHDNN_INLINE void each_tile(int count, int widest, Run run) {
    const int tiles = (count + widest - 1) / widest;
    for (int t = 0, x = 0; t < tiles; t++) {
        const int columns = (count - x) / (tiles - t);
        run(columns, x);
        x += columns;
    }
}

template <class T, int K> void forward_narrow(const Convolution &c, const T *in, const T *w, const T *bias, T *out, int l,
                                              int first, int end) {
    each_tile(c.out.columns, widest<T, K>, [&](int columns, int x) {
        forward_of<T, K>(columns, Widths<widest<T, K>>{})(c, in, w, bias, out, l, first, end, x);
    });
}

template <class T> void forward(const Convolution &c, const T *in, const T *w, const T *bias, T *out, int l, int first,
                                int end) {
    if (narrow(c) && c.pad_columns < c.columns) {  // then border lies beside the inner columns of a tile only
        if (c.columns == 1) return forward_narrow<T, 1>(c, in, w, bias, out, l, first, end);
        if (c.columns == 3) return forward_narrow<T, 3>(c, in, w, bias, out, l, first, end);
        return forward_narrow<T, 5>(c, in, w, bias, out, l, first, end);
    }
    each_tile(c.out.columns, widest_general<T>, [&](int columns, int x) {
        const auto tile = c.stride_columns == 1 ? general_of<T, true>(columns, Widths<widest_general<T>>{})
                                                : general_of<T, false>(columns, Widths<widest_general<T>>{});
        tile(c, in, w, bias, out, l, first, end, x);
    });
}

template <class T> void input_columns(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g) {
    for (int phase = 0; phase < c.stride_columns; phase++) {
        const int inside = c.in.columns - 2 * c.pad_columns, count = (inside - phase + c.stride_columns - 1) / c.stride_columns;
        each_tile(count, widest_general<T>, [&](int columns, int j) {
            const int x = c.pad_columns + phase + j * c.stride_columns;
            input_general_of<T>(columns, Widths<widest_general<T>>{})(c, dout, w, in, f, g, x);
        });
    }
}

// What the rows of dout may take of the first-level cache (32 KB, or 48 where there are 32 registers), since each of them
// is read for several rows of the input, and for each slice. Edges beyond it come in another round.
constexpr std::int64_t nearest = registers == 32 ? 40 << 10 : 20 << 10;

template <class T, int K> void input_narrow(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g,
                                            T *kept) {
    const int inside = c.in.columns - 2 * c.pad_columns, begin = c.back_begin[g], end = c.back_begin[g + 1];
    const bool whole = K > 1 && inside <= widest<T, K> && c.pad_columns == 0 && inside == c.out.columns + K - 1;
    const std::int64_t rows = nearest / (c.rows * c.out.pitch * lanes * (std::int64_t)sizeof(T));
    const int round = rows < 2 ? 2 : rows < end - begin ? (int)rows : end - begin + 1;
    for (int e = begin; e < end || e == begin; e += round) {
        const Edges edges{e, e + round < end ? e + round : end, e == begin, e + round >= end};
        if (whole) {
            input_of<T, K, K != 1>(inside, Widths<widest<T, K>>{})(c, dout, w, in, f, g, kept, edges, 0);
            continue;
        }
        each_tile(inside, widest<T, K>, [&](int columns, int x) {
            input_of<T, K, false>(columns, Widths<widest<T, K>>{})(c, dout, w, in, f, g, kept, edges, c.pad_columns + x);
        });
    }
}

template <class T> void input_gradient(const Convolution &c, const T *dout, const T *w, T *in, Activate f, int g, T *kept) {
    if (!narrow(c)) return input_columns(c, dout, w, in, f, g);
    if (c.columns == 1) return input_narrow<T, 1>(c, dout, w, in, f, g, kept);
    if (c.columns == 3) return input_narrow<T, 3>(c, dout, w, in, f, g, kept);
    return input_narrow<T, 5>(c, dout, w, in, f, g, kept);
}

template <class T, int K> void weight_narrow(const Convolution &c, const T *in, const T *dout, T *sums, bool fresh) {
    constexpr int KY = registers == 32 ? 5 : 3;
    int a = 0;
    for (; a + KY <= c.rows; a += KY) weight_rows<T, K, KY>(c, in, dout, sums, a, fresh);
    if constexpr (KY > 3) for (; a + 3 <= c.rows; a += 3) weight_rows<T, K, 3>(c, in, dout, sums, a, fresh);
    if constexpr (KY == 3) for (; a + 2 <= c.rows; a += 2) weight_rows<T, K, 2>(c, in, dout, sums, a, fresh);
    for (; a < c.rows; a++) weight_rows<T, K, 1>(c, in, dout, sums, a, fresh);
}

template <class T, int U> void weight_general(const Convolution &c, const T *in, const T *dout, T *sums, bool fresh) {
    constexpr int most = most_taps<T, U>;
    each_tile(c.rows * c.columns, most, [&](int taps, int tap) {
        taps_of<T, U>(taps, Widths<most>{})(c, in, dout, sums, tap, fresh);
    });
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
    const int taps = c.rows * c.columns;
    if (apart(taps) == 4) return weight_general<T, 4>(c, in, dout, sums, fresh);
    if (apart(taps) == 2) return weight_general<T, 2>(c, in, dout, sums, fresh);
    return weight_general<T, 1>(c, in, dout, sums, fresh);
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

}  // namespace

const ConvolutionKernels<float> convolution_float = {forward<float>, input_gradient<float>, weight_gradient<float>,
                                                     bias_gradient<float>, fold<float>, lanes_in<float>,
                                                     lanes_out<float>};
#if MATHDNN_LANES == 16
const ConvolutionKernels<double> convolution_double = {forward<double>, input_gradient<double>, weight_gradient<double>,
                                                       bias_gradient<double>, fold<double>, lanes_in<double>,
                                                       lanes_out<double>};
#endif

}  // namespace mathdnn::ISA
