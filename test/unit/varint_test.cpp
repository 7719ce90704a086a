// Varints and zigzag at the edges of each length.
#include "tight_buffer.hpp"

#include "wire/reader.hpp"
#include "wire/varint.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace cdc::test {

namespace {

std::vector<uint64_t> edges() {
    std::vector<uint64_t> numbers = {0, 1, UINT64_MAX, UINT64_MAX - 1};
    for (int bit = 1; bit < 64; ++bit) {
        const uint64_t power = uint64_t{1} << bit;
        numbers.insert(numbers.end(), {power - 1, power, power + 1});
    }
    return numbers;
}

}  // namespace

TEST(Varint, RoundTrip) {
    for (const uint64_t number : edges()) {
        TightBuffer out(wire::varint_size(number));
        out.advance_to(wire::put_varint(out.data, number));
        EXPECT_EQ(out.used, wire::varint_size(number)) << number;
        wire::Error error;
        wire::Reader reader(out.view(), out.view().data(), error);
        uint64_t read;
        ASSERT_TRUE(reader.next_varint(read)) << number;
        EXPECT_EQ(read, number);
        EXPECT_FALSE(reader.next_varint(read));
        EXPECT_FALSE(error);
    }
}

TEST(Varint, Zigzag) {
    EXPECT_EQ(wire::zigzag(0), 0U);
    EXPECT_EQ(wire::zigzag(-1), 1U);
    EXPECT_EQ(wire::zigzag(1), 2U);
    EXPECT_EQ(wire::zigzag(INT32_MIN), 0xFFFFFFFFU);
    EXPECT_EQ(wire::zigzag(INT64_MAX), UINT64_MAX - 1);
    EXPECT_EQ(wire::zigzag(INT64_MIN), UINT64_MAX);
    for (const uint64_t number : edges()) {
        EXPECT_EQ(wire::zigzag(wire::unzigzag(number)), number);
        EXPECT_EQ(wire::unzigzag(wire::zigzag(static_cast<int64_t>(number))), static_cast<int64_t>(number));
    }
}

}  // namespace cdc::test
