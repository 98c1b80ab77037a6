// Memory for results, kept for the next result of its size.
//
// A fresh result of a megabyte costs hundreds of page faults, which take longer than computing it. What a result leaves
// behind is kept, up to `most_bytes` in all; the block that has lain longest is given back first.
#pragma once
#include <cstddef>
#include <list>
#include <mutex>

namespace mathdnn {

class Store {
  public:
    struct Block {
        void *memory;
        std::size_t bytes;
    };
    static Store &common();  // of the process; never destroyed, since results may outlive everything else
    Block take(std::size_t bytes);
    void give(Block);

  private:
    static constexpr std::size_t most_bytes = std::size_t(64) << 20, most_blocks = 64, page = 4096;
    std::mutex mutex_;
    std::list<Block> kept_;  // the oldest first
    std::size_t bytes_ = 0;
};

}  // namespace mathdnn
