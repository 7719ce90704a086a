// Copying of a few bytes, inline: most values are shorter than a call of memcpy is worth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace cdc::wire {

// Copies exactly `size` bytes, reading and writing no others; overlapping pieces cover the odd sizes.
inline void copy_bytes(uint8_t *to, const void *from, size_t size) {
    const auto *const source = static_cast<const uint8_t *>(from);
    if (size > 256) {
        memmove(to, source, size);  // because compilers turn memcpy into slow string instructions here
    } else if (size >= 16) {
        size_t i = 0;
        for (; i + 16 < size; i += 16) {
            memcpy(to + i, source + i, 16);
        }
        memcpy(to + size - 16, source + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, source, 8);
        memcpy(to + size - 8, source + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, source, 4);
        memcpy(to + size - 4, source + size - 4, 4);
    } else if (size != 0) {
        to[0] = source[0];
        to[size / 2] = source[size / 2];
        to[size - 1] = source[size - 1];
    }
}

}  // namespace cdc::wire
