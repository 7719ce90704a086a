// The tables as of a slot's snapshot, copied into a sink, large ones in several parts at a time.
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
    uint64_t rows = 0;
    int64_t blocks = 0;
    int64_t blocks_done = 0;
};

// Copies `tables` under `snapshot` between sink.begin_snapshot() and finish_snapshot(), which this calls with
// `state` (its phase and position set to streaming at `position`). `progress` is called now and then, by one thread at
// a time.
void copy_tables(const std::string &conninfo, const std::string &snapshot, const std::vector<SourceTable> &tables,
                 Sink &sink, SinkState state, Lsn position, const SnapshotOptions &options,
                 const std::function<void(const SnapshotProgress &)> &progress);

}  // namespace cdc::consumer
