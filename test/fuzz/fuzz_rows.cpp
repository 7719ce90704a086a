// Rows of any values, patched and compared where they are encoded, against the same done on lists of strings. The input
// is a list of columns, three bytes each: what the old value is, what the new one is, and how long they are. Behind
// them may be a byte that limits the room.
#include "check.hpp"
#include "growing_buffer.hpp"

#include "plugin/row_lists.hpp"
#include "wire/value.hpp"

#include <string>
#include <vector>

namespace {

using namespace cdc;
using fuzz::check;

constexpr uint8_t kBefore = wire::element_tag(wire::change::before);
constexpr uint8_t kAfter = wire::element_tag(wire::change::after);

constexpr size_t kMarkerSize = 4;

enum Kind { kNull, kMarker, kTooLarge, kInteger, kTextA, kTextB, kKinds };

void put_value(wire::Buffer &out, uint8_t element, int kind, size_t size) {
    const std::string text(size, kind == kTextA ? 'a' : 'b');
    uint8_t *const at = out.reserve(wire::kFixedValueRoom + text.size());
    switch (kind) {
        case kNull:
            out.advance_to(wire::put_absent(at, element, wire::Absent::kNull));
            break;
        case kMarker:
            out.advance_to(wire::put_absent(at, element, wire::Absent::kUnchangedToast));
            break;
        case kTooLarge:
            out.advance_to(wire::put_too_large(at, element, size));
            break;
        case kInteger:
            out.advance_to(wire::put_integer(at, element, static_cast<int64_t>(size)));
            break;
        default:
            out.advance_to(wire::put_bytes_value<wire::value::text>(at, element, text.data(), text.size()));
            break;
    }
}

struct Column {
    int before;
    int after;
    size_t size;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    std::vector<Column> columns;
    for (size_t i = 0; i + 3 <= size && columns.size() < 300; i += 3) {
        Column column{data[i] % kKinds, data[i + 1] % kKinds, data[i + 2]};
        if (column.before == kMarker) {
            column.before = kNull;  // a full old row has all its values
        }
        if (data[i + 2] > 250) {
            column.size = data[i + 2] * 66;  // about 16384
        }
        columns.push_back(column);
    }

    fuzz::GrowingBuffer out;
    plugin::RowLists lists{};
    for (const Column &column : columns) {
        put_value(out, kBefore, column.before, column.size);
    }
    lists.after = out.used;
    for (const Column &column : columns) {
        put_value(out, kAfter, column.after, column.size);
    }
    lists.end = out.used;
    plugin::write_changed_columns(out, lists);
    size_t used = out.used;
    const size_t limit = size % 3 == 0 ? SIZE_MAX : used + data[size - 1] * size_t{20};
    plugin::fill_unchanged_toast(out, lists, limit);

    fuzz::GrowingBuffer expected;
    for (const Column &column : columns) {
        put_value(expected, kBefore, column.before, column.size);
    }
    fuzz::GrowingBuffer positions;
    for (size_t i = 0; i < columns.size(); ++i) {
        const Column &column = columns[i];
        const size_t start = expected.used;
        put_value(expected, kAfter, column.after == kMarker ? column.before : column.after, column.size);
        if (column.after == kMarker) {
            const size_t filled = expected.used - start;
            if (used + filled <= limit) {
                used += filled - kMarkerSize;
            } else {
                expected.used = start;
                put_value(expected, kAfter, kMarker, 0);
            }
        }
        // An empty text is the same of either letter.
        const bool same =
            column.before == column.after || (column.size == 0 && column.before >= kTextA && column.after >= kTextA);
        if (column.after != kMarker && (!same || column.after == kTooLarge)) {
            positions.advance_to(wire::put_varint(positions.reserve(wire::kMaxVarint), i));
        }
    }
    fuzz::GrowingBuffer changed;
    wire::put_bytes(changed, wire::changed_columns::columns, positions.view());
    wire::put_tag(expected, wire::change::changed, wire::kBytes);
    expected.advance_to(wire::put_varint(expected.reserve(wire::kMaxVarint), changed.used));
    expected.append(changed.data, changed.used);
    check(out.view() == expected.view(), "rows are not as expected");
    return 0;
}
