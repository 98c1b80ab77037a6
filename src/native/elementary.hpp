// tanh, exp, log and the logistic function, of our own: branch-free, the same bits on every processor with fused
// multiply-add, and nondecreasing over all float32 (`scan` in bind_engine.cpp checks all of them, and the error).
//
//   tanh |x| = T + r h / (1 + T h)     two intervals an octave from 3/32 to 9.5, beyond it the value at 9.5; c is their
//                                      center, T = tanh c, r = 1 - T^2, t = |x| - c (exact: Sterbenz), h = tanh t =
//            = h below 3/32            t + t^3 p(t^2). c is a float for which T and r are nearly floats (Gal 1986)
//   e^x      = 2^k (1 + (r + r^2 s(r))),  r = x - k ln 2, |r| <= 0.3475
//   ln x     = k ln 2 + (f + f^2 s(f)),   f = m - 1,  x = 2^k m,  m in [sqrt 1/2, sqrt 2)
//
// Why nondecreasing: every last operation is a rounded sum of a large exact term and a small one. The small one carries
// a rounding of at most |small| 2^-23 (tanh: of 2^-22, in four operations, and |t| <= |x| / 5), less than what it grows
// from one float to the next; rounding is nondecreasing. tanh below 3/32 is such a sum itself, t + t^3 p.
// Polynomials: minimax, coefficients rounded. tests/oracles/elementary_fit.py makes the numbers of tanh, and tells what
// those of exp and log leave: less than a tenth of a unit of the last place.
#pragma once
#include "vector.hpp"

namespace mathdnn::ISA {

// Place: the lowest three bits of the exponent and the first of the fraction, so the interval from 1/16 on has place 6.
alignas(64) constexpr float tanh_center[16] = {
    0x1.3fef78p+1f, 0x1.c00294p+1f, 0x1.3ffc3cp+2f, 0x1.bfe89p+2f,
    0x1.154246p+3f, 0x1.154246p+3f, 0x0p+0f, 0x1.c006a6p-4f,
    0x1.3ffc0cp-3f, 0x1.bffda6p-3f, 0x1.40162ap-2f, 0x1.c014aep-2f,
    0x1.3ff292p-1f, 0x1.c0081p-1f, 0x1.3fed1ep+0f, 0x1.bfec0ap+0f,
};
alignas(64) constexpr float tanh_value[16] = {
    0x1.f923cp-1f, 0x1.ff1136p-1f, 0x1.fff418p-1f, 0x1.ffffc8p-1f,
    0x1.fffffep-1f, 0x1.fffffep-1f, 0x0p+0f, 0x1.be3f6ap-4f,
    0x1.3d67ecp-3f, 0x1.b8fac6p-3f, 0x1.360dacp-2f, 0x1.a583ccp-2f,
    0x1.1beb32p-1f, 0x1.686a62p-1f, 0x1.b247a4p-1f, 0x1.e1f76ep-1f,
};

MATHDNN_INLINE F tanh(F x) {
    const F a = at_most(9.5f, floats(bits(x) & whole(INT32_MAX)));  // tanh 9.5 rounds to 1; NaN stays
    const I k = bits(at_least(0.0625f, a)) >> 22;
    const F T = look_up(tanh_value, k), t = a - look_up(tanh_center, k), s = t * t;
    F p = fma(s, splat(-0x1.01061p-8f), splat(0x1.328a9ep-6f));
    p = fma(s, p, splat(-0x1.b31824p-5f));
    p = fma(s, p, splat(0x1.10e44p-3f));
    p = fma(s, p, splat(-0x1.5554e2p-2f));
    const F h = fma(t * s, p, t), r = fma(-T, T, splat(1.0f));
    const F y = T + r * h / fma(T, h, splat(1.0f));
    return floats(bits(y) | (bits(x) & whole(INT32_MIN)));
}

MATHDNN_INLINE F exp(F x) {
    x = select((I)(x < splat(-104.0f)), splat(-104.0f), x);  // below 2^-150: rounds to 0
    x = select((I)(x > splat(89.0f)), splat(89.0f), x);      // overflows
    const F magic = splat(0x1.8p23f);                        // adding it rounds to a whole number
    const F n = x * splat(0x1.715476p0f) + magic;
    const F k = n - magic;
    F r = fma(k, splat(-0x1.62e4p-1f), x);  // exact: 15 bits times 8 bits
    r = fma(k, splat(-0x1.7f7d1cp-20f), r);
    F s = fma(r, splat(0x1.6db64ap-10f), splat(0x1.123cep-7f));
    s = fma(r, s, splat(0x1.55545cp-5f));
    s = fma(r, s, splat(0x1.55548cp-3f));
    s = fma(r, s, splat(0.5f));
    const F p = splat(1.0f) + fma(r * r, s, r);
    const I e = bits(n) - bits(magic), half = e >> 1;
    const F low = floats((half + whole(127)) << 23), high = floats((e - half + whole(127)) << 23);
    return p * low * high;  // 2^k in two factors: a subnormal result is rounded once
}

MATHDNN_INLINE F log(F x) {
    const I tiny = (I)(x < splat(0x1p-126f));
    const F scaled = select(tiny, x * splat(0x1p23f), x);
    const I shifted = wrapping_difference(bits(scaled), whole(0x3f3504f3));  // sqrt 1/2; wraps for negative x, a NaN below
    const F k = __builtin_convertvector((shifted >> 23) - (tiny & whole(23)), F);
    const F f = floats((shifted & whole(0x7fffff)) + whole(0x3f3504f3)) - splat(1.0f);
    F s = fma(f, splat(-0x1.38242p-4f), splat(0x1.0848cp-3f));
    s = fma(f, s, splat(-0x1.0f39a4p-3f));
    s = fma(f, s, splat(0x1.22719p-3f));
    s = fma(f, s, splat(-0x1.54272ap-3f));
    s = fma(f, s, splat(0x1.99a3f4p-3f));
    s = fma(f, s, splat(-0x1.000428p-2f));
    s = fma(f, s, splat(0x1.55555p-2f));
    s = fma(f, s, splat(-0x1.fffff8p-2f));
    const F small = fma(k, splat(0x1.7f7d1cp-20f), fma(f * f, s, f));
    F y = fma(k, splat(0x1.62e4p-1f), small);
    y = select((I)(x == splat(__builtin_inff())), x, y);
    y = select((I)(x == splat(0.0f)), splat(-__builtin_inff()), y);
    return select((I)(x >= splat(0.0f)), y, splat(__builtin_nanf("")));
}

// 1 / (1 + e^-x); far below zero e^x, which differs by a factor 1 + e^-80 and has subnormal values
MATHDNN_INLINE F logistic(F x) {
    return select((I)(x < splat(-80.0f)), exp(x), splat(1.0f) / (splat(1.0f) + exp(-x)));
}

}  // namespace mathdnn::ISA
