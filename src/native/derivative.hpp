// f and f' as functions of a = f(x), which is all that is kept of x.
#pragma once
#include "elementary.hpp"
#include "kernels.hpp"

namespace mathdnn::ISA {

// d f'(a).  tanh: 1 - a^2;  relu: 0 where a <= 0 (so 0 at the kink, and NaN passes d on, as torch has it);
// sigmoid: a (1 - a);  A tanh(B x): B (A - a^2 / A)
MATHDNN_INLINE F derived(Activate f, F a, F d) {
    switch (f.kind) {
    case Activation::tanh: return d * fma(-a, a, splat(1.0f));
    case Activation::relu: return select((I)(a <= splat(0.0f)), F{}, d);
    case Activation::sigmoid: return d * (a * (splat(1.0f) - a));
    case Activation::scaled_tanh:
        return d * (splat(f.slope) * fma(-a, a * splat(1.0f / f.amplitude), splat(f.amplitude)));
    default: return d;
    }
}
MATHDNN_INLINE V<double> derived(Activate, V<double>, V<double> d) { return d; }  // no activations in float64

MATHDNN_INLINE F activated(Activate f, F x) {
    switch (f.kind) {
    case Activation::tanh: return tanh(x);
    case Activation::relu: return select((I)(x <= splat(0.0f)), F{}, x);
    case Activation::sigmoid: return logistic(x);
    case Activation::scaled_tanh: return splat(f.amplitude) * tanh(splat(f.slope) * x);
    default: return x;
    }
}

MATHDNN_INLINE V<double> activated(Activate, V<double> x) { return x; }

}  // namespace mathdnn::ISA
