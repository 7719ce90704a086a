// Values as PostgreSQL's input functions take them, and as JSON.
#include "value_text.hpp"

#include "../../wire/calendar.hpp"

#include <charconv>
#include <cmath>
#include <cstring>

namespace cdc::consumer {

namespace {

using wire::Field;
using wire::Reader;
using wire::ValueView;

constexpr size_t kMaxDimensions = 6;  // PostgreSQL's MAXDIM
constexpr int kMaxNesting = 100;      // of arrays whose elements are arrays, by way of domains

constexpr uint32_t kInt2VectorOid = 22;
constexpr uint32_t kOidVectorOid = 30;
constexpr uint32_t kBoxArrayOid = 1020;

// JSON as to_jsonb() makes it where the database holds UTF-8.
constexpr wire::RenderOptions kRenderOptions{false, true, false};

[[noreturn]] void corrupt(const char *what) {
    throw CorruptStream(std::string("damaged value: ") + what);
}

void check(const wire::Error &error) {
    if (error) {
        corrupt(error.what);
    }
}

const Field &payload_of(const ValueView &value, wire::WireType type) {
    if (value.payload.type != type) {
        corrupt("field of another type than the schema gives it");
    }
    return value.payload;
}

// A Buffer at the end of a string. The string is grown by what the value needs, not to its capacity, because growing
// fills with zeros: that of a long string would be filled for each value again.
class StringBuffer : public wire::Buffer {
 public:
    explicit StringBuffer(std::string &text) : start_(text.size()) {
        owner = &text;
        grow = enlarge;
        data = reinterpret_cast<uint8_t *>(text.data());
        used = capacity = text.size();
    }
    void finish() { static_cast<std::string *>(owner)->resize(used); }

 private:
    static void enlarge(wire::Buffer &buffer, size_t room) {
        auto &text = *static_cast<std::string *>(buffer.owner);
        const size_t value_size = buffer.used - static_cast<StringBuffer &>(buffer).start_;
        text.resize(buffer.used + room + value_size);
        buffer.data = reinterpret_cast<uint8_t *>(text.data());
        buffer.capacity = text.size();
    }
    size_t start_;
};

// Where values that are short whatever they hold are rendered.
struct ShortBuffer : wire::Buffer {
    ShortBuffer() {
        data = bytes;
        capacity = sizeof bytes;
        grow = [](wire::Buffer &, size_t) { corrupt("date or time of impossible length"); };
    }
    uint8_t bytes[2 * wire::kCalendarTextRoom];
};

void render(wire::Buffer &out, const ValueView &value) {
    wire::Error error;
    const std::string_view bytes = value.payload.bytes;
    wire::render_value(out, Reader(bytes, bytes.data(), error), value, kRenderOptions);
    check(error);
}

// Dates, times and uuids: their JSON is the text in quotes, without escapes.
void append_unquoted(std::string &out, const ValueView &value) {
    ShortBuffer json;
    render(json, value);
    out.append(reinterpret_cast<const char *>(json.data) + 1, json.used - 2);
}

template <typename Number>
void append_number(std::string &out, Number number) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, number).ptr;
    out.append(text, static_cast<size_t>(end - text));
}

// Without a precision, to_chars() writes the fewest digits that mean this number and no other.
template <typename Float>
void append_float(std::string &out, Float number) {
    if (std::isnan(number)) {
        out += "NaN";
    } else if (std::isinf(number)) {
        out += number < 0 ? "-Infinity" : "Infinity";
    } else {
        append_number(out, number);
    }
}

void append_hex(std::string &out, std::string_view bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    const size_t start = out.size();
    out.resize(start + 2 * bytes.size());
    char *at = out.data() + start;
    for (const char c : bytes) {
        *at++ = kHex[static_cast<uint8_t>(c) >> 4];
        *at++ = kHex[static_cast<uint8_t>(c) & 15];
    }
}

float float4_of(const ValueView &value) {
    const auto bits = static_cast<uint32_t>(payload_of(value, wire::kFixed32).number_value);
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

struct ArrayShape {
    size_t dimensions = 0;
    uint64_t lengths[kMaxDimensions] = {};
    int64_t lower_bounds[kMaxDimensions] = {};
    uint64_t strides[kMaxDimensions] = {};  // elements in a slice of each dimension
    bool plain = true;                      // all lower bounds are 1
};

ArrayShape read_shape(Reader fields) {
    ArrayShape shape;
    size_t bounds = 0;
    uint64_t elements = 0;
    Field field;
    while (fields.next(field)) {
        if (field.number == wire::array::elements) {
            ++elements;
            continue;
        }
        if (field.number != wire::array::dimensions && field.number != wire::array::lower_bounds) {
            continue;
        }
        wire::expect_bytes(fields, field);
        Reader numbers = fields.enter(field);
        uint64_t number;
        while (numbers.next_varint(number)) {
            size_t &count = field.number == wire::array::dimensions ? shape.dimensions : bounds;
            if (count == kMaxDimensions) {
                corrupt("array of more than 6 dimensions");
            }
            if (field.number == wire::array::dimensions) {
                shape.lengths[count++] = number;
            } else {
                shape.lower_bounds[count++] = wire::unzigzag(number);
            }
        }
    }
    check(fields.error());
    if (bounds != 0 && bounds != shape.dimensions) {
        corrupt("array with lower bounds that are not as many as its dimensions");
    }
    uint64_t product = shape.dimensions == 0 ? 0 : 1;
    for (size_t i = shape.dimensions; i-- > 0;) {
        if (bounds == 0) {
            shape.lower_bounds[i] = 1;
        }
        const int64_t lower = shape.lower_bounds[i];
        if (shape.lengths[i] > INT32_MAX || product > INT32_MAX || lower < INT32_MIN ||
            lower + static_cast<int64_t>(shape.lengths[i]) - 1 > INT32_MAX) {
            corrupt("array with an impossible dimension");
        }
        product *= shape.lengths[i];
        shape.strides[i] = product;
        shape.plain = shape.plain && lower == 1;
    }
    if (product != elements) {
        corrupt("array whose elements are not as many as its dimensions say");
    }
    return shape;
}

// Quotes what was written behind `start`. Always: what must be quoted depends on the delimiter and on what the text
// is, and quotes never hurt.
void quote_element(std::string &out, size_t start) {
    size_t escapes = 0;
    for (size_t i = start; i < out.size(); ++i) {
        escapes += out[i] == '"' || out[i] == '\\' ? 1 : 0;
    }
    size_t from = out.size();
    out.resize(from + escapes + 2);
    size_t to = out.size();
    out[--to] = '"';
    while (from > start) {
        const char c = out[--from];
        out[--to] = c;
        if (c == '"' || c == '\\') {
            out[--to] = '\\';
        }
    }
    out[--to] = '"';
}

bool needs_quotes(const ValueView &element) {
    switch (element.kind) {
        case wire::value::boolean:
        case wire::value::integer:
        case wire::value::oid:
        case wire::value::float8:
        case wire::value::float4:
        case wire::value::numeric:
        case wire::value::uuid:
        case wire::value::infinity:
            return false;
        default:
            return true;
    }
}

void append_value(std::string &out, const ValueView &value, uint32_t type_oid, int depth);

// int2vector and oidvector have an input function of their own.
void append_vector(std::string &out, Reader fields, int depth) {
    Field field;
    bool first = true;
    while (fields.next(field)) {
        ValueView element;
        if (field.number != wire::array::elements || !wire::read_value(fields, field, element)) {
            continue;
        }
        if (!first) {
            out += ' ';
        }
        first = false;
        append_value(out, element, 0, depth + 1);
    }
    check(fields.error());
}

void append_array(std::string &out, const ValueView &value, uint32_t type_oid, int depth) {
    if (depth == kMaxNesting) {
        corrupt("arrays nested too deeply");
    }
    const std::string_view bytes = payload_of(value, wire::kBytes).bytes;
    wire::Error error;
    Reader fields(bytes, bytes.data(), error);
    if (type_oid == kInt2VectorOid || type_oid == kOidVectorOid) {
        append_vector(out, fields, depth);
        return;
    }
    const ArrayShape shape = read_shape(fields);
    if (shape.dimensions == 0 || shape.strides[0] == 0) {
        out += "{}";
        return;
    }
    if (!shape.plain) {
        for (size_t i = 0; i < shape.dimensions; ++i) {
            out += '[';
            append_number(out, shape.lower_bounds[i]);
            out += ':';
            append_number(out, shape.lower_bounds[i] + static_cast<int64_t>(shape.lengths[i]) - 1);
            out += ']';
        }
        out += '=';
    }
    // Of the types that PostgreSQL comes with, box alone is not delimited by commas.
    const char delimiter = type_oid == kBoxArrayOid ? ';' : ',';
    uint64_t index = 0;
    Field field;
    while (fields.next(field)) {
        if (field.number != wire::array::elements) {
            continue;
        }
        ValueView element;
        if (!wire::read_value(fields, field, element)) {
            break;
        }
        if (index != 0) {
            out += delimiter;
        }
        for (size_t i = 0; i < shape.dimensions; ++i) {
            if (index % shape.strides[i] == 0) {
                out += '{';
            }
        }
        if (is_null(element)) {
            out += "NULL";
        } else {
            const size_t start = out.size();
            append_value(out, element, type_oid, depth + 1);
            if (needs_quotes(element)) {
                quote_element(out, start);
            }
        }
        ++index;
        for (size_t i = 0; i < shape.dimensions; ++i) {
            if (index % shape.strides[i] == 0) {
                out += '}';
            }
        }
    }
    check(error);
}

void append_value(std::string &out, const ValueView &value, uint32_t type_oid, int depth) {
    switch (value.kind) {
        case wire::value::boolean:
            out += bool_of(value) ? 't' : 'f';
            break;
        case wire::value::integer:
        case wire::value::oid:
            append_number(out, integer_of(value));
            break;
        case wire::value::float8:
            append_float(out, float8_of(value));
            break;
        case wire::value::float4:
            append_float(out, float4_of(value));
            break;
        case wire::value::text:
        case wire::value::numeric:
        case wire::value::json:
        case wire::value::other_text:
        case wire::value::undecoded_text:
            out += bytes_of(value);
            break;
        case wire::value::bytea:
            out += "\\x";
            append_hex(out, bytes_of(value));
            break;
        case wire::value::uuid:
        case wire::value::date_days:
        case wire::value::time_micros:
        case wire::value::timestamp_micros:
        case wire::value::timestamptz_micros:
        case wire::value::timetz:
        case wire::value::interval:
        case wire::value::infinity:
            append_unquoted(out, value);
            break;
        case wire::value::array:
            append_array(out, value, type_oid, depth);
            break;
        default:
            corrupt("no value where one is needed");
    }
}

// Whether a text is UTF-8 without NUL. Most is ASCII, which eight bytes at a time can be told of.
bool is_utf8(std::string_view text) {
    constexpr uint64_t kHigh = 0x8080808080808080;
    constexpr uint64_t kOnes = 0x0101010101010101;
    size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
        uint64_t word;
        memcpy(&word, text.data() + i, sizeof word);
        if (((word | (word - kOnes)) & kHigh) != 0) {
            break;
        }
    }
    return wire::valid_utf8_prefix(text.substr(i)) == text.size() - i;
}

}  // namespace

void append_text(std::string &out, const ValueView &value, uint32_t type_oid) {
    append_value(out, value, type_oid, 0);
}

void append_json(std::string &out, const ValueView &value) {
    StringBuffer json(out);
    render(json, value);
    json.finish();
}

bool bool_of(const ValueView &value) {
    return payload_of(value, wire::kVarint).number_value != 0;
}

int64_t integer_of(const ValueView &value) {
    const uint64_t number = payload_of(value, wire::kVarint).number_value;
    return value.kind == wire::value::oid ? static_cast<int64_t>(static_cast<uint32_t>(number))
                                          : wire::unzigzag(number);
}

double float8_of(const ValueView &value) {
    if (value.kind == wire::value::float4) {
        return static_cast<double>(float4_of(value));
    }
    const uint64_t bits = payload_of(value, wire::kFixed64).number_value;
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

std::string_view bytes_of(const ValueView &value) {
    const std::string_view bytes = payload_of(value, wire::kBytes).bytes;
    switch (value.kind) {
        case wire::value::text:
        case wire::value::numeric:
        case wire::value::json:
        case wire::value::other_text:
            if (!is_utf8(bytes)) {
                corrupt("string that is not UTF-8, or holds a NUL");
            }
            break;
        case wire::value::uuid:
            if (bytes.size() != 16) {
                corrupt("uuid that is not 16 bytes long");
            }
            break;
        default:
            break;
    }
    return bytes;
}

}  // namespace cdc::consumer
