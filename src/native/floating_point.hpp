#pragma once
#include <cfenv>

namespace mathdnn {

// Default rounding, subnormals kept: a caller may have set its thread otherwise (flush to zero), which would change bits.
class DefaultFloatingPoint {
  public:
    DefaultFloatingPoint() {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~DefaultFloatingPoint() { std::fesetenv(&saved_); }
    DefaultFloatingPoint(const DefaultFloatingPoint &) = delete;
    DefaultFloatingPoint &operator=(const DefaultFloatingPoint &) = delete;

  private:
    std::fenv_t saved_;
};

}  // namespace mathdnn
