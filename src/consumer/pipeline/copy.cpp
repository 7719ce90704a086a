#include "copy.hpp"

#include "slot_check.hpp"
#include "stream.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

namespace cdc::consumer {

namespace {

bool has_all_of(const CopyProgress &progress, const Relation &relation) {
    return blocks_left(progress.ranges, relation.id).empty();
}

bool is_complete(const CopyProgress &progress) {
    return std::all_of(progress.relations.begin(), progress.relations.end(),
                       [&](const Relation &relation) { return has_all_of(progress, relation); });
}

// The copy is one of these definitions, and none of them has been altered since it was begun.
void check_same(const std::vector<Relation> &begun, const std::vector<Relation> &now) {
    for (const Relation &relation : now) {
        const auto found =
            std::find_if(begun.begin(), begun.end(), [&](const Relation &other) { return other.id == relation.id; });
        if (found == begun.end()) {
            throw CopyObstacle("table " + relation.table.text() + " was not there when the copy was begun");
        }
        if (found->message != relation.message) {
            throw CopyObstacle("table " + relation.table.text() + " was altered since the copy was begun");
        }
    }
    if (begun.size() != now.size()) {
        throw CopyObstacle("tables were dropped since the copy was begun");
    }
}

}  // namespace

Copy::Copy(const Settings &settings, Source &source, Sink &sink, SinkState &state, Counters &counters,
           const std::atomic<bool> &stop)
    : settings_(settings), source_(source), sink_(sink), state_(state), counters_(counters), stop_(stop) {
    counters_.phase = 1;
}

std::string Copy::selection(const Settings &settings) {
    return settings.exclude_tables.empty() ? settings.tables : settings.tables + " except " + settings.exclude_tables;
}

void Copy::make_anew() {
    const std::optional<SlotInfo> old_slot = source_.slot(settings_.slot);
    if (old_slot && old_slot->plugin != "cdc_plugin") {
        throw Failure(
            "replication slot \"" + settings_.slot + "\" belongs to the output plugin \"" + old_slot->plugin + '"',
            "Choose another slot name.");
    }
    source_.tables(settings_.tables, settings_.exclude_tables);  // what it refuses must change nothing
    state_.tables = selection(settings_);
    state_.phase = Phase::kSnapshot;
    state_.position = 0;
    sink_.save_state(state_);  // before the slot: from here on, the slot is this sink's to drop
    if (old_slot) {
        source_.drop_slot(settings_.slot);
    }
    const NewSlot slot = source_.create_slot(settings_.slot, stop_);
    bool begun = false;
    try {
        const std::vector<SourceTable> tables = tables_under(slot.snapshot());
        const std::vector<Relation> relations = read_definitions(settings_.source, slot.snapshot(), tables, stop_);
        spdlog::info("copying {} tables as of {}", tables.size(), lsn_text(slot.consistent_point()));
        state_.position = slot.consistent_point();
        sink_.begin_snapshot(state_, relations);
        begun = true;
        copy_blocks(slot.snapshot(), tables, relations, {});
        finish();
    } catch (const ConnectionLost &) {
        // What the sink was about to commit may be in it: then the copy is complete, and needs this slot. The next
        // attempt sees it, and otherwise goes on with the copy, or drops the slot.
        throw;
    } catch (...) {
        if (!begun || !keep()) {
            drop_quietly();
        }
        throw;
    }
}

bool Copy::complete(StreamReader &reader, const std::function<void()> &connected) {
    try {
        if (!catch_up(reader, connected)) {
            return false;
        }
        finish();
        return true;
    } catch (const ConnectionLost &) {
        throw;  // another attempt follows
    } catch (...) {
        keep();
        throw;
    }
}

bool Copy::catch_up(StreamReader &reader, const std::function<void()> &connected) {
    try {
        const CopyProgress progress = sink_.copy_progress(settings_.slot);
        if (!can_complete(progress)) {
            return false;
        }
        spdlog::info("a copy was interrupted: going on with it");
        sink_.resume_snapshot(state_);
        copy_rest(progress);
        // Everything that the last part was copied as of lies before this.
        const Lsn target = source_.target_lsn();
        spdlog::info("bringing the copy up to {}", lsn_text(target));
        sink_.begin_catch_up();
        stream(settings_, source_, sink_, reader, state_, target, counters_, stop_, connected);
        if (stop_) {
            throw Interrupted();
        }
        check_files(sink_.copy_progress(settings_.slot));
        return true;
    } catch (const Failure &failure) {
        if (failure.code() != ExitCode::kSchema && failure.code() != ExitCode::kLostSlot) {
            throw;
        }
        spdlog::warn("the interrupted copy cannot be completed: {}: copying anew", failure.what());
        return false;
    }
}

// Rows that were all written anew are in other places, and may have other values, of which the stream does not tell.
void Copy::check_files(const CopyProgress &progress) {
    std::map<uint32_t, uint32_t> filenodes;
    for (const CopiedRange &range : progress.ranges) {
        filenodes[range.relation_id] = range.filenode;
    }
    for (const Relation &relation : progress.relations) {
        const auto copied = filenodes.find(relation.id);
        if (copied != filenodes.end() && filenode_of(source_.connection(), relation.id) != copied->second) {
            throw CopyObstacle("table " + relation.table.text() + " was rewritten since a part of it was copied");
        }
    }
}

bool Copy::can_complete(const CopyProgress &progress) {
    std::string why;
    if (progress.ranges.empty()) {
        why = "nothing of it is complete";
    } else if (state_.tables != selection(settings_)) {
        why = "it is of other tables";
    } else {
        why = find_loss(settings_.slot, source_.slot(settings_.slot), state_.position, source_.current_lsn(),
                        source_.database());
    }
    for (const Relation &relation : progress.relations) {
        // Which of its rows are there already could not be told.
        if (why.empty() && relation.key.empty() && !has_all_of(progress, relation)) {
            why = "table " + relation.table.text() + " has no key, and only a part of it was copied";
        }
    }
    if (!why.empty()) {
        spdlog::info("a copy was interrupted: copying anew ({})", why);
    }
    return why.empty();
}

void Copy::copy_rest(const CopyProgress &progress) {
    const ExportedSnapshot snapshot = source_.export_snapshot();
    const std::vector<SourceTable> tables = tables_under(snapshot.name());
    const std::vector<Relation> relations = read_definitions(settings_.source, snapshot.name(), tables, stop_);
    check_same(progress.relations, relations);
    check_files(progress);
    if (!is_complete(progress)) {
        // What the snapshot sees must stay: an asynchronous commit that a crash of the source takes back would not be
        // in the stream.
        source_.target_lsn();
        spdlog::info("copying the rest of {} tables", tables.size());
        copy_blocks(snapshot.name(), tables, relations, progress.ranges);
    }
}

// Tables that came to be since are not in the slot's stream from their first row on.
std::vector<SourceTable> Copy::tables_under(const std::string &snapshot) {
    Connection &connection = source_.connection();
    connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    connection.query("SET TRANSACTION SNAPSHOT " + connection.quote_literal(snapshot));
    std::vector<SourceTable> tables = source_.tables(settings_.tables, settings_.exclude_tables);
    connection.query("COMMIT");
    return tables;
}

void Copy::copy_blocks(const std::string &snapshot, const std::vector<SourceTable> &tables,
                       const std::vector<Relation> &relations, const std::vector<CopiedRange> &done) {
    SnapshotOptions options;
    options.jobs = settings_.snapshot_jobs;
    options.chunk_blocks = settings_.snapshot_chunk_blocks;
    options.stop = &stop_;
    copy_tables(settings_.source, snapshot, tables, relations, done, sink_, options,
                [this](const SnapshotProgress &progress) { count(progress); });
}

void Copy::count(const SnapshotProgress &progress) {
    counters_.snapshot_tables = progress.tables;
    counters_.snapshot_tables_done = progress.tables_done;
    counters_.snapshot_blocks = static_cast<uint64_t>(progress.blocks);
    counters_.snapshot_blocks_done = static_cast<uint64_t>(progress.blocks_done);
    counters_.snapshot_rows += progress.rows - rows_;
    rows_ = progress.rows;
}

void Copy::finish() {
    SinkState state = state_;
    state.phase = Phase::kStreaming;
    sink_.finish_snapshot(state);
    state_ = state;
    ++counters_.snapshots;
    spdlog::info("the copy is complete: {} rows", rows_);
}

// What was copied is worth the WAL that the slot holds back until the next run. False if nothing was.
bool Copy::keep() noexcept {
    try {
        if (sink_.copy_progress(settings_.slot).ranges.empty()) {
            return false;
        }
    } catch (const std::exception &) {
        return false;  // a sink that does not even tell is not to be gone on with
    }
    say_kept(settings_.slot);
    return true;
}

void Copy::say_kept(const std::string &slot) {
    spdlog::warn(
        "the copy is not complete: the next run goes on with it, and until then slot \"{}\" holds back WAL "
        "(cdc_consumer drop-slot gives it up)",
        slot);
}

// A slot that nobody would read from would hold back WAL.
void Copy::drop_quietly() noexcept {
    try {
        Source(settings_.source).drop_slot(settings_.slot);
    } catch (const std::exception &error) {
        spdlog::warn("slot \"{}\" could not be dropped: {}", settings_.slot, error.what());
    }
}

}  // namespace cdc::consumer
