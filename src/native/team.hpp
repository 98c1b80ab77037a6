#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace mathdnn {

// Threads that wait for each other; the first is the caller.
class Team {
  public:
    explicit Team(int size);
    ~Team();
    int size() const { return size_; }
    void run(const std::function<void(int)> &work);  // work(rank) on every thread
    void meet();                                     // all ranks, inside `run`

  private:
    void serve(int rank);
    const int size_;
    const std::function<void(int)> *work_ = nullptr;
    std::atomic<std::uint32_t> call_{0}, arrived_{0}, generation_{0};
    std::atomic<bool> end_{false};
    std::vector<std::thread> threads_;
};

// Whether several threads are worth it is measured, since other programs may hold the cores: then threads wait for
// each other. Now and then the slower way is tried again, rarer as long as it stays slower. No bit depends on it.
class Pace {
  public:
    struct Stretch {
        bool together;
        std::int64_t steps;
    };
    Stretch next() const;
    void took(Stretch, double seconds);

  private:
    double seconds_[2] = {-1, -1};  // a step: alone, together
    std::int64_t since_ = 0, wait_ = 64;
};

}  // namespace mathdnn
