// Threads for work between torch's own operations.
//
// torch's OpenMP threads go on spinning for milliseconds after each of its operations. Threads of ours beside them would
// have to share their cores, so the work runs on the very threads that torch keeps for the calling one. Where torch is
// not loaded, or has no such threads, a team of ours does it.
#pragma once
#include <functional>
#include <memory>

#include "engine.hpp"

namespace mathdnn {

class Pool {
  public:
    explicit Pool(int threads);
    // work(rank) on each thread, or on the calling one alone; there may be fewer than asked for, so work is to be taken, not dealt out.
    void run(const std::function<void(int)> &work, bool together = true);
    bool shared() const { return parallel_ != nullptr; }

  private:
    int threads_;
    void (*parallel_)(void (*)(void *), void *, unsigned, unsigned) = nullptr;
    int (*rank_)() = nullptr;
    std::unique_ptr<Team> own_;
};

}  // namespace mathdnn
