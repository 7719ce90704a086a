// Changes as JSON: rows by column name, what rows cannot say, and rows that do not fit their relation.
#include "render_proto.hpp"

namespace cdc::test {

namespace {

using nlohmann::json;

constexpr char kRelation[] = R"(records { relation { relation_id: 7 schema: "s" name: "t"
    columns { name: "id" } columns { name: "é \"2\"" } columns { name: "c" } fingerprint: 1 } } )";

// A change of the relation above, without what is the same in all of them.
json rendered_change(const std::string &change) {
    const std::vector<json> records = render(kRelation + ("records { change { relation_id: 7 " + change + " } }"));
    if (records.size() != 2) {
        ADD_FAILURE() << records.size() << " records";
        return json();
    }
    json result = records[1];
    EXPECT_EQ(result["record"], "change");
    EXPECT_EQ(result["relation_id"], 7);
    EXPECT_EQ(result["schema"], "s");
    EXPECT_EQ(result["table"], "t");
    for (const char *name : {"record", "relation_id", "schema", "table", "ordinal"}) {
        result.erase(name);
    }
    return result;
}

std::string change_error(const std::string &change) {
    const RenderError error = render_error(kRelation + ("records { change { relation_id: 7 " + change + " } }"));
    EXPECT_EQ(error.records, 1U);
    return error.what;
}

}  // namespace

TEST(RenderRow, Insert) {
    EXPECT_EQ(rendered_change("op: OP_INSERT after { integer: 1 } after { text: 'x' } after { absent: ABSENT_NULL }"),
              json::parse(R"({"op": "insert", "after": {"id": 1, "é \"2\"": "x", "c": null}})"));
}

TEST(RenderRow, Read) {
    EXPECT_EQ(rendered_change("op: OP_READ after { integer: 1 } after { integer: 2 } after { integer: 3 }"),
              json::parse(R"({"op": "read", "after": {"id": 1, "é \"2\"": 2, "c": 3}})"));
}

TEST(RenderRow, UpdateWithFullOldRow) {
    EXPECT_EQ(rendered_change("op: OP_UPDATE before_kind: BEFORE_FULL "
                              "before { integer: 1 } before { integer: 2 } before { integer: 3 } "
                              "after { integer: 1 } after { integer: 4 } after { integer: 5 } "
                              "changed { columns: [1, 2] }"),
              json::parse(R"({"op": "update", "before_kind": "full", "before": {"id": 1, "é \"2\"": 2, "c": 3},
                              "after": {"id": 1, "é \"2\"": 4, "c": 5}, "changed": ["é \"2\"", "c"]})"));
}

TEST(RenderRow, UpdateThatChangesNothing) {
    EXPECT_EQ(
        rendered_change("op: OP_UPDATE after { integer: 1 } after { integer: 2 } after { integer: 3 } changed { }"),
        json::parse(R"({"op": "update", "after": {"id": 1, "é \"2\"": 2, "c": 3}, "changed": []})"));
}

TEST(RenderRow, DeleteByKey) {
    EXPECT_EQ(rendered_change("op: OP_DELETE before_kind: BEFORE_KEY before { integer: 1 } "
                              "before { absent: ABSENT_NOT_IN_REPLICA_IDENTITY } "
                              "before { absent: ABSENT_NOT_IN_REPLICA_IDENTITY }"),
              json::parse(R"({"op": "delete", "before_kind": "key", "before": {"id": 1}})"));
}

TEST(RenderRow, DeleteWithoutOldRow) {
    EXPECT_EQ(rendered_change("op: OP_DELETE"), json::parse(R"({"op": "delete"})"));
}

TEST(RenderRow, UnknownValuesAreNoted) {
    EXPECT_EQ(rendered_change(R"(op: OP_UPDATE before_kind: BEFORE_FULL before { too_large_bytes: 9 }
                                 before { undecoded_text: "\377" } before { integer: 3 }
                                 after { integer: 1 } after { absent: ABSENT_UNCHANGED_TOAST }
                                 after { too_large_bytes: 10 })"),
              json::parse(R"({"op": "update", "before_kind": "full", "before": {"é \"2\"": "\\xff", "c": 3},
                              "after": {"id": 1}, "unchanged_toast": ["é \"2\""], "before_too_large": {"id": 9},
                              "before_undecoded": ["é \"2\""], "after_too_large": {"c": 10}})"));
}

// Positions stand for the names that are not known.
TEST(RenderRow, WithoutRelation) {
    EXPECT_EQ(render_one(R"(records { change { op: OP_UPDATE ordinal: 2 relation_id: 8 before_kind: BEFORE_FULL
                  before { integer: 1 } before { too_large_bytes: 4 }
                  after { absent: ABSENT_UNCHANGED_TOAST } after { undecoded_text: "\377" } after { text: "" }
                  changed { columns: [1, 2] } } })"),
              json::parse(R"({"record": "change", "op": "update", "ordinal": 2, "relation_id": 8,
                  "before_kind": "full", "before": [1, null], "after": [null, "\\xff", ""],
                  "unchanged_toast": [0], "before_too_large": {"1": 4}, "after_undecoded": [1], "changed": [1, 2]})"));
}

// The newest definition counts.
TEST(RenderRow, ChangedRelation) {
    const std::vector<json> records =
        render(std::string(kRelation) +
               "records { relation { relation_id: 7 columns { name: 'only' } } }"
               "records { change { op: OP_INSERT relation_id: 7 after { integer: 1 } } }");
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[2]["after"], json::parse(R"({"only": 1})"));
}

TEST(RenderRow, RelationWithoutColumns) {
    const std::vector<json> records = render(
        "records { relation { relation_id: 9 name: 'none' } }"
        "records { change { op: OP_INSERT relation_id: 9 } }");
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[1]["after"], json::object());
}

TEST(RenderRow, OfAnotherLength) {
    const std::string few = "row with fewer values than its relation has columns";
    const std::string many = "row with more values than its relation has columns";
    EXPECT_EQ(change_error("op: OP_INSERT after { integer: 1 } after { integer: 2 }"), few);
    EXPECT_EQ(change_error("op: OP_INSERT"), few);
    EXPECT_EQ(change_error("op: OP_DELETE before_kind: BEFORE_FULL before { integer: 1 }"), few);
    EXPECT_EQ(change_error("op: OP_DELETE before_kind: BEFORE_KEY"), few);
    const std::string four = "after { integer: 1 } after { integer: 2 } after { integer: 3 } after { integer: 4 }";
    EXPECT_EQ(change_error("op: OP_INSERT " + four), many);
    EXPECT_EQ(change_error("op: OP_UPDATE changed { } before_kind: BEFORE_FULL before { integer: 1 } " + four), few);
}

TEST(RenderRow, ImpossibleChangedColumns) {
    const std::string update = "op: OP_UPDATE after { integer: 1 } after { integer: 2 } after { integer: 3 } ";
    EXPECT_EQ(change_error(update + "changed { columns: 3 }"), "changed column that the relation does not have");
    EXPECT_EQ(change_error(update + "changed { columns: 4294967295 }"),
              "changed column that the relation does not have");
    EXPECT_EQ(change_error(update + "changed { columns: [1, 0] }"), "changed columns that are not in ascending order");
    EXPECT_EQ(change_error(update + "changed { columns: [1, 1] }"), "changed columns that are not in ascending order");
}

// Without a relation there is no last column, but a position is a number of 32 bits all the same.
TEST(RenderRow, ChangedColumnOf64Bits) {
    proto::Batch batch = from_text<proto::Batch>("records { change { op: OP_INSERT changed { } } }");
    proto::ChangedColumns &changed = *batch.mutable_records(0)->mutable_change()->mutable_changed();
    changed.GetReflection()->MutableUnknownFields(&changed)->AddLengthDelimited(1, "\x80\x80\x80\x80\x10");
    EXPECT_EQ(render_error(batch).what, "changed column that the relation does not have");
}

TEST(RenderRow, UnknownKinds) {
    EXPECT_EQ(change_error(""), "change without a kind");
    EXPECT_EQ(change_error("op: 9"), "change of an unknown kind");
    EXPECT_EQ(change_error("op: -1"), "change of an unknown kind");
    EXPECT_EQ(change_error("op: OP_DELETE before_kind: 3"), "old row of an unknown kind");
    proto::Batch batch = from_text<proto::Batch>("records { change { op: OP_INSERT after { } } }");
    proto::Value &value = *batch.mutable_records(0)->mutable_change()->mutable_after(0);
    value.GetReflection()->MutableUnknownFields(&value)->AddVarint(23, 1);
    EXPECT_EQ(render_error(batch).what, "value of an unknown kind");
}

}  // namespace cdc::test
