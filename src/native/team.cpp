#include "team.hpp"

#include <algorithm>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "floating_point.hpp"

namespace mathdnn {
namespace {

void pause(int &spins) {
    if (++spins > 4000) {
        std::this_thread::yield();
        return;
    }
#if defined(__x86_64__)
    _mm_pause();
#endif
}

}  // namespace

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

}  // namespace mathdnn
