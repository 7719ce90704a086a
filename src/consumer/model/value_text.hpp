// Values as text, for sinks that take it.
#pragma once

#include "row.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace cdc::consumer {

// Appends the value as PostgreSQL's input function of its type takes it, independent of settings: arrays as
// {"a",NULL} with dimensions and lower bounds, bytea as \x00ff, booleans as t and f. Not for values that are absent or
// too large. Throws CorruptStream. `type_oid`, Column::value_type(), matters to box[] (which is delimited by
// semicolons), int2vector and oidvector only.
void append_text(std::string &out, const wire::ValueView &value, uint32_t type_oid = 0);

// Appends the value as JSON, as to_jsonb() prints it. NULL is null.
void append_json(std::string &out, const wire::ValueView &value);

// Numbers in a value, checked: throws CorruptStream if the payload is of another wire type.
bool bool_of(const wire::ValueView &value);
int64_t integer_of(const wire::ValueView &value);  // integer and oid
double float8_of(const wire::ValueView &value);    // float4 too
// Bytes of text, numeric, json, other_text, bytea, undecoded_text, uuid.
std::string_view bytes_of(const wire::ValueView &value);

}  // namespace cdc::consumer
