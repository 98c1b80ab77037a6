// The convolution over a connection table on ordinary arrays (n, maps, rows, columns): forward, and its gradients.
//
//   l output map, g input map, e edge (l, g)     R rows of a strip     s strips of an image
//
// Sixteen images fill the lanes of a block. The images that are left over, fewer than sixteen, are cut into strips of
// R output rows, with the input rows they need, and the strips fill the lanes: one image of ten output rows fills ten.
// What s strips do not cover is a last strip of its own; no strip holds a row that is not there, since what stood in
// its place would meet infinite numbers. The padding above and below would too: whole images leave it out, strips cannot.
// So where the layer pads rows, and a weight (forward) or a derivative of the output is not finite, nothing is cut.
//
// Work is cut into units: a piece of the groups of images, and a part of the maps. Threads take the next unit. Pieces
// depend on the images alone, not on the threads, and are added in their order; parts change no sum; so the number of threads
// changes no bit.
//
// The memory for the lanes is lent for the time of a call, as large as the cuts in use and the threads at work need it:
// kernels are kept for each size that was met, and would keep theirs.
#pragma once
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "pool.hpp"
#include "store.hpp"

namespace mathdnn {

template <class T> class Table {
  public:
    // size: in maps, rows, columns, out maps, rows, columns, filter rows, columns, strides, paddings, dilations
    Table(std::vector<std::int32_t> begin, std::vector<std::int32_t> map, const std::vector<int> &size, int threads,
          const std::string &set);
    void forward(std::int64_t n, const T *x, const T *w, const T *bias, T *y);  // bias may be null
    // Each gradient where it is not null. x is read for dw, w for dx.
    void backward(std::int64_t n, const T *x, const T *g, const T *w, T *dx, T *dw, T *db);
    int maps_in() const { return maps_in_; }
    int rows() const { return rows_; }
    int columns() const { return columns_; }
    int maps_out() const { return maps_out_; }
    int out_rows() const { return out_rows_; }
    int out_columns() const { return out_columns_; }
    int edges() const { return int(map_.size()); }
    int filter_rows() const { return c_.rows; }
    int filter_columns() const { return c_.columns; }
    double fill(std::int64_t n) const;              // the part of the lanes that hold something
    std::int64_t bytes(std::int64_t n) const;       // of a block's lanes, input and output
    bool shared() const { return pool_.shared(); }  // whether the threads are torch's

  private:
    struct Cut {          // an image in strips
        Convolution c;    // of one strip; in.rows are the input rows it needs
        int strips, first;  // how many, and the first one's first output row
    };
    struct Group {        // images whose strips fill the lanes of one block
        std::int64_t at;
        int images;
        const std::vector<Cut> *cuts;
    };
    struct Room {         // of a thread
        T *in, *out, *scratch, *row, *sums;
    };
    struct Workplace {    // of a call
        Lent<T> memory;
        const T *zeros = nullptr;
        T *found = nullptr;  // the sums of each piece
        std::vector<Room> rooms;
    };
    struct Share {        // a part of the output maps and of the input maps
        int first_out, end_out, first_in, end_in;
    };

    struct Schedule {     // the first pieces are taken whole, each of the others in so many parts
        std::int64_t whole;
        int parts;
    };

    Cut cut(int rows, int strips, int first) const;
    std::vector<Cut> strips_for(int images, int &at_once) const;
    std::vector<Group> groups(std::int64_t n, bool strips) const;
    std::vector<Share> shares(int parts) const;
    double finished(const std::vector<double> &loads, std::size_t whole, int parts) const;
    Schedule schedule(const std::vector<Group> &, std::int64_t pieces, std::int64_t size);
    struct Pieces {
        std::int64_t size, count;  // groups of a piece, and how many pieces
    };
    Pieces pieces(const std::vector<Group> &) const;
    Workplace workplace(const std::vector<Group> &, bool together) const;
    template <class Work> Workplace run(const std::vector<Group> &, Pieces, Work work);
    void load(const Cut &, const Group &, const T *images, int maps, bool input, const T *zeros, T *to) const;
    void take_out(const Cut &, const Group &, const T *from, int first, int end, T *images) const;
    void add_in(const Cut &, const Group &, const Room &, int first, int end, T *images) const;
    bool whole(const Cut &cut) const { return cut.strips == 1 && cut.c.out.rows == out_rows_; }
    bool padded() const { return whole_[0].c.pad_rows || whole_[0].c.pad_columns; }
    int start(const Cut &cut, int strip) const;

    std::vector<std::int32_t> begin_, map_, back_begin_, back_edge_, back_map_;
    const ConvolutionKernels<T> &k_;
    Pool pool_;
    std::mutex one_at_a_time_;
    int threads_, maps_in_, rows_, columns_, maps_out_, out_rows_, out_columns_;
    Convolution c_{};
    std::int64_t inside_, outside_, weights_, sums_;
    std::vector<Cut> whole_;
    std::vector<std::vector<Cut>> rest_;  // by the number of images left over
    std::vector<int> at_once_;            // and how many of them share a block
    std::map<std::tuple<std::int64_t, std::int64_t, std::size_t>, Schedule> schedules_;  // by images, pieces, groups
};

extern template class Table<float>;
extern template class Table<double>;

}  // namespace mathdnn
