// Encoders of Value, as an element of Change.before, Change.after or Array.elements. Each takes the place to write
// (with the room that it names reserved) and the one-byte tag of the list that it is an element of, and returns the
// byte after its last one.
#pragma once

#include "copy.hpp"
#include "schema.hpp"
#include "varint.hpp"
#include "writer.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace cdc::wire {

// Room for a value of fixed size, intervals included.
constexpr size_t kFixedValueRoom = 48;
// Room that a value of bytes needs beside the bytes.
constexpr size_t kBytesValueRoom = 24;

constexpr uint8_t element_tag(uint32_t field) {
    static_assert(tag(15, kBytes) < 0x80);
    return static_cast<uint8_t>(tag(field, kBytes));
}

// As above, with a varint as the payload: field must be below 16.
template <uint32_t field>
inline uint8_t *put_varint_value(uint8_t *at, uint8_t element, uint64_t payload) {
    static_assert(field < 16);
    at[0] = element;
    at[2] = static_cast<uint8_t>(tag(field, kVarint));
    uint8_t *end = put_varint(at + 3, payload);
    at[1] = static_cast<uint8_t>(end - (at + 2));
    return end;
}

// The same for fields from 16, whose tags take two bytes.
template <uint32_t field>
inline uint8_t *put_varint_value_high(uint8_t *at, uint8_t element, uint64_t payload) {
    static_assert(field >= 16 && field < 2048);
    at[0] = element;
    at[2] = static_cast<uint8_t>(tag(field, kVarint) | 0x80);
    at[3] = static_cast<uint8_t>(tag(field, kVarint) >> 7);
    uint8_t *end = put_varint(at + 4, payload);
    at[1] = static_cast<uint8_t>(end - (at + 2));
    return end;
}

inline uint8_t *put_absent(uint8_t *at, uint8_t element, Absent why) {
    return put_varint_value<value::absent>(at, element, static_cast<uint64_t>(why));
}

inline uint8_t *put_integer(uint8_t *at, uint8_t element, int64_t number) {
    return put_varint_value<value::integer>(at, element, zigzag(number));
}

inline uint8_t *put_infinity(uint8_t *at, uint8_t element, Infinity which) {
    return put_varint_value_high<value::infinity>(at, element, static_cast<uint64_t>(which));
}

inline uint8_t *put_too_large(uint8_t *at, uint8_t element, uint64_t bytes) {
    return put_varint_value_high<value::too_large_bytes>(at, element, bytes);
}

// float8 and the timestamps: their 64 bits as they are.
template <uint32_t field>
inline uint8_t *put_fixed64_value(uint8_t *at, uint8_t element, uint64_t bits) {
    static_assert(field < 16);
    at[0] = element;
    at[1] = 9;
    at[2] = static_cast<uint8_t>(tag(field, kFixed64));
    return put_raw64(at + 3, bits);
}

inline uint8_t *put_float4(uint8_t *at, uint8_t element, uint32_t bits) {
    at[0] = element;
    at[1] = 5;
    at[2] = static_cast<uint8_t>(tag(value::float4, kFixed32));
    return put_raw32(at + 3, bits);
}

inline uint8_t *put_uuid(uint8_t *at, uint8_t element, const void *bytes) {
    at[0] = element;
    at[1] = 18;
    at[2] = static_cast<uint8_t>(tag(value::uuid, kBytes));
    at[3] = 16;
    memcpy(at + 4, bytes, 16);
    return at + 20;
}

uint8_t *put_timetz(uint8_t *at, uint8_t element, int64_t micros, int32_t utc_offset_seconds);
uint8_t *put_interval(uint8_t *at, uint8_t element, int32_t months, int32_t days, int64_t micros);

// What stands in front of `size` bytes of payload.
inline uint8_t *put_bytes_head(uint8_t *at, uint8_t element, uint32_t field, size_t size) {
    *at++ = element;
    at = put_varint(at, varint_size(tag(field, kBytes)) + varint_size(size) + size);
    at = put_varint(at, tag(field, kBytes));
    return put_varint(at, size);
}

// Needs kBytesValueRoom + size.
template <uint32_t field>
inline uint8_t *put_bytes_value(uint8_t *at, uint8_t element, const void *bytes, size_t size) {
    if (field < 16 && size < 126) {
        at[0] = element;
        at[1] = static_cast<uint8_t>(size + 2);
        at[2] = static_cast<uint8_t>(tag(field, kBytes));
        at[3] = static_cast<uint8_t>(size);
        copy_bytes(at + 4, bytes, size);
        return at + 4 + size;
    }
    at = put_bytes_head(at, element, field, size);
    memcpy(at, bytes, size);
    return at + size;
}

// The same for a payload that was written to at + kBytesGap before its size was known; it is moved into place.
constexpr size_t kBytesGap = 4;  // right for payloads below 126 bytes
inline uint8_t *close_bytes_value(uint8_t *at, uint8_t element, uint32_t field, size_t size) {
    if (field < 16 && size < 126) {
        at[0] = element;
        at[1] = static_cast<uint8_t>(size + 2);
        at[2] = static_cast<uint8_t>(tag(field, kBytes));
        at[3] = static_cast<uint8_t>(size);
        return at + kBytesGap + size;
    }
    uint8_t head[kBytesValueRoom];
    const size_t head_size = static_cast<size_t>(put_bytes_head(head, element, field, size) - head);
    memmove(at + head_size, at + kBytesGap, size);
    memcpy(at, head, head_size);
    return at + head_size + size;
}

}  // namespace cdc::wire
