// Values as JSON, the way to_jsonb() prints them.
#include "render_value.hpp"

#include "calendar.hpp"
#include "json.hpp"
#include "numeric_text.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

namespace cdc::wire {

namespace {

constexpr size_t kMaxDimensions = 6;  // PostgreSQL's MAXDIM
constexpr int kMaxNesting = 100;      // of arrays whose elements are arrays, by way of domains

template <typename Put>
void put_calendar(Buffer &out, Put put) {
    uint8_t *at = out.reserve(kCalendarTextRoom);
    *at++ = '"';
    at = put(at);
    *at++ = '"';
    out.advance_to(at);
}

// The fewest digits that mean this number and no other, like PostgreSQL. In fixed notation, large numbers would get
// more digits than that.
template <typename Float>
void put_float(Buffer &out, Float number) {
    constexpr Float kFixedBelow = sizeof(Float) == sizeof(float) ? static_cast<Float>(1e6) : static_cast<Float>(1e15);
    if (std::isnan(number)) {
        put_text(out, "\"NaN\"");
    } else if (std::isinf(number)) {
        put_text(out, number < 0 ? "\"-Infinity\"" : "\"Infinity\"");
    } else {
        auto *at = reinterpret_cast<char *>(out.reserve(64));
        const auto result = std::fabs(number) < kFixedBelow
                                ? std::to_chars(at, at + 64, number)
                                : std::to_chars(at, at + 64, number, std::chars_format::scientific);
        out.advance_to(reinterpret_cast<uint8_t *>(result.ptr));
    }
}

void put_hex(Buffer &out, std::string_view bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    uint8_t *at = out.reserve(2 * bytes.size());
    for (const char c : bytes) {
        *at++ = static_cast<uint8_t>(kHex[static_cast<uint8_t>(c) >> 4]);
        *at++ = static_cast<uint8_t>(kHex[static_cast<uint8_t>(c) & 15]);
    }
    out.advance_to(at);
}

void put_bytea(Buffer &out, std::string_view bytes) {
    put_text(out, "\"\\\\x");
    put_hex(out, bytes);
    out.append('"');
}

// -?(0|[1-9][0-9]*)(\.[0-9]+)? is a JSON number as it is; the three words become strings.
bool is_decimal(std::string_view text) {
    size_t i = !text.empty() && text[0] == '-' ? 1 : 0;
    const auto digits = [&] {
        const size_t start = i;
        while (i < text.size() && text[i] >= '0' && text[i] <= '9') {
            ++i;
        }
        return i - start;
    };
    const bool zero = i < text.size() && text[i] == '0';
    const size_t whole = digits();
    if (whole == 0 || (zero && whole > 1)) {
        return false;
    }
    if (i < text.size() && text[i] == '.') {
        ++i;
        if (digits() == 0) {
            return false;
        }
    }
    return i == text.size();
}

void render_numeric(Buffer &out, const Reader &reader, const Field &field) {
    const std::string_view text = expect_bytes(reader, field);
    if (is_decimal(text)) {
        put_text(out, text);
    } else if (text == "NaN" || text == "Infinity" || text == "-Infinity") {
        out.append('"');
        put_text(out, text);
        out.append('"');
    } else {
        reader.fail("numeric that is not a number", field);
    }
}

bool is_string(std::string_view text) {
    return valid_utf8_prefix(text) == text.size();
}

void render_string(Buffer &out, const Reader &reader, const Field &field, RenderOptions options) {
    if (options.lenient && !is_string(field.bytes)) {
        put_bytea(out, field.bytes);
    } else {
        put_json_string(out, expect_string(reader, field), options.ascii_only);
    }
}

void render_json(Buffer &out, const Reader &reader, const Field &field, RenderOptions options) {
    if (options.lenient && !is_string(field.bytes)) {
        put_bytea(out, field.bytes);
        return;
    }
    const std::string_view text = expect_string(reader, field);
    switch (check_json(text, options.unicode_escapes)) {
        case JsonCheck::kJsonb:
            put_json_verbatim(out, text, options.ascii_only);
            break;
        case JsonCheck::kJsonOnly:
            put_json_string(out, text, options.ascii_only);
            break;
        case JsonCheck::kInvalid:
            if (options.lenient) {
                put_json_string(out, text, options.ascii_only);
                break;
            }
            reader.fail("json value that is not JSON", field);
            break;
    }
}

// Number of a type with a narrower range than its varint.
template <typename Narrow>
Narrow narrow(const Reader &reader, const Field &field, int64_t wide) {
    const auto number = static_cast<Narrow>(wide);
    if (number != wide) {
        reader.fail("number out of the range of its type", field);
    }
    return number;
}

int64_t time_of_day(const Reader &reader, const Field &field, uint64_t micros) {
    if (micros > static_cast<uint64_t>(kMicrosPerDay)) {
        reader.fail("time of day out of range", field);
        return 0;
    }
    return static_cast<int64_t>(micros);
}

void render_timetz(Buffer &out, const Reader &reader, const Field &value) {
    expect_bytes(reader, value);
    Reader fields = reader.enter(value);
    Field field;
    int64_t micros = 0;
    int32_t offset = 0;
    while (fields.next(field)) {
        if (field.number == timetz::micros) {
            micros = time_of_day(fields, field, expect_number(fields, field, kVarint));
        } else if (field.number == timetz::utc_offset_seconds) {
            offset = narrow<int32_t>(fields, field, unzigzag(expect_number(fields, field, kVarint)));
        }
    }
    put_calendar(out, [&](uint8_t *at) { return put_zone_text(put_time_text(at, micros), offset); });
}

void render_interval(Buffer &out, const Reader &reader, const Field &value) {
    expect_bytes(reader, value);
    Reader fields = reader.enter(value);
    Field field;
    int32_t months = 0;
    int32_t days = 0;
    int64_t micros = 0;
    while (fields.next(field)) {
        if (field.number == interval::months) {
            months = narrow<int32_t>(fields, field, unzigzag(expect_number(fields, field, kVarint)));
        } else if (field.number == interval::days) {
            days = narrow<int32_t>(fields, field, unzigzag(expect_number(fields, field, kVarint)));
        } else if (field.number == interval::micros) {
            micros = unzigzag(expect_number(fields, field, kVarint));
        }
    }
    put_calendar(out, [&](uint8_t *at) { return put_interval_text(at, months, days, micros); });
}

void render_uuid(Buffer &out, const Reader &reader, const Field &field) {
    const std::string_view bytes = expect_bytes(reader, field);
    if (bytes.size() != 16) {
        reader.fail("uuid that is not 16 bytes long", field);
        return;
    }
    out.append('"');
    size_t from = 0;
    for (const size_t to : {4, 6, 8, 10, 16}) {
        if (from != 0) {
            out.append('-');
        }
        put_hex(out, bytes.substr(from, to - from));
        from = to;
    }
    out.append('"');
}

// The list of dimensions, and whether the elements are as many as they say.
struct ArrayShape {
    size_t dimensions = 0;
    uint64_t strides[kMaxDimensions] = {};  // elements in a slice of each dimension
};

bool read_shape(const Reader &array, ArrayShape &shape) {
    uint64_t lengths[kMaxDimensions] = {};
    uint64_t elements = 0;
    Reader fields = array;
    Field field;
    while (fields.next(field)) {
        if (field.number == array::elements) {
            ++elements;
        } else if (field.number == array::dimensions) {
            expect_bytes(fields, field);
            Reader numbers = fields.enter(field);
            uint64_t length;
            while (numbers.next_varint(length)) {
                if (shape.dimensions == kMaxDimensions) {
                    fields.fail("array of more than 6 dimensions", field);
                    return false;
                }
                lengths[shape.dimensions++] = length;
            }
        }
    }
    uint64_t product = shape.dimensions == 0 ? 0 : 1;
    for (size_t i = shape.dimensions; i-- > 0;) {
        if (lengths[i] > UINT32_MAX || product > UINT32_MAX) {
            fields.fail("array with an impossible dimension", field);
            return false;
        }
        product *= lengths[i];
        shape.strides[i] = product;
    }
    if (!fields.error() && product != elements) {
        fields.fail("array whose elements are not as many as its dimensions say", field);
    }
    return !fields.error();
}

void render_array(Buffer &out, const Reader &reader, const Field &value, RenderOptions options, int depth) {
    expect_bytes(reader, value);
    if (depth == kMaxNesting) {
        reader.fail("arrays nested too deeply", value);
    }
    if (reader.error()) {
        return;
    }
    Reader fields = reader.enter(value);
    ArrayShape shape;
    if (!read_shape(fields, shape)) {
        return;
    }
    if (shape.dimensions == 0 || shape.strides[0] == 0) {  // an empty int2vector has a dimension of length 0
        put_text(out, "[]");
        return;
    }
    Field field;
    uint64_t index = 0;
    while (fields.next(field)) {
        if (field.number != array::elements) {
            continue;
        }
        if (index != 0) {
            out.append(',');
        }
        for (size_t i = 0; i < shape.dimensions; ++i) {
            if (index % shape.strides[i] == 0) {
                out.append('[');
            }
        }
        ValueView element;
        if (!read_value(fields, field, element)) {
            return;
        }
        if (element.kind == value::array) {
            render_array(out, fields, element.payload, options, depth + 1);
        } else if (has_json(element)) {
            render_value(out, fields, element, options);
        } else {
            put_text(out, "null");
        }
        ++index;
        for (size_t i = 0; i < shape.dimensions; ++i) {
            if (index % shape.strides[i] == 0) {
                out.append(']');
            }
        }
    }
}

// The form that nearly all values have: one field, with a tag of a byte, that fills the element. False if it is of
// another form, or wrong, which is for the general way to say.
bool read_only_field(std::string_view element, ValueView &view) {
    if (element.size() < 2) {
        return false;
    }
    const auto *const bytes = reinterpret_cast<const uint8_t *>(element.data());
    const size_t size = element.size() - 1;
    const uint8_t *const payload = bytes + 1;
    std::string_view content;
    uint64_t number = 0;
    switch (bytes[0] & 7) {
        case kVarint:
            if (size > 9) {
                return false;
            }
            for (size_t i = 0; i < size; ++i) {
                number |= static_cast<uint64_t>(payload[i] & 0x7F) << (7 * i);
                if ((payload[i] < 0x80) != (i + 1 == size)) {
                    return false;
                }
            }
            break;
        case kFixed64:
            if (size != 8) {
                return false;
            }
            number = read_fixed<uint64_t>(element.data() + 1);
            break;
        case kBytes:
            if (payload[0] >= 0x80 || payload[0] != size - 1) {
                return false;
            }
            content = element.substr(2);
            break;
        default:
            return false;
    }
    // Below 16, so a kind that is known; and 0 is none.
    view.kind = bytes[0] < 0x80 ? bytes[0] >> 3 : 0;
    view.payload = Field{view.kind, static_cast<WireType>(bytes[0] & 7), number, content};
    return view.kind != 0;
}

}  // namespace

bool read_value(const Reader &reader, const Field &element, ValueView &view) {
    expect_bytes(reader, element);
    return !reader.error() && read_value(reader, element.bytes, view);
}

bool read_value(const Reader &reader, std::string_view element, ValueView &view) {
    if (!read_only_field(element, view)) {
        Reader fields = reader.enter(element);
        Field field;
        view.kind = 0;
        while (fields.next(field)) {
            if (field.number > value::undecoded_text) {
                fields.fail("value of an unknown kind", field);
                return false;
            }
            view.kind = field.number;
            view.payload = field;
        }
    }
    if (view.kind == value::absent) {
        const uint64_t why = expect_number(reader, view.payload, kVarint);
        if (why == 0 || why > static_cast<uint64_t>(Absent::kNotInReplicaIdentity)) {
            reader.fail("value absent for an unknown reason", element.data() + element.size());
        }
        view.absent = static_cast<Absent>(why);
    }
    if (view.kind == 0) {
        reader.fail("value without a kind", element.data());
    }
    return !reader.error();
}

bool has_json(const ValueView &view) {
    if (view.kind == value::absent) {
        return view.absent == Absent::kNull;
    }
    return view.kind != value::too_large_bytes;
}

void render_value(Buffer &out, const Reader &reader, const ValueView &view, RenderOptions options) {
    const Field &field = view.payload;
    const auto number = [&](WireType type) { return expect_number(reader, field, type); };
    switch (view.kind) {
        case value::boolean:
            put_text(out, number(kVarint) != 0 ? "true" : "false");
            break;
        case value::integer:
            out.advance_to(put_integer_text(out.reserve(24), unzigzag(number(kVarint))));
            break;
        case value::oid:
            out.advance_to(put_unsigned_text(out.reserve(24), static_cast<uint32_t>(number(kVarint))));
            break;
        case value::float8: {
            const uint64_t bits = number(kFixed64);
            double real;
            memcpy(&real, &bits, sizeof real);
            put_float(out, real);
            break;
        }
        case value::float4: {
            const auto bits = static_cast<uint32_t>(number(kFixed32));
            float real;
            memcpy(&real, &bits, sizeof real);
            put_float(out, real);
            break;
        }
        case value::text:
        case value::other_text:
            render_string(out, reader, field, options);
            break;
        case value::numeric:
            render_numeric(out, reader, field);
            break;
        case value::json:
            render_json(out, reader, field, options);
            break;
        case value::bytea:
        case value::undecoded_text:
            put_bytea(out, expect_bytes(reader, field));
            break;
        case value::uuid:
            render_uuid(out, reader, field);
            break;
        case value::date_days: {
            const auto days = narrow<int32_t>(reader, field, unzigzag(number(kVarint)));
            put_calendar(out, [&](uint8_t *at) { return put_date_text(at, days); });
            break;
        }
        case value::time_micros: {
            const int64_t micros = time_of_day(reader, field, number(kVarint));
            put_calendar(out, [&](uint8_t *at) { return put_time_text(at, micros); });
            break;
        }
        case value::timestamp_micros:
        case value::timestamptz_micros: {
            const auto micros = static_cast<int64_t>(number(kFixed64));
            put_calendar(out, [&](uint8_t *at) {
                return put_timestamp_text(at, micros, view.kind == value::timestamptz_micros);
            });
            break;
        }
        case value::timetz:
            render_timetz(out, reader, field);
            break;
        case value::interval:
            render_interval(out, reader, field);
            break;
        case value::infinity: {
            const uint64_t which = number(kVarint);
            if (which == 0 || which > static_cast<uint64_t>(Infinity::kNegative)) {
                reader.fail("infinity of an unknown sign", field);
            }
            put_text(out, which == static_cast<uint64_t>(Infinity::kPositive) ? "\"infinity\"" : "\"-infinity\"");
            break;
        }
        case value::array:
            render_array(out, reader, field, options, 0);
            break;
        default:  // NULL; other absent values have no JSON and are not rendered
            put_text(out, "null");
            break;
    }
}

}  // namespace cdc::wire
