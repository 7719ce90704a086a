// Walks over encoded lists of values. What is read here was written a moment ago, so it is trusted.
#include "row_lists.hpp"

#include "../wire/writer.hpp"

namespace cdc::plugin {

namespace {

struct Element {
    size_t start;  // of its tag
    size_t body;   // of its Value
    size_t end;
};

// The element that starts at `at`: one byte of tag, the length, the Value.
Element element_at(const wire::Buffer &out, size_t at) {
    Element element{at, at + 1, 0};
    size_t size = 0;
    for (unsigned shift = 0;; shift += 7) {
        const uint8_t byte = out.data[element.body++];
        size |= static_cast<size_t>(byte & 0x7F) << shift;
        if (byte < 0x80) {
            break;
        }
    }
    element.end = element.body + size;
    return element;
}

bool is_unchanged_toast(const wire::Buffer &out, const Element &element) {
    return element.end - element.body == 2 && out.data[element.body] == wire::tag(wire::value::absent, wire::kVarint) &&
           out.data[element.body + 1] == static_cast<uint8_t>(wire::Absent::kUnchangedToast);
}

bool is_too_large(const wire::Buffer &out, const Element &element) {
    constexpr uint32_t kTag = wire::tag(wire::value::too_large_bytes, wire::kVarint);
    static_assert(kTag >= 0x80 && kTag < 0x4000, "its tag takes two bytes");
    return element.end - element.body > 2 && out.data[element.body] == ((kTag & 0x7F) | 0x80) &&
           out.data[element.body + 1] == kTag >> 7;
}

bool same_value(const wire::Buffer &out, const Element &a, const Element &b) {
    const size_t size = a.end - a.body;
    return size == b.end - b.body && memcmp(out.data + a.body, out.data + b.body, size) == 0;
}

}  // namespace

void fill_unchanged_toast(wire::Buffer &out, RowLists lists, size_t limit) {
    size_t before = lists.before;
    size_t after = lists.after;
    size_t end = lists.end;
    while (before < lists.after && after < end) {
        const Element old_value = element_at(out, before);
        Element new_value = element_at(out, after);
        if (is_unchanged_toast(out, new_value) && out.used + (old_value.end - old_value.start) <= limit) {
            // Everything but the tag, which says which list it is in, comes from the old value.
            const size_t size = old_value.end - old_value.start;
            const size_t marker = new_value.end - new_value.start;
            const size_t rest = out.used - new_value.end;
            out.reserve(size);
            uint8_t *const at = out.data + new_value.start;
            memmove(at + size, at + marker, rest);
            memcpy(at + 1, out.data + old_value.start + 1, size - 1);
            out.used = out.used - marker + size;
            end = end - marker + size;
            new_value.end = new_value.start + size;
        }
        before = old_value.end;
        after = new_value.end;
    }
}

void write_changed_columns(wire::Buffer &out, RowLists lists) {
    const wire::Nested changed = wire::begin_nested(out, wire::change::changed, 8);
    const wire::Nested columns = wire::begin_nested(out, wire::changed_columns::columns, 8);
    const size_t empty = out.used;
    size_t before = lists.before;
    size_t after = lists.after;
    for (uint32_t position = 0; before < lists.after && after < lists.end; ++position) {
        const Element old_value = element_at(out, before);
        const Element new_value = element_at(out, after);
        if (!is_unchanged_toast(out, new_value) &&
            (is_too_large(out, new_value) || !same_value(out, old_value, new_value))) {
            out.advance_to(wire::put_varint(out.reserve(wire::kMaxVarint), position));
        }
        before = old_value.end;
        after = new_value.end;
    }
    if (out.used == empty) {
        out.used = changed.content;  // an empty list is left out, the message that says "none" is not
    } else {
        wire::end_nested(out, columns);
    }
    wire::end_nested(out, changed);
}

}  // namespace cdc::plugin
