// A network as the engine runs it: buffers, operations between them, and what comes in. Planned and validated in Python
// (mathdnn/native/network.py).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"

namespace mathdnn {

struct Buffer {
    int maps, rows, columns, pad_rows, pad_columns;
    Activate activate;
    std::int64_t offset = 0;  // positions from the start of the arena
    Plane plane() const {
        const std::int64_t pitch = columns + 2 * pad_columns;
        return {rows, columns, pitch, pitch * (rows + 2 * pad_rows)};
    }
    std::int64_t positions() const { return plane().map * maps; }
    std::int64_t inside() const { return pad_rows * plane().pitch + pad_columns; }
};

enum class Kind : int { convolution, dense, average, maximum, subsample, copy, pad, distance };

struct Operation {
    Kind kind;
    int in, out;                    // buffers
    std::int64_t weight, bias;      // floats from the start of the parameters
    Convolution convolution;
    bool bias_summed = false;       // by the pooling after it
    std::vector<std::int32_t> begin, map, back_begin, back_edge, back_map;
    Window window;
    std::int64_t sums = 0;          // positions from the start of the lane sums
    Dense dense;
    std::vector<float> constants;   // pad: what fills the border; distance: the points, (out, in)
};

enum class Loss : int { cross_entropy, squared };
enum class Optimizer : int { sgd, adamw };

struct Program {
    std::vector<Buffer> buffers;
    std::vector<Operation> operations;
    std::int64_t parameters = 0;    // floats, a multiple of 16
    Loss loss = Loss::cross_entropy;
    Optimizer optimizer = Optimizer::sgd;
    float momentum = 0, decay = 0;
    bool nesterov = false;
};

struct Pictures {                   // images (n, maps, rows, columns), bytes or floats
    const std::uint8_t *bytes = nullptr;
    const float *floats = nullptr;
    const float *table = nullptr;   // what the network sees of a byte
    float gain = 1, offset = 0;     // and of a float
    const std::int32_t *label = nullptr;
};

struct Batch {
    const std::int64_t *index;      // image numbers
    const std::int64_t *shifts;     // (n, 2) by image number: down, right; or null
    int count;
};

}  // namespace mathdnn
