// The rarer values.
#include "value.hpp"

namespace cdc::wire {

namespace {

// A message of fixed-size fields as the payload; its length stands in one byte, which fits for all of them.
template <typename Fields>
uint8_t *put_message_value(uint8_t *at, uint8_t element, uint32_t field, Fields fields) {
    uint8_t *body = put_varint(at + 2, tag(field, kBytes)) + 1;
    uint8_t *end = fields(body);
    body[-1] = static_cast<uint8_t>(end - body);
    at[0] = element;
    at[1] = static_cast<uint8_t>(end - (at + 2));
    return end;
}

uint8_t *put_field(uint8_t *at, uint32_t field, uint64_t payload) {
    if (payload == 0) {
        return at;
    }
    return put_varint(put_varint(at, tag(field, kVarint)), payload);
}

}  // namespace

uint8_t *put_timetz(uint8_t *at, uint8_t element, int64_t micros, int32_t utc_offset_seconds) {
    return put_message_value(at, element, value::timetz, [&](uint8_t *body) {
        body = put_field(body, timetz::micros, static_cast<uint64_t>(micros));
        return put_field(body, timetz::utc_offset_seconds, zigzag(utc_offset_seconds));
    });
}

uint8_t *put_interval(uint8_t *at, uint8_t element, int32_t months, int32_t days, int64_t micros) {
    return put_message_value(at, element, value::interval, [&](uint8_t *body) {
        body = put_field(body, interval::months, zigzag(months));
        body = put_field(body, interval::days, zigzag(days));
        return put_field(body, interval::micros, zigzag(micros));
    });
}

}  // namespace cdc::wire
