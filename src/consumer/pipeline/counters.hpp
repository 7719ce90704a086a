// What a run counts, for metrics and progress: written by the pipeline, read by other threads.
#pragma once

#include <atomic>
#include <cstdint>

namespace cdc::consumer {

struct Counters {
    using Count = std::atomic<uint64_t>;

    Count transactions{0};  // applied
    Count skipped{0};       // transactions that the sink had already
    Count inserts{0}, updates{0}, deletes{0}, truncates{0}, messages{0};
    Count snapshot_rows{0};  // copied, over all snapshots
    Count snapshots{0};      // completed
    Count groups{0};         // transactions of the sink
    Count reconnects{0};
    Count errors{0};
    Count received_bytes{0};

    // Of the snapshot that runs, or ran last: as SnapshotProgress has them.
    Count snapshot_tables{0}, snapshot_tables_done{0};
    Count snapshot_blocks{0}, snapshot_blocks_done{0};

    std::atomic<uint64_t> received_lsn{0};   // end of WAL that the server named last
    std::atomic<uint64_t> applied_lsn{0};    // the sink's position
    std::atomic<uint64_t> confirmed_lsn{0};  // durable in the sink, told to the server
    // Commit time of the transaction that was applied last, and when it was visible in the sink: Unix microseconds.
    std::atomic<int64_t> commit_time{0};
    std::atomic<int64_t> applied_time{0};
    std::atomic<int> phase{0};  // 0 starting, 1 snapshot, 2 streaming, 3 reconnecting
};

}  // namespace cdc::consumer
