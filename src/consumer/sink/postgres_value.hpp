// Values in the binary forms of PostgreSQL's send and receive functions, for COPY and for parameters.
#pragma once

#include "../model/row.hpp"

#include "../../wire/buffer.hpp"

#include <cstdint>

namespace cdc::consumer {

enum class BinaryForm : uint8_t {
    kNone,  // only as text
    kBoolean,
    kInt2,
    kInt4,
    kInt8,
    kOid,
    kFloat4,
    kFloat8,
    kNumeric,
    kText,  // as the bytes are: text, varchar, char(n), name, json, and the labels of enums
    kJsonb,
    kBytea,
    kUuid,
    kDate,
    kTime,
    kTimestamp,
    kTimestamptz,
    kTimeTz,
    kInterval,          // of servers that know no infinite intervals
    kIntervalInfinite,  // of those that do
};

// The form of a column's type at the target.
BinaryForm binary_form(uint32_t type_oid, bool is_enum, int server_version);

// Appends the value; false, with nothing appended, if a value of its kind has no such form. Not for absent and too
// large values. Throws CorruptStream.
bool put_binary(wire::Buffer &out, BinaryForm form, const wire::ValueView &value);

// The same behind its length, as a field of a binary COPY.
bool put_binary_field(wire::Buffer &out, BinaryForm form, const wire::ValueView &value);

void put_int16(wire::Buffer &out, int16_t number);
void put_int32(wire::Buffer &out, int32_t number);

}  // namespace cdc::consumer
