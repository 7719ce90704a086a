// Protobuf leaves the order of fields to the writer: other orders than our own mean the same.
#include "render_proto.hpp"

#include "decode_batch.hpp"

#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

namespace cdc::test {

namespace {

using nlohmann::json;

std::string bytes_of(const google::protobuf::UnknownFieldSet &set) {
    std::string bytes;
    EXPECT_TRUE(set.SerializeToString(&bytes));
    return bytes;
}

// The fields of a message, each with its tag.
std::vector<std::string> fields_of(const std::string &bytes) {
    google::protobuf::UnknownFieldSet set;
    EXPECT_TRUE(set.ParseFromString(bytes));
    std::vector<std::string> fields;
    for (int i = 0; i < set.field_count(); ++i) {
        google::protobuf::UnknownFieldSet one;
        one.AddField(set.field(i));
        fields.push_back(bytes_of(one));
    }
    return fields;
}

std::string batch_of(int record_kind, const std::string &body) {
    google::protobuf::UnknownFieldSet record;
    record.AddLengthDelimited(record_kind, body);
    google::protobuf::UnknownFieldSet batch;
    batch.AddLengthDelimited(1, bytes_of(record));
    return bytes_of(batch);
}

// Renders the fields in each order; all must mean the same.
void expect_same_in_any_order(int record_kind, const std::string &body) {
    std::vector<std::string> fields = fields_of(body);
    std::sort(fields.begin(), fields.end());
    const json expected = json::parse(decode_batch(batch_of(record_kind, body)).lines.at(0));
    do {
        std::string shuffled;
        for (const std::string &field : fields) {
            shuffled += field;
        }
        const Decoded decoded = decode_batch(batch_of(record_kind, shuffled));
        ASSERT_FALSE(decoded.error) << decoded.error.what;
        ASSERT_TRUE(json::accept(decoded.lines.at(0))) << decoded.lines.at(0);
        ASSERT_EQ(json::parse(decoded.lines.at(0)), expected) << decoded.lines.at(0);
    } while (std::next_permutation(fields.begin(), fields.end()));
}

}  // namespace

TEST(RenderOrder, Relation) {
    // The column is there twice, because the order of columns does matter.
    expect_same_in_any_order(3, to_bytes(from_text<proto::Relation>(
                                    R"(relation_id: 1 schema: "s" name: "n" replica_identity: REPLICA_IDENTITY_FULL
                                       columns { name: "c" } columns { name: "c" } fingerprint: 5)")));
}

TEST(RenderOrder, Change) {
    expect_same_in_any_order(4, to_bytes(from_text<proto::Change>(
                                    R"(op: OP_UPDATE ordinal: 1 relation_id: 2 before_kind: BEFORE_FULL
                                       before { integer: 1 } after { integer: 2 } changed { columns: 0 })")));
}

TEST(RenderOrder, Commit) {
    expect_same_in_any_order(
        2, to_bytes(from_text<proto::Commit>("xid: 1 commit_lsn: 2 end_lsn: 3 commit_time_micros: 4 record_count: 5")));
}

TEST(RenderOrder, Message) {
    expect_same_in_any_order(
        6, to_bytes(from_text<proto::Message>("ordinal: 1 transactional: true lsn: 3 prefix: 'p' content: 'c'")));
}

}  // namespace cdc::test
