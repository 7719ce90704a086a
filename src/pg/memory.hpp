// Memory: wire::Buffer on top of palloc, and contexts switched for the length of a scope's work.
#pragma once

#include "../wire/buffer.hpp"
#include "postgres.hpp"

namespace cdc::pg {

// The most bytes that one palloc'd buffer may hold, and so the most that one message of a slot can have.
constexpr Size kMaxBuffer = MaxAllocSize - 1;

// A buffer whose bytes live in `context`; an ERROR if it would pass kMaxBuffer.
wire::Buffer make_buffer(MemoryContext context, Size capacity);

// Empties a buffer, and gives its memory back if that has grown beyond `keep` bytes.
void reset_buffer(wire::Buffer &buffer, Size keep);

inline std::string_view contents(const wire::Buffer &buffer) {
    return std::string_view(reinterpret_cast<const char *>(buffer.data), buffer.used);
}

}  // namespace cdc::pg
