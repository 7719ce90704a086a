// How a fuzz target says that something is wrong.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace cdc::fuzz {

inline void check(bool ok, const char *what, std::string_view shown = {}) {
    if (!ok) {
        fprintf(stderr, "wrong: %s\n%.*s\n", what, static_cast<int>(shown.size()), shown.data());
        abort();
    }
}

}  // namespace cdc::fuzz
