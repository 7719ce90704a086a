// Buffers on top of palloc.
#include "memory.hpp"

namespace cdc::pg {

namespace {

void grow(wire::Buffer &buffer, size_t room) {
    if (room > kMaxBuffer - buffer.used) {
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("change records exceed the limit of one message"),
                errdetail("There are %zu bytes, and %zu more are needed; the limit is %zu.", buffer.used, room,
                          static_cast<size_t>(kMaxBuffer)));
    }
    Size capacity = Max(buffer.capacity * 2, static_cast<Size>(1024));
    capacity = Min(Max(capacity, buffer.used + room), kMaxBuffer);
    buffer.data = static_cast<uint8_t *>(repalloc(buffer.data, capacity));
    buffer.capacity = capacity;
}

}  // namespace

wire::Buffer make_buffer(MemoryContext context, Size capacity) {
    wire::Buffer buffer;
    buffer.data = static_cast<uint8_t *>(MemoryContextAlloc(context, capacity));
    buffer.capacity = capacity;
    buffer.grow = grow;
    buffer.owner = context;
    return buffer;
}

void reset_buffer(wire::Buffer &buffer, Size keep) {
    buffer.used = 0;
    if (buffer.capacity > keep) {
        buffer.data = static_cast<uint8_t *>(repalloc(buffer.data, keep));
        buffer.capacity = keep;
    }
}

}  // namespace cdc::pg
