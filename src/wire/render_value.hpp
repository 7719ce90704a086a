// One Value as JSON.
#pragma once

#include "buffer.hpp"
#include "reader.hpp"
#include "render.hpp"

namespace cdc::wire {

// The field of Value's oneof that is set.
struct ValueView {
    uint32_t kind = 0;  // a number of namespace value
    Field payload;
    Absent absent = Absent::kUnspecified;  // if kind is value::absent
};

// Opens an element of a list of values; an error if its kind is unknown.
bool read_value(const Reader &reader, const Field &element, ValueView &view);
// The same with the element's bytes.
bool read_value(const Reader &reader, std::string_view element, ValueView &view);

// Whether a row object has a member for it: not so for values that are unknown, which the notes tell of.
bool has_json(const ValueView &view);

void render_value(Buffer &out, const Reader &reader, const ValueView &view, RenderOptions options);

}  // namespace cdc::wire
