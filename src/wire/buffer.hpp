// A growable run of bytes to encode into. It owns no policy for memory: whoever makes one says how it grows, so that
// the same encoders write into palloc'd memory in a server and into a vector in a test.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cdc::wire {

struct Buffer {
    // Must leave at least `room` bytes behind `used` (moving the bytes so far if need be), or not return.
    using Grow = void (*)(Buffer &buffer, size_t room);

    uint8_t *data = nullptr;
    size_t used = 0;      // bytes encoded so far
    size_t capacity = 0;  // bytes at data
    Grow grow = nullptr;
    void *owner = nullptr;  // for grow: whatever it needs

    // A pointer to the end of the bytes so far, with at least `room` bytes behind it. Hot paths write there and then
    // call advance_to(), which keeps the position in a register instead of in memory that any byte store may alias.
    uint8_t *reserve(size_t room) {
        if (capacity - used < room) {
            grow(*this, room);
        }
        return data + used;
    }

    void advance_to(const uint8_t *end) { used = static_cast<size_t>(end - data); }

    void append(const void *bytes, size_t size) {
        if (size != 0) {
            memcpy(reserve(size), bytes, size);
            used += size;
        }
    }

    void append(uint8_t byte) {
        *reserve(1) = byte;
        used += 1;
    }
};

}  // namespace cdc::wire
