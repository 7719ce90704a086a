// The proleptic Gregorian calendar, and text of dates, times and intervals.
#include "calendar.hpp"

#include "numeric_text.hpp"
#include "schema.hpp"

#include <cstring>

namespace cdc::wire {

namespace {

uint8_t *put_padded(uint8_t *at, int64_t number, int width) {
    for (int64_t limit = 10; width > 1; --width, limit *= 10) {
        if (number < limit) {
            for (; width > 1; --width) {
                *at++ = '0';
            }
            break;
        }
    }
    return put_integer_text(at, number);
}

uint8_t *put_word(uint8_t *at, const char *word) {
    const size_t size = strlen(word);
    memcpy(at, word, size);
    return at + size;
}

struct CivilDate {
    int64_t year;
    int month;
    int day;
};

// Howard Hinnant's days-to-civil: eras of 400 years that start on 1 March.
CivilDate civil_date(int64_t days_since_2000) {
    const int64_t z = days_since_2000 + kEpochUnixDays + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t day_of_era = z - era * 146097;
    const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const int day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    const int month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    return CivilDate{year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

uint8_t *put_civil_date(uint8_t *at, const CivilDate &date) {
    at = put_padded(at, date.year > 0 ? date.year : 1 - date.year, 4);
    *at++ = '-';
    at = put_padded(at, date.month, 2);
    *at++ = '-';
    return put_padded(at, date.day, 2);
}

// HH:MM:SS with up to six decimals, trailing zeros cut.
uint8_t *put_clock(uint8_t *at, uint64_t micros) {
    const uint64_t seconds = micros / 1000000;
    at = put_padded(at, static_cast<int64_t>(seconds / 3600), 2);
    *at++ = ':';
    at = put_padded(at, static_cast<int64_t>(seconds / 60 % 60), 2);
    *at++ = ':';
    at = put_padded(at, static_cast<int64_t>(seconds % 60), 2);
    const auto fraction = static_cast<int64_t>(micros % 1000000);
    if (fraction != 0) {
        *at++ = '.';
        at = put_padded(at, fraction, 6);
        while (at[-1] == '0') {
            --at;
        }
    }
    return at;
}

}  // namespace

uint8_t *put_date_text(uint8_t *at, int32_t days) {
    const CivilDate date = civil_date(days);
    at = put_civil_date(at, date);
    return date.year > 0 ? at : put_word(at, " BC");
}

uint8_t *put_timestamp_text(uint8_t *at, int64_t micros, bool zone) {
    int64_t days = micros / kMicrosPerDay;
    int64_t time = micros % kMicrosPerDay;
    if (time < 0) {
        time += kMicrosPerDay;
        --days;
    }
    const CivilDate date = civil_date(days);
    at = put_civil_date(at, date);
    *at++ = 'T';
    at = put_clock(at, static_cast<uint64_t>(time));
    if (zone) {
        at = put_word(at, "+00:00");
    }
    return date.year > 0 ? at : put_word(at, " BC");
}

uint8_t *put_time_text(uint8_t *at, int64_t micros) {
    return put_clock(at, static_cast<uint64_t>(micros));
}

uint8_t *put_zone_text(uint8_t *at, int32_t utc_offset_seconds) {
    *at++ = utc_offset_seconds < 0 ? '-' : '+';
    const int64_t offset = utc_offset_seconds < 0 ? -static_cast<int64_t>(utc_offset_seconds) : utc_offset_seconds;
    at = put_padded(at, offset / 3600, 2);
    if (offset % 3600 != 0) {
        *at++ = ':';
        at = put_padded(at, offset / 60 % 60, 2);
        if (offset % 60 != 0) {
            *at++ = ':';
            at = put_padded(at, offset % 60, 2);
        }
    }
    return at;
}

uint8_t *put_interval_text(uint8_t *at, int32_t months, int32_t days, int64_t micros) {
    bool first = true;
    bool after_negative = false;  // the sign of a part is written out behind a negative one
    const auto part = [&](int64_t number, const char *unit) {
        if (number == 0) {
            return;
        }
        if (!first) {
            *at++ = ' ';
        }
        if (after_negative && number > 0) {
            *at++ = '+';
        }
        at = put_integer_text(at, number);
        *at++ = ' ';
        at = put_word(at, unit);
        if (number != 1) {
            *at++ = 's';
        }
        after_negative = number < 0;
        first = false;
    };
    part(months / 12, "year");
    part(months % 12, "mon");
    part(days, "day");
    if (first || micros != 0) {
        if (!first) {
            *at++ = ' ';
        }
        if (micros < 0) {
            *at++ = '-';
        } else if (after_negative) {
            *at++ = '+';
        }
        at = put_clock(at, micros < 0 ? ~static_cast<uint64_t>(micros) + 1 : static_cast<uint64_t>(micros));
    }
    return at;
}

}  // namespace cdc::wire
