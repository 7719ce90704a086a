// Protobuf fields, written straight into a Buffer: no message objects, no allocation but the buffer's own.
// Like proto3, the put_* functions leave out fields that hold their default.
#pragma once

#include "buffer.hpp"
#include "schema.hpp"
#include "varint.hpp"

#include <string_view>

namespace cdc::wire {

inline void put_tag(Buffer &out, uint32_t field, WireType type) {
    out.advance_to(put_varint(out.reserve(kMaxVarint), tag(field, type)));
}

inline void put_uint(Buffer &out, uint32_t field, uint64_t value) {
    if (value != 0) {
        uint8_t *at = put_varint(out.reserve(2 * kMaxVarint), tag(field, kVarint));
        out.advance_to(put_varint(at, value));
    }
}

inline void put_sint(Buffer &out, uint32_t field, int64_t value) {
    put_uint(out, field, zigzag(value));
}

inline uint8_t *put_raw64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; ++i) {
        *at++ = static_cast<uint8_t>(value >> (8 * i));
    }
    return at;
}

inline uint8_t *put_raw32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; ++i) {
        *at++ = static_cast<uint8_t>(value >> (8 * i));
    }
    return at;
}

inline void put_fixed64(Buffer &out, uint32_t field, uint64_t value) {
    if (value != 0) {
        uint8_t *at = put_varint(out.reserve(kMaxVarint + 8), tag(field, kFixed64));
        out.advance_to(put_raw64(at, value));
    }
}

inline void put_bytes(Buffer &out, uint32_t field, std::string_view bytes) {
    if (!bytes.empty()) {
        uint8_t *at = put_varint(out.reserve(2 * kMaxVarint + bytes.size()), tag(field, kBytes));
        at = put_varint(at, bytes.size());
        memcpy(at, bytes.data(), bytes.size());
        out.advance_to(at + bytes.size());
    }
}

// A nested message whose size is known only at its end. Its length gets as many bytes as `expected_size` needs; if
// that guess was wrong, end_nested() moves the content, so that the encoding is always the shortest one.
struct Nested {
    size_t content;       // offset of the first byte of the content
    size_t length_bytes;  // bytes reserved before it
};

inline Nested begin_nested(Buffer &out, uint32_t field, size_t expected_size) {
    const size_t length_bytes = varint_size(expected_size);
    uint8_t *at = put_varint(out.reserve(2 * kMaxVarint), tag(field, kBytes));
    out.advance_to(at + length_bytes);
    return Nested{out.used, length_bytes};
}

inline void end_nested(Buffer &out, Nested nested) {
    const size_t size = out.used - nested.content;
    const size_t length_bytes = varint_size(size);
    if (length_bytes != nested.length_bytes) {
        out.reserve(kMaxVarint);
        uint8_t *content = out.data + nested.content;
        memmove(content - nested.length_bytes + length_bytes, content, size);
        out.used = out.used - nested.length_bytes + length_bytes;
    }
    put_varint(out.data + nested.content - nested.length_bytes, size);
}

}  // namespace cdc::wire
