#include "sqlite_snapshot.hpp"

#include "sqlite_rows.hpp"
#include "sqlite_schema.hpp"

#include "../model/stream_reader.hpp"

#include <algorithm>
#include <map>

namespace cdc::consumer {

namespace {

// Of batches whose rows go into one transaction: it need not wait for the end of a part, which notes that part.
constexpr size_t kMaxBytes = size_t{32} << 20;

std::string quote(std::string_view name) {
    return quote_sqlite_name(name);
}

std::string lower(std::string text) {
    for (char &c : text) {
        c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    return text;
}

}  // namespace

class SqliteSnapshot::Writer : public SnapshotWriter, private StreamEvents {
 public:
    Writer(SqliteSnapshot &snapshot, const Relation &relation)
        : snapshot_(snapshot), shape_(wanted_shape(relation)), keyed_(!relation.key.empty()) {}

    // Rows with a key that are left behind do no harm: they come again before this part of the table is complete, or
    // what became of them comes with the stream. Rows without one would be there twice.
    ~Writer() override {
        const std::lock_guard<std::mutex> lock(snapshot_.mutex_);
        table_.reset();  // its statements belong to the connection, which other writers are using
        if (finished_ || ranges_.empty() || snapshot_.broken_) {
            return;
        }
        try {
            for (const auto &[first, last] : ranges_) {
                snapshot_.database_.run("DELETE FROM " + quote(stage_) + " WHERE " + rowid_ + " BETWEEN " +
                                        std::to_string(first) + " AND " + std::to_string(last));
            }
        } catch (const std::exception &) {
            snapshot_.spoiled_ = true;
        }
    }

    uint64_t write(std::string_view batch) override {
        const std::lock_guard<std::mutex> lock(snapshot_.mutex_);
        rows_ = 0;
        snapshot_.in_transaction([&] { reader_.read(batch, *this); });
        snapshot_.bytes_ += batch.size();
        if (snapshot_.bytes_ >= kMaxBytes) {
            snapshot_.commit_rows();
        }
        return rows_;
    }

    void finish(const CopiedRange &range) override {
        const std::lock_guard<std::mutex> lock(snapshot_.mutex_);
        snapshot_.in_transaction([&] { snapshot_.state_.save_copied(snapshot_.slot_, range); });
        snapshot_.commit_rows();
        finished_ = true;
    }

 private:
    bool begin(const Transaction &, const wire::RecordView &) override { return true; }
    void commit(const Transaction &, const wire::RecordView &) override {}
    void relation(const Relation &relation, const Relation *, const wire::RecordView &) override {
        if (!(wanted_shape(relation) == shape_)) {
            throw Failure("table " + relation.table.text() + " was altered while it was copied",
                          "Start again: the copy is made anew.");
        }
        const std::string table = sqlite_table_name(relation);
        stage_ = sqlite_stage_name(table);
        rowid_ = keyed_ ? "" : rowid_name(relation);
        table_ = std::make_unique<TableWriter>(snapshot_.database_, relation, stage_);
    }
    void change(const Change &change, const wire::RecordView &) override {
        table_->put(change.after);
        ++rows_;
        if (!keyed_) {
            const int64_t row = sqlite3_last_insert_rowid(snapshot_.database_.get());
            if (!ranges_.empty() && ranges_.back().second == row - 1) {
                ranges_.back().second = row;
            } else {
                ranges_.emplace_back(row, row);
            }
        }
    }
    void truncate(const Truncation &, const wire::RecordView &) override {}
    void message(const wire::EventView &, const wire::RecordView &) override {}

    SqliteSnapshot &snapshot_;
    const TableShape shape_;
    const bool keyed_;
    std::string stage_;
    std::string rowid_;
    StreamReader reader_;
    std::unique_ptr<TableWriter> table_;
    uint64_t rows_ = 0;                                // of the batch
    std::vector<std::pair<int64_t, int64_t>> ranges_;  // of the numbers of rows written to a table without a key
    bool finished_ = false;
};

void SqliteSnapshot::enter_transaction() {
    if (broken_ || (open_ && !database_.in_transaction())) {
        broken_ = true;
        throw Failure("SQLite file " + database_.file() + ": the transaction of the copy was rolled back");
    }
    if (!open_) {
        database_.run("BEGIN IMMEDIATE");
        open_ = true;
        bytes_ = 0;
    }
}

template <typename Do>
void SqliteSnapshot::in_transaction(Do action) {
    enter_transaction();
    try {
        action();
    } catch (...) {
        broken_ = true;
        throw;
    }
}

void SqliteSnapshot::begin(const SinkState &state, const std::vector<Relation> &relations) {
    const std::lock_guard<std::mutex> lock(mutex_);
    leave_rows();
    broken_ = false;
    spoiled_ = false;
    slot_ = state.slot;
    relations_ = relations;
    state_.prepare();
    database_.run("BEGIN IMMEDIATE");
    try {
        std::vector<std::string> leftovers;
        Statement query = database_.prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'cdc~_new~_%' ESCAPE '~'");
        while (query.step()) {
            leftovers.push_back(query.text(0));
        }
        for (const std::string &leftover : leftovers) {
            database_.run("DROP TABLE " + quote(leftover));
        }
        state_.forget_copy(slot_);
        std::map<std::string, const Relation *> tables;  // by their names as SQLite compares them
        for (const Relation &relation : relations_) {
            state_.check_owner(slot_, relation);
            state_.save_copy_relation(slot_, relation);
            const std::string table = sqlite_table_name(relation);
            const auto [known, is_new] = tables.emplace(lower(table), &relation);
            if (is_new) {
                create_table(database_, sqlite_stage_name(table), wanted_shape(relation));
            } else if (!(known->second->target() == relation.target())) {
                throw Failure("tables " + known->second->target().text() + " and " + relation.target().text() +
                                  " would both go into table " + table + " of SQLite file " + database_.file(),
                              "Their names are the same to SQLite, so they need two files, and a slot for each.");
            } else if (!(wanted_shape(*known->second) == wanted_shape(relation))) {
                throw Failure("partitions " + known->second->table.text() + " and " + relation.table.text() +
                                  " cannot go into one table: their columns or keys differ",
                              "Give them the same replica identity.");
            }
        }
        state_.save(state);
        database_.run("COMMIT");
    } catch (...) {
        database_.rollback();
        throw;
    }
}

void SqliteSnapshot::resume(const std::string &slot) {
    const std::lock_guard<std::mutex> lock(mutex_);
    leave_rows();
    broken_ = false;
    spoiled_ = false;
    slot_ = slot;
    state_.prepare();
    relations_ = state_.copy_progress(slot).relations;
    for (const Relation &relation : relations_) {
        const std::string stage = sqlite_stage_name(sqlite_table_name(relation));
        if (!(read_table_shape(database_, stage) == wanted_shape(relation))) {
            throw CopyObstacle("table " + stage + " of the copy that was interrupted is gone, or another one");
        }
    }
}

std::unique_ptr<SnapshotWriter> SqliteSnapshot::open_writer(const Relation &relation) {
    return std::make_unique<Writer>(*this, relation);
}

// Rows without a key are to be found in the stages, too.
void SqliteSnapshot::begin_catch_up() {
    commit_rows();
    for (const Relation &relation : relations_) {
        create_row_index(database_, sqlite_stage_name(sqlite_table_name(relation)), relation);
    }
}

void SqliteSnapshot::commit_rows() {
    if (broken_) {
        leave_rows();
    } else if (open_) {
        in_transaction([&] { database_.run("COMMIT"); });
        open_ = false;
    }
}

void SqliteSnapshot::leave_rows() {
    database_.rollback();
    open_ = false;
}

void SqliteSnapshot::finish(const std::string &slot) {
    if (spoiled_) {
        throw Failure("SQLite file " + database_.file() + ": rows of a copy that was given up could not be removed",
                      "Start again: the copy is made anew.");
    }
    std::map<std::string, const Relation *> tables;
    for (const Relation &relation : relations_) {
        if (tables.emplace(sqlite_table_name(relation), &relation).second) {
            state_.check_owner(slot, relation);  // someone may have made a table meanwhile
            swap(relation);
        }
    }
    // Tables that are no longer selected stay as they are, and are no longer ours.
    state_.forget_relations(slot);
    state_.forget_copy(slot);
    for (const Relation &relation : relations_) {
        state_.save_relation(slot, relation);
    }
    relations_.clear();
}

// Into the same table, row by row, where it has the same definition: so triggers and full-text indexes see the
// difference, and nothing else.
void SqliteSnapshot::swap(const Relation &relation) {
    const std::string table = sqlite_table_name(relation);
    const std::string stage = sqlite_stage_name(table);
    const TableShape want = wanted_shape(relation);
    const TableShape have = read_table_shape(database_, table);
    drop_row_index(database_, stage);
    if (have.columns.empty()) {
        rename_table(database_, stage, table);
    } else if (!(have == want)) {
        replace_table(database_, table, stage, want);
    } else {
        const std::string columns = want.column_list();
        const std::string into = "INSERT INTO " + quote(table) + " (" + columns + ") SELECT " + columns + " FROM " +
                                 quote(stage) + " AS new";
        if (want.key.empty()) {
            database_.run("DELETE FROM " + quote(table) + ";" + into);
        } else {
            std::string key;
            std::string same_key;
            for (const std::string &name : want.key) {
                key += (key.empty() ? "" : ",") + quote(name);
                same_key += (same_key.empty() ? "old." : " AND old.") + quote(name) + " = new." + quote(name);
            }
            std::string assignments;
            std::string old_values;
            std::string new_values;
            for (const TableShape::Column &column : want.columns) {
                if (std::find(want.key.begin(), want.key.end(), column.name) == want.key.end()) {
                    const std::string name = quote(column.name);
                    assignments += (assignments.empty() ? "" : ",") + name + "=excluded." + name;
                    old_values += (old_values.empty() ? "old." : ",old.") + name;
                    new_values += (new_values.empty() ? "new." : ",new.") + name;
                }
            }
            database_.run("DELETE FROM " + quote(table) + " AS old WHERE NOT EXISTS (SELECT 1 FROM " + quote(stage) +
                          " AS new WHERE " + same_key + ')');
            const std::string same_values =
                assignments.empty() ? "" : " AND (" + old_values + ") IS (" + new_values + ')';
            database_.run(into + " WHERE NOT EXISTS (SELECT 1 FROM " + quote(table) + " AS old WHERE " + same_key +
                          same_values + ") ON CONFLICT (" + key + ") DO " +
                          (assignments.empty() ? "NOTHING" : "UPDATE SET " + assignments));
        }
        database_.run("DROP TABLE " + quote(stage));
    }
    create_row_index(database_, table, relation);
}

}  // namespace cdc::consumer
