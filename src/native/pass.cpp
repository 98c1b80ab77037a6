// Forward and backward through the network for one block of images (engine.hpp).
#include <algorithm>
#include <cstring>

#include "engine.hpp"

namespace mathdnn {

namespace {

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

bool flat(Kind kind) { return kind == Kind::dense || kind == Kind::distance; }  // every output needs every input
bool by_maps(Kind kind) { return kind != Kind::convolution && !flat(kind); }    // map m out needs map m in only

// How many rows of a pooling's output the first `rows` of its input are enough for.
int rows_ready(const Operation &op, int in, int out, int rows) {
    if (rows == in) return out;
    if (op.kind == Kind::copy) return rows;
    if (op.kind == Kind::pad) return std::min(out, rows + op.window.pad_rows);
    const Window &w = op.window;
    const int reach = rows + w.pad_rows - (w.rows - 1) * w.dilation_rows - 1;
    return reach < 0 ? 0 : std::min(out, reach / w.stride_rows + 1);
}

void activate_rows(const BlockKernels &k, const Buffer &buffer, float *map, int first, int end) {
    if (buffer.activate.kind == Activation::none) return;
    const std::int64_t pitch = buffer.plane().pitch;
    if (pitch == buffer.columns) {
        k.layers.activate(buffer.activate, map + first * pitch * k.lanes, (end - first) * pitch);
        return;
    }
    for (int r = first; r < end; r++) k.layers.activate(buffer.activate, map + r * pitch * k.lanes, buffer.columns);
}

}  // namespace

// Rows first .. end - 1 of one map of the operation's output.
void Engine::forward_rows(Workspace &ws, const float *p, const Operation &op, int map, int first, int end) {
    const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
    const std::int64_t wide = in.plane().pitch * ws.k.lanes, pitch = out.plane().pitch * ws.k.lanes;
    const float *x = ws.arena.get() + (in.offset + in.inside() + map * in.plane().map) * ws.k.lanes;
    float *y = ws.arena.get() + (out.offset + out.inside() + map * out.plane().map) * ws.k.lanes;
    switch (op.kind) {
    case Kind::convolution:  // with its activation
        ws.k.convolution.forward(op.convolution, ws.arena.get() + in.offset * ws.k.lanes, p + op.weight,
                                 op.bias < 0 ? nullptr : p + op.bias,
                                 ws.arena.get() + (out.offset + out.inside()) * ws.k.lanes, map, first, end);
        return;
    case Kind::average: ws.k.pooling.average_forward(op.window, x, y, first, end); break;
    case Kind::maximum: ws.k.pooling.max_forward(op.window, x, y, first, end); break;
    case Kind::subsample:
        ws.k.pooling.average_forward(op.window, x, y, first, end);
        ws.k.pooling.scale(out.plane(), y, p[op.weight + map], p[op.bias + map], first, end);
        break;
    case Kind::copy:
        for (int r = first; r < end; r++) std::memcpy(y + r * pitch, x + r * wide, out.columns * ws.k.lanes * sizeof(float));
        break;
    case Kind::pad:
        for (int r = first; r < end; r++) {
            std::fill_n(y + r * pitch, out.columns * ws.k.lanes, op.constants[0]);
            const int above = r - op.window.pad_rows;
            if (above >= 0 && above < in.rows)
                std::memcpy(y + r * pitch + op.window.pad_columns * ws.k.lanes, x + above * wide,
                            in.columns * ws.k.lanes * sizeof(float));
        }
        break;
    case Kind::dense:
    case Kind::distance: return;
    }
    activate_rows(ws.k, out, y, first, end);
}

// One map through an operation and those after it that need this map only, some rows at a time: what a pooling reads has
// just been written and lies in the first-level cache.
void Engine::forward_maps(Workspace &ws, Workspace &own, std::size_t number, std::size_t next, int map) {
    const Buffer &out = program_.buffers[program_.operations[number].out];
    const int chunk = static_cast<int>(std::max<std::int64_t>(1, 256 / out.plane().pitch));  // 16 KiB
    std::vector<int> &done = own.done;
    done.assign(next - number, 0);
    while (done[0] < out.rows) {
        int ready = std::min(out.rows, done[0] + chunk);
        for (std::size_t k = number; k < next; k++) {
            const Operation &op = program_.operations[k];
            if (k > number) ready = rows_ready(op, program_.buffers[op.in].rows, program_.buffers[op.out].rows, ready);
            if (ready > done[k - number]) forward_rows(ws, own.seen, op, map, done[k - number], ready);
            done[k - number] = std::max(done[k - number], ready);
        }
    }
}

void Engine::forward(Team &members, Workspace &ws, Workspace &own, int rank, int team) {
    const auto &ops = program_.operations;
    for (std::size_t number = 0; number < ops.size();) {
        const Operation &op = ops[number];
        const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
        std::size_t next = number + 1;
        if (flat(op.kind)) {
            const Share tiles((out.maps + 15) / 16, rank, team);
            const int first = tiles.first * 16, end = std::min(out.maps, tiles.end * 16);
            float *y = ws.arena.get() + out.offset * ws.k.lanes;
            if (first < end) {
                const float *x = ws.arena.get() + in.offset * ws.k.lanes;
                if (op.kind == Kind::dense) ws.k.dense.forward(op.dense, x, own.seen + op.weight, y, first, end);
                else ws.k.dense.distance_forward(op.dense, x, op.constants.data(), y, first, end);
                if (out.activate.kind != Activation::none) ws.k.layers.activate(out.activate, y + first * ws.k.lanes, end - first);
            }
        } else {
            while (next < ops.size() && by_maps(ops[next].kind)) next++;
            const Share maps = op.kind == Kind::convolution ? edge_share(op.begin, rank, team) : Share(out.maps, rank, team);
            for (int m = maps.first; m < maps.end; m++)
                forward_maps(ws, own, number, next, m);
        }
        number = next;
        if (team > 1) members.meet();
    }
}

float *Engine::bias_sums(Workspace &ws, const Operation &op, int map) {
    const std::int64_t taps = static_cast<std::int64_t>(op.map.size()) * op.convolution.rows * op.convolution.columns;
    return ws.sums.get() + (op.sums + taps + map) * ws.k.lanes;
}

// From the derivative of the operation's output to that of its input and of its own parameters, for one map.
void Engine::back_map(Workspace &ws, Workspace &own, std::size_t number, int map, bool fresh) {
    const Operation &op = program_.operations[number];
    const Buffer &in = program_.buffers[op.in], &out = program_.buffers[op.out];
    float *x = ws.arena.get() + (in.offset + in.inside() + map * in.plane().map) * ws.k.lanes;
    const float *dy = ws.arena.get() + (out.offset + out.inside() + map * out.plane().map) * ws.k.lanes;
    float *sums = ws.sums.get() + op.sums * ws.k.lanes;
    const Operation *before = number > 0 ? &program_.operations[number - 1] : nullptr;
    float *under = before && before->bias_summed ? bias_sums(ws, *before, map) : nullptr;
    switch (op.kind) {
    case Kind::convolution: {
        const Convolution &c = op.convolution;
        const std::int64_t taps = static_cast<std::int64_t>(op.map.size()) * c.rows * c.columns;
        const float *dout = ws.arena.get() + (out.offset + out.inside()) * ws.k.lanes;
        if (op.bias >= 0 && !op.bias_summed) ws.k.convolution.bias_gradient(c.out, dout, sums + taps * ws.k.lanes, map, fresh);
        for (int e = op.begin[map]; e < op.begin[map + 1]; e++)
            ws.k.convolution.weight_gradient(c, ws.arena.get() + in.offset * ws.k.lanes, dout, sums, map, op.map[e], e, fresh);
        return;
    }
    case Kind::average:
        ws.k.pooling.average_backward(op.window, dy, 1, x, in.activate, own.scratch.get(), under, fresh);
        return;
    case Kind::maximum: ws.k.pooling.max_backward(op.window, dy, x, in.activate, own.scratch.get(), under, fresh); return;
    case Kind::subsample:
        ws.k.pooling.scale_gradient(op.window, dy, x, sums + map * ws.k.lanes, fresh);
        ws.k.convolution.bias_gradient(out.plane(), ws.arena.get() + (out.offset + out.inside()) * ws.k.lanes,
                                       sums + out.maps * ws.k.lanes, map, fresh);
        ws.k.pooling.average_backward(op.window, dy, own.seen[op.weight + map], x, in.activate, own.scratch.get(), under,
                                      fresh);
        return;
    case Kind::copy:
    case Kind::pad:
        if (op.kind == Kind::pad) dy += (op.window.pad_rows * out.plane().pitch + op.window.pad_columns) * ws.k.lanes;
        for (int r = 0; r < in.rows; r++)
            ws.k.layers.copy_back(dy + r * out.plane().pitch * ws.k.lanes, x + r * in.plane().pitch * ws.k.lanes, in.activate,
                                  in.columns);
        return;
    case Kind::dense:
    case Kind::distance: return;
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
            if (flat(ops[from].kind)) return;
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
        float *x = ws.arena.get() + in.offset * ws.k.lanes;
        if (op.kind == Kind::dense) {
            const Dense d = op.dense;
            const float *dy = ws.arena.get() + out.offset * ws.k.lanes;
            ws.k.dense.images_first(dy, own.transposed.get(), d.out, d.pitch);
            const Share rows(d.in + (op.bias >= 0), rank, team);  // the bias is the last row
            ws.k.dense.weight_gradient(d, x, own.transposed.get(), gradient + op.weight, rows.first, rows.end, images, fresh);
            if (k == 0) return;
            if (team > 1) members.meet();
            const int cell = in.rows * in.columns;  // positions of a map: the dense layer sees them as its own inputs
            const Share maps(in.maps, rank, team);
            ws.k.dense.input_gradient(d, dy, own.seen + op.weight, x, in.activate, maps.first * cell,
                                      maps.end * cell);
            for (int m = maps.first; m < maps.end; m++) down(k - 1, m);
        } else if (op.kind == Kind::distance) {
            if (k == 0) return;
            const int cell = in.rows * in.columns;
            const Share maps(in.maps, rank, team);
            const float *dy = ws.arena.get() + out.offset * ws.k.lanes;
            ws.k.dense.distance_back(op.dense, dy, op.constants.data(), x, in.activate, maps.first * cell, maps.end * cell);
            for (int m = maps.first; m < maps.end; m++) down(k - 1, m);
        } else {
            if (k == 0) return;
            const Share maps = edge_share(op.back_begin, rank, team);
            const float *dout = ws.arena.get() + (out.offset + out.inside()) * ws.k.lanes;
            for (int m = maps.first; m < maps.end; m++) {
                ws.k.convolution.input_gradient(op.convolution, dout, own.seen + op.weight, x, in.activate, m,
                                                own.scratch.get());
                down(k - 1, m);
            }
        }
        k = reached(k - 1);
        if (team > 1) members.meet();
    }
}

void Engine::judge(Workspace &ws, const Pictures &, const Batch &batch, int at, float scale, bool gradient) {
    const Buffer &out = program_.buffers.back();
    const auto loss = program_.loss == Loss::cross_entropy ? ws.k.learning.cross_entropy : ws.k.learning.squared;
    loss(ws.arena.get() + out.offset * ws.k.lanes, ws.label, out.maps, std::min(ws.k.lanes, batch.count - at), scale, out.activate,
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
        const float *sums = ws.sums.get() + op.sums * ws.k.lanes;
        ws.k.convolution.fold(sums + share.first * ws.k.lanes, gradient + op.weight + share.first, share.end - share.first);
        if (op.bias >= 0)
            ws.k.convolution.fold(sums + (weights + rest.first) * ws.k.lanes, gradient + op.bias + rest.first, rest.end - rest.first);
    }
}

}  // namespace mathdnn
