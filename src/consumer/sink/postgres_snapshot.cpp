#include "postgres_snapshot.hpp"

#include "postgres_copy.hpp"

#include "../model/stream_reader.hpp"

#include <algorithm>
#include <utility>

namespace cdc::consumer {

namespace {

constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kMaxNameBytes = 64;  // NAMEDATALEN, with its NUL

// One COPY on a connection of its own: what was not finished is rolled back with it.
class CopyWriter final : public SnapshotWriter, StreamEvents {
 public:
    CopyWriter(const std::string &conninfo, const std::string &slot, const TableName &table,
               const CopyTable &definition, const Relation &relation)
        : connection_(conninfo, {}),
          slot_(slot),
          relation_(relation),
          encoder_(forms(connection_, definition, relation),
                   relation.is_partition() ? std::optional<uint32_t>(relation.id) : std::nullopt) {
        std::vector<std::string> columns;
        for (const Column &column : relation.columns) {
            columns.push_back(column.name);
        }
        if (relation.is_partition()) {
            columns.emplace_back(kPartitionColumn);
        }
        // It need not be durable before the end of the snapshot is.
        connection_.query("SET synchronous_commit = off");
        connection_.query("BEGIN");
        const Result started(PQexec(connection_.get(), ("COPY " + quoted(table) + " (" + quoted_list(columns) +
                                                        ") FROM STDIN (FORMAT " + encoder_.format() + ")")
                                                           .c_str()));
        if (PQresultStatus(started.get()) != PGRES_COPY_IN) {
            fail(started.get());
        }
        encoder_.begin();
    }

    uint64_t write(std::string_view batch) override {
        const uint64_t before = rows_;
        reader_.read(batch, *this);
        return rows_ - before;
    }

    void finish(const CopiedRange &range) override {
        encoder_.end();
        send();
        if (PQputCopyEnd(connection_.get(), nullptr) != 1) {
            fail(nullptr);
        }
        const Result result(PQgetResult(connection_.get()));
        if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
            fail(result.get());
        }
        PQclear(PQgetResult(connection_.get()));  // the end of results
        try {
            PostgresState::save_copied(connection_, slot_, range);
            connection_.query("COMMIT");
        } catch (const ServerError &error) {
            refuse(error);
        }
    }

 private:
    static std::vector<BinaryForm> forms(Connection &connection, const CopyTable &definition,
                                         const Relation &relation) {
        std::vector<BinaryForm> forms;
        for (const Column &column : relation.columns) {
            const CopyColumn *const there = definition.find(column.name);
            if (there == nullptr) {
                throw Failure("the copy of " + relation.target().text() + " has no column " + column.name,
                              "All partitions of a table must have the same columns.");
            }
            forms.push_back(binary_form(there->type_oid, there->is_enum, PQserverVersion(connection.get())));
        }
        return forms;
    }

    bool begin(const Transaction &, const wire::RecordView &) override { return true; }
    void commit(const Transaction &, const wire::RecordView &) override {}
    void truncate(const Truncation &, const wire::RecordView &) override {}
    void message(const wire::EventView &, const wire::RecordView &) override {}

    void relation(const Relation &relation, const Relation *, const wire::RecordView &) override {
        if (relation.message != relation_.message) {
            throw Failure("the definition of " + relation_.table.text() + " has changed while it was copied",
                          "Start again.");
        }
    }

    void change(const Change &change, const wire::RecordView &) override {
        if (change.op != wire::Op::kRead && change.op != wire::Op::kInsert) {
            throw CorruptStream("a copy of a table holds a change of another kind");
        }
        encoder_.row(*change.relation, change.after);
        ++rows_;
        if (encoder_.data().size() >= kPieceBytes) {
            send();
        }
    }

    void send() {
        const std::string_view data = encoder_.data();
        if (PQputCopyData(connection_.get(), data.data(), static_cast<int>(data.size())) != 1) {
            fail(nullptr);
        }
        encoder_.clear();
    }

    // The server's own words are in the result that follows a broken COPY.
    [[noreturn]] void fail(const PGresult *result) {
        try {
            if (result == nullptr && PQstatus(connection_.get()) == CONNECTION_OK) {
                PQputCopyEnd(connection_.get(), "stopped");
                const Result refused(PQgetResult(connection_.get()));
                connection_.fail(refused.get());
            }
            connection_.fail(result);
        } catch (const ServerError &error) {
            refuse(error);
        }
    }

    [[noreturn]] void refuse(const ServerError &error) const {
        throw Failure("table " + relation_.table.text() + " cannot be copied: " + error.what(), error.hint());
    }

    Connection connection_;
    const std::string slot_;
    const Relation relation_;
    CopyEncoder encoder_;
    StreamReader reader_;
    uint64_t rows_ = 0;
};

std::string key_condition(const CopyTable &table) {
    std::string condition;
    for (const std::string &column : table.key) {
        const uint32_t type = table.find(column)->type_oid;
        const std::string left = "new." + quote_identifier(column);
        const std::string right = "old." + quote_identifier(column);
        condition += (condition.empty() ? "" : " AND ") + left + " = " + right;
        if (!is_exact_type(type)) {
            condition += " AND " + comparable(left, type) + " = " + comparable(right, type);
        }
    }
    return condition;
}

}  // namespace

void PostgresSnapshot::begin(const std::string &slot, const std::vector<Relation> &relations) {
    for (const std::string &stage : state_.stages(slot)) {
        connection_.query("DROP TABLE IF EXISTS " + quoted({kStateSchema, stage}));
    }
    state_.create_copy_tables();
    state_.forget_copy(slot);
    slot_ = slot;
    stages_.clear();
    for (const Relation &relation : relations) {
        check_owner(slot, relation.target());
        Stage &stage = stages_[relation.target()];
        if (stage.relations.empty()) {
            stage.table = {kStateSchema, state_.add_stage(slot)};
            schema_.create_table(stage.table, relation);
            stage.definition = *schema_.look_up(stage.table);
        }
        stage.relations.push_back(relation);
        state_.save_copy_relation(slot, stage.table.name, relation);
    }
}

void PostgresSnapshot::check_owner(const std::string &slot, const TableName &target) {
    const auto owner = state_.owner(target);
    if (owner ? *owner != slot : schema_.look_up(target).has_value()) {
        throw Failure("table " + target.text() + " is there at the target, and " +
                          (owner ? "slot " + *owner + " feeds it" : "was not made by cdc_consumer"),
                      "Rename or drop it, or leave it out with --exclude-tables.");
    }
}

void PostgresSnapshot::resume(const std::string &slot) {
    slot_ = slot;
    stages_.clear();
    for (PostgresState::StagedRelation &staged : state_.copy_relations(slot)) {
        check_owner(slot, staged.relation.target());
        Stage &stage = stages_[staged.relation.target()];
        if (stage.relations.empty()) {
            stage.table = {kStateSchema, staged.stage};
            const auto definition = schema_.look_up(stage.table);
            if (!definition) {
                throw CopyObstacle("table " + stage.table.text() + " of the copy that was interrupted is gone");
            }
            stage.definition = *definition;
        }
        stage.relations.push_back(std::move(staged.relation));
    }
}

std::unique_ptr<SnapshotWriter> PostgresSnapshot::open_writer(const Relation &relation) const {
    const auto stage = stages_.find(relation.target());
    if (stage == stages_.end()) {
        throw Failure("table " + relation.table.text() + " is not part of the snapshot that was begun");
    }
    return std::make_unique<CopyWriter>(conninfo_, slot_, stage->second.table, stage->second.definition, relation);
}

// Which of them stays does not matter: the row has changed between the two moments, so it comes in the stream.
void PostgresSnapshot::remove_doubles() {
    for (const auto &[target, stage] : stages_) {
        const std::vector<std::string> key = PostgresSchema::key_of(stage.relations.front());
        if (!key.empty() && schema_.look_up(stage.table)->key.empty()) {
            const std::string table = quoted(stage.table);
            connection_.query("DELETE FROM " + table + " WHERE ctid IN (SELECT place FROM (SELECT ctid AS place," +
                              " pg_catalog.row_number() OVER (PARTITION BY " + quoted_list(key) + ") AS number FROM " +
                              table + ") AS numbered WHERE number > 1)");
        }
    }
}

void PostgresSnapshot::build_keys() {
    for (const auto &[target, stage] : stages_) {
        schema_.set_key(stage.table, stage.relations.front());
    }
}

void PostgresSnapshot::prepare_swap() {
    build_keys();
    for (const auto &[target, stage] : stages_) {
        connection_.query("ANALYZE " + quoted(stage.table));
    }
}

std::vector<Relation> PostgresSnapshot::relations() const {
    std::vector<Relation> relations;
    for (const auto &[target, stage] : stages_) {
        relations.insert(relations.end(), stage.relations.begin(), stage.relations.end());
    }
    return relations;
}

std::map<TableName, TableName> PostgresSnapshot::places() const {
    std::map<TableName, TableName> places;
    for (const auto &[target, stage] : stages_) {
        places.emplace(target, stage.table);
    }
    return places;
}

void PostgresSnapshot::swap(const std::string &slot) {
    std::map<TableName, std::vector<std::string>> known_columns;
    for (const Relation &relation : state_.relations(slot)) {
        for (const Column &column : relation.columns) {
            known_columns[relation.target()].push_back(column.name);
        }
    }
    for (const auto &[target, stage] : stages_) {
        check_owner(slot, target);  // someone may have made a table meanwhile
        if (schema_.look_up(target)) {
            bring_over(target, stage, known_columns[target]);
            connection_.query("DROP TABLE " + quoted(stage.table));
        } else {
            schema_.create_schema(target.schema);
            schema_.move(stage.table, target);
            const CopyTable moved = *schema_.look_up(target);
            const std::string key_name = target.name + "_pkey";
            if (!moved.key_constraint.empty() && key_name.size() < kMaxNameBytes &&
                connection_.query("SELECT pg_catalog.to_regclass($1)", {quoted({target.schema, key_name})})
                    .is_null(0, 0)) {
                connection_.query("ALTER TABLE " + quoted(target) + " RENAME CONSTRAINT " +
                                  quote_identifier(moved.key_constraint) + " TO " + quote_identifier(key_name));
            }
        }
    }
    state_.forget_copy(slot);
    state_.forget_relations(slot);
    for (const auto &[target, stage] : stages_) {
        for (const Relation &relation : stage.relations) {
            state_.save_relation(slot, relation);
        }
    }
    stages_.clear();
}

// Makes the rows of the target those of the stage, leaving alone the ones that are the same.
void PostgresSnapshot::bring_over(const TableName &target, const Stage &stage,
                                  const std::vector<std::string> &known_columns) {
    const Relation &relation = stage.relations.front();
    schema_.fit(target, relation, known_columns);
    const std::vector<std::string> key = PostgresSchema::key_of(relation);
    const CopyTable old = *schema_.look_up(target);
    const bool by_key = !key.empty() && old.key == key;
    std::vector<std::string> names;
    std::string updates;
    std::string old_row;
    std::string new_row;
    for (const CopyColumn &column : stage.definition.columns) {
        const std::string name = quote_identifier(column.name);
        names.push_back(column.name);
        if (std::find(key.begin(), key.end(), column.name) == key.end()) {
            const char *const comma = updates.empty() ? "" : ", ";
            updates += comma + name + " = EXCLUDED." + name;
            old_row += comma + comparable("old." + name, column.type_oid);
            new_row += comma + comparable("EXCLUDED." + name, column.type_oid);
        }
    }
    const std::string to = quoted(target);
    const std::string from = quoted(stage.table);
    connection_.query(
        "DELETE FROM " + to + " AS old" +
        (by_key ? " WHERE NOT EXISTS (SELECT FROM " + from + " AS new WHERE " + key_condition(old) + ")" : ""));
    std::string insert =
        "INSERT INTO " + to + " AS old (" + quoted_list(names) + ") SELECT " + quoted_list(names) + " FROM " + from;
    if (by_key) {
        insert += " ON CONFLICT (" + quoted_list(key) + ") DO ";
        insert += updates.empty()
                      ? "NOTHING"
                      : "UPDATE SET " + updates + " WHERE (" + old_row + ") IS DISTINCT FROM (" + new_row + ")";
    }
    // The rows that come need not be unique by the old key.
    if (!by_key) {
        schema_.set_key(target, relation);
    }
    connection_.query(insert);
}

}  // namespace cdc::consumer
