// Decimal text of base-10000 digits.
#include "numeric_text.hpp"

#include <cstring>

namespace cdc::wire {

namespace {

// "0000" to "9999", so that a digit costs one copy.
struct FourDigits {
    char text[10000][4];
    constexpr FourDigits() : text() {
        for (int i = 0; i < 10000; ++i) {
            text[i][0] = static_cast<char>('0' + i / 1000);
            text[i][1] = static_cast<char>('0' + i / 100 % 10);
            text[i][2] = static_cast<char>('0' + i / 10 % 10);
            text[i][3] = static_cast<char>('0' + i % 10);
        }
    }
};
constexpr FourDigits kFourDigits;

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
    memcpy(at, kFourDigits.text[digit] + skip, static_cast<size_t>(4 - skip));
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
            memcpy(at, kFourDigits.text[load_digit(number, index)], 4);
            at += 4;
        }
    }
    if (number.display_scale > 0) {
        *at++ = '.';
        uint8_t *const end = at + number.display_scale;
        for (; at < end; ++index, at += 4) {
            memcpy(at, kFourDigits.text[load_digit(number, index)], 4);
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
