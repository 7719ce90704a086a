// Records with other ordinals: only those numbers and the lengths around them change.
#include "change_writer.hpp"
#include "decode_batch.hpp"
#include "proto.hpp"
#include "sample_batch.hpp"
#include "tight_buffer.hpp"

#include "wire/records.hpp"
#include "wire/renumber.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cdc::test {

namespace {

std::string content_of(size_t size) {
    return std::string(size, 'v');
}

void write_all(wire::Buffer &out, uint64_t ordinal, size_t size) {
    wire::BeginRecord begin{};
    begin.xid = 7;
    wire::write_begin(out, begin);
    wire::write_relation_record(out, "");
    const std::string content = content_of(size);
    write_change(
        out, {wire::Op::kUpdate, ordinal, 16384, wire::Before::kFull},
        [&] {
            wire::put_bytes(out, wire::change::before, content);
            wire::put_bytes(out, wire::change::after, content);
        },
        2 * size);
    const uint32_t relation_ids[] = {16384, 3};
    wire::write_truncate(out, ordinal + 1, relation_ids, 2, true, false);
    wire::MessageRecord message{};
    message.ordinal = ordinal + 2;
    message.transactional = true;
    message.lsn = 99;
    message.prefix = "prefix";
    message.content = content;
    wire::write_message(out, message);
    message.ordinal = 0;
    message.transactional = false;
    wire::write_message(out, message);
}

}  // namespace

TEST(Renumber, AsIfWrittenWithThatOrdinal) {
    for (const uint64_t ordinal : {1ULL, 100ULL, 127ULL, 128ULL, 16384ULL, 1ULL << 40}) {
        for (const uint64_t less : {0ULL, 1ULL, 5ULL, 127ULL, 16000ULL, (1ULL << 40) - 1}) {
            if (less >= ordinal) {
                continue;
            }
            // Around the sizes at which a length takes a byte more.
            for (const size_t size : {0, 40, 55, 56, 57, 58, 59, 60, 61, 62, 110, 127, 128, 8180, 16384}) {
                TightBuffer given;
                write_all(given, ordinal, size);
                TightBuffer expected;
                write_all(expected, ordinal - less, size);
                TightBuffer out;
                out.append("x", 1);
                wire::Error error;
                ASSERT_TRUE(wire::append_renumbered(out, given.view(), -static_cast<int64_t>(less), error))
                    << error.what;
                EXPECT_TRUE(out.view() == "x" + std::string(expected.view()))
                    << ordinal << " less " << less << ", " << size << " bytes";
                // And back.
                TightBuffer back;
                ASSERT_TRUE(wire::append_renumbered(back, expected.view(), static_cast<int64_t>(less), error));
                EXPECT_TRUE(back.view() == given.view()) << ordinal << " less " << less << ", " << size << " bytes";
            }
        }
    }
}

TEST(Renumber, DamagedRecords) {
    TightBuffer given;
    write_all(given, 5, 40);
    const std::string whole(given.view());
    int errors = 0;
    for (size_t size = 0; size < whole.size(); ++size) {
        TightBuffer out;
        wire::Error error;
        if (!wire::append_renumbered(out, std::string_view(whole).substr(0, size), -1, error)) {
            EXPECT_LE(error.offset, size);
            ++errors;
        }
    }
    EXPECT_GT(errors, 200);
}

}  // namespace cdc::test
