#include "engine.hpp"

#include <algorithm>
#include <cfenv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mathdnn {

void Free::operator()(void *memory) const { std::free(memory); }

template <class T> Aligned<T> aligned(std::size_t count) {
    const std::size_t bytes = (count * sizeof(T) + 127) / 64 * 64;
    auto *memory = static_cast<T *>(std::aligned_alloc(64, bytes));
    if (!memory) throw std::bad_alloc();
    std::memset(static_cast<void *>(memory), 0, bytes);
    return Aligned<T>(memory);
}
template Aligned<float> aligned<float>(std::size_t);
template Aligned<double> aligned<double>(std::size_t);
template Aligned<std::uint8_t> aligned<std::uint8_t>(std::size_t);

namespace {

enum class Set { baseline, avx2, avx512 };

Set known(const std::string &set) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (set == "avx512" && __builtin_cpu_supports("x86-64-v4")) return Set::avx512;
    if (set == "avx2" && __builtin_cpu_supports("x86-64-v3")) return Set::avx2;
#endif
    if (set == "baseline") return Set::baseline;
    throw std::invalid_argument("this processor or build has no instruction set " + set);
}

// Default rounding, subnormals kept, whatever the calling thread has set.
class DefaultFloatingPoint {
  public:
    DefaultFloatingPoint() {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~DefaultFloatingPoint() { std::fesetenv(&saved_); }
    DefaultFloatingPoint(const DefaultFloatingPoint &) = delete;
    DefaultFloatingPoint &operator=(const DefaultFloatingPoint &) = delete;

  private:
    std::fenv_t saved_;
};

void pause(int &spins) {
    if (++spins > 4000) {
        std::this_thread::yield();
        return;
    }
#if defined(__x86_64__)
    _mm_pause();
#endif
}

// The share of `rank` among `team` in 0 .. count - 1.
struct Share {
    int first, end;
    Share(int count, int rank, int team)
        : first(static_cast<int>(static_cast<std::int64_t>(count) * rank / team)),
          end(static_cast<int>(static_cast<std::int64_t>(count) * (rank + 1) / team)) {}
};

// Maps shared out so that each thread gets about as many edges; begin[m] is the first edge of map m.
Share edge_share(const std::vector<std::int32_t> &begin, int rank, int team) {
    const int maps = static_cast<int>(begin.size()) - 1;
    const auto cut = [&](int r) {
        const std::int64_t target = static_cast<std::int64_t>(begin[maps]) * r;
        return static_cast<int>(std::lower_bound(begin.begin(), begin.end(), target, [&](std::int32_t b, std::int64_t t) {
                                    return static_cast<std::int64_t>(b) * team < t;
                                }) - begin.begin());
    };
    Share share(maps, rank, team);
    share.first = rank == 0 ? 0 : cut(rank);
    share.end = rank + 1 == team ? maps : cut(rank + 1);
    return share;
}

}  // namespace

#if defined(__x86_64__)
#define MATHDNN_PICK(name)                                                     \
    switch (known(set)) {                                                      \
    case Set::avx512: return avx512::name;                                     \
    case Set::avx2: return avx2::name;                                         \
    default: return baseline::name;                                            \
    }
#else
#define MATHDNN_PICK(name) \
    known(set);            \
    return baseline::name;
#endif
const ConvolutionKernels<float> &float_kernels(const std::string &set) { MATHDNN_PICK(convolution_float) }
const ConvolutionKernels<double> &double_kernels(const std::string &set) { MATHDNN_PICK(convolution_double) }
const LayerKernels &layer_kernels(const std::string &set) { MATHDNN_PICK(layers) }

Plane Buffer::plane() const {
    const std::int64_t pitch = columns + 2 * pad_columns;
    return {rows, columns, pitch, pitch * (rows + 2 * pad_rows)};
}
std::int64_t Buffer::positions() const { return plane().map * maps; }

// ---- threads

Team::Team(int size) : size_(size) {
    for (int rank = 1; rank < size; rank++) threads_.emplace_back([this, rank] { serve(rank); });
}

Team::~Team() {
    end_ = true;
    call_++;
    call_.notify_all();
    for (auto &thread : threads_) thread.join();
}

void Team::serve(int rank) {
    std::uint32_t seen = 0;
    while (true) {
        int spins = 0;
        while (call_.load(std::memory_order_acquire) == seen && spins < 4000) pause(spins);
        while (call_.load(std::memory_order_acquire) == seen) call_.wait(seen);
        seen = call_.load(std::memory_order_acquire);
        if (end_) return;
        DefaultFloatingPoint environment;
        (*work_)(rank);
        meet();
    }
}

void Team::run(const std::function<void(int)> &work) {
    DefaultFloatingPoint environment;
    work_ = &work;
    call_.fetch_add(1, std::memory_order_release);
    call_.notify_all();
    work(0);
    meet();
}

void Team::meet() {
    if (size_ == 1) return;
    const std::uint32_t now = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<std::uint32_t>(size_)) {
        arrived_.store(0, std::memory_order_relaxed);
        generation_.store(now + 1, std::memory_order_release);
        return;
    }
    for (int spins = 0; generation_.load(std::memory_order_acquire) == now;) pause(spins);
}

Pace::Stretch Pace::next() const {
    constexpr std::int64_t trial = 3;
    if (seconds_[1] < 0) return {true, trial};
    if (seconds_[0] < 0) return {false, trial};
    const bool together = seconds_[1] <= seconds_[0];
    if (since_ >= wait_) return {!together, trial};
    return {together, wait_ - since_ < 64 ? wait_ - since_ : 64};
}

void Pace::took(Stretch stretch, double seconds) {
    const bool known = seconds_[0] >= 0 && seconds_[1] >= 0;
    const bool trial = known && stretch.together != (seconds_[1] <= seconds_[0]);
    seconds_[stretch.together] = seconds / static_cast<double>(stretch.steps);
    if (!known) return;
    since_ = trial ? 0 : since_ + stretch.steps;
    if (!trial) return;
    const bool still = stretch.together != (seconds_[1] <= seconds_[0]);
    wait_ = still ? std::min<std::int64_t>(2 * wait_, 1024) : 64;
}

// ---- the engine

struct Engine::Workspace {
    Aligned<float> arena, sums, scratch, transposed;
    Aligned<std::uint8_t> bytes, moved;
    std::int32_t label[block] = {}, best[block] = {};
    alignas(64) float loss[block] = {};
};

Engine::Engine(Program program, int threads, const std::string &set)
    : program_(std::move(program)), convolution_(&float_kernels(set)), layers_(&layer_kernels(set)), team_(threads) {
    for (auto &buffer : program_.buffers) {
        buffer.offset = arena_;
        arena_ += buffer.positions();
        scratch_ = std::max(scratch_, buffer.plane().map);
    }
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
        op.window.in = in.plane();
        op.window.out = out.plane();
    }
    const std::int64_t pixels = program_.buffers[0].maps * program_.buffers[0].rows * program_.buffers[0].columns;
    for (int rank = 0; rank < threads; rank++) {
        auto ws = std::make_unique<Workspace>();
        ws->arena = aligned<float>(arena_ * block);
        ws->sums = aligned<float>(sums_ * block);
        ws->scratch = aligned<float>(scratch_ * block);
        ws->transposed = aligned<float>(transposed_);
        ws->bytes = aligned<std::uint8_t>(pixels * block);
        ws->moved = aligned<std::uint8_t>(pixels * block);
        workspaces_.push_back(std::move(ws));
    }
    parameters_ = aligned<float>(program_.parameters);
    total_ = aligned<float>(program_.parameters);
    if (program_.optimizer == Optimizer::adamw || program_.momentum != 0) first_ = aligned<float>(program_.parameters);
    if (program_.optimizer == Optimizer::adamw) second_ = aligned<float>(program_.parameters);
}

Engine::~Engine() = default;

// Two pieces and a rest up to 15 blocks, then eight and a rest: by the size of the batch alone.
void Engine::pieces_of(int count, std::vector<Piece> &cut) const {
    const int blocks = (count + block - 1) / block, size = std::max(1, blocks < 16 ? blocks / 2 : blocks / 8);
    cut.clear();
    for (int first = 0; first < blocks; first += size) cut.push_back({first, std::min(size, blocks - first)});
}

void Engine::fill_floats(Workspace &ws, const Pictures &pictures, const Batch &batch, int at) {
    const Buffer &in = program_.buffers[0];
    const Plane plane = in.plane();
    const std::int64_t pixels = static_cast<std::int64_t>(in.maps) * in.rows * in.columns;
    float *corner = ws.arena.get() + (in.offset + in.inside()) * block;
    for (int n = 0; n < block; n++) {
        const std::int64_t image = at + n < batch.count ? batch.index ? batch.index[at + n] : at + n : -1;
        const std::int64_t down = image >= 0 && batch.shifts ? batch.shifts[2 * image] : 0;
        const std::int64_t right = image >= 0 && batch.shifts ? batch.shifts[2 * image + 1] : 0;
        ws.label[n] = image >= 0 && pictures.label ? pictures.label[image] : 0;
        for (int m = 0; m < in.maps; m++)
            for (int r = 0; r < in.rows; r++)
                for (int c = 0; c < in.columns; c++) {
                    const std::int64_t y = r - down, x = c - right;
                    const bool inside = image >= 0 && y >= 0 && y < in.rows && x >= 0 && x < in.columns;
                    const float u = inside ? pictures.floats[image * pixels + (m * in.rows + y) * in.columns + x] : 0.0f;
                    corner[(m * plane.map + r * plane.pitch + c) * block + n] = u * pictures.gain + pictures.offset;
                }
    }
}

void Engine::fill(Workspace &ws, const Pictures &pictures, const Batch &batch, int at) {
    if (pictures.floats) return fill_floats(ws, pictures, batch, at);
    const Buffer &in = program_.buffers[0];
    const Plane plane = in.plane();
    const std::int64_t map = static_cast<std::int64_t>(in.rows) * in.columns, pixels = in.maps * map;
    const std::uint8_t *image[block];
    for (int n = 0; n < block; n++) {
        std::uint8_t *own = ws.moved.get() + n * pixels;
        image[n] = own;
        ws.label[n] = 0;
        if (at + n >= batch.count) {
            std::memset(own, 0, pixels);
            continue;
        }
        const std::int64_t k = batch.index ? batch.index[at + n] : at + n;
        const std::uint8_t *from = pictures.bytes + k * pixels;
        if (pictures.label) ws.label[n] = pictures.label[k];
        const std::int64_t down = batch.shifts ? batch.shifts[2 * k] : 0, right = batch.shifts ? batch.shifts[2 * k + 1] : 0;
        if (down == 0 && right == 0) {
            image[n] = from;
            continue;
        }
        std::memset(own, 0, pixels);
        const std::int64_t left = std::max<std::int64_t>(0, right), wide = in.columns - std::abs(right);
        for (std::int64_t r = std::max<std::int64_t>(0, down); wide > 0 && r < in.rows + std::min<std::int64_t>(0, down); r++)
            for (int m = 0; m < in.maps; m++)
                std::memcpy(own + m * map + r * in.columns + left, from + m * map + (r - down) * in.columns + left - right, wide);
    }
    layers_->interleave(image, ws.bytes.get(), pixels);
    float *corner = ws.arena.get() + (in.offset + in.inside()) * block;
    for (int m = 0; m < in.maps; m++)
        for (int r = 0; r < in.rows; r++)
            layers_->expand(ws.bytes.get() + (m * map + static_cast<std::int64_t>(r) * in.columns) * block, pictures.table,
                            corner + (m * plane.map + r * plane.pitch) * block, in.columns);
}

namespace {

bool by_maps(Kind kind) { return kind != Kind::convolution && kind != Kind::dense; }  // map m out needs map m in only

void activate_rows(const LayerKernels &layers, const Buffer &buffer, float *map, int first, int end) {
    if (buffer.activate.kind == Activation::none) return;
    const std::int64_t pitch = buffer.plane().pitch;
    if (pitch == buffer.columns) {
        layers.activate(buffer.activate, map + first * pitch * block, (end - first) * pitch);
        return;
    }
    for (int r = first; r < end; r++) layers.activate(buffer.activate, map + r * pitch * block, buffer.columns);
}

}  // namespace

void Engine::forward_map(Workspace &ws, std::size_t number, int map) {
    const Operation &op = program_.operations[number];
    const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
    const float *x = ws.arena.get() + (in.offset + in.inside() + map * in.plane().map) * block;
    float *y = ws.arena.get() + (out.offset + out.inside() + map * out.plane().map) * block;
    const float *p = parameters_.get();
    switch (op.kind) {
    case Kind::convolution: {
        const int chunk = static_cast<int>(std::max<std::int64_t>(1, 256 / out.plane().pitch));  // 16 KiB of output
        float *first = ws.arena.get() + (out.offset + out.inside()) * block;
        for (int r = 0; r < out.rows; r += chunk) {
            const int end = std::min(out.rows, r + chunk);
            convolution_->forward(op.convolution, ws.arena.get() + in.offset * block, p + op.weight,
                                  op.bias < 0 ? nullptr : p + op.bias, first, map, r, end);
            activate_rows(*layers_, out, y, r, end);
        }
        return;
    }
    case Kind::average: layers_->average_forward(op.window, x, y, 0, out.rows); break;
    case Kind::maximum: layers_->max_forward(op.window, x, y, 0, out.rows); break;
    case Kind::subsample:
        layers_->average_forward(op.window, x, y, 0, out.rows);
        layers_->scale(out.plane(), y, p[op.weight + map], p[op.bias + map], 0, out.rows);
        break;
    case Kind::copy:
        for (int r = 0; r < out.rows; r++)
            std::memcpy(y + r * out.plane().pitch * block, x + r * in.plane().pitch * block, out.columns * block * sizeof(float));
        break;
    case Kind::dense: return;
    }
    activate_rows(*layers_, out, y, 0, out.rows);
}

void Engine::forward(Team &members, Workspace &ws, int rank, int team) {
    const auto &ops = program_.operations;
    for (std::size_t number = 0; number < ops.size();) {
        const Operation &op = ops[number];
        const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
        std::size_t next = number + 1;
        if (op.kind == Kind::dense) {
            const Share tiles((out.maps + 15) / 16, rank, team);
            const int first = tiles.first * 16, end = std::min(out.maps, tiles.end * 16);
            float *y = ws.arena.get() + out.offset * block;
            if (first < end) {
                layers_->dense_forward(op.dense, ws.arena.get() + in.offset * block, parameters_.get() + op.weight, y, first, end);
                if (out.activate.kind != Activation::none) layers_->activate(out.activate, y + first * block, end - first);
            }
        } else {
            while (next < ops.size() && by_maps(ops[next].kind)) next++;
            const Share maps = op.kind == Kind::convolution ? edge_share(op.begin, rank, team) : Share(out.maps, rank, team);
            for (int m = maps.first; m < maps.end; m++)
                for (std::size_t k = number; k < next; k++) forward_map(ws, k, m);
        }
        number = next;
        if (team > 1) members.meet();
    }
}

// From the derivative of the operation's output to that of its input and of its own parameters, for one map.
void Engine::back_map(Workspace &ws, Workspace &own, std::size_t number, int map, bool fresh) {
    const Operation &op = program_.operations[number];
    const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
    float *x = ws.arena.get() + (in.offset + in.inside() + map * in.plane().map) * block;
    const float *dy = ws.arena.get() + (out.offset + out.inside() + map * out.plane().map) * block;
    float *sums = ws.sums.get() + op.sums * block;
    switch (op.kind) {
    case Kind::convolution: {
        const Convolution &c = op.convolution;
        const std::int64_t taps = static_cast<std::int64_t>(op.map.size()) * c.rows * c.columns;
        const float *dout = ws.arena.get() + (out.offset + out.inside()) * block;
        if (op.bias >= 0) convolution_->bias_gradient(c.out, dout, sums + taps * block, map, fresh);
        for (int e = op.begin[map]; e < op.begin[map + 1]; e++)
            convolution_->weight_gradient(c, ws.arena.get() + in.offset * block, dout, sums, map, op.map[e], e, fresh);
        return;
    }
    case Kind::average: layers_->average_backward(op.window, dy, 1, x, in.activate, own.scratch.get()); return;
    case Kind::maximum: layers_->max_backward(op.window, dy, x, in.activate, own.scratch.get()); return;
    case Kind::subsample:
        layers_->scale_gradient(op.window, dy, x, sums + map * block, fresh);
        convolution_->bias_gradient(out.plane(), ws.arena.get() + (out.offset + out.inside()) * block,
                                    sums + out.maps * block, map, fresh);
        layers_->average_backward(op.window, dy, parameters_[op.weight + map], x, in.activate, own.scratch.get());
        return;
    case Kind::copy:
        for (int r = 0; r < in.rows; r++)
            layers_->copy_back(dy + r * out.plane().pitch * block, x + r * in.plane().pitch * block, in.activate, in.columns);
        return;
    case Kind::dense: return;
    }
}

// Each round: the input derivative of operation `number` (maps shared out), and on the same maps what lies under it down
// to the parameters of the next convolution. Between rounds all meet, since an input derivative overwrites the input that
// others' weight gradients read.
void Engine::backward(Team &members, Workspace &ws, Workspace &own, float *gradient, int images, bool fresh, int rank,
                      int team) {
    const auto &ops = program_.operations;
    std::ptrdiff_t k = static_cast<std::ptrdiff_t>(ops.size()) - 1;
    const auto down = [&](std::ptrdiff_t from, int m) {  // operations from `from` down that need map m only
        for (; from >= 0; from--) {
            if (ops[from].kind == Kind::dense) return;
            back_map(ws, own, from, m, fresh);
            if (ops[from].kind == Kind::convolution) return;
        }
    };
    const auto reached = [&](std::ptrdiff_t from) {
        while (from >= 0 && by_maps(ops[from].kind)) from--;
        return from;
    };
    if (by_maps(ops[k].kind) || ops[k].kind == Kind::convolution) {
        const Share maps(program_.buffers[ops[k].out].maps, rank, team);
        for (int m = maps.first; m < maps.end; m++) down(k, m);
        k = reached(k);
        if (team > 1) members.meet();
    }
    while (k >= 0) {
        const Operation &op = ops[k];
        const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
        float *x = ws.arena.get() + in.offset * block;
        if (op.kind == Kind::dense) {
            const Dense d = op.dense;
            const float *dy = ws.arena.get() + out.offset * block;
            layers_->images_first(dy, own.transposed.get(), d.out, d.pitch);
            const Share rows(d.in + (op.bias >= 0), rank, team);  // the bias is the last row
            layers_->dense_weight_gradient(d, x, own.transposed.get(), gradient + op.weight, rows.first, rows.end, images, fresh);
            if (k == 0) return;
            if (team > 1) members.meet();
            const int cell = in.rows * in.columns;  // positions of a map: the dense layer sees them as its own inputs
            const Share maps(in.maps, rank, team);
            layers_->dense_input_gradient(d, dy, parameters_.get() + op.weight, x, in.activate, maps.first * cell, maps.end * cell);
            for (int m = maps.first; m < maps.end; m++) down(k - 1, m);
        } else {
            if (k == 0) return;
            const Share maps = edge_share(op.back_begin, rank, team);
            const float *dout = ws.arena.get() + (out.offset + out.inside()) * block;
            for (int m = maps.first; m < maps.end; m++) {
                convolution_->input_gradient(op.convolution, dout, parameters_.get() + op.weight, x, in.activate, m, own.scratch.get());
                down(k - 1, m);
            }
        }
        k = reached(k - 1);
        if (team > 1) members.meet();
    }
}

void Engine::judge(Workspace &ws, const Pictures &, const Batch &batch, int at, float scale, bool gradient) {
    const Buffer &out = program_.buffers.back();
    const auto loss = program_.loss == Loss::cross_entropy ? layers_->cross_entropy : layers_->squared;
    loss(ws.arena.get() + out.offset * block, ws.label, out.maps, std::min(block, batch.count - at), scale, out.activate,
         ws.loss, ws.best, gradient);
}

void Engine::fold(Workspace &ws, float *gradient, int rank, int team) {
    for (const auto &op : program_.operations) {
        if (op.kind != Kind::convolution && op.kind != Kind::subsample) continue;
        const int maps = program_.buffers[op.out].maps;
        const std::int64_t weights = op.kind == Kind::subsample
                                         ? maps
                                         : static_cast<std::int64_t>(op.map.size()) * op.convolution.rows * op.convolution.columns;
        const Share share(static_cast<int>(weights), rank, team), rest(maps, rank, team);
        const float *sums = ws.sums.get() + op.sums * block;
        convolution_->fold(sums + share.first * block, gradient + op.weight + share.first, share.end - share.first);
        if (op.bias >= 0)
            convolution_->fold(sums + (weights + rest.first) * block, gradient + op.bias + rest.first, rest.end - rest.first);
    }
}

void Engine::piece(Team &members, Workspace &ws, Workspace &own, const Pictures &pictures, const Batch &batch, Piece piece,
                   int number, int rank, int team) {
    float *gradient = pieces_[number].get();
    for (int b = 0; b < piece.blocks; b++) {
        const int at = (piece.first + b) * block, images = std::min(block, batch.count - at);
        if (rank == 0) fill(ws, pictures, batch, at);
        if (team > 1) members.meet();
        forward(members, ws, rank, team);
        if (rank == 0) {
            judge(ws, pictures, batch, at, 1.0f / static_cast<float>(batch.count), true);
            std::copy_n(ws.loss, images, losses_.begin() + at);
        }
        if (team > 1) members.meet();
        backward(members, ws, own, gradient, images, b == 0, rank, team);
        if (team > 1) members.meet();
    }
    fold(ws, gradient, rank, team);
    if (team > 1) members.meet();
}

void Engine::gradients(Team &members, const Pictures &pictures, const Batch &batch, int rank) {
    const int team = members.size(), count = static_cast<int>(cut_.size()), alone = count / team * team;
    for (int k = rank; k < alone; k += team)
        piece(members, *workspaces_[rank], *workspaces_[rank], pictures, batch, cut_[k], k, 0, 1);
    if (alone < count) members.meet();
    for (int k = alone; k < count; k++)
        piece(members, *workspaces_[0], *workspaces_[rank], pictures, batch, cut_[k], k, rank, team);
    members.meet();
    const Share share(static_cast<int>(program_.parameters / 16), rank, team);
    std::vector<const float *> parts(count);
    for (int k = 0; k < count; k++) parts[k] = pieces_[k].get() + share.first * 16;
    layers_->sum(total_.get() + share.first * 16, parts.data(), count, (share.end - share.first) * 16);
}

void Engine::update(const Step &step, int rank, int team) {
    const Share share(static_cast<int>(program_.parameters / 16), rank, team);
    const std::int64_t at = share.first * 16, floats = (share.end - share.first) * 16;
    float *p = parameters_.get() + at, *m = first_ ? first_.get() + at : nullptr;
    if (program_.optimizer == Optimizer::adamw) layers_->adamw(step, p, total_.get() + at, m, second_.get() + at, floats);
    else layers_->sgd(step, p, total_.get() + at, m, floats);
}

double Engine::batch_loss(int count) const {
    double sum = 0;
    for (int n = 0; n < count; n++) sum += losses_[n];
    return sum;
}

std::int64_t Engine::steps(Team &members, const Pictures &pictures, const std::vector<Batch> &batches, std::int64_t first,
                           std::int64_t end, const double *rates, std::int64_t done, double &loss,
                           const std::function<bool()> &stop) {
    std::atomic<bool> stopped{false};
    std::int64_t reached = first;
    Step step{0, program_.momentum, program_.decay, program_.nesterov, 0, 0, 0};
    members.run([&](int rank) {
        for (std::int64_t k = first; k < end; k++) {
            if (rank == 0) {
                const double t = static_cast<double>(done + k + 1);
                pieces_of(batches[k].count, cut_);
                step.lr = static_cast<float>(rates[k]);
                step.keep = static_cast<float>(1 - rates[k] * program_.decay);
                step.rate = static_cast<float>(rates[k] / (1 - std::pow(0.9, t)));
                step.correction = static_cast<float>(std::sqrt(1 - std::pow(0.999, t)));
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
            if (stopped) return;
        }
    });
    return reached;
}

std::int64_t Engine::train(const Pictures &pictures, const std::vector<Batch> &batches, const double *rates,
                           std::int64_t done, double &loss, const std::function<bool()> &stop) {
    int largest = 0;
    for (const auto &batch : batches) largest = std::max(largest, batch.count);
    pieces_of(largest, cut_);
    while (pieces_.size() < cut_.size()) pieces_.push_back(aligned<float>(program_.parameters));
    losses_.resize(largest);
    const auto count = static_cast<std::int64_t>(batches.size());
    if (team_.size() == 1) return steps(team_, pictures, batches, 0, count, rates, done, loss, stop);
    for (std::int64_t k = 0; k < count;) {
        Pace::Stretch stretch = pace_.next();
        stretch.steps = std::min(stretch.steps, count - k);
        const auto began = std::chrono::steady_clock::now();
        bool halted = false;
        const auto halt = [&] { return halted = stop(); };
        const std::int64_t reached =
            steps(stretch.together ? team_ : alone_, pictures, batches, k, k + stretch.steps, rates, done, loss, halt);
        if (halted) return reached;
        pace_.took(stretch, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
        k = reached;
    }
    return count;
}

double Engine::gradient(const Pictures &pictures, const Batch &batch, float *out) {
    pieces_of(batch.count, cut_);
    while (pieces_.size() < cut_.size()) pieces_.push_back(aligned<float>(program_.parameters));
    losses_.resize(batch.count);
    team_.run([&](int rank) { gradients(team_, pictures, batch, rank); });
    std::memcpy(out, total_.get(), program_.parameters * sizeof(float));
    return batch_loss(batch.count);
}

void Engine::run(const Pictures &pictures, std::int64_t images, float *outputs, float *losses, std::int32_t *best) {
    const Batch batch{nullptr, nullptr, static_cast<int>(images)};
    const Buffer &out = program_.buffers.back();
    const std::int64_t blocks = (images + block - 1) / block;
    std::atomic<std::int64_t> taken{0};
    team_.run([&](int rank) {
        Workspace &ws = *workspaces_[rank];
        for (std::int64_t b = taken++; b < blocks; b = taken++) {
            const int at = static_cast<int>(b * block), count = static_cast<int>(std::min<std::int64_t>(block, images - at));
            fill(ws, pictures, batch, at);
            forward(alone_, ws, 0, 1);
            const float *z = ws.arena.get() + out.offset * block;
            for (int n = 0; outputs && n < count; n++)
                for (int c = 0; c < out.maps; c++) outputs[(at + n) * static_cast<std::int64_t>(out.maps) + c] = z[c * block + n];
            judge(ws, pictures, batch, at, 1, false);
            if (losses) std::copy_n(ws.loss, count, losses + at);
            if (best) std::copy_n(ws.best, count, best + at);
        }
    });
}

}  // namespace mathdnn
