// The SGD kernel at many sizes, to be built with sanitizers: memory of exactly the size it may touch, in two pieces.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "sgd.hpp"

using namespace mathdnn;

namespace {

struct Memory {  // exactly `count` floats, aligned as the kernel asks; beyond them lies the sanitizer's red zone
    explicit Memory(std::size_t count) : at(static_cast<float *>(std::aligned_alloc(64, (count * 4 + 63) / 64 * 64))) {
        std::memset(static_cast<void *>(at), 0, count * sizeof(float));
    }
    ~Memory() { std::free(at); }
    float *at;
};

void run(std::int64_t n, std::int64_t d, bool bytes, int loss, int decay) {
    const std::int64_t item = bytes ? 1 : 4, steps = 3 * n, padded = (d + lanes - 1) / lanes * lanes;
    std::vector<unsigned char> X(n * d * item);
    for (std::int64_t i = 0; i < n * d; i++) {
        const float value = static_cast<float>(i * 37 % 256) / 255;
        if (bytes)
            X[i] = static_cast<unsigned char>(i * 37);
        else
            std::memcpy(&X[i * 4], &value, 4);
    }
    std::vector<std::int64_t> order(steps);
    std::vector<float> labels(n), scores(steps);
    for (std::int64_t t = 0; t < steps; t++) order[t] = t % n, labels[t % n] = t % 2 ? 1 : -1;
    Memory w(padded), rows(2 * padded);
    const SgdJob job{X.data(), bytes, d * item, d, padded, order.data(), labels.data(), static_cast<MarginLoss>(loss),
                     static_cast<Decay>(decay), 1e-3, decay == 1 ? 0.1 : 0.0, 0, w.at, rows.at, decay ? scores.data() : nullptr};
    ISA::sgd_steps(job, 0, steps / 2);
    ISA::sgd_steps(job, steps / 2, steps);
}

}  // namespace

int main() {
    for (const std::int64_t d : {0, 1, 3, 15, 16, 17, 31, 32, 33, 64, 65, 100, 784})
        for (const std::int64_t n : {1, 2, 7})
            for (int loss = 0; loss < 5; loss++)
                for (int decay = 0; decay < 3; decay++)
                    for (const bool bytes : {false, true}) run(n, d, bytes, loss, decay);
    std::puts("done");
}
