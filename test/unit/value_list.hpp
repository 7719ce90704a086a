// Appends Values to a list of them, each with exactly the room reserved that its encoder names.
#pragma once

#include "wire/value.hpp"

#include <cstring>
#include <string_view>
#include <vector>

namespace cdc::test {

class ValueList {
 public:
    // `field`: the list, such as change::after.
    ValueList(wire::Buffer &out, uint32_t field) : out_(out), element_(wire::element_tag(field)) {}

    ValueList &absent(wire::Absent why) {
        return fixed([&](uint8_t *at) { return wire::put_absent(at, element_, why); });
    }
    ValueList &null() { return absent(wire::Absent::kNull); }

    ValueList &boolean(bool value) { return varint<wire::value::boolean>(value ? 1 : 0); }
    ValueList &integer(int64_t number) {
        return fixed([&](uint8_t *at) { return wire::put_integer(at, element_, number); });
    }
    ValueList &oid(uint32_t number) { return high_varint<wire::value::oid>(number); }
    ValueList &date(int32_t days) { return varint<wire::value::date_days>(wire::zigzag(days)); }
    ValueList &time(int64_t micros) { return high_varint<wire::value::time_micros>(static_cast<uint64_t>(micros)); }
    ValueList &infinity(wire::Infinity which) {
        return fixed([&](uint8_t *at) { return wire::put_infinity(at, element_, which); });
    }
    ValueList &too_large(uint64_t bytes) {
        return fixed([&](uint8_t *at) { return wire::put_too_large(at, element_, bytes); });
    }

    ValueList &float8(double number) {
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        return fixed64<wire::value::float8>(bits);
    }
    ValueList &float4(float number) {
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        return fixed([&](uint8_t *at) { return wire::put_float4(at, element_, bits); });
    }
    ValueList &timestamp(int64_t micros) {
        return fixed64<wire::value::timestamp_micros>(static_cast<uint64_t>(micros));
    }
    ValueList &timestamptz(int64_t micros) {
        return fixed64<wire::value::timestamptz_micros>(static_cast<uint64_t>(micros));
    }
    ValueList &timetz(int64_t micros, int32_t utc_offset_seconds) {
        return fixed([&](uint8_t *at) { return wire::put_timetz(at, element_, micros, utc_offset_seconds); });
    }
    ValueList &interval(int32_t months, int32_t days, int64_t micros) {
        return fixed([&](uint8_t *at) { return wire::put_interval(at, element_, months, days, micros); });
    }
    ValueList &uuid(std::string_view bytes) {
        return fixed([&](uint8_t *at) { return wire::put_uuid(at, element_, bytes.data()); });
    }

    // Any of the fields that are bytes or strings.
    template <uint32_t field>
    ValueList &bytes(std::string_view content) {
        uint8_t *const at = out_.reserve(wire::kBytesValueRoom + content.size());
        out_.advance_to(wire::put_bytes_value<field>(at, element_, content.data(), content.size()));
        return *this;
    }
    ValueList &text(std::string_view content) { return bytes<wire::value::text>(content); }

    // The same for a payload that is written before its size is known.
    ValueList &late_bytes(uint32_t field, std::string_view content) {
        uint8_t *const at = out_.reserve(wire::kBytesValueRoom + content.size());
        memcpy(at + wire::kBytesGap, content.data(), content.size());
        out_.advance_to(wire::close_bytes_value(at, element_, field, content.size()));
        return *this;
    }

    // `elements` appends to the list that it is given.
    template <typename Elements>
    ValueList &array(const std::vector<uint32_t> &dimensions, const std::vector<int32_t> &lower_bounds,
                     Elements elements, size_t expected_size = 8) {
        const wire::Nested value = wire::begin_nested(out_, element_ >> 3, expected_size);
        const wire::Nested body = wire::begin_nested(out_, wire::value::array, expected_size);
        if (!dimensions.empty()) {
            const wire::Nested list = wire::begin_nested(out_, wire::array::dimensions, 1);
            for (const uint32_t length : dimensions) {
                out_.advance_to(wire::put_varint(out_.reserve(wire::kMaxVarint), length));
            }
            wire::end_nested(out_, list);
        }
        if (!lower_bounds.empty()) {
            const wire::Nested list = wire::begin_nested(out_, wire::array::lower_bounds, 1);
            for (const int32_t bound : lower_bounds) {
                out_.advance_to(wire::put_varint(out_.reserve(wire::kMaxVarint), wire::zigzag(bound)));
            }
            wire::end_nested(out_, list);
        }
        elements(ValueList(out_, wire::array::elements));
        wire::end_nested(out_, body);
        wire::end_nested(out_, value);
        return *this;
    }

 private:
    template <typename Put>
    ValueList &fixed(Put put) {
        out_.advance_to(put(out_.reserve(wire::kFixedValueRoom)));
        return *this;
    }
    template <uint32_t field>
    ValueList &varint(uint64_t payload) {
        return fixed([&](uint8_t *at) { return wire::put_varint_value<field>(at, element_, payload); });
    }
    template <uint32_t field>
    ValueList &high_varint(uint64_t payload) {
        return fixed([&](uint8_t *at) { return wire::put_varint_value_high<field>(at, element_, payload); });
    }
    template <uint32_t field>
    ValueList &fixed64(uint64_t bits) {
        return fixed([&](uint8_t *at) { return wire::put_fixed64_value<field>(at, element_, bits); });
    }

    wire::Buffer &out_;
    uint8_t element_;
};

}  // namespace cdc::test
