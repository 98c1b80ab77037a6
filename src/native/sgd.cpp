// Batch-1 SGD on a margin loss l(m), m = y z, z = w.x, labels y = -1 or +1:
//
//     eta_t = lr, lr / t or lr / sqrt(t), t = 1, 2, ...
//     w <- (1 - eta_t lambda) w - eta_t y l'(y z) x
//
// The same bits on every instruction set: a dot product is summed on 32 accumulators (component j in accumulator
// j mod 32) that are then folded in halves, 32 -> 16 -> ... -> 1; every other operation is a single IEEE operation in
// the order written here, and exp is a polynomial in multiplications and additions (compiled without contraction).
//
// What makes it fast: w is read once a step (the update of step t and the dot product of step t + 1 share one pass), float
// rows are read where they lie, and rows to come are asked for into the second-level cache. Bytes are converted into a
// small aligned buffer in the shadow of the only long dependency, fold -> exp -> division -> update.
//
// No templates of the standard library here: one compiled for AVX-512 could be linked into the baseline.
#include "sgd.hpp"

#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace mathdnn::ISA {
namespace {

#if defined(__AVX512F__)
constexpr int width = 16;
#elif defined(__AVX__)
constexpr int width = 8;
#else
constexpr int width = 4;
#endif
constexpr int parts = lanes / width;

typedef float Vec __attribute__((vector_size(width * sizeof(float)), may_alias));
typedef float Vec4 __attribute__((vector_size(16)));
typedef float Vec8 __attribute__((vector_size(32)));
typedef std::int32_t Int __attribute__((vector_size(width * sizeof(float))));
typedef std::uint8_t Byte __attribute__((vector_size(width)));

inline Vec all(float value) { return value - Vec{}; }  // value - 0 is value, both zeros included

inline float bits_to_float(std::int32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// e^x. x = k ln 2 + r, |r| <= ln 2 / 2, with ln 2 in two pieces (the first has 9 bits, so that k times it is exact), and
// the polynomial of Cephes' expf (Moshier 1992). 2^k in two factors, so that the one rounding of a subnormal result is
// the last. Cut-offs: e^-104 < 2^-150 rounds to 0 and e^89 > 2^128 overflows, so clamping there changes no result.
inline float exponential(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    const float round = 12582912.0f;  // 1.5 * 2^23: adding and subtracting it rounds to an integer
    const float k = (x * 1.44269504088896341f + round) - round;
    const float r = (x - k * 0.693359375f) - k * -2.12194440e-4f;
    const float r2 = r * r;
    const float low = (1.6666665459e-1f * r + 5.0000001201e-1f);
    const float middle = (8.3334519073e-3f * r + 4.1665795894e-2f);
    const float high = (1.9875691500e-4f * r + 1.3981999507e-3f);
    const float p = (1.0f + r) + (low * r2 + (high * r2 + middle) * (r2 * r2));
    const std::int32_t whole = static_cast<std::int32_t>(k), half = whole >> 1;
    return p * bits_to_float((half + 127) << 23) * bits_to_float((whole - half + 127) << 23);
}

// l'(m). With e = e^-|m| <= 1 nothing overflows: sigma(|m|) = 1 / (1 + e), sigma(-|m|) = e / (1 + e).
// At the kink of the hinges, m = 1, the derivative is 0.
inline float derivative(MarginLoss loss, float m) {
    switch (loss) {
    case MarginLoss::logistic: {
        const float e = exponential(m < 0 ? m : -m);
        return -((m < 0 ? 1.0f : e) / (1.0f + e));
    }
    case MarginLoss::sum_of_squares: {
        const float e = exponential(m < 0 ? m : -m), sum = 1.0f + e;
        const float large = 1.0f / sum, small = e / sum;
        const float wrong = m < 0 ? large : small, right = m < 0 ? small : large;
        return -4.0f * (wrong * wrong * right);
    }
    case MarginLoss::hinge: return m < 1.0f ? -1.0f : 0.0f;
    case MarginLoss::squared_hinge: return m < 1.0f ? -2.0f * (1.0f - m) : 0.0f;
    case MarginLoss::exponential: return -exponential(-m);
    }
    return 0;
}

inline double square_root(double x) {
#if defined(__x86_64__)
    typedef double Vec2 __attribute__((vector_size(16)));
    return __builtin_ia32_sqrtpd(Vec2{x, x})[0];
#else
    return __builtin_sqrt(x);
#endif
}

// eta_t for the 0-based step t, in double: division and square root are correctly rounded everywhere.
inline double rate(const SgdJob &job, std::int64_t t) {
    const double count = static_cast<double>(job.steps_before + t + 1);
    switch (job.decay) {
    case Decay::constant: return job.lr;
    case Decay::inverse: return job.lr / count;
    case Decay::inverse_sqrt: return job.lr / square_root(count);
    }
    return 0;
}

// n lanes to one, in halves: lane j and lane j + n/2, ...
template <class V>
inline float fold_lanes(V x) {
    if constexpr (sizeof(V) == 64) {
        return fold_lanes<Vec8>(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                                __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15));
    } else if constexpr (sizeof(V) == 32) {
        return fold_lanes<Vec4>(__builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7));
    } else {
        return (x[0] + x[2]) + (x[1] + x[3]);
    }
}

inline float fold(const Vec (&acc)[parts]) {
    Vec half[parts];
    for (int i = 0; i < parts; i++) half[i] = acc[i];
    for (int n = parts / 2; n >= 1; n /= 2)
        for (int i = 0; i < n; i++) half[i] = half[i] + half[i + n];
    return fold_lanes<Vec>(half[0]);
}

inline const char *row_of(const SgdJob &job, std::int64_t t) {
    return static_cast<const char *>(job.X) + job.order[t] * job.row_stride;
}

// `width` bytes as whole numbers in float32. (__builtin_convertvector does it too, one by one in GCC 12.)
inline Vec from_bytes(const char *bytes) {
#if defined(__AVX512F__)
    return (Vec)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes))));
#elif defined(__AVX2__)
    return (Vec)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(bytes))));
#elif defined(__SSE2__)
    std::int32_t four;
    std::memcpy(&four, bytes, sizeof four);
    const __m128i none = _mm_setzero_si128();
    return (Vec)_mm_cvtepi32_ps(_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(four), none), none));
#else
    Byte x;
    std::memcpy(&x, bytes, sizeof x);
    return __builtin_convertvector(__builtin_convertvector(x, Int), Vec);
#endif
}

// byte / 255, correctly rounded, in two multiplications and an addition: 1/255 = h + l with h of 16 bits, so that
// byte * h is exact. A test walks through all 256 bytes.
inline Vec unit(Vec byte) { return byte * 0x1.01p-8f + byte * 0x1.010102p-24f; }

// Float rows go to the second-level cache: asking for them as far as the first takes twice as long from memory (Zen 4).
// Bytes, a quarter as much, are better asked for all the way (2 %).
template <bool bytes>
inline void fetch(const char *line) {
    __builtin_prefetch(line, 0, bytes ? 3 : 2);
}

inline Vec from_anywhere(const void *p) {
    Vec x;
    std::memcpy(&x, p, sizeof x);
    return x;
}
inline void put(float *p, Vec x) { *reinterpret_cast<Vec *>(p) = x; }

// A row in use. Floats are read where they lie, whole blocks of 32 of them; bytes go into the buffer as they are read for
// the first time. What does not fill a block lies at `rest`, with zeros behind it.
struct Row {
    const char *source;
    float *buffer, *rest;
};

template <bool bytes>
inline Row row_at(const char *source, std::int64_t d, float *buffer) {
    const std::int64_t whole = d / lanes * lanes, left = d - whole;
    const char *p = source + whole * (bytes ? 1 : sizeof(float));
    float *rest = buffer + whole;
    std::int64_t j = 0;
    if constexpr (bytes) {
        for (; j + width <= left; j += width) put(rest + j, unit(from_bytes(p + j)));
        if (j < left) {
            char last[width] = {};
            std::memcpy(last, p + j, left - j);
            put(rest + j, unit(from_bytes(last)));
        }
    } else {
        for (; j + width <= left; j += width) put(rest + j, from_anywhere(p + j * sizeof(float)));
        for (; j < left; j++) std::memcpy(rest + j, p + j * sizeof(float), sizeof(float));
    }
    return {source, buffer, rest};
}

// `width` numbers of a whole block: of a row that was read before, and of one that is read for the first time.
template <bool bytes>
inline Vec known(Row row, std::int64_t j) {
    if constexpr (bytes) return from_anywhere(row.buffer + j);
    else return from_anywhere(row.source + j * sizeof(float));
}
template <bool bytes>
inline Vec taken(Row row, std::int64_t j) {
    if constexpr (!bytes) return known<bytes>(row, j);
    const Vec x = unit(from_bytes(row.source + j));
    put(row.buffer + j, x);
    return x;
}

template <bool bytes>
inline float dot(const float *w, std::int64_t d, Row x) {
    Vec acc[parts] = {};
    const std::int64_t whole = d / lanes * lanes;
    for (std::int64_t j = 0; j < whole; j += lanes)
        for (int i = 0, k = 0; i < parts; i++, k += width) acc[i] = acc[i] + from_anywhere(w + j + k) * taken<bytes>(x, j + k);
    if (whole < d)
        for (int i = 0, k = 0; i < parts; i++, k += width) acc[i] = acc[i] + from_anywhere(w + whole + k) * from_anywhere(x.rest + k);
    return fold(acc);
}

// w <- shrink w - step x, and the dot product of the new w with the next row. `later` is a row to come.
template <bool bytes, bool shrinks>
inline float update_and_dot(float *w, std::int64_t d, float shrink, float step, Row x, Row next, const char *later) {
    Vec acc[parts] = {};
    const Vec steps = all(step), shrinks_by = all(shrink);
    const auto add = [&](std::int64_t j, int i, Vec old, Vec value) __attribute__((always_inline)) {
        Vec weight = from_anywhere(w + j);
        if constexpr (shrinks) weight = shrinks_by * weight;
        weight = weight - steps * old;
        put(w + j, weight);
        acc[i] = acc[i] + weight * value;
    };
    const std::int64_t whole = d / lanes * lanes;
    for (std::int64_t j = 0; j < whole; j += lanes) {
        fetch<bytes>(later + j * (bytes ? 1 : sizeof(float)));
        if constexpr (!bytes) fetch<bytes>(later + j * sizeof(float) + 64);
#pragma GCC unroll 8
        for (int i = 0; i < parts; i++) add(j + i * width, i, known<bytes>(x, j + i * width), taken<bytes>(next, j + i * width));
    }
    if (whole == d) return fold(acc);
    fetch<bytes>(later + whole * (bytes ? 1 : sizeof(float)));
#pragma GCC unroll 8
    for (int i = 0; i < parts; i++)
        add(whole + i * width, i, from_anywhere(x.rest + i * width), from_anywhere(next.rest + i * width));
    return fold(acc);
}

inline bool is_finite(float x) { return x - x == 0; }

constexpr std::int64_t ahead = 6;  // rows

template <MarginLoss loss, bool bytes, bool shrinks>
std::int64_t steps(const SgdJob &job, std::int64_t begin, std::int64_t end) {
    // copied: a store to w could change the job, for all the compiler knows
    const std::int64_t d = job.d;
    float *const w = job.w, *buffer = job.rows, *other = job.rows + job.padded;
    Row x = row_at<bytes>(row_of(job, begin), d, buffer);
    float z = dot<bytes>(w, d, x);
    for (std::int64_t t = begin; t < end; t++) {
        if (!is_finite(z)) return t;
        if (job.scores) job.scores[t] = z;
        const float y = job.labels[job.order[t]];
        const double eta = rate(job, t);
        const float step = static_cast<float>(eta) * y * derivative(loss, y * z);
        const float shrink = static_cast<float>(1 - eta * job.weight_decay);
        const Row next = t + 1 < end ? row_at<bytes>(row_of(job, t + 1), d, other) : x;  // after the last step, z is not used
        z = update_and_dot<bytes, shrinks>(w, d, shrink, step, x, next, row_of(job, t + ahead < end ? t + ahead : t));
        x = next;
        float *used = buffer;
        buffer = other;
        other = used;
    }
    return all_finite;
}

template <MarginLoss loss>
std::int64_t steps(const SgdJob &job, std::int64_t begin, std::int64_t end) {
    const bool shrinks = job.weight_decay != 0;
    if (job.bytes) return shrinks ? steps<loss, true, true>(job, begin, end) : steps<loss, true, false>(job, begin, end);
    return shrinks ? steps<loss, false, true>(job, begin, end) : steps<loss, false, false>(job, begin, end);
}

// The sum of the rows in the order of the visits: nothing but the reading, with the same prefetching.
float read(const SgdJob &job, std::int64_t steps) {
    Vec acc[4] = {};
    for (std::int64_t t = 0; t < steps; t++) {
        const char *row = row_of(job, t), *later = row_of(job, t + ahead < steps ? t + ahead : t);
        for (std::int64_t j = 0; j + 2 * lanes <= job.d; j += 2 * lanes) {
            for (int line = 0; line < 4; line++) fetch<false>(later + j * sizeof(float) + 64 * line);
#pragma GCC unroll 16
            for (int i = 0; i < 2 * parts; i++) {
                Vec x;
                std::memcpy(&x, row + (j + i * width) * sizeof(float), sizeof x);
                acc[i % 4] = acc[i % 4] + x;
            }
        }
    }
    return fold_lanes<Vec>((acc[0] + acc[1]) + (acc[2] + acc[3]));
}

}  // namespace

float sgd_read(const SgdJob &job, std::int64_t steps) { return read(job, steps); }

std::int64_t sgd_steps(const SgdJob &job, std::int64_t begin, std::int64_t end) {
    if (begin >= end) return all_finite;
    switch (job.loss) {
    case MarginLoss::logistic: return steps<MarginLoss::logistic>(job, begin, end);
    case MarginLoss::sum_of_squares: return steps<MarginLoss::sum_of_squares>(job, begin, end);
    case MarginLoss::hinge: return steps<MarginLoss::hinge>(job, begin, end);
    case MarginLoss::squared_hinge: return steps<MarginLoss::squared_hinge>(job, begin, end);
    case MarginLoss::exponential: return steps<MarginLoss::exponential>(job, begin, end);
    }
    return all_finite;
}

void sgd_derivative(MarginLoss loss, const float *margins, float *out, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i++) out[i] = derivative(loss, margins[i]);
}

}  // namespace mathdnn::ISA
