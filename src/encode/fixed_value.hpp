// The forms of fixed size that need neither memory nor catalogs. Inline, because the tuple walk lives on them.
#pragma once

#include "codec.hpp"
#include "value.hpp"

#include "../pg/compat.hpp"
#include "../wire/value.hpp"

namespace cdc::encode {

template <uint32_t field>
inline uint8_t *put_timestamp(uint8_t *at, uint8_t element, int64 micros) {
    if (unlikely(TIMESTAMP_NOT_FINITE(micros))) {
        return wire::put_infinity(at, element,
                                  TIMESTAMP_IS_NOEND(micros) ? wire::Infinity::kPositive : wire::Infinity::kNegative);
    }
    return wire::put_fixed64_value<field>(at, element, static_cast<uint64>(micros));
}

inline uint8_t *put_date(uint8_t *at, uint8_t element, DateADT days) {
    if (unlikely(DATE_NOT_FINITE(days))) {
        return wire::put_infinity(at, element,
                                  DATE_IS_NOEND(days) ? wire::Infinity::kPositive : wire::Infinity::kNegative);
    }
    return wire::put_varint_value<wire::value::date_days>(at, element, wire::zigzag(days));
}

inline uint8_t *put_stored_interval(uint8_t *at, uint8_t element, const char *stored) {
    const auto interval = load<Interval>(stored);
    bool positive;
    if (pg::is_infinite(&interval, &positive)) {
        return wire::put_infinity(at, element, positive ? wire::Infinity::kPositive : wire::Infinity::kNegative);
    }
    return wire::put_interval(at, element, interval.month, interval.day, interval.time);
}

// Stored as the time of day and seconds west of UTC.
inline uint8_t *put_stored_timetz(uint8_t *at, uint8_t element, const char *stored) {
    return wire::put_timetz(at, element, load<TimeADT>(stored), -load<int32>(stored + sizeof(TimeADT)));
}

// Needs wire::kFixedValueRoom at `at`; `form` must be one of fixed size, names and enums excepted.
pg_attribute_always_inline uint8_t *put_fixed_value(uint8_t *at, uint8_t element, Form form, const char *stored) {
    switch (form) {
        case Form::kBool:
            return wire::put_varint_value<wire::value::boolean>(at, element, *stored != 0 ? 1 : 0);
        case Form::kInt2:
            return wire::put_integer(at, element, load<int16>(stored));
        case Form::kInt4:
            return wire::put_integer(at, element, load<int32>(stored));
        case Form::kInt8:
            return wire::put_integer(at, element, load<int64>(stored));
        case Form::kOid:
            return wire::put_varint_value_high<wire::value::oid>(at, element, load<Oid>(stored));
        case Form::kFloat4:
            return wire::put_float4(at, element, load<uint32>(stored));
        case Form::kFloat8:
            return wire::put_fixed64_value<wire::value::float8>(at, element, load<uint64>(stored));
        case Form::kDate:
            return put_date(at, element, load<DateADT>(stored));
        case Form::kTime:
            return wire::put_varint_value_high<wire::value::time_micros>(at, element, load<uint64>(stored));
        case Form::kTimestamp:
            return put_timestamp<wire::value::timestamp_micros>(at, element, load<int64>(stored));
        case Form::kTimestamptz:
            return put_timestamp<wire::value::timestamptz_micros>(at, element, load<int64>(stored));
        case Form::kTimeTz:
            return put_stored_timetz(at, element, stored);
        case Form::kInterval:
            return put_stored_interval(at, element, stored);
        case Form::kUuid:
            return wire::put_uuid(at, element, stored);
        default:
            Assert(false);
            return at;
    }
}

}  // namespace cdc::encode
