// What counts as UTF-8, against an enumeration of all characters.
#include "wire/reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unordered_set>

namespace cdc::test {

namespace {

// All valid sequences of two bytes or more, as big-endian numbers.
std::unordered_set<uint32_t> valid_sequences() {
    std::unordered_set<uint32_t> sequences;
    for (uint32_t code = 0x80; code <= 0x10FFFF; ++code) {
        if (code >= 0xD800 && code <= 0xDFFF) {
            continue;
        }
        const uint32_t last = 0x80 | (code & 63);
        const uint32_t middle = 0x80 | (code >> 6 & 63);
        if (code < 0x800) {
            sequences.insert((0xC0 | code >> 6) << 8 | last);
        } else if (code < 0x10000) {
            sequences.insert((0xE0 | code >> 12) << 16 | middle << 8 | last);
        } else {
            sequences.insert((0xF0 | code >> 18) << 24 | (0x80 | (code >> 12 & 63)) << 16 | middle << 8 | last);
        }
    }
    return sequences;
}

size_t valid_prefix(std::string_view text) {
    return wire::valid_utf8_prefix(text);
}

// The bytes of a big-endian number.
std::string bytes_of(uint32_t number, int count) {
    std::string bytes;
    for (int shift = 8 * (count - 1); shift >= 0; shift -= 8) {
        bytes += static_cast<char>(number >> shift);
    }
    return bytes;
}

}  // namespace

TEST(Utf8, SingleBytes) {
    for (int c = 0; c < 256; ++c) {
        const char byte = static_cast<char>(c);
        EXPECT_EQ(valid_prefix(std::string_view(&byte, 1)), c >= 1 && c < 0x80 ? 1U : 0U) << c;
    }
    EXPECT_EQ(valid_prefix(""), 0U);
}

TEST(Utf8, AllSequences) {
    const std::unordered_set<uint32_t> valid = valid_sequences();
    for (uint32_t sequence = 0x8000; sequence <= 0xFFFF; ++sequence) {
        ASSERT_EQ(valid_prefix(bytes_of(sequence, 2)), valid.count(sequence) != 0 ? 2U : 0U) << sequence;
    }
    for (uint32_t sequence = 0xE00000; sequence <= 0xFFFFFF; ++sequence) {
        if (valid.count(sequence >> 8) == 0) {
            ASSERT_EQ(valid_prefix(bytes_of(sequence, 3)), valid.count(sequence) != 0 ? 3U : 0U) << sequence;
        }
    }
    // Of four bytes, all first and second ones, and the edges of the others.
    for (uint32_t head = 0xF000; head <= 0xFFFF; ++head) {
        for (const uint32_t third : {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}) {
            for (const uint32_t fourth : {0x00, 0x7F, 0x80, 0xBF, 0xC0, 0xFF}) {
                const uint32_t sequence = head << 16 | third << 8 | fourth;
                ASSERT_EQ(valid_prefix(bytes_of(sequence, 4)), valid.count(sequence) != 0 ? 4U : 0U) << sequence;
            }
        }
    }
}

// Cut characters end the prefix in front of them.
TEST(Utf8, Prefixes) {
    const std::string text = "aé€😀z";
    const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t size = 0; size <= text.size(); ++size) {
        EXPECT_EQ(valid_prefix(std::string(text, 0, size)), ends[size]) << size;
    }
    EXPECT_EQ(valid_prefix(std::string_view("ab\0cd", 5)), 2U);
}

}  // namespace cdc::test
