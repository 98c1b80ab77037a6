#include "table.hpp"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <limits>

#include "floating_point.hpp"

namespace mathdnn {
namespace {

template <class T> const ConvolutionKernels<T> &kernels(const std::string &set);
template <> const ConvolutionKernels<float> &kernels<float>(const std::string &set) { return float_kernels(set); }
template <> const ConvolutionKernels<double> &kernels<double>(const std::string &set) { return double_kernels(set); }

// What a strip costs beside its rows: turning its images into lanes and back. A row here is a row of all output maps.
constexpr double strip_cost = 0.5;
// Below so many multiply-adds the calling thread is done before another has begun.
constexpr double worth_threads = 1e6;
// Turning a block into lanes and back, as a part of all that is done to it.
constexpr double sharing_cost = 0.08;
// Folding a sum's lanes costs a thread what so many positions of multiply-adds cost it, divided by the share it may take.
constexpr std::int64_t positions_a_fold = 200, most_pieces = 64;

template <class T> bool finite(const T *numbers, std::int64_t count) {
    bool all = true;
    for (std::int64_t i = 0; i < count; i++) all &= numbers[i] - numbers[i] == 0;
    return all;
}

}  // namespace

template <class T>
Table<T>::Table(std::vector<std::int32_t> begin, std::vector<std::int32_t> map, const std::vector<int> &size, int threads,
                const std::string &set)
    : begin_(std::move(begin)), map_(std::move(map)), k_(kernels<T>(set)), pool_(threads), threads_(threads),
      maps_in_(size.at(0)), rows_(size.at(1)), columns_(size.at(2)), maps_out_(size.at(3)), out_rows_(size.at(4)),
      out_columns_(size.at(5)) {
    back_begin_.push_back(0);
    for (int g = 0; g < maps_in_; g++) {
        for (int l = 0; l < maps_out_; l++)
            for (int e = begin_[l]; e < begin_[l + 1]; e++)
                if (map_[e] == g) {
                    back_edge_.push_back(e);
                    back_map_.push_back(l);
                }
        back_begin_.push_back(static_cast<std::int32_t>(back_edge_.size()));
    }
    c_.rows = size.at(6);
    c_.columns = size.at(7);
    c_.pad_rows = size.at(10);
    c_.pad_columns = size.at(11);
    c_.stride_rows = std::min(size.at(8), rows_ + 2 * c_.pad_rows);  // a longer one leaves the same one position
    c_.stride_columns = std::min(size.at(9), columns_ + 2 * c_.pad_columns);
    c_.dilation_rows = size.at(12);
    c_.dilation_columns = size.at(13);
    c_.begin = begin_.data();
    c_.map = map_.data();
    c_.back_begin = back_begin_.data();
    c_.back_edge = back_edge_.data();
    c_.back_map = back_map_.data();
    inside_ = std::int64_t(maps_in_) * rows_ * columns_;
    outside_ = std::int64_t(maps_out_) * out_rows_ * out_columns_;
    weights_ = std::int64_t(map_.size()) * c_.rows * c_.columns;
    sums_ = weights_ + maps_out_;

    Cut all = cut(out_rows_, 1, 0);
    all.c.pad_rows = c_.pad_rows;
    all.c.in.rows = rows_ + 2 * c_.pad_rows;
    all.c.in.map = all.c.in.pitch * all.c.in.rows;
    whole_ = {all};
    for (int images = 0; images < block; images++) {
        int at_once = block;
        rest_.push_back(images ? strips_for(images, at_once) : whole_);
        at_once_.push_back(at_once);
    }
}

template <class T> typename Table<T>::Cut Table<T>::cut(int rows, int strips, int first) const {
    Convolution c = c_;
    c.pad_rows = 0;  // the rows of a strip hold the padding they need
    const std::int64_t pitch = columns_ + 2 * c.pad_columns;
    const int tall = (rows - 1) * c.stride_rows + (c.rows - 1) * c.dilation_rows + 1;
    c.in = {tall, int(pitch), pitch, pitch * tall};
    c.out = {rows, out_columns_, out_columns_, std::int64_t(rows) * out_columns_};
    return {c, strips, first};
}

// The cut that takes the fewest rows, strips and all: s strips of `rows`, and what they leave.
template <class T> std::vector<typename Table<T>::Cut> Table<T>::strips_for(int images, int &at_once) const {
    double least = std::numeric_limits<double>::max();
    std::vector<Cut> best;
    for (int s = 1; s <= std::min(block, out_rows_); s++) {
        const int together = block / s, times = (images + together - 1) / together;
        const int rows = out_rows_ / s, left = out_rows_ - s * rows;
        const double cost = times * (rows + strip_cost * (s > 1) + (left ? left + strip_cost : 0));
        if (cost >= least) continue;
        least = cost;
        at_once = together;
        best.clear();
        if (s == 1) best = whole_;
        else best.push_back(cut(rows, s, 0));
        if (left) best.push_back(cut(left, 1, s * rows));
    }
    return best;
}

template <class T> std::vector<typename Table<T>::Group> Table<T>::groups(std::int64_t n, bool strips) const {
    std::vector<Group> all;
    std::int64_t at = 0;
    for (; at + block <= n; at += block) all.push_back({at, block, &whole_});
    const int left = int(n - at), together = strips ? at_once_[left] : block;
    const std::vector<Cut> &cuts = strips ? rest_[left] : whole_;
    for (; at < n; at += together) all.push_back({at, int(std::min<std::int64_t>(together, n - at)), &cuts});
    return all;
}

// The maps in `parts` runs with about as many edges each.
template <class T> std::vector<typename Table<T>::Share> Table<T>::shares(int parts) const {
    const auto bound = [&](const std::vector<std::int32_t> &begin, int part) {
        const auto edges = std::int64_t(map_.size()) * part / parts;
        const auto found = std::lower_bound(begin.begin(), begin.end(), edges);
        return part == parts ? int(begin.size()) - 1 : int(found - begin.begin());
    };
    std::vector<Share> all;
    for (int part = 0; part < parts; part++)
        all.push_back({bound(begin_, part), bound(begin_, part + 1), bound(back_begin_, part), bound(back_begin_, part + 1)});
    return all;
}

// When the last thread is done, if each takes the next unit: the first `whole` pieces, then the others in `parts` each.
template <class T>
double Table<T>::finished(const std::vector<double> &loads, std::size_t whole, int parts) const {
    std::vector<double> busy(std::size_t(threads_), 0.0);
    for (std::size_t piece = 0; piece < loads.size(); piece++)
        for (int part = 0; part < (piece < whole ? 1 : parts); part++) {
            const double load = piece < whole ? 1 + sharing_cost : 1.0 / parts + sharing_cost;
            *std::min_element(busy.begin(), busy.end()) += loads[piece] * load;
        }
    return *std::max_element(busy.begin(), busy.end());
}

// Pieces are taken whole, or the last of them shared out by maps, if that is sooner done.
template <class T>
typename Table<T>::Schedule Table<T>::schedule(const std::vector<Group> &all, std::int64_t pieces, std::int64_t size) {
    const auto key = std::tuple{all.back().at + all.back().images, pieces, all.size()};
    if (const auto known = schedules_.find(key); known != schedules_.end()) return known->second;
    std::vector<double> loads(std::size_t(pieces), 0.0);
    for (std::size_t i = 0; i < all.size(); i++)
        for (const Cut &cut : *all[i].cuts) loads[i / std::size_t(size)] += double(cut.c.out.rows) / out_rows_;
    Schedule best{pieces, 1};
    double least = finished(loads, loads.size(), 1);
    for (std::int64_t left = 1; left <= std::min<std::int64_t>(pieces, 2 * threads_ - 1); left++)
        for (int parts = 2; parts <= std::min({threads_, maps_in_, maps_out_}); parts++)
            if (const double end = finished(loads, std::size_t(pieces - left), parts); end < least) {
                least = end;
                best = {pieces - left, parts};
            }
    if (schedules_.size() >= 64) schedules_.clear();
    return schedules_[key] = best;
}

// As many groups to a piece as hide the folding of its sums.
template <class T> typename Table<T>::Pieces Table<T>::pieces(const std::vector<Group> &all) const {
    const auto count = std::int64_t(all.size());
    const std::int64_t positions = std::max<std::int64_t>(1, std::int64_t(out_rows_) * out_columns_);
    const std::int64_t size = std::max((positions_a_fold + positions - 1) / positions, (count + most_pieces - 1) / most_pieces);
    return {size, (count + size - 1) / size};
}

// Memory for the cuts of the groups, for one thread or all; as much in both directions, so that one serves the other.
template <class T>
typename Table<T>::Workplace Table<T>::workplace(const std::vector<Group> &all, bool together) const {
    const std::int64_t units = std::int64_t(all.size()) * std::min(maps_in_, maps_out_);  // at most
    const std::int64_t rooms = together ? std::min<std::int64_t>(threads_, units) : 1, found = pieces(all).count * sums_;
    std::int64_t in = 0, out = 0, zeros = columns_;  // a row above or below the image
    for (const Group &group : all)
        for (const Cut &cut : *group.cuts) {
            in = std::max(in, cut.c.in.map);
            out = std::max(out, cut.c.out.map);
            if (group.images * cut.strips == block) continue;  // otherwise some lanes hold no image
            zeros = std::max(zeros, whole(cut) ? std::max(inside_, outside_) : std::max(cut.c.in.map, cut.c.out.map));
        }
    const std::int64_t line = 64 / sizeof(T);  // parts begin on 64 bytes
    const auto lines = [&](std::int64_t numbers) { return (numbers + line - 1) / line * line; };
    const std::int64_t parts[] = {maps_in_ * in * block, maps_out_ * out * block, in * block,
                                  std::int64_t(columns_) * block, sums_ * block};
    std::int64_t room = 0;
    for (const std::int64_t part : parts) room += lines(part);
    Workplace place;
    place.memory = lent<T>(std::size_t(lines(zeros) + lines(found) + rooms * room));
    T *next = place.memory.get();
    const auto take = [&](std::int64_t numbers) { return std::exchange(next, next + lines(numbers)); };
    std::fill_n(next, zeros, T(0));
    place.zeros = take(zeros);
    place.found = take(found);
    for (std::int64_t i = 0; i < rooms; i++) {
        T *of[5];
        std::transform(std::begin(parts), std::end(parts), of, take);
        place.rooms.push_back({of[0], of[1], of[2], of[3], of[4]});
    }
    return place;
}

// work(place, room, piece, share) for each piece and share of the maps; where it worked comes back.
template <class T>
template <class Work>
typename Table<T>::Workplace Table<T>::run(const std::vector<Group> &all, Pieces pieces, Work work) {
    if (all.empty()) return {};
    const double multiply_adds = double(all.back().at + all.back().images) * double(weights_) * out_rows_ * out_columns_;
    const bool together = threads_ > 1 && multiply_adds >= worth_threads;
    const Schedule plan = together ? schedule(all, pieces.count, pieces.size) : Schedule{pieces.count, 1};
    const Share everything = {0, maps_out_, 0, maps_in_};
    const std::vector<Share> split = shares(plan.parts);
    const std::int64_t units = plan.whole + (pieces.count - plan.whole) * plan.parts;
    Workplace place = workplace(all, together);
    std::atomic<std::int64_t> taken{0};
    std::atomic<std::size_t> at_work{0};
    pool_.run([&](int) {
        std::int64_t unit = taken++;
        if (unit >= units) return;  // no room is kept for a thread that comes too late
        const Room &room = place.rooms[at_work++];
        for (; unit < units; unit = taken++) {
            const std::int64_t later = unit - plan.whole;
            if (later < 0) work(place, room, unit, everything);
            else work(place, room, plan.whole + later / plan.parts, split[later % plan.parts]);
        }
    }, together);
    return place;
}

template <class T> int Table<T>::start(const Cut &cut, int strip) const {
    return (cut.first + strip * cut.c.out.rows) * c_.stride_rows - c_.pad_rows;
}

// Images into the lanes: the input, or the derivative of the output.
template <class T>
void Table<T>::load(const Cut &cut, const Group &group, const T *images, int maps, bool input, const T *zeros, T *to) const {
    const Plane &plane = input ? cut.c.in : cut.c.out;
    const int columns = input ? columns_ : out_columns_, rows = input ? rows_ : out_rows_;
    const std::int64_t size = input ? inside_ : outside_;
    const T *lane[block];
    const auto point = [&](int map, int row) {  // row of the plane, in each strip
        for (int i = 0; i < block; i++) {
            const int image = i / cut.strips, strip = i % cut.strips;
            const int at = row + (input ? start(cut, strip) : cut.first + strip * plane.rows);
            const bool there = image < group.images && at >= 0 && at < rows;
            lane[i] = there ? images + (group.at + image) * size + (std::int64_t(map) * rows + at) * columns : zeros;
        }
    };
    if (input && padded()) {
        for (int m = 0; m < maps; m++)
            for (int r = 0; r < plane.rows; r++) {
                point(m, r);
                k_.lanes_in(lane, to + (m * plane.map + r * plane.pitch + c_.pad_columns) * block, columns);
            }
    } else if (whole(cut)) {
        point(0, 0);
        k_.lanes_in(lane, to, size);
    } else {
        for (int m = 0; m < maps; m++) {
            point(m, 0);
            k_.lanes_in(lane, to + m * plane.map * block, plane.map);
        }
    }
}

// Lanes to the output's images, maps `first` to `end`.
template <class T>
void Table<T>::take_out(const Cut &cut, const Group &group, const T *from, int first, int end, T *images) const {
    const Plane &plane = cut.c.out;
    const std::int64_t map = std::int64_t(out_rows_) * out_columns_;
    T *lane[block];
    const int filled = group.images * cut.strips;
    const bool all = plane.map == map;
    for (int m = first; m < end; m += all ? end - first : 1) {
        for (int i = 0; i < filled; i++)
            lane[i] = images + (group.at + i / cut.strips) * outside_ + m * map +
                      (cut.first + i % cut.strips * std::int64_t(plane.rows)) * out_columns_;
        k_.lanes_out(from + m * plane.map * block, lane, filled, all ? (end - first) * map : plane.map);
    }
}

// Lanes to the gradient of the input's images: strips overlap there, and are added.
template <class T>
void Table<T>::add_in(const Cut &cut, const Group &group, const Room &room, int first, int end, T *images) const {
    const Plane &plane = cut.c.in;
    const int filled = group.images * cut.strips;
    const bool all = whole(cut);
    const std::int64_t map = std::int64_t(rows_) * columns_;
    T *lane[block];
    const auto image = [&](int i, int m) { return images + (group.at + i / cut.strips) * inside_ + m * map; };
    if (all && !padded()) {
        for (int i = 0; i < filled; i++) lane[i] = image(i, first);
        if (first < end) k_.lanes_out(room.in + first * map * block, lane, filled, (end - first) * map);
        return;
    }
    for (int m = first; m < end; m++) {
        for (int r = 0; r < plane.rows; r++) {
            const T *from = room.in + (m * plane.map + r * plane.pitch + c_.pad_columns) * block;
            if (all) {
                if (r < c_.pad_rows || r >= c_.pad_rows + rows_) continue;
                for (int i = 0; i < filled; i++) lane[i] = image(i, m) + (r - c_.pad_rows) * std::int64_t(columns_);
                k_.lanes_out(from, lane, filled, columns_);
                continue;
            }
            for (int i = 0; i < filled; i++) lane[i] = room.row + std::int64_t(i) * columns_;
            k_.lanes_out(from, lane, filled, columns_);
            for (int i = 0; i < filled; i++) {
                const int at = start(cut, i % cut.strips) + r;
                if (at < 0 || at >= rows_) continue;
                T *to = image(i, m) + std::int64_t(at) * columns_;
                for (int x = 0; x < columns_; x++) to[x] += lane[i][x];
            }
        }
    }
}

template <class T> double Table<T>::fill(std::int64_t n) const {
    double rows = double(n / block) * out_rows_;  // of whole images; n may be any number
    for (const Group &group : groups(n % block, true))
        for (const Cut &cut : *group.cuts) rows += cut.c.out.rows;
    return rows > 0 ? double(n) * out_rows_ / (rows * block) : 1;
}

template <class T> std::int64_t Table<T>::bytes(std::int64_t n) const {
    std::int64_t most = 0;
    for (const Group &group : groups(std::min<std::int64_t>(n, 2 * block - 1), true))
        for (const Cut &cut : *group.cuts)
            most = std::max(most, (maps_in_ * cut.c.in.map + maps_out_ * cut.c.out.map) * std::int64_t(block * sizeof(T)));
    return most;
}

template <class T> void Table<T>::forward(std::int64_t n, const T *x, const T *w, const T *bias, T *y) {
    const DefaultFloatingPoint environment;
    const std::lock_guard<std::mutex> lock(one_at_a_time_);
    const std::vector<Group> all = groups(n, c_.pad_rows == 0 || n % block == 0 || finite(w, weights_));
    run(all, {1, std::int64_t(all.size())}, [&](const Workplace &place, const Room &room, std::int64_t number, const Share &share) {
        const Group &group = all[number];
        for (const Cut &cut : *group.cuts) {
            load(cut, group, x, maps_in_, true, place.zeros, room.in);
            for (int l = share.first_out; l < share.end_out; l++)
                k_.forward(cut.c, room.in, w, bias, room.out, l, 0, cut.c.out.rows);
            take_out(cut, group, room.out, share.first_out, share.end_out, y);
        }
    });
}

template <class T>
void Table<T>::backward(std::int64_t n, const T *x, const T *g, const T *w, T *dx, T *dw, T *db) {
    const DefaultFloatingPoint environment;
    const std::lock_guard<std::mutex> lock(one_at_a_time_);
    const std::int64_t rest = n % block;
    const bool strips = c_.pad_rows == 0 || finite(g + (n - rest) * outside_, rest * outside_);
    const std::vector<Group> all = groups(n, strips);
    const Pieces cut_up = pieces(all);
    const std::int64_t count = std::int64_t(all.size()), size = cut_up.size, taps = std::int64_t(c_.rows) * c_.columns;
    const auto work = [&](const Workplace &place, const Room &room, std::int64_t piece, const Share &share) {
        bool fresh = true;
        for (std::int64_t number = piece * size; number < std::min(count, (piece + 1) * size); number++) {
            const Group &group = all[number];
            const bool strips = group.cuts != &whole_ && (group.cuts->size() > 1 || group.cuts->front().strips > 1);
            for (int i = 0; dx && strips && i < group.images; i++) {
                T *image = dx + (group.at + i) * inside_;
                std::fill(image + share.first_in * std::int64_t(rows_) * columns_, image + share.end_in * std::int64_t(rows_) * columns_, T(0));
            }
            for (const Cut &cut : *group.cuts) {
                load(cut, group, g, maps_out_, false, place.zeros, room.out);
                if (dw) load(cut, group, x, maps_in_, true, place.zeros, room.in);
                for (int l = share.first_out; l < share.end_out; l++) {
                    if (db) k_.bias_gradient(cut.c.out, room.out, room.sums + weights_ * block, l, fresh);
                    for (int e = begin_[l]; dw && e < begin_[l + 1]; e++)
                        k_.weight_gradient(cut.c, room.in, room.out, room.sums, l, map_[e], e, fresh);
                }
                fresh = false;
                if (!dx) continue;
                for (int m = share.first_in; m < share.end_in; m++)
                    k_.input_gradient(cut.c, room.out, w, room.in, {}, m, room.scratch);
                add_in(cut, group, room, share.first_in, share.end_in, dx);
            }
        }
        const auto fold = [&](std::int64_t from, std::int64_t end) {
            k_.fold(room.sums + from * block, place.found + piece * sums_ + from, end - from);
        };
        if (dw) fold(begin_[share.first_out] * taps, begin_[share.end_out] * taps);
        if (db) fold(weights_ + share.first_out, weights_ + share.end_out);
    };
    const Workplace place = run(all, cut_up, work);
    const auto add = [&](T *to, std::int64_t from, std::int64_t end) {
        for (std::int64_t i = from; i < end; i++) {
            T sum = count ? place.found[i] : T(0);
            for (std::int64_t k = 1; k < cut_up.count; k++) sum += place.found[k * sums_ + i];
            to[i - from] = sum;
        }
    };
    if (dw) add(dw, 0, weights_);
    if (db) add(db, weights_, sums_);
}

template class Table<float>;
template class Table<double>;

}  // namespace mathdnn
