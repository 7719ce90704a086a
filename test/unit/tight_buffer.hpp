// A Buffer for tests. Whenever it grows, it moves, and it then has exactly the bytes that were asked for; so
// AddressSanitizer sees each byte that is written without being reserved, and each pointer kept across a growth.
#pragma once

#include "wire/buffer.hpp"

#include <string>
#include <string_view>

namespace cdc::test {

class TightBuffer : public wire::Buffer {
 public:
    // Starts with room for `slack` bytes.
    explicit TightBuffer(size_t slack = 0) {
        data = new uint8_t[slack];
        capacity = slack;
        grow = move_to_larger;
    }
    ~TightBuffer() { delete[] data; }
    TightBuffer(const TightBuffer &) = delete;
    TightBuffer &operator=(const TightBuffer &) = delete;

    std::string_view view() const { return std::string_view(reinterpret_cast<const char *>(data), used); }
    std::string str() const { return std::string(view()); }

 private:
    static void move_to_larger(wire::Buffer &buffer, size_t room) {
        auto *const larger = new uint8_t[buffer.used + room];
        memcpy(larger, buffer.data, buffer.used);
        delete[] buffer.data;
        buffer.data = larger;
        buffer.capacity = buffer.used + room;
    }
};

}  // namespace cdc::test
