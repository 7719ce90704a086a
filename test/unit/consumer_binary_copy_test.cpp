// COPY's binary format, cut anywhere, and damaged.
#include "consumer/model/row.hpp"
#include "consumer/postgres/binary_copy.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cdc::consumer {
namespace {

const std::string kHeader("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
const std::string kTrailer("\377\377", 2);

std::string row(const std::string &value) {
    std::string bytes("\0\1\0\0\0", 5);
    bytes += static_cast<char>(value.size());
    return bytes + value;
}

using Values = std::vector<std::string>;

Values read(BinaryCopyReader &reader, const std::string &bytes, size_t part) {
    Values values;
    for (size_t at = 0; at < bytes.size(); at += part) {
        reader.read(std::string_view(bytes).substr(at, part),
                    [&](std::string_view value) { values.emplace_back(value); });
    }
    return values;
}

TEST(BinaryCopyReader, TakesPartsOfAnySize) {
    const std::string bytes = kHeader + row("one") + row("") + row(std::string(100, 'x')) + kTrailer;
    for (size_t part = 1; part <= bytes.size(); ++part) {
        BinaryCopyReader reader;
        EXPECT_EQ(read(reader, bytes, part), (Values{"one", "", std::string(100, 'x')})) << part;
        EXPECT_TRUE(reader.complete());
    }
}

TEST(BinaryCopyReader, SkipsWhatFollowsTheHeader) {
    std::string header = kHeader;
    header[18] = 2;
    BinaryCopyReader reader;
    EXPECT_EQ(read(reader, header + "??" + row("a") + kTrailer, 5), (Values{"a"}));
}

TEST(BinaryCopyReader, IsIncompleteWithoutItsEnd) {
    const std::string bytes = kHeader + row("one") + kTrailer;
    for (size_t size = 0; size < bytes.size(); ++size) {
        BinaryCopyReader reader;
        read(reader, bytes.substr(0, size), 7);
        EXPECT_FALSE(reader.complete()) << size;
    }
}

TEST(BinaryCopyReader, RefusesWhatItCannotRead) {
    const auto refuse = [](const std::string &bytes) {
        BinaryCopyReader reader;
        EXPECT_THROW(read(reader, bytes, bytes.size()), CorruptStream);
    };
    refuse("PGCOPX" + kHeader.substr(6));
    refuse(kHeader.substr(0, 11) + std::string("\0\1\0\0\0\0\0\0", 8));  // a flag that must be known
    refuse(kHeader + std::string("\0\2\0\0\0\0", 6));                    // two fields
    refuse(kHeader + std::string("\0\1\377\377\377\377", 6));            // NULL
    refuse(kHeader + std::string("\0\1\177\0\0\0", 6));                  // too long
    refuse(kHeader + kTrailer + "x");
}

}  // namespace
}  // namespace cdc::consumer
