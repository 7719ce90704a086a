// The commands that move data. Each returns when it is done or when `stop` becomes true, and throws Failure for what
// must end the program with a message.
#pragma once

#include "counters.hpp"
#include "settings.hpp"

#include <atomic>
#include <string>

namespace cdc::consumer {

// Snapshot if the sink is empty, then the stream: for ever, or until caught up.
void run(const Settings &settings, Counters &counters, const std::atomic<bool> &stop);

// Drops the slot, makes a new one, and copies everything anew. Readers of the sink see the old rows until the end.
void resnapshot(const Settings &settings, Counters &counters, const std::atomic<bool> &stop);

struct ReplayResult {
    uint64_t transactions = 0;  // applied
    uint64_t skipped = 0;       // already in the sink
    uint64_t changes = 0;       // of those applied
};

// Applies a file that `pg_recvlogical -o framing=delimited` wrote ("-": standard input). All of it, or nothing.
// Uses sink and slot of `settings`; an empty slot is that of the sink's only state, or "replay" for an empty sink.
ReplayResult replay(const Settings &settings, const std::string &file, Counters &counters,
                    const std::atomic<bool> &stop);

}  // namespace cdc::consumer
