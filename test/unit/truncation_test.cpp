// A batch that is cut at any byte is an error inside of the bytes that are left, or a batch of fewer records: never
// another record than the whole batch has. The same for batches with one byte changed, as far as that can be said.
#include "decode_batch.hpp"
#include "sample_batch.hpp"

#include "wire/writer.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace cdc::test {

namespace {

std::string sample_batch() {
    TightBuffer out;
    write_sample_batch(out);
    return out.str();
}

}  // namespace

TEST(Truncation, SampleIsWhole) {
    const Decoded decoded = decode_batch(sample_batch());
    EXPECT_FALSE(decoded.error) << decoded.error.what << " at " << decoded.error.offset;
    EXPECT_EQ(decoded.lines.size(), sample_records().size());
}

TEST(Truncation, AtEachByte) {
    const std::string batch = sample_batch();
    const std::vector<std::string> all = decode_batch(batch).lines;
    // Where records end.
    std::vector<size_t> ends = {0};
    for (const SampleRecord &sample : sample_records()) {
        TightBuffer out;
        sample.write(out);
        ends.push_back(ends.back() + out.used);
    }
    ASSERT_EQ(ends.back(), batch.size());

    size_t whole = 0;
    for (size_t size = 0; size < batch.size(); ++size) {
        whole += whole + 1 < ends.size() && ends[whole + 1] == size ? 1 : 0;
        const Decoded decoded = decode_batch(batch.substr(0, size));
        ASSERT_EQ(static_cast<bool>(decoded.error), ends[whole] != size) << size;
        ASSERT_LE(decoded.error.offset, size);
        ASSERT_EQ(decoded.lines, std::vector<std::string>(all.begin(), all.begin() + static_cast<long>(whole))) << size;
    }
}

// Inside of a record whose lengths are right, too: each cut of a record's body.
TEST(Truncation, InsideOfRecords) {
    for (const SampleRecord &sample : sample_records()) {
        SCOPED_TRACE(sample.name);
        TightBuffer out;
        sample.write(out);
        wire::Error error;
        wire::Reader batch(out.view(), out.view().data(), error);
        wire::RecordView record;
        ASSERT_TRUE(wire::next_record(batch, record));
        for (size_t size = 0; size < record.bytes.size(); ++size) {
            TightBuffer cut;
            const wire::Nested outer = wire::begin_nested(cut, wire::batch::records, size);
            wire::put_bytes(cut, record.kind, record.bytes.substr(0, size));
            wire::end_nested(cut, outer);
            const Decoded decoded = decode_batch(cut.view());
            ASSERT_LE(decoded.error.offset, cut.used);
            for (const std::string &line : decoded.lines) {
                ASSERT_TRUE(nlohmann::json::accept(line)) << line;
            }
        }
    }
}

TEST(Truncation, ChangedBytes) {
    const std::string batch = sample_batch();
    const std::vector<std::string> lines = decode_batch(batch).lines;
    for (size_t i = 0; i < batch.size(); ++i) {
        static constexpr int kFlips[] = {0x01, 0x80, 0x08, 0x02, 0xff};
        std::string changed = batch;
        changed[i] = static_cast<char>(changed[i] ^ kFlips[i % std::size(kFlips)]);
        const Decoded decoded = decode_batch(changed);
        ASSERT_LE(decoded.error.offset, batch.size());
        for (size_t k = 0; k < decoded.lines.size(); ++k) {
            if (k >= lines.size() || decoded.lines[k] != lines[k]) {
                ASSERT_TRUE(nlohmann::json::accept(decoded.lines[k])) << decoded.lines[k];
            }
        }
    }
}

}  // namespace cdc::test
