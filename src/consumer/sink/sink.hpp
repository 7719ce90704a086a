// Where copies of the source's tables are kept. A sink knows its position: everything committed at the source before
// it is in the sink, and nothing after it. Rows and position change in one transaction of the sink, so a crash at any
// moment leaves both as they were.
//
// Unless said otherwise, calls come from one thread, and fail with Failure, or with ConnectionLost where another try
// may do. After an exception inside begin()..commit(), rollback() brings the sink back to its last commit.
#pragma once

#include "../model/copy_progress.hpp"
#include "../model/evolution.hpp"
#include "../model/failure.hpp"
#include "../model/lsn.hpp"
#include "../model/row.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cdc::consumer {

enum class Phase {
    kSnapshot,   // a copy is in the making: the sink's tables, if any, are not to be streamed into
    kStreaming,  // the sink equals the source as of the position
};

// What a sink knows about the slot that feeds it. Kept in the sink.
struct SinkState {
    std::string slot;
    std::string system_identifier;  // of the source server, decimal
    std::string database;           // at the source
    std::string tables;             // the selection that the copy was made for, as Settings::tables normalises it
    Phase phase = Phase::kSnapshot;
    Lsn position = 0;  // in kSnapshot: from where the stream brings the copy in the making up to date; 0: there is none
};

// An interrupted copy cannot be completed, because of what happened at the source since: only a new one will do.
class CopyObstacle : public Failure {
 public:
    explicit CopyObstacle(const std::string &what)
        : Failure(what, "Run cdc_consumer resnapshot to copy the tables anew.", ExitCode::kSchema) {}
};

// Rows of one table (or of a part of it) into the sink's copy in the making. Used by one thread, several of them at a
// time.
class SnapshotWriter {
 public:
    virtual ~SnapshotWriter() = default;
    // A batch that cdc.snapshot() returned. Returns its number of rows.
    virtual uint64_t write(std::string_view batch) = 0;
    // All rows of a range have been written, which is noted with them. Without this call, nothing of what was written
    // may count.
    virtual void finish(const CopiedRange &range) = 0;
};

class Sink {
 public:
    virtual ~Sink() = default;

    // "SQLite file orders.db", for messages.
    virtual std::string name() const = 0;
    // False for a sink that keeps no state (standard output): it goes on where its slot does.
    virtual bool remembers() const { return true; }

    // --- what the sink knows --------------------------------------------------------------------------------------

    // Slots that this sink has a state of; most have one.
    virtual std::vector<SinkState> states() = 0;
    // Inserts or replaces the state of state.slot; durable when it returns.
    virtual void save_state(const SinkState &state) = 0;
    // Whether relations() tells what was met before.
    virtual bool keeps_definitions() const { return true; }
    // Definitions that the copies of this slot's tables follow now.
    virtual std::vector<Relation> relations(const std::string &slot) = 0;

    // --- snapshot -------------------------------------------------------------------------------------------------

    // Makes an empty copy beside the one that readers see, for the relations' targets, and saves `state`; drops what an
    // interrupted snapshot has left.
    virtual void begin_snapshot(const SinkState &state, const std::vector<Relation> &relations) = 0;
    // What it has left; nothing if there is none, or if this sink cannot go on with one.
    virtual CopyProgress copy_progress(const std::string &) { return {}; }
    // Instead of begin_snapshot(): goes on with the copy that copy_progress() told of.
    virtual void resume_snapshot(const SinkState &state);
    // All ranges are written, but not all as of the same moment, so that a row may be there twice, or not at all. From
    // here until finish_snapshot(), the calls of the stream are about the copy in the making, which is right again
    // where the stream ends behind the last of these moments. They throw CopyObstacle for what a copy cannot follow.
    virtual void begin_catch_up() {}
    // Safe to be called from several threads between begin_snapshot() or resume_snapshot(), and begin_catch_up() or
    // finish_snapshot().
    virtual std::unique_ptr<SnapshotWriter> open_writer(const Relation &relation) = 0;
    // In one transaction: readers see the new copy instead of the old one (whose tables stay the same objects, so that
    // views, triggers and indexes on them stay; rows that are gone are deleted), and `state` is saved. Runs init_sql
    // where it did not run before. Durable when it returns.
    virtual void finish_snapshot(const SinkState &state) = 0;

    // --- stream ---------------------------------------------------------------------------------------------------

    // Starts a group of source transactions, which becomes visible all at once.
    virtual void begin() = 0;
    virtual void transaction_begins(const Transaction &, const wire::RecordView &) {}
    virtual void transaction_ends(const Transaction &, const wire::RecordView &) {}
    // A definition, told before the first change that follows it, after each start and after each change of it.
    // `evolution` leads from the definition that the copy follows so far; nullptr for a relation without one: its
    // target is made, unless it is there. `relation` is valid until the same relation is told again.
    virtual void define(const Relation &relation, const Relation *previous, const Evolution *evolution) = 0;
    virtual void apply(const Change &change, const wire::RecordView &record) = 0;
    // Empties the targets; for a partition, of the rows that came from it.
    virtual void truncate(const Truncation &truncation, const wire::RecordView &record) = 0;
    virtual void message(const wire::EventView &, const wire::RecordView &) {}
    // Ends the group. Visible when it returns, and consistent after any crash; durable at the next sync().
    virtual void commit(const SinkState &state) = 0;
    virtual void rollback() noexcept = 0;
    // What had been committed when this was called is durable when it returns.
    virtual void sync() = 0;
    // Whether another thread may call sync() while groups go on.
    virtual bool syncs_beside() const { return false; }
    // Housekeeping that is due from time to time, between groups.
    virtual void tidy() {}
};

struct SinkOptions {
    std::string slot;
    std::string init_sql;       // run once when the tables are there, and again when it was changed; empty: none
    std::string init_sql_file;  // its name, for messages
    // Messages rendered by a sink need the newest definitions.
    wire::RelationSource definitions{};
    // When it becomes true, what is done for a copy may end with Interrupted: building a key takes long, and a lock may
    // be waited for without end. The stream's groups go on to their end.
    const std::atomic<bool> *stop = nullptr;
};

// Opens sqlite:FILE, postgres:CONNINFO or jsonl:FILE ("-": standard output), making what is not there yet. Nothing of
// an existing sink is changed before the first call that says so.
std::unique_ptr<Sink> open_sink(const std::string &target, const SinkOptions &options);

std::unique_ptr<Sink> open_sqlite_sink(const std::string &file, const SinkOptions &options);
std::unique_ptr<Sink> open_postgres_sink(const std::string &conninfo, const SinkOptions &options);
std::unique_ptr<Sink> open_jsonl_sink(const std::string &file, const SinkOptions &options);

// Throws CopyObstacle for a definition that differs from the one that the copy in the making follows, for define()
// behind begin_catch_up().
void check_catch_up(const Relation &relation, const Relation *previous, const Evolution *evolution);

// The new row of an update, with what the update has left as it was taken from the old one. Where rows may be there as
// of later moments, only whole rows do: throws CopyObstacle for one that is not.
Row whole_row(const Change &change);

// The column of a copy of a partitioned table that holds the OID of the partition which each row came from.
constexpr char kPartitionColumn[] = "cdc_partition";

}  // namespace cdc::consumer
