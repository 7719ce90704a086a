// Relation records, written field by field, and their fingerprint.
#include "proto.hpp"
#include "random.hpp"

#include "wire/records.hpp"

namespace cdc::test {

namespace {

// A definition with its fingerprint, as a record.
proto::Relation as_record(const TightBuffer &definition) {
    TightBuffer out;
    wire::write_relation_record(out, definition.view());
    const proto::Record record = parse_record(out);
    EXPECT_TRUE(record.has_relation());
    return record.relation();
}

}  // namespace

TEST(RelationRecord, AnyRelation) {
    Random random;
    for (int i = 0; i < 300; ++i) {
        TightBuffer out;
        out.append("before", 6);  // the message need not be the first thing in the buffer
        const size_t start = out.used;
        const auto id = static_cast<uint32_t>(random.number());
        const std::string schema = random.text(63);
        const std::string name = random.text(63);
        const auto identity = static_cast<wire::ReplicaIdentity>(random.below(5));
        wire::write_relation_head(out, id, schema, name, identity);

        proto::Relation expected;
        expected.set_relation_id(id);
        expected.set_schema(schema);
        expected.set_name(name);
        expected.set_replica_identity(static_cast<proto::ReplicaIdentity>(identity));
        const uint64_t columns = random.below(random.one_in(10) ? 400 : 8);
        for (uint64_t k = 0; k < columns; ++k) {
            proto::Column &column = *expected.add_columns();
            column.set_name(random.text(63));
            column.set_type_oid(static_cast<uint32_t>(random.number()));
            column.set_type_schema(random.text(63));
            column.set_type_name(random.text(63));
            column.set_type_modifier(static_cast<int32_t>(random.signed_number()));
            column.set_type_sql(random.text(200));
            column.set_base_type_oid(static_cast<uint32_t>(random.number()));
            column.set_nullable(random.one_in(2));
            column.set_generated(static_cast<proto::Generated>(random.below(2)));
            column.set_in_replica_identity(random.one_in(2));
            column.set_primary_key_position(static_cast<uint32_t>(random.number()));
            column.set_attribute_number(static_cast<uint32_t>(random.below(1600)));
            wire::write_relation_column(
                out, {column.name(), column.type_oid(), column.type_schema(), column.type_name(),
                      column.type_modifier(), column.type_sql(), column.base_type_oid(), column.nullable(),
                      static_cast<wire::Generated>(column.generated()), column.in_replica_identity(),
                      column.primary_key_position(), column.attribute_number()});
        }
        wire::RootRecord root{};
        if (random.one_in(2)) {
            expected.set_root_relation_id(static_cast<uint32_t>(random.number()));
            expected.set_root_schema(random.text(63));
            expected.set_root_name(random.text(63));
            root = {expected.root_relation_id(), expected.root_schema(), expected.root_name()};
        }
        const std::string hashed = to_bytes(expected);
        const uint64_t fingerprint = wire::write_relation_end(out, start, root);
        EXPECT_EQ(fingerprint, wire::fnv1a(reinterpret_cast<const uint8_t *>(hashed.data()), hashed.size()));
        expected.set_fingerprint(fingerprint);
        EXPECT_TRUE(out.view().substr(start) == to_bytes(expected));

        TightBuffer definition;
        definition.append(out.data + start, out.used - start);
        EXPECT_TRUE(to_bytes(as_record(definition)) == definition.view());
    }
}

// A record's length takes as many bytes as it needs, whatever the length of the definition is.
TEST(RelationRecord, LengthsRoundTheEdges) {
    for (const size_t size : {1, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16379, 16380, 16383, 16384, 16385}) {
        TightBuffer definition;
        wire::put_bytes(definition, wire::relation::name, std::string(size, 'n'));
        EXPECT_EQ(as_record(definition).name().size(), size);
    }
}

// Vectors from the authors of the hash.
TEST(RelationRecord, Fnv1a) {
    const auto hash = [](std::string_view text) {
        return wire::fnv1a(reinterpret_cast<const uint8_t *>(text.data()), text.size());
    };
    EXPECT_EQ(hash(""), 0xcbf29ce484222325U);
    EXPECT_EQ(hash("a"), 0xaf63dc4c8601ec8cU);
    EXPECT_EQ(hash("foobar"), 0x85944171f73967e8U);
    const auto *const bar = reinterpret_cast<const uint8_t *>("bar");
    EXPECT_EQ(wire::fnv1a(bar, 3, hash("foo")), hash("foobar"));
}

}  // namespace cdc::test
