// Dates and timestamps as text, against a calendar that counts its days one by one, and against PostgreSQL's output.
#include "exact_text.hpp"

#include "wire/calendar.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

namespace cdc::test {

namespace {

std::string date(int32_t days) {
    return exact_text(wire::kCalendarTextRoom, [&](uint8_t *at) { return wire::put_date_text(at, days); });
}

std::string timestamp(int64_t micros, bool zone = false) {
    return exact_text(wire::kCalendarTextRoom, [&](uint8_t *at) { return wire::put_timestamp_text(at, micros, zone); });
}

// `year` counts ..., -1 (2 BC), 0 (1 BC), 1, ...
int month_length(int64_t year, int month) {
    static constexpr std::array<int, 12> kLengths = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
    return month == 2 && leap ? 29 : kLengths[static_cast<size_t>(month - 1)];
}

int year_length(int64_t year) {
    return 337 + month_length(year, 2);
}

std::string text_of(int64_t year, int month, int day) {
    char text[64];
    snprintf(text, sizeof text, "%04lld-%02d-%02d%s", static_cast<long long>(year > 0 ? year : 1 - year), month, day,
             year > 0 ? "" : " BC");
    return text;
}

// By counting the years, then the months.
std::string counted_date(int64_t days) {
    int64_t year = 2000;
    for (; days < 0; days += year_length(year)) {
        --year;
    }
    for (; days >= year_length(year); ++year) {
        days -= year_length(year);
    }
    int month = 1;
    for (; days >= month_length(year, month); ++month) {
        days -= month_length(year, month);
    }
    return text_of(year, month, static_cast<int>(days) + 1);
}

// Checks each day of a year that starts at `days`; returns the start of the next year.
int32_t expect_year(int64_t year, int32_t days) {
    for (int month = 1; month <= 12; ++month) {
        for (int day = 1; day <= month_length(year, month); ++day, ++days) {
            const std::string expected = text_of(year, month, day);
            if (date(days) != expected) {
                ADD_FAILURE() << days << " is " << expected << ", not " << date(days);
                return days;
            }
        }
    }
    return days;
}

}  // namespace

TEST(Calendar, EachDayOfManyYears) {
    int32_t days = 0;
    for (int64_t year = 1999; year >= -900; --year) {
        days -= year_length(year);
    }
    for (int64_t year = -900; year < 2800; ++year) {
        days = expect_year(year, days);
        ASSERT_FALSE(HasFailure());
    }
}

// All the years that a timestamp can have.
TEST(Calendar, EndsOfEachYear) {
    int32_t start = 0;
    for (int64_t year = 2000; year <= 294276; ++year) {
        ASSERT_EQ(date(start), text_of(year, 1, 1));
        start += year_length(year);
        ASSERT_EQ(date(start - 1), text_of(year, 12, 31));
    }
    start = 0;
    for (int64_t year = 1999; year >= -4713; --year) {
        ASSERT_EQ(date(start - 1), text_of(year, 12, 31));
        start -= year_length(year);
        ASSERT_EQ(date(start), text_of(year, 1, 1));
    }
}

TEST(Calendar, DatesOfPostgres) {
    EXPECT_EQ(date(-2451545), "4714-11-24 BC");
    EXPECT_EQ(date(2145031948), "5874897-12-31");
    EXPECT_EQ(date(-730119), "0001-01-01");
    EXPECT_EQ(date(-730120), "0001-12-31 BC");
    EXPECT_EQ(date(-730485), "0001-01-01 BC");
    EXPECT_EQ(date(59), "2000-02-29");
    EXPECT_EQ(date(-731887), "0005-02-29 BC");
    EXPECT_EQ(date(-766951), "0101-02-28 BC");
    EXPECT_EQ(date(-766950), "0101-03-01 BC");
    EXPECT_EQ(date(2921939), "9999-12-31");
    EXPECT_EQ(date(2921940), "10000-01-01");
}

// Far beyond what PostgreSQL has; the bytes may come from anywhere.
TEST(Calendar, ExtremesOfDates) {
    EXPECT_EQ(date(INT32_MAX), "5881610-07-11");
    EXPECT_EQ(date(INT32_MAX), counted_date(INT32_MAX));
    EXPECT_EQ(date(INT32_MIN), "5877612-06-22 BC");
    EXPECT_EQ(date(INT32_MIN), counted_date(INT32_MIN));
}

TEST(Calendar, TimestampsOfPostgres) {
    EXPECT_EQ(timestamp(-211813488000000000), "4714-11-24T00:00:00 BC");
    EXPECT_EQ(timestamp(-211813488000000000, true), "4714-11-24T00:00:00+00:00 BC");
    EXPECT_EQ(timestamp(9223371331199999999), "294276-12-31T23:59:59.999999");
    EXPECT_EQ(timestamp(9223371331199999999, true), "294276-12-31T23:59:59.999999+00:00");
    EXPECT_EQ(timestamp(0), "2000-01-01T00:00:00");
    EXPECT_EQ(timestamp(100000), "2000-01-01T00:00:00.1");
    EXPECT_EQ(timestamp(-1), "1999-12-31T23:59:59.999999");
    EXPECT_EQ(timestamp(-63082281600000000), "0001-01-01T00:00:00");
    EXPECT_EQ(timestamp(-63082281600500000), "0001-12-31T23:59:59.5 BC");
    EXPECT_EQ(timestamp(-63082281600500000, true), "0001-12-31T23:59:59.5+00:00 BC");
    EXPECT_EQ(timestamp(762525296000001, true), "2024-02-29T12:34:56.000001+00:00");
}

TEST(Calendar, ExtremesOfTimestamps) {
    EXPECT_EQ(timestamp(INT64_MAX), "294277-01-09T04:00:54.775807");
    EXPECT_EQ(timestamp(INT64_MIN, true), "290279-12-22T19:59:05.224192+00:00 BC");
    EXPECT_EQ(counted_date(INT64_MIN / wire::kMicrosPerDay - 1), "290279-12-22 BC");
}

// A timestamp is its date and its time of day.
TEST(Calendar, TimestampsOfEachDay) {
    for (int32_t day = -900000; day < 900000; day += 7) {
        const std::string whole = timestamp(day * wire::kMicrosPerDay + 3723000004);
        std::string expected = date(day);
        expected.insert(expected.find(' ') == std::string::npos ? expected.size() : expected.find(' '),
                        "T01:02:03.000004");
        ASSERT_EQ(whole, expected);
    }
}

}  // namespace cdc::test
