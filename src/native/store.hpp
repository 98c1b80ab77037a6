// Memory for results and for the time of a call, kept for the next that needs as much.
//
// A fresh result of a megabyte costs hundreds of page faults, which take longer than computing it. What it leaves behind
// is kept, up to so many bytes in all; the block that has lain longest is given back first.
#pragma once
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>

namespace mathdnn {

class Store {
  public:
    struct Block {
        void *memory;
        std::size_t bytes;
    };
    explicit Store(std::size_t most_bytes) : most_bytes_(most_bytes) {}
    static Store &results();  // of the process; never destroyed, since results may outlive everything else
    static Store &rooms();    // for the time of a call
    Block take(std::size_t bytes);
    void give(Block) noexcept;

  private:
    static constexpr std::size_t most_blocks = 64, page = 4096;
    const std::size_t most_bytes_;
    std::mutex mutex_;
    std::list<Block> kept_;  // the oldest first
    std::size_t bytes_ = 0;
};

// Numbers for the time of a call, on 64 bytes, whatever stood there before.
struct GiveBack {
    std::size_t bytes = 0;
    void operator()(void *memory) const noexcept { Store::rooms().give({memory, bytes}); }
};
template <class T> using Lent = std::unique_ptr<T[], GiveBack>;
template <class T> Lent<T> lent(std::size_t count) {
    const Store::Block block = Store::rooms().take(count * sizeof(T));
    return Lent<T>(static_cast<T *>(block.memory), {block.bytes});
}

}  // namespace mathdnn
