// Changes as an SQLite file has them.
#include "consumer_sqlite_fixture.hpp"

#include <cmath>
#include <limits>

namespace cdc::test {

namespace {

class ConsumerSqliteRows : public SqliteSinkTest {
 protected:
    const TestTable t_;
    const std::string all_ = "SELECT * FROM t ORDER BY 1, 2";
};

TestTable without_key() {
    TestTable table;
    table.columns = {{"n", 23}, {"a"}, {"b"}};
    table.identity = wire::ReplicaIdentity::kFull;
    return table;
}

TestTable partition(uint32_t id, const std::string &name) {
    TestTable table;
    table.id = id;
    table.name = name;
    table.root_id = 99;
    table.root = "p";
    return table;
}

}  // namespace

TEST_F(ConsumerSqliteRows, Types) {
    TestTable types;
    const std::vector<uint32_t> oids = {23,   16,   26,   700,  701,  701,  1700, 25,   17, 2950, 1082,
                                        1114, 1184, 1184, 1083, 1266, 1186, 114,  1007, 25, 600};
    types.columns.clear();
    for (size_t i = 0; i < oids.size(); ++i) {
        types.columns.push_back({"c" + std::to_string(i), oids[i], i == 0 ? 1U : 0U});
    }
    table(types);
    write_change(batch_, {wire::Op::kInsert, 1, types.id}, [&] {
        ValueList(batch_, wire::change::after)
            .integer(-1)
            .boolean(true)
            .oid(4294967295U)
            .float4(0.5F)
            .float8(std::nan(""))
            .float8(-std::numeric_limits<double>::infinity())
            .bytes<wire::value::numeric>("12345678901234567890.10")
            .text("")
            .bytes<wire::value::bytea>(std::string_view("\0\xff", 2))
            .uuid("0123456789abcdef")
            .date(0)
            .timestamp(1)
            .timestamptz(0)
            .infinity(wire::Infinity::kPositive)
            .time(0)
            .timetz(0, 3600)
            .interval(1, 2, 3000000)
            .bytes<wire::value::json>("{\"a\": 1}")
            .array({2}, {}, [](ValueList e) { e.integer(1).null(); })
            .bytes<wire::value::undecoded_text>("\xff")
            .bytes<wire::value::other_text>("(1,2)");
    });
    apply();
    std::string expressions;
    for (const TestColumn &column : types.columns) {
        expressions += (expressions.empty() ? "" : " || ' ' || ") + std::string("typeof(") + column.name + ")||'='||" +
                       "CASE typeof(" + column.name + ") WHEN 'blob' THEN hex(" + column.name + ") ELSE " +
                       column.name + " END";
    }
    EXPECT_EQ(query("SELECT " + expressions + " FROM t"),
              "integer=-1 integer=1 integer=4294967295 real=0.5 text=NaN real=-Inf text=12345678901234567890.10 text= "
              "blob=00FF text=30313233-3435-3637-3839-616263646566 text=2000-01-01 text=2000-01-01T00:00:00.000001 "
              "text=2000-01-01T00:00:00+00:00 text=infinity text=00:00:00 text=00:00:00+01 text=1 mon 2 days 00:00:03 "
              "text={\"a\": 1} text=[1,null] blob=FF text=(1,2)\n");
}

TEST_F(ConsumerSqliteRows, InsertUpdateDelete) {
    table(t_);
    insert(t_, 1, {"x", "-"});
    insert(t_, 2, {"y", "z"});
    insert(t_, 3, {"y", "z"});
    update(t_, 2, {"Y", "-"});
    remove(t_, 3);
    remove(t_, 4);
    apply();
    EXPECT_EQ(query(all_), "1|x|NULL\n2|Y|NULL\n");
    EXPECT_EQ(query("SELECT slot, phase, position FROM cdc_state"), "s|streaming|0/1\n");
    // The same again changes nothing.
    insert(t_, 1, {"x", "-"});
    insert(t_, 2, {"y", "z"});
    insert(t_, 3, {"y", "z"});
    update(t_, 2, {"Y", "-"});
    remove(t_, 3);
    apply();
    EXPECT_EQ(query(all_), "1|x|NULL\n2|Y|NULL\n");
    truncate(t_);
    apply();
    EXPECT_EQ(query(all_), "");
}

TEST_F(ConsumerSqliteRows, KeyChanges) {
    table(t_);
    insert(t_, 1, {"x", "long"});
    insert(t_, 2, {"y", "z"});
    update(t_, wire::Before::kKey, 1, {"?", "?"}, 5, {"x", "~"});
    apply();
    EXPECT_EQ(query(all_), "2|y|z\n5|x|long\n");
    update(t_, wire::Before::kFull, 2, {"y", "z"}, 5, {"y", "z"});
    apply();
    EXPECT_EQ(query(all_), "5|y|z\n");
}

TEST_F(ConsumerSqliteRows, UnchangedToast) {
    table(t_);
    insert(t_, 1, {"x", "long"});
    update(t_, 1, {"y", "~"});
    update(t_, 1, {"~", "~"});
    apply();
    EXPECT_EQ(query(all_), "1|y|long\n");
    // A row that is missing is made from what is known of it, or not at all.
    update(t_, wire::Before::kFull, 7, {"old", "long"}, 7, {"new", "~"});
    update(t_, 8, {"all", "known"});
    apply();
    EXPECT_EQ(query(all_), "1|y|long\n7|new|long\n8|all|known\n");
    update(t_, 9, {"new", "~"});
    EXPECT_EQ(failure(), "table public.t: an update is about a row that is not there, and does not say all of it");
    EXPECT_EQ(query(all_), "1|y|long\n7|new|long\n8|all|known\n");
}

TEST_F(ConsumerSqliteRows, UpdateOfWhatChanged) {
    table(t_);
    insert(t_, 1, {"x", "z"});
    update(t_, wire::Before::kFull, 1, {"x", "z"}, 1, {"y", "z"});
    update(t_, wire::Before::kFull, 1, {"y", "z"}, 1, {"y", "-"});
    update(t_, wire::Before::kFull, 1, {"y", "-"}, 1, {"y", "-"});
    update(t_, wire::Before::kFull, 2, {"q", "-"}, 2, {"q", "-"});
    apply();
    EXPECT_EQ(query(all_), "1|y|NULL\n2|q|NULL\n");
}

TEST_F(ConsumerSqliteRows, WithoutKey) {
    const TestTable bag = without_key();
    table(bag);
    insert(bag, 1, {"x", "-"});
    insert(bag, 1, {"x", "-"});
    insert(bag, 1, {"x", ""});
    remove(bag, 1, {"x", "-"}, wire::Before::kFull);
    update(bag, wire::Before::kFull, 1, {"x", ""}, 2, {"y", "-"});
    apply();
    EXPECT_EQ(query(all_), "1|x|NULL\n2|y|NULL\n");
    EXPECT_EQ(query("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 't'"), "cdc_row_t\n");
    EXPECT_NE(query("EXPLAIN QUERY PLAN DELETE FROM t WHERE rowid = (SELECT rowid FROM t WHERE (n,a,b) IS (1,2,3))")
                  .find("USING INDEX cdc_row_t"),
              std::string::npos);
}

TEST_F(ConsumerSqliteRows, WhatIsNotKnownIsRefused) {
    TestTable mute = without_key();
    mute.identity = wire::ReplicaIdentity::kDefault;
    table(mute);
    insert(mute, 1, {"x", "-"});
    apply();
    update(mute, 1, {"y", "-"});
    EXPECT_EQ(failure(), "table public.t: an update does not say which row it is about");
    insert(mute, 1, {"?", "-"});
    EXPECT_EQ(failure(), "table public.t: column a: a change does not have its value");
    write_change(batch_, {wire::Op::kInsert, 1, mute.id},
                 [&] { ValueList(batch_, wire::change::after).integer(1).too_large(5000000).null(); });
    EXPECT_EQ(failure(), "table public.t: column a: a value of 5000000 bytes was too large to be sent");
    EXPECT_EQ(query(all_), "1|x|NULL\n");
}

TEST_F(ConsumerSqliteRows, Partitions) {
    const TestTable first = partition(101, "p1");
    TestTable second = partition(102, "p2");
    std::swap(second.columns[1], second.columns[2]);
    table(first);
    table(second);
    insert(first, 1, {"a1", "b1"});
    insert(second, 1, {"b2", "a2"});
    insert(second, 2, {"b3", "a3"});
    update(second, 1, {"B2", "a2"});
    apply();
    EXPECT_EQ(query("SELECT id, a, b, cdc_partition FROM p ORDER BY 1, 4"), "1|a1|b1|101\n1|a2|B2|102\n2|a3|b3|102\n");
    remove(second, 1);
    truncate(first);
    apply();
    EXPECT_EQ(query("SELECT id, a, b, cdc_partition FROM p"), "2|a3|b3|102\n");
}

TEST_F(ConsumerSqliteRows, ManyColumns) {
    TestTable wide = without_key();
    for (int i = 0; i < 1500; ++i) {
        wide.columns.push_back({"w" + std::to_string(i)});
    }
    Texts texts(1502, "-");
    table(wide);
    insert(wide, 1, texts);
    insert(wide, 2, texts);
    update(wide, wire::Before::kFull, 2, texts, 3, texts);
    remove(wide, 1, texts, wire::Before::kFull);
    apply();
    EXPECT_EQ(query("SELECT n, w1499 FROM t"), "3|NULL\n");
}

}  // namespace cdc::test
