#include "engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

namespace mathdnn {

namespace {

// The best of a few microseconds each: multiply-adds a second.
double rate(const ProbeKernels &probe) {
    constexpr std::int64_t rounds = 1000;
    double best = 0;
    for (int k = 0; k < 5; k++) {
        const auto began = std::chrono::steady_clock::now();
        volatile float sum = probe.multiply_add(rounds, 0.5f, 1.0f);
        (void)sum;
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        best = std::max(best, static_cast<double>(probe.operations * rounds) / took.count());
    }
    return best;
}

// Whether a vector of 8 floats takes little more than half the time of one of 16, asked of the processor once.
bool narrow_vectors_pay() {
#if defined(__x86_64__)
    static const bool pay = rate(avx2::probe) > 0.75 * rate(avx512::probe);
    return pay;
#else
    return false;
#endif
}

const BlockKernels *halves_of(const std::string &set, Halves halves) {
    if (halves == Halves::never || (halves == Halves::measured && set == "avx512" && !narrow_vectors_pay())) return nullptr;
    return half_block_kernels(set);
}

}  // namespace

Engine::Engine(Program program, int threads, const std::string &set, Halves halves)
    : program_(std::move(program)), k_(block_kernels(set)), team_(threads) {
    for (auto &buffer : program_.buffers) {
        buffer.offset = arena_;
        arena_ += buffer.positions();
        scratch_ = std::max(scratch_, buffer.plane().map);
    }
    Operation *before = nullptr;
    for (auto &op : program_.operations) {
        const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
        op.sums = sums_;
        if (op.kind == Kind::convolution) {
            Plane padded = in.plane();
            padded.rows += 2 * in.pad_rows;
            padded.columns += 2 * in.pad_columns;
            Convolution &c = op.convolution;
            c.in = padded;
            c.out = out.plane();
            c.pad_rows = in.pad_rows;
            c.pad_columns = in.pad_columns;
            c.activate = out.activate;
            c.begin = op.begin.data();
            c.map = op.map.data();
            op.back_begin.assign(1, 0);
            for (int g = 0; g < in.maps; g++) {
                for (int l = 0; l < out.maps; l++)
                    for (int e = op.begin[l]; e < op.begin[l + 1]; e++)
                        if (op.map[e] == g) {
                            op.back_edge.push_back(e);
                            op.back_map.push_back(l);
                        }
                op.back_begin.push_back(static_cast<std::int32_t>(op.back_edge.size()));
            }
            c.back_begin = op.back_begin.data();
            c.back_edge = op.back_edge.data();
            c.back_map = op.back_map.data();
            sums_ += static_cast<std::int64_t>(op.map.size()) * c.rows * c.columns + out.maps;
        } else if (op.kind == Kind::subsample) {
            sums_ += 2 * out.maps;
        } else if (op.kind == Kind::dense) {
            transposed_ = std::max(transposed_, op.dense.pitch * block);
        }
        const bool pools = op.kind == Kind::average || op.kind == Kind::maximum || op.kind == Kind::subsample;
        if (pools && before && before->kind == Kind::convolution) before->bias_summed = before->bias >= 0;
        before = &op;
        op.window.in = in.plane();
        op.window.out = out.plane();
    }
    for (int rank = 0; rank < threads; rank++) workspaces_.push_back(workspace(k_, true));
    if (threads > 1) {
        common_ = workspace(k_, false);
        sent_ = aligned<float>(program_.parameters);
        for (int rank = 1; rank < threads; rank++) workspaces_[rank]->copy = aligned<float>(program_.parameters);
    }
    if (const BlockKernels *half = halves_of(set, halves)) half_ = workspace(*half, false);
    parameters_ = aligned<float>(program_.parameters);
    if (program_.optimizer == Optimizer::adamw || program_.momentum != 0) first_ = aligned<float>(program_.parameters);
    if (program_.optimizer == Optimizer::adamw) second_ = aligned<float>(program_.parameters);
}

Engine::~Engine() = default;

std::unique_ptr<Engine::Workspace> Engine::workspace(const BlockKernels &kernels, bool its_own) const {
    auto ws = std::make_unique<Workspace>(kernels);
    ws->arena = aligned<float>(arena_ * kernels.lanes);
    ws->sums = aligned<float>(sums_ * kernels.lanes);
    if (!its_own) return ws;
    const Buffer &in = program_.buffers[0];
    const std::int64_t pixels = static_cast<std::int64_t>(in.maps) * in.rows * in.columns;
    ws->scratch = aligned<float>(scratch_ * kernels.lanes);
    ws->transposed = aligned<float>(transposed_);
    ws->bytes = aligned<std::uint8_t>(pixels * kernels.lanes);
    ws->moved = aligned<std::uint8_t>(pixels * kernels.lanes);
    return ws;
}

// Two pieces and a rest up to 15 blocks, then eight and a rest: by the size of the batch alone. Images that fill no more
// than half a block are a piece of their own.
void Engine::pieces_of(int count, std::vector<Piece> &cut) const {
    const int rest = count % block, half = rest > 0 && rest <= block / 2;
    const int blocks = (count + block - 1) / block - half, size = std::max(1, blocks < 16 ? blocks / 2 : blocks / 8);
    cut.clear();
    for (int first = 0; first < blocks; first += size) cut.push_back({first, std::min(size, blocks - first), false});
    if (half) cut.push_back({blocks, 1, true});
}

void Engine::piece(Team &members, Workspace &ws, Workspace &own, const Pictures &pictures, const Batch &batch, Piece piece,
                   int number, int rank, int team) {
    float *gradient = pieces_[number].get();
    for (int b = 0; b < piece.blocks; b++) {
        const int at = (piece.first + b) * block, images = std::min(block, batch.count - at);
        fill(ws, own, pictures, batch, at, rank, team);
        if (team > 1) members.meet();
        forward(members, ws, own, rank, team);
        if (rank == 0) {
            judge(ws, pictures, batch, at, 1.0f / static_cast<float>(batch.count), true);
            std::copy_n(ws.loss, images, losses_.begin() + at);
        }
        if (team > 1) members.meet();
        backward(members, ws, own, gradient, images, b == 0, rank, team);
        if (team > 1) members.meet();
    }
    fold(ws, gradient, rank, team);
}

// The pieces' gradients; what is done together lies in a workspace of its own, so that no thread's lines move away from it.
void Engine::gradients(Team &members, const Pictures &pictures, const Batch &batch, int rank) {
    const int team = members.size(), count = static_cast<int>(cut_.size());
    const int alone = (count - (count > 0 && cut_.back().half)) / team * team;
    for (int k = rank; k < alone; k += team)
        piece(members, *workspaces_[rank], *workspaces_[rank], pictures, batch, cut_[k], k, 0, 1);
    for (int k = alone; k < count; k++)
        piece(members, together(cut_[k].half), *workspaces_[rank], pictures, batch, cut_[k], k, rank, team);
    members.meet();
}

float *Engine::held(int rank) const { return rank == 0 ? parameters_.get() : workspaces_[rank]->copy.get(); }

// During the steps each thread computes with parameters that no other reads: writing into cache lines that others have
// read is slow.
void Engine::hold(int rank) {
    workspaces_[rank]->seen = held(rank);
    if (rank > 0) std::memcpy(held(rank), parameters_.get(), program_.parameters * sizeof(float));
}

// A thread's share of the step, in what it holds; it sends it to the others, which receive it.
void Engine::update(const Step &step, int rank, int team) {
    const Share share(static_cast<int>(program_.parameters / 16), rank, team);
    const std::int64_t at = share.first * 16, floats = (share.end - share.first) * 16;
    float *p = held(rank) + at, *m = first_ ? first_.get() + at : nullptr, *sent = team > 1 ? sent_.get() + at : nullptr;
    const int count = static_cast<int>(cut_.size());
    std::vector<float *> parts(count);
    for (int k = 0; k < count; k++) parts[k] = pieces_[k].get() + at;
    if (program_.optimizer == Optimizer::adamw)
        k_.learning.adamw(step, p, sent, parts.data(), count, m, second_.get() + at, floats);
    else k_.learning.sgd(step, p, sent, parts.data(), count, m, floats);
}

void Engine::receive(int rank, int team) {
    for (int other = 0; other < team; other++) {
        if (other == rank) continue;
        const Share share(static_cast<int>(program_.parameters / 16), other, team);
        const std::int64_t at = share.first * 16, floats = (share.end - share.first) * 16;
        if (team == 2) k_.learning.take(sent_.get() + at, held(rank) + at, floats);  // nobody else reads it
        else std::memcpy(held(rank) + at, sent_.get() + at, floats * sizeof(float));
    }
}

double Engine::batch_loss(int count) const {
    double sum = 0;
    for (int n = 0; n < count; n++) sum += losses_[n];
    return sum;
}

std::int64_t Engine::steps(Team &members, const Pictures &pictures, const std::vector<Batch> &batches, std::int64_t first,
                           std::int64_t end, const double *rates, double &loss,
                           const std::function<bool()> &stop) {
    std::atomic<bool> stopped{false};
    std::int64_t reached = first;
    Step step{0, program_.momentum, program_.decay, program_.nesterov, 0, 0, 0};
    members.run([&](int rank) {
        hold(rank);
        for (std::int64_t k = first; k < end; k++) {
            if (rank == 0) {
                powers_.advance();
                pieces_of(batches[k].count, cut_);
                step.lr = static_cast<float>(rates[k]);
                step.keep = static_cast<float>(1 - rates[k] * program_.decay);
                step.rate = static_cast<float>(rates[k] / (1 - powers_.first));
                step.correction = static_cast<float>(std::sqrt(1 - powers_.second));
            }
            members.meet();
            gradients(members, pictures, batches[k], rank);
            update(step, rank, members.size());
            if (rank == 0) {
                loss += batch_loss(batches[k].count);
                reached = k + 1;
                if (stop()) stopped = true;
            }
            members.meet();
            receive(rank, members.size());
            if (stopped) return;
        }
    });
    return reached;
}

// Room for batches of up to `count` images; those that a smaller batch leaves over keep theirs.
void Engine::prepare(int count) {
    pieces_of(count, cut_);
    std::size_t most = std::max<std::size_t>(cut_.size(), count > 16 * block ? 13 : 4);  // of any smaller batch
    while (pieces_.size() < most) pieces_.push_back(aligned<float>(program_.parameters));
    losses_.resize(std::max<std::size_t>(losses_.size(), count));
}

std::int64_t Engine::train(const Pictures &pictures, const std::vector<Batch> &batches, const double *rates,
                           std::int64_t done, double &loss, const std::function<bool()> &stop) {
    int largest = 0;
    for (const auto &batch : batches) largest = std::max(largest, batch.count);
    prepare(largest);
    powers_ = {};
    for (std::int64_t k = 0; k < done && powers_.second > 0; k++) powers_.advance();
    const auto count = static_cast<std::int64_t>(batches.size());
    if (team_.size() == 1) return steps(team_, pictures, batches, 0, count, rates, loss, stop);
    for (std::int64_t k = 0; k < count;) {
        Pace::Stretch stretch = pace_.next();
        stretch.steps = std::min(stretch.steps, count - k);
        const auto began = std::chrono::steady_clock::now();
        bool halted = false;
        const auto halt = [&] { return halted = stop(); };
        const std::int64_t reached =
            steps(stretch.together ? team_ : alone_, pictures, batches, k, k + stretch.steps, rates, loss, halt);
        if (halted) return reached;
        pace_.took(stretch, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
        k = reached;
    }
    return count;
}

double Engine::gradient(const Pictures &pictures, const Batch &batch, float *out) {
    prepare(batch.count);
    team_.run([&](int rank) {
        hold(rank);
        gradients(team_, pictures, batch, rank);
    });
    auto total = aligned<float>(program_.parameters);
    std::vector<const float *> parts;
    for (std::size_t k = 0; k < cut_.size(); k++) parts.push_back(pieces_[k].get());
    k_.learning.sum(total.get(), parts.data(), static_cast<int>(parts.size()), program_.parameters);
    std::memcpy(out, total.get(), program_.parameters * sizeof(float));
    return batch_loss(batch.count);
}

void Engine::run(const Pictures &pictures, std::int64_t images, float *outputs, float *losses, std::int32_t *best) {
    const Batch batch{nullptr, nullptr, static_cast<int>(images)};
    const Buffer &out = program_.buffers.back();
    const std::int64_t blocks = (images + block - 1) / block;
    std::atomic<std::int64_t> taken{0};
    team_.run([&](int rank) {
        Workspace &own = *workspaces_[rank];
        own.seen = parameters_.get();
        for (std::int64_t b = taken++; b < blocks; b = taken++) {
            const int at = static_cast<int>(b * block), count = static_cast<int>(std::min<std::int64_t>(block, images - at));
            Workspace &ws = half_ && count <= half_->k.lanes ? *half_ : own;  // the last block only: nobody else's now
            const int lanes = ws.k.lanes;
            fill(ws, own, pictures, batch, at, 0, 1);
            forward(alone_, ws, own, 0, 1);
            const float *z = ws.arena.get() + out.offset * lanes;
            for (int n = 0; outputs && n < count; n++)
                for (int c = 0; c < out.maps; c++) outputs[(at + n) * static_cast<std::int64_t>(out.maps) + c] = z[c * lanes + n];
            judge(ws, pictures, batch, at, 1, false);
            if (losses) std::copy_n(ws.loss, count, losses + at);
            if (best) std::copy_n(ws.best, count, best + at);
        }
    });
}

}  // namespace mathdnn
