// The sample stream: one transaction on one table that has a column for each kind of value.
#include "sample_batch.hpp"

#include "change_writer.hpp"

#include "plugin/row_lists.hpp"
#include "wire/records.hpp"

#include <limits>
#include <string>

namespace cdc::test {

namespace {

constexpr uint32_t kRelation = 16385;
constexpr int kColumns = 22;  // as many as fill_row() writes
constexpr int64_t kCommitTime = 762525296000001;

void begin(wire::Buffer &out) {
    wire::write_begin(out, {(uint64_t{3} << 32) + 741, 0x16B3748, kCommitTime, true, "upstream é", 0x1A2B3C4D5E6F});
}

void commit(wire::Buffer &out) {
    wire::write_commit(out, {(uint64_t{3} << 32) + 741, 0x16B3748, 0x16B3778, kCommitTime, 7});
}

void relation(wire::Buffer &out) {
    std::vector<uint8_t> bytes(8192);
    wire::Buffer message;
    message.data = bytes.data();
    message.capacity = bytes.size();
    wire::write_relation_head(message, kRelation, "public", "every \"kind\"", wire::ReplicaIdentity::kFull);
    for (int i = 1; i <= kColumns; ++i) {
        const std::string name = "column " + std::to_string(i);
        wire::ColumnRecord column{name, 1700, "pg_catalog",           "numeric", -1, "numeric",
                                  0,    true, wire::Generated::kNone, true,      0,  static_cast<uint32_t>(i)};
        if (i == 1) {
            column.nullable = false;
            column.primary_key_position = 1;
            column.type_modifier = 786438;
            column.type_sql = "numeric(12,2)";
        } else if (i == 2) {
            column.base_type_oid = 1043;
            column.generated = wire::Generated::kStored;
            column.in_replica_identity = false;
        }
        wire::write_relation_column(message, column);
    }
    wire::write_relation_end(message, 0, {kRelation - 1, "root schema", "root"});
    wire::write_relation_record(out, std::string_view(reinterpret_cast<const char *>(message.data), message.used));
}

// A value of each kind. `version` makes the rows of an update differ in some columns.
void fill_row(ValueList row, int version) {
    row.null()
        .boolean(true)
        .integer(-42 - version)
        .float8(std::numeric_limits<double>::infinity())
        .float4(1.5F)
        .text("text with \"quotes\", é, 😀 and \n")
        .bytes<wire::value::numeric>(version == 0 ? "-12345678901234567890.1200" : "NaN")
        .timestamp(100000)
        .timestamptz(-1)
        .date(-730485)
        .uuid("0123456789abcdef")
        .bytes<wire::value::json>(R"({"a": [1, 2.50, "\u00e9"]})")
        .bytes<wire::value::bytea>(std::string_view("\0\x7f\xff", 3))
        .array({2, 2}, {0, -1}, [](ValueList elements) { elements.text("a").null().text("").text("d"); })
        .bytes<wire::value::other_text>("(1,2),(3,4)")
        .oid(4294967295U)
        .time(86400000000)
        .timetz(3723000000, -19800)
        .interval(-14, 3, 3723000000)
        .infinity(wire::Infinity::kNegative)
        .too_large(300000000)
        .bytes<wire::value::undecoded_text>("\xff\xfe");
}

void insert(wire::Buffer &out) {
    write_change(out, {wire::Op::kInsert, 1, kRelation}, [&] { fill_row(ValueList(out, wire::change::after), 0); });
}

void update(wire::Buffer &out) {
    write_change(out, {wire::Op::kUpdate, 2, kRelation, wire::Before::kFull}, [&] {
        const size_t before = out.used;
        fill_row(ValueList(out, wire::change::before), 0);
        const size_t after = out.used;
        fill_row(ValueList(out, wire::change::after), 1);
        plugin::write_changed_columns(out, {before, after, out.used});
    });
}

// The old row is the key only, and the new row has values that the WAL does not repeat.
void update_of_toast(wire::Buffer &out) {
    write_change(out, {wire::Op::kUpdate, 3, kRelation, wire::Before::kKey}, [&] {
        ValueList before(out, wire::change::before);
        before.integer(1);
        for (int i = 1; i < kColumns; ++i) {
            before.absent(wire::Absent::kNotInReplicaIdentity);
        }
        ValueList after(out, wire::change::after);
        after.integer(2);
        for (int i = 1; i < kColumns; ++i) {
            after.absent(wire::Absent::kUnchangedToast);
        }
    });
}

void remove(wire::Buffer &out) {
    write_change(out, {wire::Op::kDelete, 300, kRelation, wire::Before::kFull},
                 [&] { fill_row(ValueList(out, wire::change::before), 1); });
}

void read(wire::Buffer &out) {
    write_change(out, {wire::Op::kRead, 301, kRelation}, [&] { fill_row(ValueList(out, wire::change::after), 1); });
}

void truncate(wire::Buffer &out) {
    const uint32_t relations[] = {kRelation, 7, 4294967295U};
    wire::write_truncate(out, 302, relations, 3, true, true);
}

void message(wire::Buffer &out) {
    wire::write_message(out, {303, true, 0x16B3700, "prefix", std::string_view("bytes\0\xff", 7), 0});
}

void message_outside(wire::Buffer &out) {
    wire::write_message(out, {0, false, 0x16B3800, "cdc_plugin.heartbeat", "", 1 << 30});
}

}  // namespace

const std::vector<SampleRecord> &sample_records() {
    static const std::vector<SampleRecord> records = {
        {"begin", begin},
        {"relation", relation},
        {"insert", insert},
        {"update", update},
        {"update of toast", update_of_toast},
        {"delete", remove},
        {"read", read},
        {"truncate", truncate},
        {"message", message},
        {"commit", commit},
        {"message outside", message_outside},
    };
    return records;
}

void write_sample_batch(wire::Buffer &out) {
    for (const SampleRecord &record : sample_records()) {
        record.write(out);
    }
}

}  // namespace cdc::test
