// A wire::Buffer that owns its memory, for the encoders of sinks.
#pragma once

#include "../../wire/buffer.hpp"

#include <cstdlib>
#include <new>

namespace cdc::consumer {

class GrowingBuffer : public wire::Buffer {
 public:
    GrowingBuffer() { grow = enlarge; }
    GrowingBuffer(const GrowingBuffer &) = delete;
    GrowingBuffer &operator=(const GrowingBuffer &) = delete;
    ~GrowingBuffer() { std::free(data); }

    const char *chars() const { return reinterpret_cast<const char *>(data); }

 private:
    static void enlarge(wire::Buffer &buffer, size_t room) {
        const size_t capacity = 2 * buffer.capacity + room + 256;
        auto *const data = static_cast<uint8_t *>(std::realloc(buffer.data, capacity));
        if (data == nullptr) {
            throw std::bad_alloc();
        }
        buffer.data = data;
        buffer.capacity = capacity;
    }
};

}  // namespace cdc::consumer
