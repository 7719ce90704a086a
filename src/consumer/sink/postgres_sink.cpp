// The sink in a PostgreSQL database.
#include "postgres_pipeline.hpp"
#include "postgres_rows.hpp"
#include "postgres_schema.hpp"
#include "postgres_snapshot.hpp"
#include "postgres_state.hpp"
#include "sink.hpp"

#include "../postgres/connection.hpp"

#include <chrono>
#include <set>
#include <thread>
#include <utility>

namespace cdc::consumer {

namespace {

using namespace std::chrono_literals;

// How long a consumer that is gone may still hold its lock, until its server process has noticed.
constexpr auto kLockPatience = 10s;
constexpr auto kLockInterval = 250ms;

// What the server refuses, as what it means to a run.
[[noreturn]] void refuse(const ServerError &error, const std::string &table) {
    const std::string &sqlstate = error.sqlstate();
    // Deadlocks with other sessions, cancelled statements, and locks that were not to be had: another try may do.
    if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "57014" || sqlstate == "55P03" ||
        sqlstate == "53300") {
        throw ConnectionLost(std::string("the target has given up: ") + error.what());
    }
    std::string message = "the target refuses: ";
    message += error.what();
    if (!table.empty()) {
        message += " (table " + table + ")";
    }
    std::string hint = error.hint();
    if (sqlstate == "25006") {
        hint =
            "The target is read-only or a standby: connect to the primary, for example with "
            "target_session_attrs=read-write.";
    } else if (sqlstate == "53100") {
        hint = "The target's disk is full: make room there and start again.";
    } else if (sqlstate == "42501") {
        hint = "The target's user needs the right to create schemas, and to be the owner of the copies.";
    } else if (sqlstate == "22P02" || sqlstate == "22P03") {
        hint = "A type at the target is not that of the source: an enum without a new label, perhaps.";
    }
    throw Failure(message, hint);
}

// While it lives, a stop cancels what runs.
class Stoppable {
 public:
    Stoppable(Connection &connection, const std::atomic<bool> *stop) : connection_(connection) {
        connection.heed(stop);
    }
    ~Stoppable() { connection_.heed(nullptr); }
    Stoppable(const Stoppable &) = delete;
    Stoppable &operator=(const Stoppable &) = delete;

 private:
    Connection &connection_;
};

class PostgresSink final : public Sink {
 public:
    PostgresSink(const std::string &conninfo, const SinkOptions &options)
        : options_(options),
          connection_(conninfo, {}),
          schema_(connection_),
          state_(connection_),
          pipeline_(connection_),
          rows_(connection_, pipeline_, schema_),
          snapshot_(connection_, schema_, state_, conninfo) {
        // A group need not be durable until sync(). An index is right for a statement that is prepared while its table
        // is still small.
        connection_.query(
            "SET synchronous_commit = off; SET lock_timeout = 0; SET statement_timeout = 0;"
            " SET idle_in_transaction_session_timeout = 0; SET enable_seqscan = off; SET client_min_messages = "
            "warning");
    }

    std::string name() const override {
        PGconn *const connection = connection_.get();
        return std::string("PostgreSQL database ") + PQdb(connection) + " at " + PQhost(connection);
    }

    std::vector<SinkState> states() override {
        return guarded([&] { return state_.states(); });
    }

    void save_state(const SinkState &state) override {
        guarded([&] {
            own(state);
            begin_durable();
            state_.save(state);
            end_durable();
        });
    }

    std::vector<Relation> relations(const std::string &slot) override {
        return guarded([&] { return catching_up_ ? snapshot_.relations() : state_.relations(slot); });
    }

    void begin_snapshot(const SinkState &state, const std::vector<Relation> &relations) override {
        guarded([&] {
            own(state);
            // Its rows are not to be streamed into until the snapshot is complete, even after a crash.
            end_catch_up();
            begin_durable();
            snapshot_.begin(state.slot, relations);
            state_.save(state);
            end_durable();
        });
    }

    CopyProgress copy_progress(const std::string &slot) override {
        return guarded([&] {
            leave_transaction();  // of a call that failed
            CopyProgress progress;
            for (PostgresState::StagedRelation &staged : state_.copy_relations(slot)) {
                progress.relations.push_back(std::move(staged.relation));
            }
            progress.ranges = state_.copied(slot);
            return progress;
        });
    }

    void resume_snapshot(const SinkState &state) override {
        guarded([&] {
            own(state);
            end_catch_up();
            snapshot_.resume(state.slot);
        });
    }

    void begin_catch_up() override {
        guarded([&] {
            const Stoppable stoppable(connection_, options_.stop);
            set_up_for_builds();
            snapshot_.remove_doubles();
            snapshot_.build_keys();
            set_up_for_stream();
            rows_.divert(snapshot_.places());
            catching_up_ = true;
        });
    }

    std::unique_ptr<SnapshotWriter> open_writer(const Relation &relation) override {
        return snapshot_.open_writer(relation);
    }

    void finish_snapshot(const SinkState &state) override {
        guarded([&] {
            const Stoppable stoppable(connection_, options_.stop);
            own(state);
            set_up_for_builds();
            snapshot_.prepare_swap();
            begin_durable();
            snapshot_.swap(state.slot);
            state_.save(state);
            run_init_sql(state.slot);
            end_durable();
            set_up_for_stream();
            end_catch_up();
        });
    }

    void begin() override {
        guarded([&] {
            if (!owned_) {
                own_slot(options_.slot);
            }
            pipeline_.run("BEGIN");
        });
    }

    void define(const Relation &relation, const Relation *previous, const Evolution *evolution) override {
        table_ = relation.target().text();
        guarded([&] {
            if (!catching_up_ && evolution != nullptr && !evolution->obstacle.empty()) {
                throw Failure(evolution->obstacle, "--on-rewrite=resnapshot copies the tables anew.",
                              ExitCode::kSchema);
            }
            rows_.flush();
            pipeline_.finish();
            if (catching_up_) {
                check_catch_up(relation, previous, evolution);
            } else if (evolution != nullptr && previous != nullptr) {
                follow(relation, *previous, *evolution);
            } else {
                make(relation);
            }
            rows_.define(relation);
        });
        table_.clear();
    }

    void apply(const Change &change, const wire::RecordView &) override {
        try {
            rows_.apply(change);
        } catch (const ServerError &error) {
            refuse(error, "");
        }
    }

    void truncate(const Truncation &truncation, const wire::RecordView &) override {
        guarded([&] {
            for (const Relation *const relation : truncation.relations) {
                rows_.truncate(*relation);
            }
        });
    }

    void commit(const SinkState &state) override {
        guarded([&] {
            if (!init_sql_checked_ && !catching_up_) {
                rows_.flush();
                pipeline_.finish();
                run_init_sql(state.slot);
            }
            rows_.flush();
            pipeline_.run(PostgresState::save_statement(), PostgresState::save_parameters(state));
            pipeline_.finish();  // an update that hit no row shows in its answer only: before the end
            pipeline_.run("COMMIT");
            pipeline_.finish();
            slot_ = state.slot;
            is_durable_ = false;
        });
    }

    void rollback() noexcept override {
        try {
            rows_.reset();
            if (pipeline_.abandon()) {
                connection_.query("ROLLBACK");
                pipeline_.forget_statements();
            }
        } catch (const std::exception &) {
            // The connection is gone, and with it all that was not committed.
        }
    }

    void sync() override {
        if (is_durable_) {
            return;
        }
        guarded([&] {
            // A commit that waits for its own record to be flushed waits for all before it.
            begin_durable();
            connection_.query("UPDATE cdc_consumer.state SET updated_at = pg_catalog.clock_timestamp() WHERE slot = $1",
                              {slot_});
            end_durable();
            is_durable_ = true;
        });
    }

 private:
    template <typename Do>
    auto guarded(Do action) -> decltype(action()) {
        try {
            return action();
        } catch (const ServerError &error) {
            const std::string table = std::exchange(table_, std::string());
            // Outside of a group, there is nobody else to end the transaction.
            refuse(error, table);
        }
    }

    // For statements that read whole tables.
    void set_up_for_builds() {
        connection_.query("SET enable_seqscan = on");
        connection_.query(
            "SELECT pg_catalog.set_config('maintenance_work_mem', '256MB', false)"
            " WHERE pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem'))"
            " < 268435456");
    }

    void set_up_for_stream() {
        connection_.query("SET enable_seqscan = off");
        connection_.query("RESET maintenance_work_mem");
    }

    void end_catch_up() {
        rows_.divert({});
        catching_up_ = false;
    }

    void leave_transaction() {
        if (PQtransactionStatus(connection_.get()) != PQTRANS_IDLE) {
            connection_.query("ROLLBACK");
        }
    }

    void begin_durable() {
        pipeline_.finish();
        leave_transaction();
        connection_.query("BEGIN");
        connection_.query("SET LOCAL synchronous_commit = on");
    }

    void end_durable() { connection_.query("COMMIT"); }

    // The only consumer that writes for a slot, and not one that would feed its source.
    void own(const SinkState &state) {
        leave_transaction();
        refuse_source(state);
        own_slot(state.slot);
    }

    void refuse_source(const SinkState &state) {
        std::string identifier;
        try {
            identifier = connection_.query("SELECT system_identifier FROM pg_catalog.pg_control_system()").text(0, 0);
        } catch (const ServerError &) {
            return;  // not to be told here
        }
        if (identifier == state.system_identifier && state.database == PQdb(connection_.get())) {
            throw Failure("the sink is the source: database " + state.database,
                          "Copies have the names of their tables, so they need another database.");
        }
    }

    void own_slot(const std::string &slot) {
        if (!owned_) {
            const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
            while (connection_
                       .query("SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))",
                              {"cdc_consumer:" + slot})
                       .text(0, 0) != "t") {
                if (std::chrono::steady_clock::now() >= deadline) {
                    throw Failure("another consumer feeds this sink from slot " + slot,
                                  "Stop the other one, or give this one a slot and a sink of its own.");
                }
                std::this_thread::sleep_for(kLockInterval);
            }
            owned_ = true;
        }
        state_.create();
    }

    // For a relation that this sink knows nothing of.
    void make(const Relation &relation) {
        const TableName &target = relation.target();
        const auto owner = state_.owner(target);
        if (!schema_.look_up(target)) {
            schema_.create_schema(target.schema);
            schema_.create_table(target, relation);
            schema_.set_key(target, relation);
        } else if (!owner || *owner != options_.slot) {
            throw Failure("table " + target.text() + " is there at the target, and " +
                              (owner ? "slot " + *owner + " feeds it" : "was not made by cdc_consumer"),
                          "Rename or drop it, or leave it out with --exclude-tables.");
        } else {
            for (const Relation &known : state_.relations(options_.slot)) {
                if (known.target() == target && known.id != relation.id && !relation.is_partition()) {
                    throw Failure("table " + target.text() + " was replaced by another of the same name",
                                  "--on-rewrite=resnapshot copies the tables anew.", ExitCode::kSchema);
                }
            }
            schema_.fit(target, relation, {});
        }
        state_.save_relation(options_.slot, relation);
    }

    void follow(const Relation &relation, const Relation &previous, const Evolution &evolution) {
        if (!evolution.steps.empty()) {
            if (is_brought_by_sibling(relation)) {
                Evolution fills;
                for (const SchemaStep &step : evolution.steps) {
                    if (step.kind == SchemaStep::kAddColumn) {
                        fills.steps.push_back(step);
                    }
                }
                schema_.evolve(relation, relation, fills);
            } else {
                schema_.evolve(relation, previous, evolution);
            }
        }
        schema_.set_key(relation.target(), relation);
        if (relation.message != previous.message) {
            state_.save_relation(options_.slot, relation);
        }
    }

    // Whether another partition of the same copy has the definition already that this one gets: columns that were
    // dropped and made again must not be dropped a second time.
    bool is_brought_by_sibling(const Relation &relation) {
        if (!relation.is_partition()) {
            return false;
        }
        const auto columns_of = [](const Relation &of) {
            std::set<std::pair<std::string, std::string>> columns;
            for (const Column &column : of.columns) {
                columns.emplace(column.name, column.type_sql);
            }
            return columns;
        };
        for (const Relation &known : state_.relations(options_.slot)) {
            if (known.id != relation.id && known.target() == relation.target() &&
                columns_of(known) == columns_of(relation)) {
                return true;
            }
        }
        return false;
    }

    // Inside a transaction.
    void run_init_sql(const std::string &slot) {
        if (!options_.init_sql.empty() && state_.init_sql(slot) != options_.init_sql) {
            try {
                connection_.query(options_.init_sql);
            } catch (const ServerError &error) {
                throw Failure(options_.init_sql_file + ": " + error.what(), error.hint());
            }
            if (PQtransactionStatus(connection_.get()) != PQTRANS_INTRANS) {
                throw Failure(options_.init_sql_file + " must not end the transaction that it runs in",
                              "Leave out BEGIN, COMMIT and ROLLBACK.");
            }
            state_.save_init_sql(slot, options_.init_sql);
        }
        init_sql_checked_ = true;
    }

    const SinkOptions options_;
    Connection connection_;
    PostgresSchema schema_;
    PostgresState state_;
    StatementPipeline pipeline_;
    PostgresRows rows_;
    PostgresSnapshot snapshot_;
    bool owned_ = false;
    bool init_sql_checked_ = false;
    bool catching_up_ = false;  // the stream is about the copy in the making
    bool is_durable_ = true;
    std::string slot_;   // of the last commit
    std::string table_;  // that a call is about, for messages
};

}  // namespace

std::unique_ptr<Sink> open_postgres_sink(const std::string &conninfo, const SinkOptions &options) {
    try {
        return std::make_unique<PostgresSink>(conninfo, options);
    } catch (const ServerError &error) {
        refuse(error, "");
    }
}

}  // namespace cdc::consumer
