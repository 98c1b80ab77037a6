#include "pool.hpp"

#if defined(__linux__)
#include <dlfcn.h>
#endif

#include "floating_point.hpp"

namespace mathdnn {
namespace {

// A function of the OpenMP runtime that torch itself was linked with. Looked up through torch's library, since a process
// may hold several such runtimes, each with threads of its own; the library stays loaded, and so does the runtime.
void *of_torch(const char *name) {
#if defined(__linux__)
    if (void *library = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD)) {
        void *found = dlsym(library, name);
        dlclose(library);
        return found;
    }
#endif
    (void)name;
    return nullptr;
}

struct Call {
    const std::function<void(int)> &work;
    int (*rank)();
};

void enter(void *data) {
    DefaultFloatingPoint environment;
    const Call &call = *static_cast<Call *>(data);
    call.work(call.rank());
}

int first() { return 0; }

}  // namespace

Pool::Pool(int threads) : threads_(threads) {
    if (threads == 1) return;
    parallel_ = reinterpret_cast<decltype(parallel_)>(of_torch("GOMP_parallel"));
    rank_ = reinterpret_cast<decltype(rank_)>(of_torch("omp_get_thread_num"));
    if (parallel_ && rank_) return;
    parallel_ = nullptr;
    own_ = std::make_unique<Team>(threads);
}

void Pool::run(const std::function<void(int)> &work, bool together) {
    Call call{work, together && parallel_ ? rank_ : first};
    if (!together || threads_ == 1) enter(&call);
    else if (own_) own_->run(work);
    else parallel_(enter, &call, static_cast<unsigned>(threads_), 0);
}

}  // namespace mathdnn
