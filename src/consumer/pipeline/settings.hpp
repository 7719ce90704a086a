// What a run is asked to do: the command line and the config file, checked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace cdc::consumer {

// What to do about a slot that cannot go on from the sink's position.
enum class OnLostSlot { kFail, kResnapshot };
// What to do about a change of a table that only a new copy can follow.
enum class OnRewrite { kFail, kResnapshot };

struct Settings {
    std::string source;  // conninfo
    std::string slot;
    std::string tables;          // patterns, comma-separated, as the plugin's option takes them
    std::string exclude_tables;  // likewise; may be empty
    std::string sink;            // sqlite:FILE, postgres:CONNINFO, jsonl:FILE
    std::string init_sql_file;   // may be empty

    OnLostSlot on_lost_slot = OnLostSlot::kFail;
    OnRewrite on_rewrite = OnRewrite::kFail;
    bool until_caught_up = false;

    int snapshot_jobs = 2;
    int64_t snapshot_chunk_blocks = 16384;             // parts that tables are copied in: 128 MB, in blocks of 8 kB
    int64_t group_changes = 10000;                     // a group is committed when it has this many changes,
    std::chrono::milliseconds group_time{200};         // or is this old, or nothing more has come
    std::chrono::milliseconds sync_interval{1000};     // how often what was committed is made durable and confirmed
    std::chrono::milliseconds idle_interval{10000};    // how often an idle database's position is stored
    std::chrono::milliseconds status_interval{10000};  // how often the server hears of us at least
    std::chrono::milliseconds max_retry_delay{30000};  // between attempts to reconnect
    std::chrono::milliseconds stop_timeout{10000};     // for the open transaction to end when a stop is asked for
    size_t queue_bytes = size_t{64} << 20;             // received and not applied
    std::string metrics_address;                       // host:port; empty: none
};

}  // namespace cdc::consumer
