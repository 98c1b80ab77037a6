// tanh, exp, log and the logistic function, of our own: branch-free, the same bits on every processor with fused
// multiply-add, and nondecreasing over all float32 (`scan` in elementary.cpp checks all of them, and the error).
//
//   tanh |x| = c0 + t q(t),  t = |x| - center          four intervals an octave from 5/64 to 10, beyond it the value at 9.5
//                                                      t is exact (Sterbenz); c0 = tanh(center) to 2^-9 of its ulp, since
//            = 0 + t (1 + t^2 p(t^2)) below 5/64       each center is a float chosen for that (Gal 1986)
//   e^x      = 2^k (1 + (r + r^2 s(r))),  r = x - k ln 2, |r| <= 0.3475
//   ln x     = k ln 2 + (f + f^2 s(f)),   f = m - 1,  x = 2^k m,  m in [sqrt 1/2, sqrt 2)
//
// Why nondecreasing: every last operation is a rounded sum of a large exact term and a small one. The small one carries
// a rounding of at most |small| 2^-23, less than what it grows from one float to the next; rounding is nondecreasing.
// tanh below 5/64 is a product: t grows by 2^-24 of itself or more, q falls by one unit, 2^-24, now and then; q t grows.
// Polynomials: minimax by Lawson's iteration at 120 bits (tests/oracles/elementary_fit.py), coefficients rounded.
#pragma once
#include "vector.hpp"

namespace mathdnn::ISA {

alignas(64) constexpr float tanh_center[32] = {
    0x0p+0f, 0x1.5ffee6p-4f, 0x1.9ffde6p-4f, 0x1.e0030ep-4f,
    0x1.200278p-3f, 0x1.5ffecep-3f, 0x1.9fff9ap-3f, 0x1.dfff3p-3f,
    0x1.1ffe3ap-2f, 0x1.600068p-2f, 0x1.9ffd82p-2f, 0x1.e000eap-2f,
    0x1.1ffcecp-1f, 0x1.5ffe5ap-1f, 0x1.9ffd4p-1f, 0x1.e0029ap-1f,
    0x1.1ffeb6p+0f, 0x1.6002bp+0f, 0x1.9fff1p+0f, 0x1.e00076p+0f,
    0x1.1ffe24p+1f, 0x1.60023p+1f, 0x1.9ffd2cp+1f, 0x1.e002cep+1f,
    0x1.203a74p+2f, 0x1.63042p+2f, 0x1.9b9bccp+2f, 0x1.ddc924p+2f,
    0x1.1808fp+3f, 0x1.1808fp+3f, 0x1.1808fp+3f, 0x1.1808fp+3f,
};
alignas(64) constexpr float tanh_c0[32] = {
    0x0p+0f, 0x1.5f21bap-4f, 0x1.9e9142p-4f, 0x1.ddd396p-4f,
    0x1.1e203cp-3f, 0x1.5c91dep-3f, 0x1.9a5ebap-3f, 0x1.d76598p-3f,
    0x1.18a1f6p-2f, 0x1.52c322p-2f, 0x1.8a85c2p-2f, 0x1.bfaf28p-2f,
    0x1.050628p-1f, 0x1.3156dp-1f, 0x1.57877cp-1f, 0x1.77d96cp-1f,
    0x1.9e5bd2p-1f, 0x1.c279dcp-1f, 0x1.d9c6b6p-1f, 0x1.e878b4p-1f,
    0x1.f4bf84p-1f, 0x1.fbd52ep-1f, 0x1.fe7668p-1f, 0x1.ff6f1ep-1f,
    0x1.ffdfe2p-1f, 0x1.fffc04p-1f, 0x1.ffff52p-1f, 0x1.ffffeap-1f,
    0x1.fffffep-1f, 0x1.fffffep-1f, 0x1.fffffep-1f, 0x1.fffffep-1f,
};
alignas(64) constexpr float tanh_c1[32] = {
    0x1p+0f, 0x1.fc3cc4p-1f, 0x1.fac14cp-1f, 0x1.f90844p-1f,
    0x1.f601ap-1f, 0x1.f12b18p-1f, 0x1.eb7164p-1f, 0x1.e4dfc8p-1f,
    0x1.d98baap-1f, 0x1.c7f704p-1f, 0x1.b4p-1f, 0x1.9e235cp-1f,
    0x1.7aed3ap-1f, 0x1.49e804p-1f, 0x1.1981d6p-1f, 0x1.d8314cp-2f,
    0x1.6152e4p-2f, 0x1.ce9eb8p-3f, 0x1.266032p-3f, 0x1.6fce64p-4f,
    0x1.641aa6p-5f, 0x1.099ea8p-6f, 0x1.8900cp-8f, 0x1.219b08p-9f,
    0x1.00ea68p-11f, 0x1.fe123ep-15f, 0x1.5bf51ap-17f, 0x1.5ff8c2p-20f,
    0x1.b186aap-24f, 0x1.b186aap-24f, 0x1.b186aap-24f, 0x1.b186aap-24f,
};
alignas(64) constexpr float tanh_c2[32] = {
    0x0p+0f, -0x1.5c8cdep-4f, -0x1.9a51f6p-4f, -0x1.d7524ap-4f,
    -0x1.188a8ep-3f, -0x1.52790ep-3f, -0x1.89e4dp-3f, -0x1.be6ca6p-3f,
    -0x1.038e2ap-2f, -0x1.2dafd6p-2f, -0x1.4ff5eep-2f, -0x1.6a1d94p-2f,
    -0x1.825ce6p-2f, -0x1.897d44p-2f, -0x1.79c1f8p-2f, -0x1.5aa0a4p-2f,
    -0x1.1df1e4p-2f, -0x1.970838p-3f, -0x1.106658p-3f, -0x1.5ee78p-4f,
    -0x1.5c44b2p-5f, -0x1.077158p-6f, -0x1.87cbc6p-8f, -0x1.2143acp-9f,
    -0x1.0087aap-11f, -0x1.fd6ea8p-15f, -0x1.5bb07cp-17f, -0x1.5f88fp-20f,
    0x1.93f4a2p-27f, 0x1.93f4a2p-27f, 0x1.93f4a2p-27f, 0x1.93f4a2p-27f,
};
alignas(64) constexpr float tanh_c3[32] = {
    -0x1.555544p-2f, -0x1.4b5aep-2f, -0x1.47744cp-2f, -0x1.42f13ep-2f,
    -0x1.3b12dep-2f, -0x1.2ea43cp-2f, -0x1.202a4cp-2f, -0x1.0fdf3ap-2f,
    -0x1.e92106p-3f, -0x1.9857f6p-3f, -0x1.427556p-3f, -0x1.d71cf4p-4f,
    -0x1.bd29eap-5f, 0x1.d73a7p-7f, 0x1.0725e6p-4f, 0x1.84383ap-4f,
    0x1.c68d56p-4f, 0x1.97d4a4p-4f, 0x1.33e0c6p-4f, 0x1.a85bp-5f,
    0x1.bbda7cp-6f, 0x1.59884cp-7f, 0x1.03a0f8p-8f, 0x1.80d4eap-10f,
    0x1.55bbbp-12f, 0x1.51e82cp-15f, 0x1.d21e06p-18f, 0x1.d63d24p-21f,
    0x1.04fe44p-25f, 0x1.04fe44p-25f, 0x1.04fe44p-25f, 0x1.04fe44p-25f,
};
alignas(64) constexpr float tanh_c4[32] = {
    0x0p+0f, 0x1.a879fap-5f, 0x1.06716ep-4f, 0x1.0c81dap-4f,
    0x1.6c6cbap-4f, 0x1.b39552p-4f, 0x1.f066dcp-4f, 0x1.1b15f8p-3f,
    0x1.32d3b8p-3f, 0x1.4fffe6p-3f, 0x1.5c4aacp-3f, 0x1.5889ccp-3f,
    0x1.39e41p-3f, 0x1.e9370ap-4f, 0x1.475adap-4f, 0x1.62fee4p-5f,
    0x1.e12fd8p-9f, -0x1.59f3d8p-6f, -0x1.9bb416p-6f, -0x1.559a1cp-6f,
    -0x1.95e208p-7f, -0x1.514cd4p-8f, -0x1.034836p-9f, -0x1.838094p-11f,
    -0x1.660a32p-13f, -0x1.629a7p-16f, -0x1.e1ff22p-19f, -0x1.eb3fdap-22f,
    -0x1.bacdf4p-23f, -0x1.bacdf4p-23f, -0x1.bacdf4p-23f, -0x1.bacdf4p-23f,
};
alignas(64) constexpr float tanh_c5[32] = {
    0x1.1064bep-3f, 0x1.00c514p-3f, 0x1.f43d14p-4f, 0x1.dda15cp-4f,
    0x1.caa84p-4f, 0x1.a23f48p-4f, 0x1.749decp-4f, 0x1.421fb2p-4f,
    0x1.e3d258p-5f, 0x1.05c892p-5f, 0x1.840e94p-8f, -0x1.19302ap-6f,
    -0x1.63fd16p-5f, -0x1.f8e98p-5f, -0x1.00cca2p-4f, -0x1.b2aa16p-5f,
    -0x1.06836ap-5f, -0x1.382ap-7f, 0x1.6bad1cp-10f, 0x1.2d4e86p-8f,
    0x1.048cdep-8f, 0x1.f63efcp-10f, 0x1.944d2ep-11f, 0x1.3327p-12f,
    0x1.1fa4d6p-14f, 0x1.38bdc2p-17f, 0x1.52c2f2p-20f, 0x1.6f042p-23f,
    0x1.e7bc06p-24f, 0x1.e7bc06p-24f, 0x1.e7bc06p-24f, 0x1.e7bc06p-24f,
};

MATHDNN_INLINE F tanh(F x) {
    const F a = at_most(9.5f, floats(bits(x) & whole(INT32_MAX)));  // tanh 9.5 rounds to 1; NaN stays
    I k = (bits(a) >> 21) - whole((127 - 4) << 2);
    k = k > 0 ? k : I{};
    const F t = a - look_up(tanh_center, k);
    F q = fma(t, look_up(tanh_c5, k), look_up(tanh_c4, k));
    q = fma(t, q, look_up(tanh_c3, k));
    q = fma(t, q, look_up(tanh_c2, k));
    q = fma(t, q, look_up(tanh_c1, k));
    q = fma(t, q, look_up(tanh_c0, k));
    return floats(bits(q) | (bits(x) & whole(INT32_MIN)));
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
