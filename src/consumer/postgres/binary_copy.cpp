// The frames of COPY's binary format. libpq mostly hands out whole rows, which are read where they stand.
#include "binary_copy.hpp"

#include "../model/row.hpp"

#include <cstdint>

namespace cdc::consumer {

namespace {

constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
constexpr size_t kHeader = kSignature.size() + 4 + 4;  // flags, size of what follows the header
constexpr uint32_t kCriticalFlags = 0xFFFF0000;
constexpr uint16_t kTrailer = 0xFFFF;
constexpr uint32_t kLargest = 1u << 30;  // of a value: the server has none of this size

uint32_t big_endian(std::string_view bytes, size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
        value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
    }
    return value;
}

}  // namespace

// Returns how many bytes are done with.
size_t BinaryCopyReader::read_rows(std::string_view bytes, const std::function<void(std::string_view)> &value) {
    size_t at = 0;
    if (!in_rows_) {
        if (bytes.size() < kHeader) {
            return 0;
        }
        const uint32_t extension = big_endian(bytes, kSignature.size() + 4, 4);
        if (bytes.substr(0, kSignature.size()) != kSignature || extension > kLargest ||
            (big_endian(bytes, kSignature.size(), 4) & kCriticalFlags) != 0) {
            throw CorruptStream("the server's COPY does not begin with a header that can be read");
        }
        if (bytes.size() < kHeader + extension) {
            return 0;
        }
        at = kHeader + extension;
        in_rows_ = true;
    }
    while (!at_end_ && bytes.size() - at >= 2) {
        const uint32_t fields = big_endian(bytes, at, 2);
        if (fields == kTrailer) {
            at_end_ = true;
            return at + 2;
        }
        if (fields != 1) {
            throw CorruptStream("a row of the server's COPY has " + std::to_string(fields) + " fields instead of one");
        }
        if (bytes.size() - at < 6) {
            break;
        }
        const uint32_t size = big_endian(bytes, at + 2, 4);
        if (size > kLargest) {  // -1 is NULL
            throw CorruptStream("a field of the server's COPY is NULL or too long");
        }
        if (bytes.size() - at - 6 < size) {
            break;
        }
        value(bytes.substr(at + 6, size));
        at += 6 + size;
    }
    return at;
}

void BinaryCopyReader::read(std::string_view part, const std::function<void(std::string_view)> &value) {
    if (rest_.empty()) {
        rest_.assign(part.substr(read_rows(part, value)));
    } else {
        rest_.append(part);
        rest_.erase(0, read_rows(rest_, value));
    }
    if (at_end_ && !rest_.empty()) {
        throw CorruptStream("the server's COPY goes on behind its end");
    }
}

}  // namespace cdc::consumer
