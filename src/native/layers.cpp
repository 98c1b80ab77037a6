// Activations, and images turned into lanes (kernels.hpp).
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

void copy_back(const float *dy, float *x, Activate f, std::int64_t positions) {
    each(positions * lanes, [&](std::int64_t i) { store(x + i, derived(f, load(x + i), load(dy + i))); });
}

void elementary(Elementary which, const float *x, float *y, std::int64_t floats) {
    switch (which) {
    case Elementary::tanh: return each(floats, [&](std::int64_t i) { store(y + i, tanh(load(x + i))); });
    case Elementary::exp: return each(floats, [&](std::int64_t i) { store(y + i, exp(load(x + i))); });
    case Elementary::log: return each(floats, [&](std::int64_t i) { store(y + i, log(load(x + i))); });
    case Elementary::logistic: return each(floats, [&](std::int64_t i) { store(y + i, logistic(load(x + i))); });
    }
}

// ---- images in

typedef std::uint8_t Bytes __attribute__((vector_size(16)));

// A square of 16 pixels and 16 images (or 8, and nothing) is turned around in four rounds of pairing rows r and r + 8.
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
        for (int n = 0; n < 16; n++) rows[n] = Bytes{};
        for (int n = 0; n < lanes; n++) std::memcpy(&rows[n], images[n] + p, 16);
        turn(rows);
        for (int r = 0; r < 16; r++) std::memcpy(out + (p + r) * lanes, &rows[r], lanes);
    }
    for (; p < count; p++)
        for (int n = 0; n < lanes; n++) out[p * lanes + n] = images[n][p];
}

void expand(const std::uint8_t *bytes, const float *table, float *out, std::int64_t positions) {
#if MATHDNN_512
    const F background = splat(table[0]);
#endif
    for (std::int64_t i = 0; i < positions * lanes; i += lanes) {
#if MATHDNN_512
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

}  // namespace

const LayerKernels layers = {activate, copy_back, interleave, expand, elementary};

}  // namespace mathdnn::ISA
