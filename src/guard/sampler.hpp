// Reads the state of replication slots out of the server's shared memory: no catalog, no table, no snapshot.
#pragma once

#include "../pg/postgres.hpp"
#include "observation.hpp"
#include "policies.hpp"

namespace cdc::guard {

// The server at one moment.
struct Surroundings {
    int64 at;  // steady_now()
    TimestampTz wall_at;
    XLogRecPtr wal_lsn;
    int64 disk_free;  // -1 if the file system does not say
    TransactionId next_xid;
    bool recovery;
};

struct ServerSlot {
    int index;  // in ReplicationSlotCtl
    NameData name;
    NameData plugin;
    Oid database;  // invalid for a physical slot
    pid_t active_pid;
    TransactionId catalog_xmin;
    TimestampTz server_inactive_since;  // where the server knows: 17 and later
    const char *wal_status;             // as in pg_replication_slots, or nullptr
    bool persistent;
    const Policy *policy;  // into settings.policies, so until these are loaded again; nullptr if none fits
    Observation seen;
};

Surroundings look_around();

// Reads all slots into `out`, which has room for max_replication_slots; returns how many there are. Allocates in
// CurrentMemoryContext.
int read_slots(const Surroundings &around, ServerSlot *out);

// Whether the process that read a slot when it was sampled does so at this moment.
bool is_still_read(const ServerSlot &slot);

}  // namespace cdc::guard
