#include "postgres_value.hpp"

#include "../model/value_text.hpp"

#include "../../wire/calendar.hpp"

#include <limits>

namespace cdc::consumer {

namespace {

using wire::Field;
using wire::ValueView;

template <typename Unsigned>
void put_big_endian(wire::Buffer &out, Unsigned number) {
    uint8_t *at = out.reserve(sizeof number);
    for (size_t i = sizeof number; i-- > 0;) {
        *at++ = static_cast<uint8_t>(number >> (8 * i));
    }
    out.advance_to(at);
}

void put_int64(wire::Buffer &out, int64_t number) {
    put_big_endian(out, static_cast<uint64_t>(number));
}

uint64_t number_of(const ValueView &value, wire::WireType type) {
    if (value.payload.type != type) {
        throw CorruptStream("value of another type than its kind says");
    }
    return value.payload.number_value;
}

template <typename Narrow>
Narrow narrow(int64_t number) {
    if (number < std::numeric_limits<Narrow>::min() || number > std::numeric_limits<Narrow>::max()) {
        throw CorruptStream("number " + std::to_string(number) + " is out of the range of its type");
    }
    return static_cast<Narrow>(number);
}

int64_t time_of_day(uint64_t micros) {
    if (micros > static_cast<uint64_t>(wire::kMicrosPerDay)) {
        throw CorruptStream("time of day out of range");
    }
    return static_cast<int64_t>(micros);
}

bool is_positive(const ValueView &value) {
    const uint64_t which = number_of(value, wire::kVarint);
    if (which != static_cast<uint64_t>(wire::Infinity::kPositive) &&
        which != static_cast<uint64_t>(wire::Infinity::kNegative)) {
        throw CorruptStream("infinity of an unknown sign");
    }
    return which == static_cast<uint64_t>(wire::Infinity::kPositive);
}

// The largest number of a type is its infinity, the smallest the negative one.
template <typename Number>
Number infinite(const ValueView &value) {
    return is_positive(value) ? std::numeric_limits<Number>::max() : std::numeric_limits<Number>::min();
}

// Reads the numbers of a timetz or an interval, each by visit(field number, payload).
template <typename Visit>
void each_number(const ValueView &value, Visit visit) {
    if (value.payload.type != wire::kBytes) {
        throw CorruptStream("value of another type than its kind says");
    }
    wire::Error error;
    wire::Reader fields(value.payload.bytes, value.payload.bytes.data(), error);
    Field field;
    while (fields.next(field)) {
        visit(field.number, wire::expect_number(fields, field, wire::kVarint));
    }
    if (error) {
        throw CorruptStream(std::string("time value: ") + error.what);
    }
}

void put_timetz(wire::Buffer &out, const ValueView &value) {
    int64_t micros = 0;
    int32_t offset = 0;
    each_number(value, [&](uint32_t field, uint64_t number) {
        if (field == wire::timetz::micros) {
            micros = time_of_day(number);
        } else if (field == wire::timetz::utc_offset_seconds) {
            offset = narrow<int32_t>(wire::unzigzag(number));
        }
    });
    put_int64(out, micros);
    put_int32(out, -offset);  // PostgreSQL counts it westwards
}

void put_interval(wire::Buffer &out, const ValueView &value) {
    int32_t months = 0;
    int32_t days = 0;
    int64_t micros = 0;
    each_number(value, [&](uint32_t field, uint64_t number) {
        if (field == wire::interval::months) {
            months = narrow<int32_t>(wire::unzigzag(number));
        } else if (field == wire::interval::days) {
            days = narrow<int32_t>(wire::unzigzag(number));
        } else if (field == wire::interval::micros) {
            micros = wire::unzigzag(number);
        }
    });
    put_int64(out, micros);
    put_int32(out, days);
    put_int32(out, months);
}

// Digits of base 10000, aligned at the decimal point: count, weight of the first, sign, decimals to show, digits.
void put_numeric(wire::Buffer &out, std::string_view text) {
    constexpr uint16_t kNegative = 0x4000, kNaN = 0xC000, kInfinity = 0xD000, kNegativeInfinity = 0xF000;
    constexpr size_t kMaxDigits = 131072 + 16384;  // before and behind the point
    const auto special = [&](uint16_t sign) {
        put_int32(out, 0);
        put_big_endian(out, sign);
        put_int16(out, 0);
    };
    if (text == "NaN") {
        return special(kNaN);
    }
    if (text == "Infinity") {
        return special(kInfinity);
    }
    if (text == "-Infinity") {
        return special(kNegativeInfinity);
    }
    const bool negative = !text.empty() && text[0] == '-';
    if (negative) {
        text.remove_prefix(1);
    }
    const size_t point = text.find('.');
    std::string_view whole = text.substr(0, point);
    std::string_view fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
    const auto digits_only = [](std::string_view digits) {
        return digits.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (whole.empty() || (point != std::string_view::npos && fraction.empty()) || !digits_only(whole) ||
        !digits_only(fraction) || text.size() > kMaxDigits + 1) {
        throw CorruptStream("numeric that is not a number");
    }

    const size_t scale = fraction.size();
    while (!whole.empty() && whole[0] == '0') {
        whole.remove_prefix(1);
    }
    int weight = static_cast<int>((whole.size() + 3) / 4) - 1;
    uint8_t *const head = out.reserve(8 + 2 * (whole.size() / 4 + scale / 4 + 2));
    uint8_t *at = head + 8;
    const uint8_t *significant = at;  // behind the last digit that is not zero
    const auto digit = [&](int value) {
        if (value == 0 && at == head + 8) {  // leading
            --weight;
            return;
        }
        *at++ = static_cast<uint8_t>(value >> 8);
        *at++ = static_cast<uint8_t>(value);
        if (value != 0) {
            significant = at;
        }
    };
    int value = 0;
    for (size_t i = 0; i < whole.size(); ++i) {
        value = 10 * value + (whole[i] - '0');
        if ((whole.size() - i) % 4 == 1) {
            digit(value);
            value = 0;
        }
    }
    for (size_t i = 0; i < scale; i += 4) {
        value = 0;
        for (size_t k = i; k < i + 4; ++k) {
            value = 10 * value + (k < scale ? fraction[k] - '0' : 0);
        }
        digit(value);
    }
    const auto count = static_cast<size_t>(significant - head - 8) / 2;
    out.advance_to(head);
    put_int16(out, static_cast<int16_t>(count));
    put_int16(out, static_cast<int16_t>(count == 0 ? 0 : weight));
    put_big_endian(out, negative ? kNegative : uint16_t{0});
    put_int16(out, static_cast<int16_t>(scale));
    out.advance_to(significant);
}

void put_bytes(wire::Buffer &out, const ValueView &value) {
    const std::string_view bytes = bytes_of(value);
    out.append(bytes.data(), bytes.size());
}

}  // namespace

void put_int16(wire::Buffer &out, int16_t number) {
    put_big_endian(out, static_cast<uint16_t>(number));
}

void put_int32(wire::Buffer &out, int32_t number) {
    put_big_endian(out, static_cast<uint32_t>(number));
}

BinaryForm binary_form(uint32_t type_oid, bool is_enum, int server_version) {
    switch (type_oid) {
        case 16:
            return BinaryForm::kBoolean;
        case 17:
            return BinaryForm::kBytea;
        case 20:
            return BinaryForm::kInt8;
        case 21:
            return BinaryForm::kInt2;
        case 23:
            return BinaryForm::kInt4;
        case 26:
            return BinaryForm::kOid;
        case 19:    // name
        case 25:    // text
        case 114:   // json
        case 1042:  // bpchar
        case 1043:  // varchar
            return BinaryForm::kText;
        case 700:
            return BinaryForm::kFloat4;
        case 701:
            return BinaryForm::kFloat8;
        case 1082:
            return BinaryForm::kDate;
        case 1083:
            return BinaryForm::kTime;
        case 1114:
            return BinaryForm::kTimestamp;
        case 1184:
            return BinaryForm::kTimestamptz;
        case 1186:
            return server_version >= 170000 ? BinaryForm::kIntervalInfinite : BinaryForm::kInterval;
        case 1266:
            return BinaryForm::kTimeTz;
        case 1700:
            return BinaryForm::kNumeric;
        case 2950:
            return BinaryForm::kUuid;
        case 3802:
            return BinaryForm::kJsonb;
        default:
            return is_enum ? BinaryForm::kText : BinaryForm::kNone;
    }
}

bool put_binary(wire::Buffer &out, BinaryForm form, const ValueView &value) {
    using namespace wire::value;
    switch (form) {
        case BinaryForm::kNone:
            return false;
        case BinaryForm::kBoolean:
            if (value.kind != boolean) {
                return false;
            }
            out.append(static_cast<uint8_t>(number_of(value, wire::kVarint) != 0));
            return true;
        case BinaryForm::kInt2:
            if (value.kind != integer) {
                return false;
            }
            put_int16(out, narrow<int16_t>(wire::unzigzag(number_of(value, wire::kVarint))));
            return true;
        case BinaryForm::kInt4:
            if (value.kind != integer) {
                return false;
            }
            put_int32(out, narrow<int32_t>(wire::unzigzag(number_of(value, wire::kVarint))));
            return true;
        case BinaryForm::kInt8:
            if (value.kind != integer) {
                return false;
            }
            put_int64(out, wire::unzigzag(number_of(value, wire::kVarint)));
            return true;
        case BinaryForm::kOid: {
            if (value.kind != oid) {
                return false;
            }
            const uint64_t number = number_of(value, wire::kVarint);
            if (number > UINT32_MAX) {
                throw CorruptStream("oid out of range");
            }
            put_big_endian(out, static_cast<uint32_t>(number));
            return true;
        }
        case BinaryForm::kFloat4:
            if (value.kind != float4) {
                return false;
            }
            put_big_endian(out, static_cast<uint32_t>(number_of(value, wire::kFixed32)));
            return true;
        case BinaryForm::kFloat8:
            if (value.kind != float8) {
                return false;
            }
            put_big_endian(out, number_of(value, wire::kFixed64));
            return true;
        case BinaryForm::kNumeric:
            if (value.kind != numeric) {
                return false;
            }
            put_numeric(out, bytes_of(value));
            return true;
        case BinaryForm::kText:
            if (value.kind != text && value.kind != json && value.kind != undecoded_text && value.kind != other_text &&
                value.kind != numeric) {
                return false;
            }
            put_bytes(out, value);
            return true;
        case BinaryForm::kJsonb:
            if (value.kind != json) {
                return false;
            }
            out.append(uint8_t{1});  // the version of the form
            put_bytes(out, value);
            return true;
        case BinaryForm::kBytea:
            if (value.kind != bytea) {
                return false;
            }
            put_bytes(out, value);
            return true;
        case BinaryForm::kUuid:
            if (value.kind != uuid) {
                return false;
            }
            put_bytes(out, value);
            return true;
        case BinaryForm::kDate:
            if (value.kind != date_days && value.kind != infinity) {
                return false;
            }
            put_int32(out, value.kind == infinity ? infinite<int32_t>(value)
                                                  : narrow<int32_t>(wire::unzigzag(number_of(value, wire::kVarint))));
            return true;
        case BinaryForm::kTime:
            if (value.kind != time_micros) {
                return false;
            }
            put_int64(out, time_of_day(number_of(value, wire::kVarint)));
            return true;
        case BinaryForm::kTimestamp:
        case BinaryForm::kTimestamptz:
            if (value.kind == infinity) {
                put_int64(out, infinite<int64_t>(value));
                return true;
            }
            if (value.kind != (form == BinaryForm::kTimestamp ? timestamp_micros : timestamptz_micros)) {
                return false;
            }
            put_int64(out, static_cast<int64_t>(number_of(value, wire::kFixed64)));
            return true;
        case BinaryForm::kTimeTz:
            if (value.kind != timetz) {
                return false;
            }
            put_timetz(out, value);
            return true;
        case BinaryForm::kIntervalInfinite:
            if (value.kind == infinity) {
                put_int64(out, infinite<int64_t>(value));
                put_int32(out, infinite<int32_t>(value));
                put_int32(out, infinite<int32_t>(value));
                return true;
            }
            [[fallthrough]];
        case BinaryForm::kInterval:
            if (value.kind != interval) {
                return false;
            }
            put_interval(out, value);
            return true;
    }
    return false;
}

bool put_binary_field(wire::Buffer &out, BinaryForm form, const ValueView &value) {
    const size_t start = out.used;
    put_int32(out, 0);
    if (!put_binary(out, form, value)) {
        out.used = start;
        return false;
    }
    const size_t end = out.used;
    out.used = start;
    put_int32(out, static_cast<int32_t>(end - start - 4));
    out.used = end;
    return true;
}

}  // namespace cdc::consumer
