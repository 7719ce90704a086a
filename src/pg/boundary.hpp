// Where C calls C++: no exception may reach a C frame (it would end the whole cluster), so every extern "C" entry runs
// its body through guarded(). The way back, ereport() jumping over C++ frames, is safe only while those hold nothing
// that has a destructor to run: objects that live across a server call are trivially destructible, their memory in
// palloc contexts, and must_be_trivial() says so to the compiler.
#pragma once

#include "postgres.hpp"

namespace cdc::pg {

template <typename T>
constexpr void must_be_trivial() {
    static_assert(std::is_trivially_destructible_v<T>, "ereport() would jump over this destructor");
}

// Runs body() and returns what it returns; an exception becomes an ERROR.
template <typename Body>
auto guarded(Body body) -> decltype(body()) {
    must_be_trivial<Body>();
    char what[256];
    int sqlstate;
    try {
        return body();
    } catch (const std::bad_alloc &) {
        strlcpy(what, "out of memory", sizeof what);
        sqlstate = ERRCODE_OUT_OF_MEMORY;
    } catch (const std::exception &exception) {
        strlcpy(what, exception.what(), sizeof what);
        sqlstate = ERRCODE_INTERNAL_ERROR;
    } catch (...) {
        strlcpy(what, "unknown exception", sizeof what);
        sqlstate = ERRCODE_INTERNAL_ERROR;
    }
    // Only here, with the exception gone, may ereport() jump.
    ereport(ERROR, errcode(sqlstate), errmsg("cdc_plugin failed: %s", what));
    pg_unreachable();
}

}  // namespace cdc::pg
