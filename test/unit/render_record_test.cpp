// Records as JSON, other than the rows in them.
#include "render_proto.hpp"

namespace cdc::test {

namespace {

using nlohmann::json;

}  // namespace

TEST(RenderRecord, Begin) {
    EXPECT_EQ(render_one("records { begin { xid: 12884902629 commit_lsn: 0x16B3748 commit_time_micros: 100000 } }"),
              json::parse(R"({"record": "begin", "xid": 12884902629, "commit_lsn": "0/16B3748",
                              "commit_time": "2000-01-01T00:00:00.1+00:00"})"));
}

TEST(RenderRecord, BeginWithOrigin) {
    EXPECT_EQ(render_one("records { begin { xid: 1 commit_lsn: 2 origin { name: 'é' lsn: 0x1A2B3C4D5E6F } } }"),
              json::parse(R"({"record": "begin", "xid": 1, "commit_lsn": "0/2", "origin": "é",
                              "origin_lsn": "1A2B/3C4D5E6F", "commit_time": "2000-01-01T00:00:00+00:00"})"));
}

TEST(RenderRecord, Commit) {
    EXPECT_EQ(render_one("records { commit { xid: 1 commit_lsn: 0x100000000 end_lsn: 0xFFFFFFFFFFFFFFFF "
                         "commit_time_micros: -1 record_count: 3 } }"),
              json::parse(R"({"record": "commit", "xid": 1, "commit_lsn": "1/0", "end_lsn": "FFFFFFFF/FFFFFFFF",
                              "commit_time": "1999-12-31T23:59:59.999999+00:00", "record_count": 3})"));
}

TEST(RenderRecord, EmptyCommit) {
    EXPECT_EQ(render_one("records { commit { } }"),
              json::parse(R"({"record": "commit", "commit_time": "2000-01-01T00:00:00+00:00", "record_count": 0})"));
}

TEST(RenderRecord, Relation) {
    EXPECT_EQ(render_one(R"(records { relation {
                  relation_id: 16385 schema: "public" name: "é" replica_identity: REPLICA_IDENTITY_FULL
                  columns { name: "id" type_oid: 23 type_schema: "pg_catalog" type_name: "int4" type_modifier: -1
                            type_sql: "integer" in_replica_identity: true primary_key_position: 1
                            attribute_number: 3 }
                  columns { name: "d" type_oid: 16390 type_schema: "public" type_name: "d" type_modifier: 5
                            type_sql: "public.d" base_type_oid: 1700 nullable: true generated: GENERATED_STORED }
                  fingerprint: 18446744073709551615
                  root_relation_id: 16380 root_schema: "s" root_name: "ü" } })"),
              json::parse(R"({"record": "relation", "relation_id": 16385, "schema": "public", "table": "é",
                  "replica_identity": "full", "columns": [
                  {"name": "id", "type_oid": 23, "type_schema": "pg_catalog", "type_name": "int4", "type_modifier": -1,
                   "type": "integer", "primary_key_position": 1, "attribute_number": 3, "nullable": false,
                   "in_replica_identity": true},
                  {"name": "d", "type_oid": 16390, "type_schema": "public", "type_name": "d", "type_modifier": 5,
                   "type": "public.d", "base_type_oid": 1700, "generated": "stored", "nullable": true,
                   "in_replica_identity": false}],
                  "fingerprint": "18446744073709551615",
                  "root_relation_id": 16380, "root_schema": "s", "root_table": "ü"})"));
}

TEST(RenderRecord, ReplicaIdentities) {
    const auto word = [](const std::string &value) {
        return render_one("records { relation { relation_id: 1 replica_identity: " + value +
                          " } }")["replica_identity"];
    };
    EXPECT_EQ(word("REPLICA_IDENTITY_DEFAULT"), "default");
    EXPECT_EQ(word("REPLICA_IDENTITY_NOTHING"), "nothing");
    EXPECT_EQ(word("REPLICA_IDENTITY_FULL"), "full");
    EXPECT_EQ(word("REPLICA_IDENTITY_INDEX"), "index");
    EXPECT_EQ(word("77"), "unknown");
}

TEST(RenderRecord, RelationWithoutColumns) {
    EXPECT_EQ(render_one("records { relation { relation_id: 7 fingerprint: 1 } }"),
              json::parse(R"({"record": "relation", "relation_id": 7, "fingerprint": "1"})"));
}

TEST(RenderRecord, Truncate) {
    const std::vector<json> records = render(R"(records { relation { relation_id: 7 schema: "s" name: "t" } }
        records { truncate { ordinal: 3 relation_ids: [7, 4294967295] cascade: true } }
        records { truncate { ordinal: 4 restart_identity: true } })");
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[1], json::parse(R"({"record": "truncate", "ordinal": 3, "cascade": true,
        "relations": [{"relation_id": 7, "schema": "s", "table": "t"}, {"relation_id": 4294967295}],
        "restart_identity": false})"));
    EXPECT_EQ(records[2], json::parse(R"({"record": "truncate", "ordinal": 4, "cascade": false, "relations": [],
        "restart_identity": true})"));
}

TEST(RenderRecord, Message) {
    EXPECT_EQ(
        render_one("records { message { ordinal: 5 transactional: true lsn: 16 prefix: 'p' content: 'a\\n\"é' } }"),
        json::parse(R"({"record": "message", "ordinal": 5, "lsn": "0/10", "transactional": true, "prefix": "p",
                              "content": "a\n\"é"})"));
}

// It has no ordinal, and no transaction, even if it stands inside of one.
TEST(RenderRecord, MessageOutsideOfTransactions) {
    EXPECT_EQ(render("records { begin { xid: 1 commit_lsn: 2 } } records { message { lsn: 16 prefix: 'p' } }").at(1),
              json::parse(R"({"record": "message", "lsn": "0/10", "transactional": false, "prefix": "p",
                              "content": ""})"));
}

TEST(RenderRecord, MessageOfBytes) {
    EXPECT_EQ(render_one(R"(records { message { lsn: 1 content: "a\000\377" } })"),
              json::parse(R"({"record": "message", "lsn": "0/1", "transactional": false, "prefix": "",
                              "content_hex": "6100ff"})"));
}

TEST(RenderRecord, MessageTooLarge) {
    EXPECT_EQ(render_one("records { message { lsn: 1 prefix: 'p' too_large_bytes: 1073741824 } }"),
              json::parse(R"({"record": "message", "lsn": "0/1", "transactional": false, "prefix": "p",
                              "too_large": 1073741824})"));
}

// Events carry the id of the transaction that is open, and of no other.
TEST(RenderRecord, EventsHaveTheirTransaction) {
    const std::vector<json> records = render(R"(records { truncate { ordinal: 1 } }
        records { begin { xid: 9 commit_lsn: 17 } } records { truncate { ordinal: 2 } }
        records { commit { xid: 9 commit_lsn: 17 } } records { truncate { ordinal: 3 } })");
    ASSERT_EQ(records.size(), 5U);
    EXPECT_FALSE(records[0].contains("xid"));
    EXPECT_FALSE(records[0].contains("commit_lsn"));
    EXPECT_EQ(records[2]["xid"], 9);
    EXPECT_EQ(records[2]["commit_lsn"], "0/11");
    EXPECT_FALSE(records[4].contains("xid"));
    EXPECT_FALSE(records[4].contains("commit_lsn"));
}

TEST(RenderRecord, Unknown) {
    EXPECT_EQ(render_error("records { begin { xid: 1 } } records { }").what, "record without a kind");
    EXPECT_EQ(render_error("records { begin { xid: 1 } } records { }").records, 1U);
    proto::Batch batch = from_text<proto::Batch>("records { begin { xid: 1 } }");
    proto::Batch unknown_field = batch;
    unknown_field.GetReflection()->MutableUnknownFields(&unknown_field)->AddVarint(2, 1);
    EXPECT_EQ(render_error(unknown_field).what, "field that a batch does not have");
    proto::Batch unknown_record = batch;
    proto::Record &record = *unknown_record.add_records();
    record.GetReflection()->MutableUnknownFields(&record)->AddLengthDelimited(7, "");
    EXPECT_EQ(render_error(unknown_record).what, "record of an unknown kind");
    EXPECT_EQ(render_error(unknown_record).records, 1U);
}

// Newer fields of known records are left alone.
TEST(RenderRecord, NewerFields) {
    proto::Batch batch = from_text<proto::Batch>("records { commit { record_count: 1 } }");
    proto::Commit &commit = *batch.mutable_records(0)->mutable_commit();
    commit.GetReflection()->MutableUnknownFields(&commit)->AddLengthDelimited(100, "new");
    EXPECT_EQ(render_error(batch).what, "");
}

TEST(RenderRecord, WrongTypes) {
    proto::Batch batch = from_text<proto::Batch>("records { commit { } }");
    proto::Commit &commit = *batch.mutable_records(0)->mutable_commit();
    commit.GetReflection()->MutableUnknownFields(&commit)->AddFixed64(1, 1);
    EXPECT_EQ(render_error(batch).what, "field of another type than the schema gives it");
}

}  // namespace cdc::test
