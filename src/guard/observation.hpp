// What is seen of a slot, and what the guard remembers of it between samples. Pure: plain numbers, so that every rule
// can be tested without a server. LSNs are bytes of WAL, 0 is none; times are microseconds, of a clock that never jumps
// unless it says otherwise; -1 is unknown.
#pragma once

#include "words.hpp"

#include <cstdint>

namespace cdc::guard {

// One slot at one moment.
struct Observation {
    uint64_t wal_lsn = 0;        // end of WAL
    uint64_t restart_lsn = 0;    // from here on WAL is retained
    uint64_t confirmed_lsn = 0;  // a physical slot has none
    bool logical = false;
    bool temporary = false;
    bool synced = false;  // maintained from the primary, on a standby
    bool active = false;
    bool lost = false;

    // The walsender that serves the slot, if one does.
    bool walsender = false;
    uint64_t sent_lsn = 0;
    int64_t decoded_txns = -1;  // transactions that the output plugin was given since statistics were reset

    // When WAL last ended no more than kNegligibleBytes behind the two positions; 0 is longer ago than the guard knows.
    int64_t at_restart = 0;
    int64_t at_confirmed = 0;

    // The running transaction that can hold restart_lsn back; where nothing relevant is held back, the one that pins
    // catalog_xmin. 0 if there is none.
    uint32_t pin_xid = 0;
    bool pin_prepared = false;
    int32_t pin_pid = 0;
    uint32_t pin_database = 0;
    int64_t catalog_age = 0;  // transaction ids between catalog_xmin and the next one

    // Limits.
    bool has_server_cap = false;
    int64_t server_cap = 0;
    int64_t server_headroom = 0;  // as pg_replication_slots.safe_wal_size
    int64_t own_cap = 0;          // of the slot's policy, 0 if none
    int64_t disk_free = -1;       // bytes on the file system of pg_wal
};

// What the guard remembers of a slot.
struct Track {
    uint64_t restart_lsn;
    uint64_t confirmed_lsn;
    uint32_t restart_xid;        // the transaction id that was to come next at restart_lsn; 0 unknown
    int64_t restart_moved_at;    // first sample with the present restart_lsn
    int64_t confirmed_moved_at;  // the same for confirmed_lsn
    int64_t inactive_at;         // first sample without a consumer since there was one; 0 if there is one
    int64_t active_at;           // first sample with a consumer since there was none; 0 if there is none
    int64_t lagging_at;          // since when a relevant amount is not confirmed; 0 if none is
    uint64_t sent_lsn;
    int64_t stuck_at;  // first sample since which the walsender stands still before the end of WAL; 0 if it does not
    uint32_t pin_xid;
    int64_t pinned_at;     // first sample with pin_xid
    int64_t txns_at_move;  // decoded_txns when confirmed_lsn moved last
    Level level;
    int64_t calmer_at;  // first sample since which the level could be lower; 0 if it could not
    int64_t acted_at;   // when a policy acted last; 0 if never
};

// Slots move by whole records and a little is always on its way: less than this is nothing to name a cause for.
constexpr int64_t kNegligibleBytes = 1 << 20;

int64_t retained_bytes(const Observation &slot);
// The part of it that the consumer has yet to confirm. Of a logical slot that is still being created nothing: that
// waits for transactions, not for a consumer.
int64_t unconfirmed_bytes(const Observation &slot);

// Takes a sample into what is remembered, all but the verdict (level, calmer_at). `fresh` starts anew.
void remember(Track &track, const Observation &slot, int64_t now, bool fresh);

}  // namespace cdc::guard
