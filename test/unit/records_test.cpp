// The writers of records, read back by libprotobuf: begin, commit, truncate and message. (parse_record() checks that
// the bytes are canonical.)
#include "proto.hpp"
#include "random.hpp"

#include "wire/records.hpp"

#include <vector>

namespace cdc::test {

namespace {

constexpr int kRounds = 2000;

proto::Begin written_begin(const wire::BeginRecord &begin) {
    TightBuffer out;
    wire::write_begin(out, begin);
    const proto::Record record = parse_record(out);
    EXPECT_TRUE(record.has_begin());
    return record.begin();
}

}  // namespace

TEST(Records, Begin) {
    const proto::Begin begin = written_begin({5, 6, -7, true, "name", 8});
    EXPECT_EQ(begin.xid(), 5U);
    EXPECT_EQ(begin.commit_lsn(), 6U);
    EXPECT_EQ(begin.commit_time_micros(), -7);
    EXPECT_EQ(begin.origin().name(), "name");
    EXPECT_EQ(begin.origin().lsn(), 8U);
}

TEST(Records, BeginWithoutOrigin) {
    EXPECT_FALSE(written_begin({5, 6, 7, false, "ignored", 8}).has_origin());
}

// A dropped origin has no name; it is there all the same.
TEST(Records, BeginWithEmptyOrigin) {
    EXPECT_TRUE(written_begin({0, 0, 0, true, "", 0}).has_origin());
}

TEST(Records, AnyBegin) {
    Random random;
    for (int i = 0; i < kRounds; ++i) {
        const std::string name = random.text(300);
        const wire::BeginRecord record{random.number(), random.number(), random.signed_number(), random.one_in(2), name,
                                       random.number()};
        const proto::Begin begin = written_begin(record);
        EXPECT_EQ(begin.xid(), record.xid);
        EXPECT_EQ(begin.commit_lsn(), record.commit_lsn);
        EXPECT_EQ(begin.commit_time_micros(), record.commit_time_micros);
        ASSERT_EQ(begin.has_origin(), record.has_origin);
        EXPECT_EQ(begin.origin().name(), record.has_origin ? name : "");
        EXPECT_EQ(begin.origin().lsn(), record.has_origin ? record.origin_lsn : 0);
    }
}

TEST(Records, AnyCommit) {
    Random random;
    for (int i = 0; i < kRounds; ++i) {
        const wire::CommitRecord record{random.number(), random.number(), random.number(), random.signed_number(),
                                        random.number()};
        TightBuffer out;
        wire::write_commit(out, record);
        const proto::Record parsed = parse_record(out);
        ASSERT_TRUE(parsed.has_commit());
        const proto::Commit &commit = parsed.commit();
        EXPECT_EQ(commit.xid(), record.xid);
        EXPECT_EQ(commit.commit_lsn(), record.commit_lsn);
        EXPECT_EQ(commit.end_lsn(), record.end_lsn);
        EXPECT_EQ(commit.commit_time_micros(), record.commit_time_micros);
        EXPECT_EQ(commit.record_count(), record.record_count);
    }
}

TEST(Records, AnyMessage) {
    Random random;
    for (int i = 0; i < kRounds; ++i) {
        const std::string prefix = random.text(200);
        const std::string content = random.bytes(20000);
        const wire::MessageRecord record{random.number(), random.one_in(2), random.number(),
                                         prefix,          content,          random.one_in(2) ? 0 : random.number()};
        TightBuffer out;
        wire::write_message(out, record);
        const proto::Record parsed = parse_record(out);
        ASSERT_TRUE(parsed.has_message());
        const proto::Message &message = parsed.message();
        EXPECT_EQ(message.ordinal(), record.ordinal);
        EXPECT_EQ(message.transactional(), record.transactional);
        EXPECT_EQ(message.lsn(), record.lsn);
        EXPECT_EQ(message.prefix(), prefix);
        EXPECT_TRUE(message.content() == content);
        EXPECT_EQ(message.too_large_bytes(), record.too_large_bytes);
    }
}

TEST(Records, AnyTruncate) {
    Random random;
    for (int i = 0; i < kRounds; ++i) {
        std::vector<uint32_t> relations(1 + random.below(random.one_in(10) ? 5000 : 60));
        for (uint32_t &relation : relations) {
            relation = static_cast<uint32_t>(random.number());
        }
        const uint64_t ordinal = random.number();
        const bool cascade = random.one_in(2);
        const bool restart_identity = random.one_in(2);
        TightBuffer out;
        wire::write_truncate(out, ordinal, relations.data(), relations.size(), cascade, restart_identity);
        const proto::Record parsed = parse_record(out);
        ASSERT_TRUE(parsed.has_truncate());
        const proto::Truncate &truncate = parsed.truncate();
        EXPECT_EQ(truncate.ordinal(), ordinal);
        EXPECT_EQ(std::vector<uint32_t>(truncate.relation_ids().begin(), truncate.relation_ids().end()), relations);
        EXPECT_EQ(truncate.cascade(), cascade);
        EXPECT_EQ(truncate.restart_identity(), restart_identity);
    }
}

// A record behind another leaves that one as it is.
TEST(Records, Follow) {
    TightBuffer first;
    wire::write_commit(first, {1, 2, 3, 4, 5});
    TightBuffer both;
    wire::write_commit(both, {1, 2, 3, 4, 5});
    wire::write_message(both, {0, false, 9, "p", std::string(500, 'x'), 0});
    EXPECT_EQ(both.view().substr(0, first.used), first.view());
    EXPECT_EQ(parse_batch(both).records_size(), 2);
}

}  // namespace cdc::test
