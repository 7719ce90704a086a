// PostgreSQL's stored numeric as decimal text, straight from its base-10000 digits.
#pragma once

#include "../pg/postgres.hpp"
#include "../wire/numeric_text.hpp"

namespace cdc::encode {

// A stored numeric, taken apart.
struct StoredNumeric {
    const char *word;  // NaN, Infinity or -Infinity; nullptr for a number
    wire::DecimalDigits digits;
};

// `payload` is what follows the varlena header, unaligned or not.
inline StoredNumeric open_numeric(const char *payload, Size size) {
    // The format is numeric.c's own; it is part of the on-disk format, so it stays.
    constexpr uint16 kSignMask = 0xC000, kNegative = 0x4000, kShort = 0x8000, kSpecial = 0xC000;
    constexpr uint16 kSpecialMask = 0xF000, kPositiveInfinity = 0xD000, kNegativeInfinity = 0xF000;
    uint16 header;
    memcpy(&header, payload, sizeof header);
    StoredNumeric numeric{};
    const uint16 flags = header & kSignMask;
    if (flags == kSpecial) {
        const uint16 special = header & kSpecialMask;
        numeric.word = special == kPositiveInfinity ? "Infinity" : special == kNegativeInfinity ? "-Infinity" : "NaN";
        return numeric;
    }
    Size head = sizeof(uint16);
    if (flags == kShort) {
        numeric.digits.negative = (header & 0x2000) != 0;
        numeric.digits.display_scale = (header & 0x1F80) >> 7;
        numeric.digits.weight = (header & 0x003F) | ((header & 0x0040) != 0 ? ~0x003F : 0);
    } else {
        int16 weight;
        memcpy(&weight, payload + sizeof(uint16), sizeof weight);
        head += sizeof(int16);
        numeric.digits.negative = flags == kNegative;
        numeric.digits.display_scale = header & 0x3FFF;
        numeric.digits.weight = weight;
    }
    numeric.digits.digits = reinterpret_cast<const uint8_t *>(payload + head);
    numeric.digits.count = static_cast<int32>((size - head) / sizeof(int16));
    return numeric;
}

inline Size numeric_text_room(const StoredNumeric &numeric) {
    return numeric.word != nullptr ? 16 : wire::decimal_text_room(numeric.digits.weight, numeric.digits.display_scale);
}

inline uint8_t *put_numeric_text(uint8_t *at, const StoredNumeric &numeric) {
    if (numeric.word != nullptr) {
        const Size size = strlen(numeric.word);
        memcpy(at, numeric.word, size);
        return at + size;
    }
    return wire::put_decimal_text(at, numeric.digits);
}

}  // namespace cdc::encode
