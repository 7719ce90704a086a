// What the guard's worker keeps in shared memory: bounded rings of samples and of alerts, which sessions read. It is
// there only if the library is preloaded.
#pragma once

#include "../pg/postgres.hpp"
#include "rates.hpp"
#include "verdict.hpp"

namespace cdc::guard {

constexpr uint64 kAlerts = 256;
constexpr Size kGidRoom = 200;  // GIDSIZE

// What there is to know of an alert. Numbered from 1 for ever.
struct Alert {
    uint64 number;
    TimestampTz raised_at;
    NameData slot;
    bool action;  // something was done; else the level changed
    Level level;
    Level previous;
    Cause cause;
    Cause also;
    CapSource cap_source;
    int64 retained;
    int64 cap;
    int64 headroom;
    int64 time_to_cap;
    int64 disk_free;
    uint32 xid;  // of the transaction that holds WAL back
    int32 pid;   // its process, 0 if it is prepared
    char gid[kGidRoom];
    NameData database;
    char message[256];
    char detail[384];
    char hint[384];
};

struct SlotSample {
    uint64 restart_lsn;
    uint64 confirmed_lsn;
    int64 headroom;
    int8 percent;
    bool active;
    Level level;
    Cause cause;
};
static_assert(sizeof(SlotSample) == 32, "docs/settings.md says how much memory the history takes");

struct SlotEntry {
    bool used;
    NameData name;
    uint64 first_tick;  // the ring holds this slot's samples from here on
    Track track;
    TimestampTz inactive_since;  // 0 if it is active
    // The last heartbeat in the slot's database, and how long it took until the consumer had confirmed it (-1: it has
    // not yet).
    Oid database;
    uint64 heartbeat_lsn;
    TimestampTz heartbeat_at;
    int64 echo;
};

struct Shared {
    LWLock *lock;  // for all of this
    pid_t worker_pid;
    uint64 history;  // ticks that the rings hold
    uint64 ticks;    // taken so far; the newest one is ticks - 1
    WalRate wal;     // over the newest ticks
    int64 peak_bytes;
    int64 last_cost;  // microseconds that a sample took
    int64 most_cost;
    int64 total_cost;
    uint64 alerts;    // raised so far
    uint64 notified;  // of these, handed to LISTEN or given up
    Alert ring[kAlerts];
};

extern Shared *shared;       // nullptr if the library is not preloaded
extern Tick *ticks;          // [history]
extern SlotEntry *entries;   // [max_replication_slots], as ReplicationSlotCtl
extern SlotSample *samples;  // [history][max_replication_slots]: a sample writes them in a row

inline SlotSample &sample_at(int slot, uint64 tick) {
    return samples[tick % shared->history * static_cast<uint64>(max_replication_slots) + static_cast<uint64>(slot)];
}

inline Alert &alert_at(uint64 number) {
    return shared->ring[number % kAlerts];
}

// To be called while the library is preloaded.
void request_shared();

// Microseconds of a clock that never jumps.
int64 steady_now();

// Fills in when WAL was at the slot's positions. The caller holds the lock.
void find_times(Observation &slot);

// The WAL's and a slot's rates at the newest tick. The caller holds the lock.
Flow flow_of(int slot);

// The transaction id that was to come next at an LSN, or an earlier one; 0 if the ring does not reach back so far. The
// caller holds the lock.
uint32 next_xid_at(XLogRecPtr lsn);

// The tick from which on the rings hold samples of a slot that is there since `first`. The caller holds the lock.
uint64 first_kept(uint64 first);

}  // namespace cdc::guard
