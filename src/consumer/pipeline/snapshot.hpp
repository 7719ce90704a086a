// The tables as of a snapshot, copied into a sink, large ones in several parts at a time.
#pragma once

#include "../sink/sink.hpp"
#include "../source/source.hpp"

#include <atomic>
#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace cdc::consumer {

struct SnapshotOptions {
    int jobs = 2;                             // connections that copy at the same time
    int64_t chunk_blocks = 16384;             // a part of a table: 128 MB
    const std::atomic<bool> *stop = nullptr;  // when it becomes true: Interrupted
};

struct SnapshotProgress {
    size_t tables = 0;
    size_t tables_done = 0;
    uint64_t rows = 0;        // of this run
    int64_t blocks = 0;       // of all tables
    int64_t blocks_done = 0;  // in this run or before
};

// The definitions of `tables`, in their order, as of the snapshot.
std::vector<Relation> read_definitions(const std::string &conninfo, const std::string &snapshot,
                                       const std::vector<SourceTable> &tables, const std::atomic<bool> &stop);

// Copies what is not in `done` of the tables, whose definitions are `relations`, under `snapshot`: between the sink's
// begin_snapshot() or resume_snapshot(), and finish_snapshot(). `report` is called now and then, by one thread at a
// time. Throws CopyObstacle if a table has been rewritten since a part of it was copied.
void copy_tables(const std::string &conninfo, const std::string &snapshot, const std::vector<SourceTable> &tables,
                 const std::vector<Relation> &relations, const std::vector<CopiedRange> &done, Sink &sink,
                 const SnapshotOptions &options, const std::function<void(const SnapshotProgress &)> &report);

}  // namespace cdc::consumer
