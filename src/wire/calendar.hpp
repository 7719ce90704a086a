// Dates and times as PostgreSQL prints them: ISO 8601 for jsonb, intervals in its own style.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cdc::wire {

constexpr size_t kCalendarTextRoom = 128;  // bytes that each of these needs at most

constexpr int64_t kMicrosPerDay = 86400000000;

// Counts are from 2000-01-01, as in change.proto. Each returns the byte after the text.
uint8_t *put_date_text(uint8_t *at, int32_t days);
// `zone`: whether to end with +00:00.
uint8_t *put_timestamp_text(uint8_t *at, int64_t micros, bool zone);
// 0 <= micros <= kMicrosPerDay.
uint8_t *put_time_text(uint8_t *at, int64_t micros);
uint8_t *put_zone_text(uint8_t *at, int32_t utc_offset_seconds);
uint8_t *put_interval_text(uint8_t *at, int32_t months, int32_t days, int64_t micros);

}  // namespace cdc::wire
