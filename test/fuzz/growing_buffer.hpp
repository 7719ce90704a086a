// A Buffer for fuzz targets. While it is small, it has exactly the bytes that were asked for, so that AddressSanitizer
// sees each byte that is written without being reserved; then it grows in larger steps.
#pragma once

#include "wire/buffer.hpp"

#include <string_view>

namespace cdc::fuzz {

class GrowingBuffer : public wire::Buffer {
 public:
    GrowingBuffer() { grow = enlarge; }
    ~GrowingBuffer() { delete[] data; }
    GrowingBuffer(const GrowingBuffer &) = delete;
    GrowingBuffer &operator=(const GrowingBuffer &) = delete;

    std::string_view view() const { return std::string_view(reinterpret_cast<const char *>(data), used); }

 private:
    static void enlarge(wire::Buffer &buffer, size_t room) {
        constexpr size_t kSmall = 256;
        const size_t capacity = buffer.used + room + (buffer.used < kSmall ? 0 : buffer.used);
        auto *const larger = new uint8_t[capacity];
        if (buffer.used != 0) {
            memcpy(larger, buffer.data, buffer.used);
        }
        delete[] buffer.data;
        buffer.data = larger;
        buffer.capacity = capacity;
    }
};

}  // namespace cdc::fuzz
