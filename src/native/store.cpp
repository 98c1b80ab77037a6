#include "store.hpp"

#include <cstdlib>
#include <new>

namespace mathdnn {

Store &Store::common() {
    static Store *store = new Store;
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

void Store::give(Block block) {
    std::list<Block> out;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        kept_.push_back(block);
        bytes_ += block.bytes;
        while (bytes_ > most_bytes || kept_.size() > most_blocks) {
            bytes_ -= kept_.front().bytes;
            out.splice(out.end(), kept_, kept_.begin());
        }
    }
    for (const Block &old : out) std::free(old.memory);
}

}  // namespace mathdnn
