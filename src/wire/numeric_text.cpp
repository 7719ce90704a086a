// Decimal text of base-10000 digits.
#include "numeric_text.hpp"

#include <cstring>

namespace cdc::wire {

namespace {

// "00" to "99". A table for four digits at once would take 40 kB and push other data out of the nearest cache.
struct TwoDigits {
    char text[100][2];
    constexpr TwoDigits() : text() {
        for (int i = 0; i < 100; ++i) {
            text[i][0] = static_cast<char>('0' + i / 10);
            text[i][1] = static_cast<char>('0' + i % 10);
        }
    }
};
constexpr TwoDigits kTwoDigits;

inline void put_four(uint8_t *at, unsigned digit) {
    memcpy(at, kTwoDigits.text[digit / 100], 2);
    memcpy(at + 2, kTwoDigits.text[digit % 100], 2);
}

inline unsigned load_digit(const DecimalDigits &number, int32_t index) {
    if (index < 0 || index >= number.count) {
        return 0;
    }
    uint16_t digit;
    memcpy(&digit, number.digits + 2 * index, 2);
    return digit < 10000 ? digit : 0;  // damaged data must not read outside of the table
}

// The leading group, without zeros in front.
inline uint8_t *put_leading(uint8_t *at, unsigned digit) {
    const int skip = digit >= 1000 ? 0 : digit >= 100 ? 1 : digit >= 10 ? 2 : 3;
    uint8_t four[8] = {};
    put_four(four, digit);
    memcpy(at, four + skip, 4);  // some of it scratch, which what follows overwrites
    return at + 4 - skip;
}

}  // namespace

uint8_t *put_decimal_text(uint8_t *at, const DecimalDigits &number) {
    if (number.negative) {
        *at++ = '-';
    }
    int32_t index = 0;
    if (number.weight < 0) {
        *at++ = '0';
        index = number.weight + 1;  // digits between the point and the first stored one are zero
    } else {
        at = put_leading(at, load_digit(number, 0));
        for (index = 1; index <= number.weight; ++index) {
            put_four(at, load_digit(number, index));
            at += 4;
        }
    }
    if (number.display_scale > 0) {
        *at++ = '.';
        uint8_t *const end = at + number.display_scale;
        for (; at < end; ++index, at += 4) {
            put_four(at, load_digit(number, index));
        }
        at = end;  // the last group may be longer than the scale
    }
    return at;
}

uint8_t *put_unsigned_text(uint8_t *at, uint64_t number) {
    uint8_t text[20];
    uint8_t *first = text + sizeof text;
    do {
        *--first = static_cast<uint8_t>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    const size_t size = static_cast<size_t>(text + sizeof text - first);
    memcpy(at, first, size);
    return at + size;
}

uint8_t *put_integer_text(uint8_t *at, int64_t number) {
    if (number < 0) {
        *at++ = '-';
        return put_unsigned_text(at, ~static_cast<uint64_t>(number) + 1);
    }
    return put_unsigned_text(at, static_cast<uint64_t>(number));
}

}  // namespace cdc::wire
