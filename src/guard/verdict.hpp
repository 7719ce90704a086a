// The lag policy: from what is seen of a slot to its level, its cause and the time that is left. Pure.
#pragma once

#include "observation.hpp"
#include "policies.hpp"
#include "rates.hpp"

namespace cdc::guard {

// Settings that a verdict depends on. Times in microseconds, 0 turns a limit off.
struct Limits {
    int percent[kLevels];  // share of the cap from which on a level holds; 0 if that level has none
    TimeLeft time_left;
    int64_t grace;          // before anyone is blamed, and before a level is lowered
    int64_t inactive_time;  // without a consumer, until a notice
    int64_t catalog_age;    // transaction ids that catalog_xmin may lag behind, until a notice
};

// What is known of the server's WAL besides the slot.
struct Flow {
    WalRate wal;
    double confirmed_bytes_per_s;  // of the slot; -1 unknown
    double growth_bytes_per_s;     // of what a moving slot retains, over minutes; -1 unknown
    int64_t peak_bytes;            // most WAL in one sampling interval
};

struct Verdict {
    Level level;
    Level relaxed;  // by thresholds that are a little lower: if that is below the slot's level, this may fall
    Cause cause;
    Cause also;  // a second cause at the same time, or kNone
    CapSource cap_source;
    int64_t cap;       // bytes; -1 if there is no limit
    int64_t headroom;  // bytes until the cap, below 0 beyond it; meaningless without a cap
    int percent;       // share of the cap that is used, 0 to 100; -1 if there is no limit
    int64_t retained;
    int64_t unconfirmed;
    int64_t time_to_cap;   // microseconds; -1 unknown
    int64_t time_to_full;  // until the disk is full
    bool stuck;            // the walsender stands still before the end of WAL: its client takes nothing
    bool at_own_cap;       // a policy's action is due
};

// Whether a transaction is to blame, so that whose it is must be said.
bool blames_transaction(const Verdict &verdict);

// `track` is what the guard remembers, with this observation already in it, or nullptr if no guard runs: then what
// takes time to know is taken for granted.
Verdict judge(const Observation &slot, const Flow &flow, const Limits &limits, const Track *track, int64_t now);

// Takes a verdict into what is remembered. True if the level changed.
bool settle(Track &track, const Verdict &verdict, int64_t now);

}  // namespace cdc::guard
