// The training engine: a sequential network, trained and run in blocks of 16 images on several threads.
//
// A block's activations lie in one arena that fits a core's second-level cache; going backwards, the derivatives take the
// place of the activations they belong to. A batch is cut into pieces of whole blocks, by its size alone. Each piece sums
// its own gradient, and the pieces are added in their order: the number of threads changes nothing. Pieces that do not
// share out evenly are computed by all threads together, layer by layer, each on its own maps.
//
// Everything is validated in Python (mathdnn/native/engine.py) before a pointer is taken.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kernels.hpp"

namespace mathdnn {

constexpr int block = 16;  // images

struct Free {
    void operator()(void *memory) const;
};
template <class T> using Aligned = std::unique_ptr<T[], Free>;
template <class T> Aligned<T> aligned(std::size_t count);  // zeroed, on 64 bytes

struct Buffer {
    int maps, rows, columns, pad_rows, pad_columns;
    Activate activate;
    std::int64_t offset = 0;  // positions from the start of the arena
    Plane plane() const;
    std::int64_t positions() const;
    std::int64_t inside() const { return pad_rows * plane().pitch + pad_columns; }
};

enum class Kind : int { convolution, dense, average, maximum, subsample, copy };

struct Operation {
    Kind kind;
    int in, out;                    // buffers
    std::int64_t weight, bias;      // floats from the start of the parameters
    Convolution convolution;
    std::vector<std::int32_t> begin, map, back_begin, back_edge, back_map;
    Window window;
    std::int64_t sums = 0;          // positions from the start of the lane sums
    Dense dense;
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

// Threads that wait for each other; the first is the caller.
class Team {
  public:
    explicit Team(int size);
    ~Team();
    int size() const { return size_; }
    void run(const std::function<void(int)> &work);  // work(rank) on every thread
    void meet();                                     // all ranks, inside `run`

  private:
    void serve(int rank);
    const int size_;
    const std::function<void(int)> *work_ = nullptr;
    std::atomic<std::uint32_t> call_{0}, arrived_{0}, generation_{0};
    std::atomic<bool> end_{false};
    std::vector<std::thread> threads_;
};

// Whether several threads are worth it is measured, since other programs may hold the cores: then threads wait for
// each other. Now and then the slower way is tried again, rarer as long as it stays slower. No bit depends on it.
class Pace {
  public:
    struct Stretch {
        bool together;
        std::int64_t steps;
    };
    Stretch next() const;
    void took(Stretch, double seconds);

  private:
    double seconds_[2] = {-1, -1};  // a step: alone, together
    std::int64_t since_ = 0, wait_ = 64;
};

class Engine {
  public:
    Engine(Program, int threads, const std::string &set);
    ~Engine();
    float *parameters() { return parameters_.get(); }
    float *first() { return first_.get(); }          // momentum, or Adam's first moment
    float *second() { return second_.get(); }
    const Program &program() const { return program_; }
    // Steps over `batches`, one step size each; `stop` is asked after each step by the calling thread.
    // `done` counts the steps of the run before these. Returns the steps done and adds to `loss`.
    std::int64_t train(const Pictures &, const std::vector<Batch> &, const double *rates, std::int64_t done, double &loss,
                       const std::function<bool()> &stop);
    // The gradient of one batch, without a step; the loss is returned.
    double gradient(const Pictures &, const Batch &, float *out);
    // Outputs (n, classes), losses (n) and largest classes (n), each where not null.
    void run(const Pictures &, std::int64_t images, float *outputs, float *losses, std::int32_t *best);

  private:
    struct Workspace;
    struct Piece {
        int first, blocks;
    };
    void piece(Team &, Workspace &, Workspace &own, const Pictures &, const Batch &, Piece, int number, int rank, int team);
    void fill(Workspace &, const Pictures &, const Batch &, int at);
    void fill_floats(Workspace &, const Pictures &, const Batch &, int at);
    void forward(Team &, Workspace &, int rank, int team);
    void backward(Team &, Workspace &, Workspace &own, float *gradient, int images, bool fresh, int rank, int team);
    void forward_map(Workspace &, std::size_t operation, int map);
    void back_map(Workspace &, Workspace &own, std::size_t operation, int map, bool fresh);
    void judge(Workspace &, const Pictures &, const Batch &, int at, float scale, bool gradient);
    void fold(Workspace &, float *gradient, int rank, int team);
    void pieces_of(int count, std::vector<Piece> &) const;
    void gradients(Team &, const Pictures &, const Batch &, int rank);
    void update(const Step &, int rank, int team);
    std::int64_t steps(Team &, const Pictures &, const std::vector<Batch> &, std::int64_t first, std::int64_t end,
                       const double *rates, std::int64_t done, double &loss, const std::function<bool()> &stop);
    double batch_loss(int count) const;

    Program program_;
    const ConvolutionKernels<float> *convolution_;
    const LayerKernels *layers_;
    Team team_, alone_{1};
    Pace pace_;
    std::int64_t arena_ = 0, sums_ = 0, scratch_ = 0, transposed_ = 0;
    Aligned<float> parameters_, first_, second_, total_;
    std::vector<std::unique_ptr<Workspace>> workspaces_;
    std::vector<Aligned<float>> pieces_;
    std::vector<Piece> cut_;
    std::vector<float> losses_;
};

const ConvolutionKernels<float> &float_kernels(const std::string &set);
const ConvolutionKernels<double> &double_kernels(const std::string &set);
const LayerKernels &layer_kernels(const std::string &set);

}  // namespace mathdnn
