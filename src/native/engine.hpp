// The training engine: a sequential network, trained and run in blocks of 16 images on several threads. The last 8 images
// of a batch or fewer may be half a block, with kernels whose vectors hold 8.
//
// A block's activations lie in one arena that fits a core's second-level cache; going backwards, the derivatives take the
// place of the activations they belong to. A batch is cut into pieces of whole blocks, by its size alone. Each piece sums
// its own gradient, and the pieces are added in their order: the number of threads changes nothing. Pieces that do not
// share out evenly are computed by all threads together, layer by layer, each on its own maps.
//
// Everything is validated in Python (mathdnn/native/engine.py) before a pointer is taken.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "program.hpp"
#include "team.hpp"

namespace mathdnn {

// The share of `rank` among `team` in 0 .. count - 1.
struct Share {
    int first, end;
    Share(int count, int rank, int team)
        : first(static_cast<int>(static_cast<std::int64_t>(count) * rank / team)),
          end(static_cast<int>(static_cast<std::int64_t>(count) * (rank + 1) / team)) {}
};

// Whether 8 images or fewer at the end of a batch are computed as half a block: the same bits, and up to half the time
// where a vector of 8 floats takes half the time of one of 16.
enum class Halves : int { never, always, measured };

// beta^t of AdamW's two averages, multiplied step by step: the C library's power differs from one machine to the next.
struct Powers {
    double first = 1, second = 1;
    void advance() {
        first = first < 1e-30 ? 0 : first * 0.9;  // 1 - beta^t is 1 long before
        second = second < 1e-30 ? 0 : second * 0.999;
    }
};

class Engine {
  public:
    Engine(Program, int threads, const std::string &set, Halves);
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
    struct Workspace {
        explicit Workspace(const BlockKernels &kernels) : k(kernels) {}
        const BlockKernels &k;
        Aligned<float> arena, sums;
        Aligned<float> scratch, transposed;  // a thread's own, like what follows
        const float *seen = nullptr;         // the parameters that it computes with
        Aligned<float> copy;                 // those that it holds; the first thread holds the engine's own
        Aligned<std::uint8_t> bytes, moved;
        std::int32_t label[block] = {}, best[block] = {};
        alignas(64) float loss[block] = {};
        std::vector<int> done;
    };
    struct Piece {
        int first, blocks;
        bool half;  // one block of 8 images or fewer, the last of the batch
    };
    void piece(Team &, Workspace &, Workspace &own, const Pictures &, const Batch &, Piece, int number, int rank, int team);
    void fill(Workspace &, Workspace &own, const Pictures &, const Batch &, int at, int rank, int team);
    void fill_floats(Workspace &, const Pictures &, const Batch &, int at, Share rows);
    void fill_bytes(Workspace &, Workspace &own, const Pictures &, const Batch &, int at, Share rows);
    void forward(Team &, Workspace &, Workspace &own, int rank, int team);
    void backward(Team &, Workspace &, Workspace &own, float *gradient, int images, bool fresh, int rank, int team);
    void forward_rows(Workspace &, const float *p, const Operation &, int map, int first, int end);
    void forward_maps(Workspace &, Workspace &own, std::size_t first, std::size_t end, int map);
    void back_map(Workspace &, Workspace &own, std::size_t operation, int map, bool fresh);
    float *bias_sums(Workspace &, const Operation &, int map);
    void judge(Workspace &, const Pictures &, const Batch &, int at, float scale, bool gradient);
    void fold(Workspace &, float *gradient, int rank, int team);
    void pieces_of(int count, std::vector<Piece> &) const;
    void gradients(Team &, const Pictures &, const Batch &, int rank);
    void update(const Step &, int rank, int team);
    float *held(int rank) const;
    void hold(int rank);
    void receive(int rank, int team);
    void prepare(int count);
    std::unique_ptr<Workspace> workspace(const BlockKernels &, bool its_own) const;
    Workspace &together(bool half) const { return half && half_ ? *half_ : common_ ? *common_ : *workspaces_[0]; }
    std::int64_t steps(Team &, const Pictures &, const std::vector<Batch> &, std::int64_t first, std::int64_t end,
                       const double *rates, double &loss, const std::function<bool()> &stop);
    double batch_loss(int count) const;

    Program program_;
    const BlockKernels &k_;
    Team team_, alone_{1};
    Pace pace_;
    Powers powers_;
    std::int64_t arena_ = 0, sums_ = 0, scratch_ = 0, transposed_ = 0;
    Aligned<float> parameters_, first_, second_;
    Aligned<float> sent_;  // each thread's share of the new parameters, for the others
    std::vector<std::unique_ptr<Workspace>> workspaces_;  // one for each thread
    std::unique_ptr<Workspace> common_, half_;  // for whole blocks that all compute together, and for the half ones
    std::vector<Aligned<float>> pieces_;
    std::vector<Piece> cut_;
    std::vector<float> losses_;
};

}  // namespace mathdnn
