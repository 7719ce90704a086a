// Decimal text of base-10000 digits, against arithmetic on decimal strings.
#include "exact_text.hpp"
#include "random.hpp"

#include "wire/numeric_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace cdc::test {

namespace {

struct Number {
    bool negative;
    int32_t weight;
    int32_t scale;
    std::vector<uint16_t> digits;
};

std::string text_of(const Number &number) {
    // One byte in front, so that the digits are as unaligned as they are behind a short varlena header.
    std::vector<uint8_t> stored(1 + 2 * number.digits.size());
    for (size_t i = 0; i < number.digits.size(); ++i) {
        memcpy(stored.data() + 1 + 2 * i, &number.digits[i], 2);
    }
    const wire::DecimalDigits digits{number.negative, number.weight, number.scale, stored.data() + 1,
                                     static_cast<int32_t>(number.digits.size())};
    return exact_text(wire::decimal_text_room(number.weight, number.scale),
                      [&](uint8_t *at) { return wire::put_decimal_text(at, digits); });
}

// text * 10000 + digit, in decimal.
std::string shifted_plus(std::string text, unsigned digit) {
    text += "0000";
    for (size_t i = text.size(); digit != 0 && i-- > 0;) {
        const unsigned sum = static_cast<unsigned>(text[i] - '0') + digit % 10;
        text[i] = static_cast<char>('0' + sum % 10);
        digit = digit / 10 + sum / 10;
    }
    return text;
}

// The digits as one integer, times a power of ten, cut to the scale.
std::string oracle(const Number &number) {
    std::string integer;
    for (const uint16_t digit : number.digits) {
        integer = shifted_plus(integer, digit);
    }
    const int64_t exponent = 4 * (int64_t{number.weight} + 1 - static_cast<int64_t>(number.digits.size()));
    std::string whole = integer;
    std::string fraction;
    if (exponent >= 0) {
        whole.append(static_cast<size_t>(exponent), '0');
    } else {
        const auto decimals = static_cast<size_t>(-exponent);
        if (whole.size() < decimals) {
            whole.insert(0, decimals - whole.size(), '0');
        }
        fraction = whole.substr(whole.size() - decimals);
        whole.resize(whole.size() - decimals);
    }
    whole.erase(0, whole.find_first_not_of('0'));
    fraction.resize(static_cast<size_t>(number.scale), '0');
    return (number.negative ? "-" : "") + (whole.empty() ? "0" : whole) + (fraction.empty() ? "" : ".") + fraction;
}

}  // namespace

TEST(NumericText, KnownNumbers) {
    EXPECT_EQ(text_of({false, 0, 0, {}}), "0");
    EXPECT_EQ(text_of({false, 0, 3, {}}), "0.000");
    EXPECT_EQ(text_of({false, 0, 0, {1}}), "1");
    EXPECT_EQ(text_of({true, 0, 2, {12, 3400}}), "-12.34");
    EXPECT_EQ(text_of({false, 1, 0, {1}}), "10000");
    EXPECT_EQ(text_of({false, 1, 1, {1, 0, 5000}}), "10000.5");
    EXPECT_EQ(text_of({false, -1, 4, {1}}), "0.0001");
    EXPECT_EQ(text_of({false, -2, 7, {1230}}), "0.0000123");
    EXPECT_EQ(text_of({false, 2, 0, {9999, 9999, 9999}}), "999999999999");
}

TEST(NumericText, AnyNumber) {
    Random random;
    for (int i = 0; i < 50000; ++i) {
        Number number;
        number.negative = random.one_in(2);
        number.weight = static_cast<int32_t>(random.below(20)) - 10;
        number.scale = static_cast<int32_t>(random.below(60));
        number.digits.resize(random.below(20));
        for (uint16_t &digit : number.digits) {
            static constexpr uint16_t kEdges[] = {0, 1, 9, 10, 99, 100, 999, 1000, 9999};
            digit =
                random.one_in(3) ? kEdges[random.below(std::size(kEdges))] : static_cast<uint16_t>(random.below(10000));
        }
        // Numbers are stored without zeros in front.
        if (number.digits.empty()) {
            number.weight = 0;
        } else if (number.digits[0] == 0) {
            number.digits[0] = 1;
        }
        ASSERT_EQ(text_of(number), oracle(number));
    }
}

// As far as the stored format goes.
TEST(NumericText, Extremes) {
    const Number large{true, 32767, 16383, {9999}};
    EXPECT_EQ(text_of(large), oracle(large));
    const Number small{true, -32768, 16383, {9999}};
    EXPECT_EQ(text_of(small), oracle(small));
    const Number smallest{false, -4096, 16383, {9999}};
    EXPECT_EQ(text_of(smallest), oracle(smallest));
}

// Digits that cannot be must not be looked up.
TEST(NumericText, DamagedDigits) {
    EXPECT_EQ(text_of({false, 1, 4, {10000, 65535, 32768}}), "00000.0000");
}

TEST(NumericText, Integers) {
    Random random;
    for (int i = 0; i < 100000; ++i) {
        const uint64_t number = random.number();
        ASSERT_EQ(exact_text(20, [&](uint8_t *at) { return wire::put_unsigned_text(at, number); }),
                  std::to_string(number));
        const auto with_sign = static_cast<int64_t>(number);
        ASSERT_EQ(exact_text(20, [&](uint8_t *at) { return wire::put_integer_text(at, with_sign); }),
                  std::to_string(with_sign));
    }
    EXPECT_EQ(exact_text(20, [](uint8_t *at) { return wire::put_integer_text(at, INT64_MIN); }),
              "-9223372036854775808");
    EXPECT_EQ(exact_text(20, [](uint8_t *at) { return wire::put_unsigned_text(at, UINT64_MAX); }),
              "18446744073709551615");
}

}  // namespace cdc::test
