// The sink that keeps copies in an SQLite file. Readers of the file see each group as a whole.
#include "sink.hpp"

#include "sqlite_database.hpp"
#include "sqlite_rows.hpp"
#include "sqlite_schema.hpp"
#include "sqlite_snapshot.hpp"
#include "sqlite_state.hpp"

#include <mutex>
#include <unordered_map>

namespace cdc::consumer {

namespace {

class SqliteSink : public Sink {
 public:
    SqliteSink(const std::string &file, const SinkOptions &options)
        : options_(options), database_(file), state_(database_), snapshot_(database_, state_, mutex_) {}

    std::string name() const override { return "SQLite file " + database_.file(); }

    std::vector<SinkState> states() override {
        const std::lock_guard<std::mutex> lock(mutex_);
        return state_.states();
    }
    std::vector<Relation> relations(const std::string &slot) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        return catching_up_ ? snapshot_.relations() : state_.relations(slot);
    }
    void save_state(const SinkState &state) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        snapshot_.commit_rows();
        state_.prepare();
        state_.save(state);
        database_.sync();
    }

    void begin_snapshot(const SinkState &state, const std::vector<Relation> &relations) override {
        forget_writers();
        catching_up_ = false;
        snapshot_.begin(state, relations);
    }
    CopyProgress copy_progress(const std::string &slot) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        snapshot_.commit_rows();
        return state_.copy_progress(slot);
    }
    void resume_snapshot(const SinkState &state) override {
        forget_writers();
        catching_up_ = false;
        snapshot_.resume(state.slot);
    }
    void begin_catch_up() override {
        const std::lock_guard<std::mutex> lock(mutex_);
        snapshot_.begin_catch_up();
        catching_up_ = true;
    }
    std::unique_ptr<SnapshotWriter> open_writer(const Relation &relation) override {
        return snapshot_.open_writer(relation);
    }
    void finish_snapshot(const SinkState &state) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        forget_writers();  // of a stream into the copy that is about to be moved
        catching_up_ = false;
        snapshot_.commit_rows();
        database_.run("BEGIN IMMEDIATE");
        try {
            snapshot_.finish(state.slot);
            slot_ = state.slot;
            run_init_sql();
            state_.save(state);
            database_.run("COMMIT");
        } catch (...) {
            database_.rollback();
            throw;
        }
        database_.sync();
        database_.shrink_wal(true);
    }

    void begin() override {
        state_.prepare();
        database_.run("BEGIN IMMEDIATE");
        run_init_sql();
    }
    void define(const Relation &relation, const Relation *previous, const Evolution *evolution) override {
        // Their statements may name columns that are about to change; and none may stand in the way of that.
        forget_writers();
        if (catching_up_) {
            check_catch_up(relation, previous, evolution);
            return;
        }
        if (evolution != nullptr && !evolution->obstacle.empty()) {
            throw Failure("table " + relation.table.text() + ": " + evolution->obstacle,
                          "Run cdc_consumer resnapshot to copy the tables anew.", ExitCode::kSchema);
        }
        const bool exists = state_.check_owner(slot_, relation);
        if (previous != nullptr && evolution != nullptr) {
            evolve_table(database_, *previous, relation, *evolution);
        } else {
            const std::string table = sqlite_table_name(relation);
            const TableShape want = wanted_shape(relation);
            if (!exists) {
                create_table(database_, table, want);
                create_row_index(database_, table, relation);
            } else if (!(read_table_shape(database_, table) == want)) {
                throw Failure("table " + relation.table.text() + " does not fit its copy, table " + table + " of " +
                                  name() + ": columns or keys differ",
                              "Run cdc_consumer resnapshot to copy the tables anew.", ExitCode::kSchema);
            }
        }
        state_.save_relation(slot_, relation);
    }
    void apply(const Change &change, const wire::RecordView &) override {
        TableWriter &writer = writer_of(*change.relation);
        switch (change.op) {
            case wire::Op::kUpdate:
                if (catching_up_ && !change.relation->key.empty()) {
                    writer.replace(change);
                } else {
                    writer.update(change);
                }
                break;
            case wire::Op::kDelete:
                writer.erase(change);
                break;
            default:
                writer.put(change.after);
                break;
        }
    }
    void truncate(const Truncation &truncation, const wire::RecordView &) override {
        for (const Relation *relation : truncation.relations) {
            writer_of(*relation).truncate();
        }
    }
    void commit(const SinkState &state) override {
        run_init_sql();
        state_.save(state);
        database_.run("COMMIT");
    }
    void rollback() noexcept override {
        forget_writers();
        database_.rollback();
        init_sql_done_ = false;
    }
    void sync() override { database_.sync(); }
    bool syncs_beside() const override { return true; }
    void tidy() override { database_.shrink_wal(false); }

 private:
    void forget_writers() noexcept {
        last_ = nullptr;
        writers_.clear();
    }

    TableWriter &writer_of(const Relation &relation) {
        if (last_ != nullptr && &last_->relation() == &relation) {
            return *last_;
        }
        auto found = writers_.find(relation.id);
        if (found == writers_.end() || &found->second->relation() != &relation) {
            // Definitions that define() was told in a group that was rolled back are not in force.
            if (!catching_up_ && !state_.follows(slot_, relation)) {
                throw Failure("table " + relation.table.text() + ": " + name() + " follows another definition of it");
            }
            writers_.erase(relation.id);
            const std::string table = sqlite_table_name(relation);
            auto writer =
                std::make_unique<TableWriter>(database_, relation, catching_up_ ? sqlite_stage_name(table) : table);
            found = writers_.emplace(relation.id, std::move(writer)).first;
        }
        last_ = found->second.get();
        return *last_;
    }

    // Where it did not run yet with this text, as soon as there are tables. Part of the open transaction, which it
    // must not end.
    void run_init_sql() {
        if (init_sql_done_ || catching_up_ || options_.init_sql.empty() || !state_.has_relations(slot_)) {
            return;
        }
        if (state_.init_sql() != options_.init_sql) {
            const auto refuse_transactions = [](void *refused, int action, const char *, const char *, const char *,
                                                const char *) {
                if (action != SQLITE_TRANSACTION) {
                    return SQLITE_OK;
                }
                *static_cast<bool *>(refused) = true;
                return SQLITE_DENY;
            };
            bool refused = false;
            sqlite3_set_authorizer(database_.get(), refuse_transactions, &refused);
            const int result = sqlite3_exec(database_.get(), options_.init_sql.c_str(), nullptr, nullptr, nullptr);
            sqlite3_set_authorizer(database_.get(), nullptr, nullptr);
            if (refused) {
                throw Failure(options_.init_sql_file + ": must not begin, commit or roll back a transaction",
                              "Leave these commands out: all of the file runs in one transaction.");
            }
            if (result != SQLITE_OK) {
                database_.fail(options_.init_sql_file);
            }
            state_.save_init_sql(options_.init_sql);
        }
        init_sql_done_ = true;
    }

    const SinkOptions options_;
    std::string slot_ = options_.slot;
    std::mutex mutex_;  // while a snapshot is written, several threads use the database
    Database database_;
    SqliteState state_;
    SqliteSnapshot snapshot_;
    std::unordered_map<uint32_t, std::unique_ptr<TableWriter>> writers_;
    TableWriter *last_ = nullptr;
    bool init_sql_done_ = false;
    bool catching_up_ = false;  // the stream is about the copy in the making
};

}  // namespace

std::unique_ptr<Sink> open_sqlite_sink(const std::string &file, const SinkOptions &options) {
    return std::make_unique<SqliteSink>(file, options);
}

}  // namespace cdc::consumer
