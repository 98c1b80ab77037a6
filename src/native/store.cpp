#include "store.hpp"

#include <cstdlib>
#include <new>

namespace mathdnn {

Store &Store::results() {
    static Store *store = new Store(std::size_t(64) << 20);
    return *store;
}

Store &Store::rooms() {
    static Store *store = new Store(std::size_t(128) << 20);
    return *store;
}

Store::Block Store::take(std::size_t bytes) {
    const std::size_t size = (bytes + page - 1) / page * page + (bytes == 0 ? page : 0);
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto block = kept_.rbegin(); block != kept_.rend(); ++block)  // the latest is the likeliest in a cache
            if (block->bytes == size) {
                const Block found = *block;
                kept_.erase(std::next(block).base());
                bytes_ -= size;
                return found;
            }
    }
    void *memory = std::aligned_alloc(page, size);
    if (!memory) throw std::bad_alloc();
    return {memory, size};
}

void Store::give(Block block) noexcept {
    std::list<Block> out;
    try {
        out.push_back(block);
    } catch (const std::bad_alloc &) {
        std::free(block.memory);
        return;
    }
    if (block.bytes <= most_bytes_) {  // a larger one would only drive out the others
        const std::lock_guard<std::mutex> lock(mutex_);
        kept_.splice(kept_.end(), out);
        bytes_ += block.bytes;
        while (bytes_ > most_bytes_ || kept_.size() > most_blocks) {
            bytes_ -= kept_.front().bytes;
            out.splice(out.end(), kept_, kept_.begin());
        }
    }
    for (const Block &old : out) std::free(old.memory);
}

}  // namespace mathdnn
