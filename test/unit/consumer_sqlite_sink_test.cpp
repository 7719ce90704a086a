// An SQLite sink from the outside: its state, changed definitions, snapshots, and what it refuses.
#include "consumer_sqlite_fixture.hpp"

#include <csignal>
#include <fstream>
#include <sys/resource.h>

namespace cdc::test {

namespace {

using consumer::Failure;
using consumer::SchemaStep;

class ConsumerSqliteSink : public SqliteSinkTest {
 protected:
    // Rows of t_ as a snapshot: its first column and text.
    void snapshot(const TestTable &source, const std::vector<std::pair<int64_t, std::string>> &rows) {
        const consumer::Relation relation = source.relation();
        sink().begin_snapshot(state_, {relation});
        copy(source, rows)->finish({source.id, 1, {}});
        ++state_.position;
        sink().finish_snapshot(state_);
    }
    std::unique_ptr<consumer::SnapshotWriter> copy(const TestTable &source,
                                                   const std::vector<std::pair<int64_t, std::string>> &rows) {
        auto writer = sink().open_writer(source.relation());
        table(source);
        for (const auto &[id, text] : rows) {
            write_change(batch_, {wire::Op::kRead, 1, source.id}, [&, key = id, &value = text] {
                write_row(batch_, wire::change::after, key, Texts(source.columns.size() - 1, value));
            });
        }
        EXPECT_EQ(writer->write(take_batch()), rows.size());
        return writer;
    }
    const TestTable t_;
    const std::string all_ = "SELECT * FROM t ORDER BY 1, 2";
};

SchemaStep step(SchemaStep::Kind kind, const std::string &column, const std::string &name = {}, uint32_t type = 25) {
    SchemaStep made{};
    made.kind = kind;
    made.column.name = column;
    made.column.type_oid = type;
    made.name = name;
    return made;
}

}  // namespace

TEST_F(ConsumerSqliteSink, State) {
    EXPECT_TRUE(sink().states().empty());
    EXPECT_TRUE(sink().relations("s").empty());
    EXPECT_EQ(std::filesystem::file_size(file_), 0U);
    state_.phase = consumer::Phase::kSnapshot;
    state_.position = 0x16B374D848;
    sink().save_state(state_);
    reopen();
    ASSERT_EQ(sink().states().size(), 1U);
    const consumer::SinkState state = sink().states()[0];
    EXPECT_EQ(state.slot, "s");
    EXPECT_EQ(state.system_identifier, state_.system_identifier);
    EXPECT_EQ(state.database, "shop");
    EXPECT_EQ(state.tables, "public.*");
    EXPECT_EQ(state.phase, consumer::Phase::kSnapshot);
    EXPECT_EQ(state.position, 0x16B374D848U);
}

TEST_F(ConsumerSqliteSink, GroupsAreAtomic) {
    table(t_);
    insert(t_, 1, {"a", "b"});
    apply();
    sink().sync();
    sink().begin();
    insert(t_, 2, {"a", "b"});
    apply_open();
    EXPECT_EQ(query(all_), "1|a|b\n");
    reopen();  // without a commit, as after a crash
    EXPECT_EQ(query(all_), "1|a|b\n");
    EXPECT_EQ(sink().states()[0].position, 1U);
    EXPECT_EQ(sink().relations("s")[0].message, t_.relation().message);
    // A group that fails leaves a sink that goes on.
    insert(t_, 3, {"?", "b"});
    EXPECT_NE(failure(), "");
    insert(t_, 4, {"c", "d"});
    apply();
    EXPECT_EQ(query(all_), "1|a|b\n4|c|d\n");
}

TEST_F(ConsumerSqliteSink, Evolution) {
    table(t_);
    insert(t_, 1, {"a", "b"});
    apply();
    TestTable next = t_;
    next.name = "u";
    next.columns = {{"id", 23, 1}, {"c"}, {"n", 23}, {"ts", 1114}, {"list", 1007}};
    consumer::Evolution &evolution = evolutions_[t_.id];
    evolution.steps = {step(SchemaStep::kRenameTable, ""),           step(SchemaStep::kDropColumn, "", "a"),
                       step(SchemaStep::kRenameColumn, "c", "b"),    step(SchemaStep::kAddColumn, "n", "", 23),
                       step(SchemaStep::kAddColumn, "ts", "", 1114), step(SchemaStep::kAddColumn, "list", "", 1007)};
    evolution.steps[3].fill = {"5", "5"};
    evolution.steps[4].fill = {"2020-01-01 00:00:00", "\"2020-01-01T00:00:00\""};
    evolution.steps[5].fill = {"{1,2}", "[1, 2]"};
    table(next);
    write_change(batch_, {wire::Op::kInsert, 1, t_.id},
                 [&] { ValueList(batch_, wire::change::after).integer(2).text("x").null().null().null(); });
    apply();
    EXPECT_EQ(query("SELECT id, c, n, typeof(n), ts, list FROM u"),
              "1|b|5|integer|2020-01-01T00:00:00|[1,2]\n2|x|NULL|null|NULL|NULL\n");
}

TEST_F(ConsumerSqliteSink, EvolutionOfPartitions) {
    TestTable first = t_;
    first.root_id = 99;
    first.root = "p";
    TestTable second = first;
    second.id = 101;
    table(first);
    table(second);
    insert(first, 1, {"a", "b"});
    insert(second, 2, {"a", "b"});
    apply();
    for (TestTable *each : {&first, &second}) {
        each->columns = {{"id", 23, 1}, {"a"}, {"c"}, {"d"}};
        evolutions_[each->id].steps = {step(SchemaStep::kRenameColumn, "c", "b"), step(SchemaStep::kAddColumn, "d")};
        evolutions_[each->id].steps[1].fill = {"f", "\"f\""};
        table(*each);
        insert(*each, 10 + each->id, {"x", "y", "z"});
        apply();
    }
    EXPECT_EQ(query("SELECT id, a, c, d FROM p ORDER BY 1"), "1|a|b|f\n2|a|b|f\n110|x|y|z\n111|x|y|z\n");
}

// Keys are changed by making the table anew.
TEST_F(ConsumerSqliteSink, EvolutionOfKey) {
    table(t_);
    insert(t_, 1, {"a", "b"});
    apply();
    query("CREATE INDEX mine ON t (b)");
    TestTable next = t_;
    next.columns = {{"id", 20}, {"a", 25, 1}, {"b"}};
    table(next);
    insert(next, 2, {"a", "c"});
    apply();
    EXPECT_EQ(query(all_), "2|a|c\n");
    EXPECT_EQ(query("SELECT name FROM sqlite_master WHERE tbl_name = 't' AND sql IS NOT NULL ORDER BY 1"), "mine\nt\n");
}

TEST_F(ConsumerSqliteSink, ViewInTheWay) {
    table(t_);
    apply();
    query("CREATE VIEW v AS SELECT a FROM t");
    TestTable next = t_;
    next.columns = {{"id", 23, 1}, {"b"}};
    evolutions_[t_.id].steps = {step(SchemaStep::kDropColumn, "", "a")};
    table(next);
    sink().begin();
    try {
        apply_open();
        FAIL();
    } catch (const Failure &failed) {
        EXPECT_EQ(failed.code(), consumer::ExitCode::kSchema);
        EXPECT_NE(std::string(failed.what()).find("table t: cannot drop column a: error in view v"), std::string::npos)
            << failed.what();
    }
    sink().rollback();
    EXPECT_EQ(query("SELECT * FROM v"), "");
}

TEST_F(ConsumerSqliteSink, SnapshotKeepsViewsTriggersAndSearch) {
    options_.init_sql =
        "CREATE VIEW v AS SELECT id, upper(a) AS a FROM t;"
        "CREATE TABLE log (what TEXT);"
        "CREATE TRIGGER gone AFTER DELETE ON t BEGIN INSERT INTO log VALUES ('-' || old.id);"
        " INSERT INTO search (search, rowid, a) VALUES ('delete', old.id, old.a); END;"
        "CREATE TRIGGER come AFTER INSERT ON t BEGIN INSERT INTO log VALUES ('+' || new.id);"
        " INSERT INTO search (rowid, a) VALUES (new.id, new.a); END;"
        "CREATE TRIGGER changed AFTER UPDATE ON t BEGIN INSERT INTO log VALUES ('*' || new.id);"
        " INSERT INTO search (search, rowid, a) VALUES ('delete', old.id, old.a);"
        " INSERT INTO search (rowid, a) VALUES (new.id, new.a); END;"
        "CREATE VIRTUAL TABLE search USING fts5 (a, content = 't', content_rowid = 'id');"
        "INSERT INTO search (search) VALUES ('rebuild')";
    snapshot(t_, {{1, "one"}, {2, "two"}, {3, "three"}});
    EXPECT_EQ(query("SELECT * FROM v"), "1|ONE\n2|TWO\n3|THREE\n");
    reopen();  // init-sql does not run again
    snapshot(t_, {{1, "one"}, {3, "drei"}, {4, "four"}});
    EXPECT_EQ(query("SELECT * FROM v ORDER BY 1"), "1|ONE\n3|DREI\n4|FOUR\n");
    EXPECT_EQ(query("SELECT * FROM log ORDER BY 1"), "*3\n+4\n-2\n");
    EXPECT_EQ(query("SELECT rowid FROM search WHERE search MATCH 'drei OR two OR three'"), "3\n");
    // A new definition: triggers see all rows go and come.
    TestTable next = t_;
    next.columns.push_back({"c"});
    snapshot(next, {{1, "uno"}});
    EXPECT_EQ(query("SELECT * FROM t"), "1|uno|uno|uno\n");
    EXPECT_EQ(query("SELECT * FROM v"), "1|UNO\n");
    EXPECT_EQ(query("SELECT rowid FROM search WHERE search MATCH 'uno OR drei OR one'"), "1\n");
    EXPECT_EQ(query("INSERT INTO search (search) VALUES ('integrity-check')"), "");
    EXPECT_EQ(query("PRAGMA integrity_check"), "ok\n");
    EXPECT_EQ(query("SELECT name FROM sqlite_master WHERE name LIKE 'cdc_new%'"), "");
}

TEST_F(ConsumerSqliteSink, SnapshotIsSeenAtItsEnd) {
    snapshot(t_, {{1, "old"}});
    sink().begin_snapshot(state_, {t_.relation()});
    copy(t_, {{2, "new"}})->finish({t_.id, 1, {}});
    EXPECT_EQ(query(all_), "1|old|old\n");
    reopen();  // and it is never finished
    EXPECT_EQ(query(all_), "1|old|old\n");
    snapshot(t_, {{3, "newer"}});
    EXPECT_EQ(query(all_), "3|newer|newer\n");
    table(t_);
    insert(t_, 4, {"stream", "goes on"});
    apply();
    EXPECT_EQ(query(all_), "3|newer|newer\n4|stream|goes on\n");
}

// A part of a table that was given up and copied again; without a key, its rows must not be there twice.
TEST_F(ConsumerSqliteSink, UnfinishedWriter) {
    TestTable bag = t_;
    bag.columns[0].key_position = 0;
    bag.identity = wire::ReplicaIdentity::kFull;
    const auto both = [&] {
        sink().begin_snapshot(state_, {bag.relation()});
        auto kept = copy(bag, {{1, "a"}, {1, "a"}});
        copy(bag, {{2, "b"}, {3, "c"}});
        copy(bag, {{2, "b"}})->finish({bag.id, 1, {}});
        kept->finish({bag.id, 1, {}});
        kept.reset();
        sink().finish_snapshot(state_);
        EXPECT_EQ(query(all_), "1|a|a\n1|a|a\n2|b|b\n");
    };
    both();
    both();
}

// Parts as of different moments: each change makes the row of its key what it is, whatever is there.
TEST_F(ConsumerSqliteSink, ResumedSnapshot) {
    const auto full = wire::Before::kFull;
    snapshot(t_, {{1, "old"}});
    TestTable other = t_;
    other.id = 101;
    other.name = "other";
    state_.phase = consumer::Phase::kSnapshot;
    sink().begin_snapshot(state_, {t_.relation(), other.relation()});
    copy(t_, {{1, "a"}, {2, "b"}, {3, "c"}})->finish({t_.id, 7, {0, 8}});
    copy(other, {{1, "not complete"}});
    EXPECT_EQ(sink().copy_progress("s").ranges.size(), 1U);
    reopen();

    const consumer::CopyProgress progress = sink().copy_progress("s");
    ASSERT_EQ(progress.relations.size(), 2U);
    EXPECT_EQ(progress.relations[0].message, t_.relation().message);
    EXPECT_EQ(progress.relations[1].message, other.relation().message);
    ASSERT_EQ(progress.ranges.size(), 1U);
    EXPECT_EQ(progress.ranges[0].relation_id, t_.id);
    EXPECT_EQ(progress.ranges[0].filenode, 7U);
    EXPECT_EQ(progress.ranges[0].blocks.first, 0);
    EXPECT_EQ(progress.ranges[0].blocks.end, 8);
    EXPECT_TRUE(sink().copy_progress("t").ranges.empty());

    // 2 became 5, then another 2 came; 3 became 6 and 1 became 3; 4, which is copied, came last.
    sink().resume_snapshot(state_);
    copy(t_, {{2, "second"}, {3, "a"}, {4, "d"}, {6, "c"}})->finish({t_.id, 7, {8, {}}});
    sink().begin_catch_up();
    catching_up_ = true;
    reader_ = std::make_unique<consumer::StreamReader>();
    table(t_);
    update(t_, full, 2, {"b", "b"}, 5, {"~", "B"});
    insert(t_, 2, {"second", "second"});
    update(t_, full, 3, {"c", "c"}, 6, {"c", "c"});
    update(t_, full, 1, {"a", "a"}, 3, {"a", "a"});
    apply();
    EXPECT_EQ(query(all_), "1|old|old\n");
    reopen();  // in the midst of it
    sink().resume_snapshot(state_);
    sink().begin_catch_up();
    reader_ = std::make_unique<consumer::StreamReader>();
    table(t_);
    insert(t_, 4, {"d", "d"});
    remove(t_, 7);  // which came and went between two parts
    apply();
    table(t_);
    update(t_, 9, {"~", "x"});
    EXPECT_NE(failure().find("does not say all of its row"), std::string::npos);
    TestTable next = t_;
    next.id = 102;
    table(next);
    EXPECT_NE(failure().find("was not there when the copy was begun"), std::string::npos);
    reader_ = std::make_unique<consumer::StreamReader>();
    evolutions_[t_.id].steps = {step(SchemaStep::kAddColumn, "c")};
    table(t_);
    EXPECT_NE(failure().find("was altered since the copy was begun"), std::string::npos);

    state_.phase = consumer::Phase::kStreaming;
    sink().finish_snapshot(state_);
    EXPECT_EQ(query(all_), "2|second|second\n3|a|a\n4|d|d\n5|b|B\n6|c|c\n");
    EXPECT_EQ(query("SELECT * FROM other"), "1|not complete|not complete\n");
    EXPECT_TRUE(sink().copy_progress("s").ranges.empty());
    EXPECT_TRUE(sink().copy_progress("s").relations.empty());
}

// SQLite rolls back what all writers of a copy have written when the disk is full: none of it may be noted.
TEST_F(ConsumerSqliteSink, FullDiskWhileCopying) {
    state_.phase = consumer::Phase::kSnapshot;
    sink().begin_snapshot(state_, {t_.relation()});
    copy(t_, {{1, "kept"}})->finish({t_.id, 7, {0, 8}});
    const auto first = copy(t_, {{2, "lost"}});
    const auto second = copy(t_, {{3, std::string(1 << 20, 'x')}});
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{1 << 16, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    EXPECT_THROW(second->finish({t_.id, 7, {8, 16}}), Failure);
    setrlimit(RLIMIT_FSIZE, &limit);
    EXPECT_THROW(first->finish({t_.id, 7, {16, {}}}), Failure);
    EXPECT_EQ(sink().copy_progress("s").ranges.size(), 1U);

    // The next run, with room.
    sink().resume_snapshot(state_);
    copy(t_, {{2, "again"}, {3, "again"}})->finish({t_.id, 7, {8, {}}});
    state_.phase = consumer::Phase::kStreaming;
    sink().finish_snapshot(state_);
    EXPECT_EQ(query(all_), "1|kept|kept\n2|again|again\n3|again|again\n");
}

TEST_F(ConsumerSqliteSink, OneWriter) {
    table(t_);
    apply();
    const auto other = consumer::open_sqlite_sink(file_, options_);
    EXPECT_EQ(other->states().size(), 1U);  // anybody may look
    EXPECT_THROW(other->save_state(state_), Failure);
    EXPECT_THROW(other->begin(), Failure);
}

TEST_F(ConsumerSqliteSink, InitSql) {
    options_.init_sql_file = "init.sql";
    options_.init_sql = "CREATE VIEW v AS SELECT a FROM t; COMMIT;";
    table(t_);
    EXPECT_EQ(failure(), "init.sql: must not begin, commit or roll back a transaction");
    EXPECT_EQ(query("SELECT count(*) FROM sqlite_master WHERE name IN ('t', 'v')"), "0\n");
    options_.init_sql = "CREATE VIEW v AS SELECT a FROM t;";
    reader_ = std::make_unique<consumer::StreamReader>();
    reopen();
    table(t_);
    apply();
    EXPECT_EQ(query("SELECT count(*) FROM v"), "0\n");
    options_.init_sql = "CREATE VIEW w AS SELECT b FROM t;";
    reopen();
    sink().begin();
    sink().commit(state_);
    EXPECT_EQ(query("SELECT count(*) FROM w"), "0\n");
}

TEST_F(ConsumerSqliteSink, Refusals) {
    query("CREATE TABLE T (x)");
    table(t_);
    EXPECT_NE(failure().find("there is such a table, which cdc_consumer did not make"), std::string::npos);
    TestTable own = t_;
    own.id = 200;
    own.name = "cdc_state";
    EXPECT_THROW(sink().begin_snapshot(state_, {own.relation()}), Failure);
    TestTable upper = own;
    own.name = "one";
    upper.name = "ONE";
    upper.id = 201;
    EXPECT_THROW(sink().begin_snapshot(state_, {own.relation(), upper.relation()}), Failure);
    sink_.reset();
    std::filesystem::remove(file_);
    std::ofstream(file_) << std::string(5000, 'x');
    EXPECT_THROW(sink(), Failure);
    file_ = folder_ + "/no/such/folder";
    EXPECT_THROW(sink(), Failure);
}

TEST_F(ConsumerSqliteSink, LaterVersion) {
    sink().save_state(state_);
    query("UPDATE cdc_properties SET value = 2 WHERE name = 'version'");
    EXPECT_THROW(reopen(), Failure);
}

}  // namespace cdc::test
