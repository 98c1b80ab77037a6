// A block of images comes into the arena: 16 of them, or 8, chosen, moved, and turned into lanes. Lanes that are left over
// see the block's first image: no number turns infinite in them that does not in that image. (A lane's derivatives are 0
// where it is left over, and 0 times infinity would come into the sums.)
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine.hpp"

namespace mathdnn {

void Engine::fill_floats(Workspace &ws, const Pictures &pictures, const Batch &batch, int at, Share rows) {
    const Buffer &in = program_.buffers[0];
    const Plane plane = in.plane();
    const std::int64_t pixels = static_cast<std::int64_t>(in.maps) * in.rows * in.columns;
    float *corner = ws.arena.get() + (in.offset + in.inside()) * ws.k.lanes;
    for (int n = 0; n < ws.k.lanes; n++) {
        const int number = at + n < batch.count ? at + n : at;
        const std::int64_t image = batch.index ? batch.index[number] : number;
        const std::int64_t down = batch.shifts ? batch.shifts[2 * image] : 0;
        const std::int64_t right = batch.shifts ? batch.shifts[2 * image + 1] : 0;
        for (int m = 0; m < in.maps; m++)
            for (int r = rows.first; r < rows.end; r++)
                for (int c = 0; c < in.columns; c++) {
                    const std::int64_t y = r - down, x = c - right;
                    const bool inside = y >= 0 && y < in.rows && x >= 0 && x < in.columns;
                    const float u = inside ? pictures.floats[image * pixels + (m * in.rows + y) * in.columns + x] : 0.0f;
                    corner[(m * plane.map + r * plane.pitch + c) * ws.k.lanes + n] = u * pictures.gain + pictures.offset;
                }
    }
}

// Images from `at` of the batch; several threads fill a share of the rows each.
void Engine::fill(Workspace &ws, Workspace &own, const Pictures &pictures, const Batch &batch, int at, int rank, int team) {
    for (int n = 0; rank == 0 && n < ws.k.lanes; n++) {
        const std::int64_t image = at + n < batch.count ? batch.index ? batch.index[at + n] : at + n : -1;
        ws.label[n] = image >= 0 && pictures.label ? pictures.label[image] : 0;
    }
    const Share rows(program_.buffers[0].rows, rank, team);
    if (rows.first == rows.end) return;
    if (pictures.floats) fill_floats(ws, pictures, batch, at, rows);
    else fill_bytes(ws, own, pictures, batch, at, rows);
}

void Engine::fill_bytes(Workspace &ws, Workspace &own, const Pictures &pictures, const Batch &batch, int at, Share rows) {
    const Buffer &in = program_.buffers[0];
    const Plane plane = in.plane();
    const std::int64_t map = static_cast<std::int64_t>(in.rows) * in.columns, pixels = in.maps * map;
    const std::uint8_t *image[block];
    for (int n = 0; n < ws.k.lanes; n++) {
        std::uint8_t *moved = own.moved.get() + n * pixels;
        image[n] = moved;
        if (at + n >= batch.count) {
            image[n] = image[0];
            continue;
        }
        const std::int64_t k = batch.index ? batch.index[at + n] : at + n;
        const std::uint8_t *from = pictures.bytes + k * pixels;
        const std::int64_t down = batch.shifts ? batch.shifts[2 * k] : 0, right = batch.shifts ? batch.shifts[2 * k + 1] : 0;
        if (down == 0 && right == 0) {
            image[n] = from;
            continue;
        }
        std::memset(moved, 0, pixels);
        const std::int64_t left = std::max<std::int64_t>(0, right), wide = in.columns - std::abs(right);
        for (std::int64_t r = std::max<std::int64_t>(0, down); wide > 0 && r < in.rows + std::min<std::int64_t>(0, down); r++)
            for (int m = 0; m < in.maps; m++)
                std::memcpy(moved + m * map + r * in.columns + left, from + m * map + (r - down) * in.columns + left - right, wide);
    }
    float *corner = ws.arena.get() + (in.offset + in.inside()) * ws.k.lanes;
    const std::int64_t first = static_cast<std::int64_t>(rows.first) * in.columns;
    for (int m = 0; m < in.maps; m++) {
        const std::uint8_t *part[block];
        for (int n = 0; n < ws.k.lanes; n++) part[n] = image[n] + m * map + first;
        ws.k.layers.interleave(part, own.bytes.get(), static_cast<std::int64_t>(rows.end - rows.first) * in.columns);
        for (int r = rows.first; r < rows.end; r++)
            ws.k.layers.expand(own.bytes.get() + static_cast<std::int64_t>(r - rows.first) * in.columns * ws.k.lanes,
                               pictures.table, corner + (m * plane.map + r * plane.pitch) * ws.k.lanes, in.columns);
    }
}

}  // namespace mathdnn
