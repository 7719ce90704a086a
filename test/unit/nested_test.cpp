// Nested messages whose size was guessed: whatever the guess was, the encoding is the shortest one.
#include "tight_buffer.hpp"

#include "wire/writer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cdc::test {

namespace {

constexpr size_t kSizes[] = {0, 1, 2, 126, 127, 128, 129, 16383, 16384, 16385, 2097151, 2097152};

// field 1, length, `size` bytes.
std::string expected_field(const std::string &content) {
    std::string bytes = "\x0a";
    size_t size = content.size();
    for (; size >= 0x80; size >>= 7) {
        bytes += static_cast<char>(size | 0x80);
    }
    bytes += static_cast<char>(size);
    return bytes + content;
}

}  // namespace

TEST(Nested, AnyGuess) {
    for (const size_t size : kSizes) {
        const std::string content(size, 'c');
        for (const size_t guess : kSizes) {
            TightBuffer out;
            out.append("x", 1);
            const wire::Nested nested = wire::begin_nested(out, 1, guess);
            out.append(content.data(), content.size());
            wire::end_nested(out, nested);
            EXPECT_TRUE(out.view() == "x" + expected_field(content)) << size << " bytes, guessed " << guess;
        }
    }
}

// A move of the inner content must not lose the place of the outer length.
TEST(Nested, InsideOfNested) {
    for (const size_t size : {0, 100, 125, 126, 127, 128, 16380, 16384}) {
        const std::string content(size, 'c');
        for (const size_t guess : {0, 127, 128, 16384}) {
            for (const size_t outer_guess : {0, 127, 128, 16384}) {
                TightBuffer out;
                const wire::Nested outer = wire::begin_nested(out, 1, outer_guess);
                const wire::Nested inner = wire::begin_nested(out, 1, guess);
                out.append(content.data(), content.size());
                wire::end_nested(out, inner);
                wire::end_nested(out, outer);
                EXPECT_TRUE(out.view() == expected_field(expected_field(content)))
                    << size << " bytes, guessed " << guess << " in " << outer_guess;
            }
        }
    }
}

}  // namespace cdc::test
