// The processor's own vectors behind one name. A kernel is written for blocks of 16 lanes (one lane, one image); a
// narrower instruction set walks over a block in slices. Fused multiply-add is asked for by name and appears nowhere
// else, so that AVX2, AVX-512 and NEON round alike; the x86-64 baseline has none and rounds twice.
//
// Included by sources that are compiled once for each instruction set (ISA names it): nothing of the standard library
// that emits code, since the linker could take the AVX-512 copy of it for everyone.
#pragma once
#include <cstdint>
#include <cstring>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if !defined(MATHDNN_LANES)
#define MATHDNN_LANES 16
#endif
#if defined(__AVX512F__) && MATHDNN_LANES == 16  // half a block fills a vector of 256 bits
#define MATHDNN_512 1
#else
#define MATHDNN_512 0
#endif

#define MATHDNN_INLINE inline __attribute__((always_inline))

namespace mathdnn::ISA {

#if MATHDNN_512
constexpr int vector_bytes = 64, registers = 32;
#elif defined(__AVX__)
#if defined(__AVX512VL__)
constexpr int vector_bytes = 32, registers = 32;
#else
constexpr int vector_bytes = 32, registers = 16;
#endif
#elif defined(__aarch64__)
constexpr int vector_bytes = 16, registers = 32;
#else
constexpr int vector_bytes = 16, registers = 16;
#endif

constexpr int lanes = MATHDNN_LANES;  // images in a block, on every machine; 8 in half a block

template <class T> struct VectorOf;
template <> struct VectorOf<float> {
    typedef float type __attribute__((vector_size(vector_bytes), may_alias));
    typedef std::int32_t whole __attribute__((vector_size(vector_bytes), may_alias));
};
template <> struct VectorOf<double> {
    typedef double type __attribute__((vector_size(vector_bytes), may_alias));
    typedef std::int64_t whole __attribute__((vector_size(vector_bytes), may_alias));
};
template <class T> using V = typename VectorOf<T>::type;
using F = V<float>;
using I = VectorOf<float>::whole;
template <class T> constexpr int width = vector_bytes / sizeof(T);

template <class T> MATHDNN_INLINE V<T> load(const T *p) { return *reinterpret_cast<const V<T> *>(p); }
template <class T> MATHDNN_INLINE void store(T *p, V<T> v) { *reinterpret_cast<V<T> *>(p) = v; }

// A loaded vector stays in its register, and an address: what follows is not made a part of its uses, nor each offset from
// the address an address of its own (those end on the stack).
template <class V1> MATHDNN_INLINE V1 held(V1 v) {
#if defined(__AVX__)
    asm("" : "+v"(v));
#endif
    return v;
}
template <class T> MATHDNN_INLINE const T *held(const T *p) {
    asm("" : "+r"(p));
    return p;
}

MATHDNN_INLINE F splat(float x) {
#if MATHDNN_512
    return (F)_mm512_set1_ps(x);
#elif defined(__AVX__)
    return (F)_mm256_set1_ps(x);
#else
    return F{x, x, x, x};
#endif
}
MATHDNN_INLINE V<double> splat(double x) {
#if MATHDNN_512
    return (V<double>)_mm512_set1_pd(x);
#elif defined(__AVX__)
    return (V<double>)_mm256_set1_pd(x);
#else
    return V<double>{x, x};
#endif
}

MATHDNN_INLINE F fma(F a, F b, F c) {
#if MATHDNN_512
    return (F)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
    return (F)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (F)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}
MATHDNN_INLINE V<double> fma(V<double> a, V<double> b, V<double> c) {
#if MATHDNN_512
    return (V<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
    return (V<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
    return (V<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

MATHDNN_INLINE F root(F x) {
#if MATHDNN_512
    return (F)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX__)
    return (F)_mm256_sqrt_ps((__m256)x);
#else
    F y;
    for (int i = 0; i < width<float>; i++) y[i] = __builtin_sqrtf(x[i]);
    return y;
#endif
}

// x where it is below the limit, else the limit; NaN stays.
MATHDNN_INLINE F at_most(float limit, F x) {
#if MATHDNN_512
    return (F)_mm512_min_ps((__m512)splat(limit), (__m512)x);  // of a NaN and a number the second operand
#elif defined(__AVX__)
    return (F)_mm256_min_ps((__m256)splat(limit), (__m256)x);
#elif defined(__x86_64__)
    return (F)_mm_min_ps((__m128)splat(limit), (__m128)x);
#else
    return x > splat(limit) ? splat(limit) : x;
#endif
}

// x where it is above the limit, else the limit.
MATHDNN_INLINE F at_least(float limit, F x) {
#if MATHDNN_512
    return (F)_mm512_max_ps((__m512)splat(limit), (__m512)x);
#elif defined(__AVX__)
    return (F)_mm256_max_ps((__m256)splat(limit), (__m256)x);
#elif defined(__x86_64__)
    return (F)_mm_max_ps((__m128)splat(limit), (__m128)x);
#else
    return x < splat(limit) ? splat(limit) : x;
#endif
}

// Entry idx mod 16 of a table, lane by lane.
MATHDNN_INLINE F look_up(const float *table, I idx) {
#if MATHDNN_512
    return (F)_mm512_permutexvar_ps((__m512i)idx, _mm512_load_ps(table));
#elif defined(__AVX2__)
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(table), (__m256i)idx);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_load_ps(table + 8), (__m256i)idx);
    return (F)_mm256_blendv_ps(low, high, (__m256)(idx << 28));  // by the fourth bit, moved to the sign's place
#else
    F y;
    for (int i = 0; i < width<float>; i++) y[i] = table[idx[i] & 15];
    return y;
#endif
}

template <class V1> MATHDNN_INLINE I bits(V1 x) { return (I)x; }
MATHDNN_INLINE F floats(I x) { return (F)x; }
MATHDNN_INLINE I whole(std::int32_t x) { return I{} + x; }
MATHDNN_INLINE I wrapping_difference(I x, I y) {
    typedef std::uint32_t U __attribute__((vector_size(vector_bytes), may_alias));
    return (I)((U)x - (U)y);
}
// mask is all ones or all zeros in each lane
MATHDNN_INLINE F select(I mask, F yes, F no) { return floats((mask & bits(yes)) | (~mask & bits(no))); }
template <class T> MATHDNN_INLINE V<T> choose(typename VectorOf<T>::whole mask, V<T> yes, V<T> no) {
    typedef typename VectorOf<T>::whole W;
    return (V<T>)((mask & (W)yes) | (~mask & (W)no));
}

// f(0), f(1), ... f(N - 1) with the number known to the compiler, so that arrays stay in registers.
template <int N, class Body> MATHDNN_INLINE void unroll(Body body) {
    [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
        (body(std::integral_constant<int, i>{}), ...);
    }(std::make_integer_sequence<int, N>{});
}
#define MATHDNN_EACH(name) [&](auto name) __attribute__((always_inline))

}  // namespace mathdnn::ISA
