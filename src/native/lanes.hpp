// Images to lanes and back, and the lanes to one number.
//
// A square of numbers, `side` by `side`, is turned around in registers: rows become columns; of the rest of a row a part is
// loaded and stored. Where there is no code for that, numbers are moved one by one.
#pragma once
#include "vector.hpp"

namespace mathdnn::ISA {

#if MATHDNN_512
constexpr int side = 16;

// Four rounds of pairing rows r and r + 8.
MATHDNN_INLINE void turn(F (&rows)[side]) {
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    unroll<4>([&](auto) __attribute__((always_inline)) {
        F next[side];
        unroll<8>(MATHDNN_EACH(r) {
            next[2 * r] = (F)_mm512_permutex2var_ps((__m512)rows[r], low, (__m512)rows[r + 8]);
            next[2 * r + 1] = (F)_mm512_permutex2var_ps((__m512)rows[r], high, (__m512)rows[r + 8]);
        });
        unroll<side>(MATHDNN_EACH(r) { rows[r] = next[r]; });
    });
}
MATHDNN_INLINE __mmask16 lowest(std::int64_t count) { return (__mmask16)((1u << count) - 1); }
MATHDNN_INLINE F load_some(const float *p, std::int64_t count) { return (F)_mm512_maskz_loadu_ps(lowest(count), p); }
MATHDNN_INLINE void store_some(float *p, F v, std::int64_t count) { _mm512_mask_storeu_ps(p, lowest(count), (__m512)v); }
MATHDNN_INLINE F load_anywhere(const float *p) { return (F)_mm512_loadu_ps(p); }
MATHDNN_INLINE void store_anywhere(float *p, F v) { _mm512_storeu_ps(p, (__m512)v); }
#elif defined(__AVX2__)
constexpr int side = 8;

// Pairs of rows, pairs of pairs, then the halves.
MATHDNN_INLINE void turn(F (&rows)[side]) {
    __m256 pair[8], four[8];
    unroll<4>(MATHDNN_EACH(r) {
        pair[2 * r] = _mm256_unpacklo_ps((__m256)rows[2 * r], (__m256)rows[2 * r + 1]);
        pair[2 * r + 1] = _mm256_unpackhi_ps((__m256)rows[2 * r], (__m256)rows[2 * r + 1]);
    });
    unroll<2>(MATHDNN_EACH(h) {
        unroll<2>(MATHDNN_EACH(k) {
            four[4 * h + 2 * k] = _mm256_shuffle_ps(pair[4 * h + k], pair[4 * h + 2 + k], 0x44);
            four[4 * h + 2 * k + 1] = _mm256_shuffle_ps(pair[4 * h + k], pair[4 * h + 2 + k], 0xee);
        });
    });
    unroll<4>(MATHDNN_EACH(k) {
        rows[k] = (F)_mm256_permute2f128_ps(four[k], four[k + 4], 0x20);
        rows[k + 4] = (F)_mm256_permute2f128_ps(four[k], four[k + 4], 0x31);
    });
}
MATHDNN_INLINE __m256i lowest(std::int64_t count) {
    return (__m256i)(whole((std::int32_t)count) > I{0, 1, 2, 3, 4, 5, 6, 7});
}
MATHDNN_INLINE F load_some(const float *p, std::int64_t count) { return (F)_mm256_maskload_ps(p, lowest(count)); }
MATHDNN_INLINE void store_some(float *p, F v, std::int64_t count) { _mm256_maskstore_ps(p, lowest(count), (__m256)v); }
MATHDNN_INLINE F load_anywhere(const float *p) { return (F)_mm256_loadu_ps(p); }
MATHDNN_INLINE void store_anywhere(float *p, F v) { _mm256_storeu_ps(p, (__m256)v); }
#else
constexpr int side = 0;
#endif

template <class T> constexpr bool turns = side != 0 && sizeof(T) == 4;

// Half a block adds the zeros of the lanes that it has not: they make a sum of -0 the 0 of a whole block.
template <class T> void fold(const T *sums, T *out, std::int64_t count) {
    std::int64_t i = 0;
#if defined(__AVX2__)
    if constexpr (turns<T>) {
        for (; i + side <= count; i += side, sums += side * lanes) {
            F rows[side];
            unroll<side>(MATHDNN_EACH(n) {
                rows[n] = load(sums + n * lanes);
                if constexpr (side == 8) rows[n] += lanes == 16 ? load(sums + n * lanes + lanes - 8) : F{};
            });
            turn(rows);
            if constexpr (side == 16) unroll<8>(MATHDNN_EACH(n) { rows[n] += rows[n + side / 2]; });
            unroll<4>(MATHDNN_EACH(n) { rows[n] += rows[n + 4]; });
            unroll<2>(MATHDNN_EACH(n) { rows[n] += rows[n + 2]; });
            store_anywhere(out + i, rows[0] + rows[1]);
        }
    }
#endif
    for (; i < count; i++, sums += lanes) {
        T eight[8], four[4];
        for (int n = 0; n < 8; n++) eight[n] = sums[n] + (lanes == 16 ? sums[n + lanes - 8] : T(0));
        for (int n = 0; n < 4; n++) four[n] = eight[n] + eight[n + 4];
        out[i] = (four[0] + four[2]) + (four[1] + four[3]);
    }
}

template <class T> void lanes_in(const T *const *images, T *out, std::int64_t count) {
    std::int64_t p = 0;
#if defined(__AVX2__)
    if constexpr (turns<T>) {
        for (; p < count; p += side) {
            const std::int64_t left = count - p;
            for (int first = 0; first < lanes; first += side) {
                F rows[side];
                if (left >= side) unroll<side>(MATHDNN_EACH(n) { rows[n] = load_anywhere(images[first + n] + p); });
                else unroll<side>(MATHDNN_EACH(n) { rows[n] = load_some(images[first + n] + p, left); });
                turn(rows);
                unroll<side>(MATHDNN_EACH(n) { if (n < left) store(out + (p + n) * lanes + first, rows[n]); });
            }
        }
        return;
    }
#endif
    for (; p < count; p++)
        for (int n = 0; n < lanes; n++) out[p * lanes + n] = images[n][p];
}

template <class T> void lanes_out(const T *in, T *const *images, int real, std::int64_t count) {
    std::int64_t p = 0;
#if defined(__AVX2__)
    if constexpr (turns<T>) {
        for (; p < count; p += side) {
            const std::int64_t left = count - p;
            for (int first = 0; first < real; first += side) {
                F rows[side];
                if (left >= side) unroll<side>(MATHDNN_EACH(n) { rows[n] = load(in + (p + n) * lanes + first); });
                else unroll<side>(MATHDNN_EACH(n) { rows[n] = n < left ? load(in + (p + n) * lanes + first) : F{}; });
                turn(rows);
                if (left >= side && real - first >= side)
                    unroll<side>(MATHDNN_EACH(n) { store_anywhere(images[first + n] + p, rows[n]); });
                else
                    unroll<side>(MATHDNN_EACH(n) {
                        if (first + n < real) store_some(images[first + n] + p, rows[n], left < side ? left : side);
                    });
            }
        }
        return;
    }
#endif
    for (; p < count; p++)
        for (int n = 0; n < real; n++) images[n][p] = in[p * lanes + n];
}

}  // namespace mathdnn::ISA
