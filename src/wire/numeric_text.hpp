// Decimal text of a number held in base-10000 digits, the form in which PostgreSQL stores numeric.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cdc::wire {

// digits[i] counts 10000^(weight - i); digits may be unaligned. Digits beyond count are zero.
struct DecimalDigits {
    bool negative;
    int32_t weight;         // power of 10000 of the first digit
    int32_t display_scale;  // decimal digits to print after the point
    const uint8_t *digits;  // int16 in host order
    int32_t count;
};

// Bytes that the text takes at most (a few more are scratch).
constexpr size_t decimal_text_room(int32_t weight, int32_t display_scale) {
    return static_cast<size_t>(weight < 0 ? 1 : weight + 1) * 4 + static_cast<size_t>(display_scale) + 12;
}

// Writes the text as numeric_out does (no exponent, scale as stored); returns the byte after it.
uint8_t *put_decimal_text(uint8_t *at, const DecimalDigits &number);

// Decimal text of an integer; needs 20 bytes.
uint8_t *put_integer_text(uint8_t *at, int64_t number);
uint8_t *put_unsigned_text(uint8_t *at, uint64_t number);

}  // namespace cdc::wire
