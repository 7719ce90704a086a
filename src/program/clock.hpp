// The time of day.
#pragma once

#include <chrono>
#include <cstdint>

namespace cdc::program {

// Microseconds since 1970-01-01 UTC.
inline int64_t unix_micros() {
    using std::chrono::microseconds;
    return std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

inline double unix_seconds() {
    return static_cast<double>(unix_micros()) / 1e6;
}

}  // namespace cdc::program
