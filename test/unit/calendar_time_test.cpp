// Times of day, zones and intervals as PostgreSQL prints them.
#include "exact_text.hpp"

#include "wire/calendar.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace cdc::test {

namespace {

std::string time_of_day(int64_t micros) {
    return exact_text(wire::kCalendarTextRoom, [&](uint8_t *at) { return wire::put_time_text(at, micros); });
}

std::string zone(int32_t utc_offset_seconds) {
    return exact_text(wire::kCalendarTextRoom,
                      [&](uint8_t *at) { return wire::put_zone_text(at, utc_offset_seconds); });
}

std::string interval(int32_t months, int32_t days, int64_t micros) {
    return exact_text(wire::kCalendarTextRoom,
                      [&](uint8_t *at) { return wire::put_interval_text(at, months, days, micros); });
}

}  // namespace

TEST(Calendar, TimesOfDay) {
    EXPECT_EQ(time_of_day(0), "00:00:00");
    EXPECT_EQ(time_of_day(1), "00:00:00.000001");
    EXPECT_EQ(time_of_day(45296789000), "12:34:56.789");
    EXPECT_EQ(time_of_day(86399999999), "23:59:59.999999");
    EXPECT_EQ(time_of_day(wire::kMicrosPerDay), "24:00:00");
}

TEST(Calendar, EachSecondOfADay) {
    for (int second = 0; second < 86400; ++second) {
        char expected[40];
        snprintf(expected, sizeof expected, "%02d:%02d:%02d", second / 3600, second / 60 % 60, second % 60);
        ASSERT_EQ(time_of_day(second * int64_t{1000000}), expected);
    }
}

// Six decimals, without the zeros at their end.
TEST(Calendar, FractionsOfASecond) {
    for (int micros = 1; micros < 1000000; micros += micros < 2000 ? 1 : 997) {
        char expected[40];
        snprintf(expected, sizeof expected, "00:00:00.%06d", micros);
        std::string cut = expected;
        cut.erase(cut.find_last_not_of('0') + 1);
        ASSERT_EQ(time_of_day(micros), cut);
    }
}

TEST(Calendar, Zones) {
    EXPECT_EQ(zone(0), "+00");
    EXPECT_EQ(zone(3600), "+01");
    EXPECT_EQ(zone(19800), "+05:30");
    EXPECT_EQ(zone(-12600), "-03:30");
    EXPECT_EQ(zone(-1), "-00:00:01");
    EXPECT_EQ(zone(57599), "+15:59:59");
    EXPECT_EQ(zone(-57599), "-15:59:59");
    EXPECT_EQ(zone(7201), "+02:00:01");
    EXPECT_EQ(zone(INT32_MAX), "+596523:14:07");
    EXPECT_EQ(zone(INT32_MIN), "-596523:14:08");
}

TEST(Calendar, IntervalsOfPostgres) {
    EXPECT_EQ(interval(0, 0, 0), "00:00:00");
    EXPECT_EQ(interval(1, 1, 1), "1 mon 1 day 00:00:00.000001");
    EXPECT_EQ(interval(-1, -1, -1), "-1 mons -1 days -00:00:00.000001");
    EXPECT_EQ(interval(12, 0, 0), "1 year");
    EXPECT_EQ(interval(-12, 0, 0), "-1 years");
    EXPECT_EQ(interval(14, 3, 3723000000), "1 year 2 mons 3 days 01:02:03");
    EXPECT_EQ(interval(-14, 3, 3723000000), "-1 years -2 mons +3 days 01:02:03");
    EXPECT_EQ(interval(14, -3, 3723000000), "1 year 2 mons -3 days +01:02:03");
    EXPECT_EQ(interval(14, -3, -3723000000), "1 year 2 mons -3 days -01:02:03");
    EXPECT_EQ(interval(11, 0, -1), "11 mons -00:00:00.000001");
    EXPECT_EQ(interval(-13, 1, -500000), "-1 years -1 mons +1 day -00:00:00.5");
    EXPECT_EQ(interval(0, -1, 1), "-1 days +00:00:00.000001");
    EXPECT_EQ(interval(0, 0, 360000000000), "100:00:00");
    EXPECT_EQ(interval(1, -1, 0), "1 mon -1 days");
    EXPECT_EQ(interval(-1, 0, 1000000), "-1 mons +00:00:01");
    EXPECT_EQ(interval(13, INT32_MIN, 0), "1 year 1 mon -2147483648 days");
    EXPECT_EQ(interval(0, 1, INT64_MAX), "1 day 2562047788:00:54.775807");
    EXPECT_EQ(interval(INT32_MAX, INT32_MAX, INT64_MAX),
              "178956970 years 7 mons 2147483647 days 2562047788:00:54.775807");
    EXPECT_EQ(interval(INT32_MIN, INT32_MIN, -INT64_MAX),
              "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775807");
    EXPECT_EQ(interval(INT32_MIN, INT32_MIN, INT64_MIN),
              "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808");
}

}  // namespace cdc::test
