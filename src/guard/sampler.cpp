// Copies out under the server's own locks, as pg_get_replication_slots() does, and works on the copies.
#include "sampler.hpp"

#include <sys/statvfs.h>

#include "../pg/compat.hpp"
#include "settings.hpp"
#include "shared.hpp"

namespace cdc::guard {

namespace {

struct Sender {
    pid_t pid;
    XLogRecPtr sent;
};

int read_senders(Sender *out) {
    int count = 0;
    for (int i = 0; i < max_wal_senders; ++i) {
        WalSnd *const sender = &WalSndCtl->walsnds[i];
        SpinLockAcquire(&sender->mutex);
        const Sender copy{sender->pid, sender->sentPtr};
        SpinLockRelease(&sender->mutex);
        if (copy.pid != 0) {
            out[count++] = copy;
        }
    }
    return count;
}

// Transactions that have an id and run or are prepared, oldest first; none during recovery, when they run elsewhere.
struct Transactions {
    int count;
    TransactionId *xids;
    LockData *locks;  // read when they are asked for
    // The answers to the last questions: most slots ask for the same transaction.
    TransactionId asked;
    bool runs;
    int pid;  // 0 if it is prepared
    Oid database;
    int first;  // of find_holder(); -1 if it was not asked
    TransactionId holder;
};

int compare_xids(const void *left, const void *right) {
    const TransactionId a = *static_cast<const TransactionId *>(left);
    const TransactionId b = *static_cast<const TransactionId *>(right);
    return TransactionIdPrecedes(a, b) ? -1 : a == b ? 0 : 1;
}

void read_transactions(Transactions &running) {
    // Comes back with two locks held. What it returns is this process's own, so release them before anything can fail:
    // the guard's worker is in no transaction, whose abort would release them before the worker's exit wants them.
    const RunningTransactions data = GetRunningTransactionData();
    LWLockRelease(ProcArrayLock);
    LWLockRelease(XidGenLock);
    running.count = data->xcnt;
    running.xids = static_cast<TransactionId *>(palloc(sizeof(TransactionId) * static_cast<Size>(Max(data->xcnt, 1))));
    memcpy(running.xids, data->xids, sizeof(TransactionId) * static_cast<Size>(data->xcnt));
    qsort(running.xids, static_cast<Size>(running.count), sizeof(TransactionId), compare_xids);
}

// Whether a process holds a lock that only writers of a table take. (Transactions with an id that wrote nothing exist:
// they hold no WAL back.)
bool holds_write_lock(Transactions &running, int pid) {
    if (running.locks == nullptr) {
        running.locks = GetLockStatusData();
    }
    constexpr LOCKMASK kReaders = LOCKBIT_ON(AccessShareLock) | LOCKBIT_ON(RowShareLock);
    for (int i = 0; i < running.locks->nelements; ++i) {
        const LockInstanceData &lock = running.locks->locks[i];
        if (lock.pid == pid && lock.locktag.locktag_type == LOCKTAG_RELATION && (lock.holdMask & ~kReaders) != 0) {
            return true;
        }
    }
    return false;
}

void find_process(Transactions &running, TransactionId xid) {
    if (running.asked != xid) {
        running.asked = xid;
        running.pid = BackendXidGetPid(xid);
        running.runs = running.pid != 0 || TransactionIdIsInProgress(xid);
        const PGPROC *const proc = running.pid == 0 ? nullptr : BackendPidGetProc(running.pid);
        running.database = proc == nullptr ? InvalidOid : proc->databaseId;
    }
}

// The transaction that holds a slot back at its restart_lsn. Its first change lies behind that, and most transactions
// get their id with their first change, so it is the oldest whose id was given since. (That the slot's catalog_xmin is
// its id, as one might think, holds only if it was the oldest when it began.) Of several, one that has surely written.
TransactionId find_holder(Transactions &running, TransactionId since) {
    constexpr int kTried = 16;
    int first = 0;
    if (TransactionIdIsNormal(since)) {
        while (first < running.count && TransactionIdPrecedes(running.xids[first], since)) {
            ++first;
        }
        first = first == running.count ? 0 : first;  // an older one, then, which began to write late
    }
    if (running.first == first) {
        return running.holder;
    }
    const int end = Min(running.count, first + kTried);
    running.first = first;
    running.holder = first < end ? running.xids[first] : InvalidTransactionId;
    for (int i = first; i < end && end - first > 1; ++i) {
        find_process(running, running.xids[i]);
        if (running.pid == 0 ? running.runs : holds_write_lock(running, running.pid)) {
            running.holder = running.xids[i];
            break;
        }
    }
    return running.holder;
}

void read_server_cap(const Surroundings &around, ServerSlot &slot) {
    Observation &seen = slot.seen;
    if (max_slot_wal_keep_size_mb < 0 || seen.lost || seen.restart_lsn == 0) {
        return;
    }
    // As pg_replication_slots.safe_wal_size has it.
    const uint64 keep = Max(pg::mb_to_segments(max_slot_wal_keep_size_mb), pg::mb_to_segments(wal_keep_size_mb));
    const auto segment = static_cast<uint64>(wal_segment_size);
    const uint64 fail_lsn = (seen.restart_lsn / segment + keep + 1) * segment;
    seen.has_server_cap = true;
    seen.server_cap = static_cast<int64>(keep * segment);
    seen.server_headroom = static_cast<int64>(fail_lsn) - static_cast<int64>(around.wal_lsn);
}

// Empty slots aside, this is the order of pg_get_replication_slots(): the copy first, then what follows from it.
void copy_slot(ReplicationSlot *source, int index, ServerSlot &slot) {
    slot = ServerSlot{};
    slot.index = index;
    SpinLockAcquire(&source->mutex);
    const ReplicationSlotPersistentData data = source->data;
    slot.active_pid = pg::slot_pid(source);
    slot.server_inactive_since = pg::slot_inactive_since(source);
    SpinLockRelease(&source->mutex);

    slot.name = data.name;
    slot.plugin = data.plugin;
    slot.database = data.database;
    slot.catalog_xmin = data.catalog_xmin;
    slot.persistent = data.persistency == RS_PERSISTENT;
    Observation &seen = slot.seen;
    seen.restart_lsn = data.restart_lsn;
    seen.confirmed_lsn = data.confirmed_flush;
    seen.logical = OidIsValid(data.database);
    seen.temporary = data.persistency == RS_TEMPORARY;
    seen.synced = pg::slot_synced(data);
    seen.active = slot.active_pid != 0;
    seen.lost = pg::slot_invalidated(data);
}

// The server's answer for the segment that was asked for last: it is the same for all of a segment, and not cheap.
struct Segment {
    XLogSegNo number;
    WALAvailability availability;
};

WALAvailability availability_of(XLogRecPtr lsn, Segment &last) {
    if (XLogRecPtrIsInvalid(lsn)) {
        return WALAVAIL_INVALID_LSN;
    }
    const XLogSegNo number = lsn / static_cast<uint64>(wal_segment_size);
    if (last.availability == WALAVAIL_INVALID_LSN || last.number != number) {
        last = Segment{number, GetWALAvailability(lsn)};
    }
    return last.availability;
}

void find_wal_status(ServerSlot &slot, Segment &last) {
    switch (slot.seen.lost ? WALAVAIL_REMOVED : availability_of(slot.seen.restart_lsn, last)) {
        case WALAVAIL_INVALID_LSN:
            break;
        case WALAVAIL_RESERVED:
            slot.wal_status = "reserved";
            break;
        case WALAVAIL_EXTENDED:
            slot.wal_status = "extended";
            break;
        case WALAVAIL_UNRESERVED:
            slot.wal_status = "unreserved";
            break;
        case WALAVAIL_REMOVED:
            // Somebody reads it still: the server gives it until that one ends.
            slot.seen.lost = slot.seen.lost || slot.active_pid == 0;
            slot.wal_status = slot.seen.lost ? "lost" : "unreserved";
            break;
    }
}

void find_walsender(ServerSlot &slot, const Sender *senders, int count) {
    for (int i = 0; i < count; ++i) {
        if (senders[i].pid == slot.active_pid) {
            slot.seen.walsender = true;
            slot.seen.sent_lsn = senders[i].sent;
            return;
        }
    }
}

// What was to be the next transaction id at the slot's restart_lsn, where the guard knows.
TransactionId restart_xid_of(const ServerSlot &slot) {
    TransactionId xid = InvalidTransactionId;
    if (shared != nullptr) {
        LWLockAcquire(shared->lock, LW_SHARED);
        const SlotEntry &entry = entries[slot.index];
        if (entry.used && entry.track.restart_lsn == slot.seen.restart_lsn) {
            xid = entry.track.restart_xid;
        }
        LWLockRelease(shared->lock);
    }
    return xid;
}

void find_pin(const Surroundings &around, ServerSlot &slot, Transactions &running) {
    Observation &seen = slot.seen;
    if (seen.lost || seen.restart_lsn == 0) {
        return;
    }
    const bool pins = TransactionIdIsNormal(slot.catalog_xmin);
    if (pins) {
        seen.catalog_age = static_cast<int32>(around.next_xid - slot.catalog_xmin);
    }
    TransactionId xid = InvalidTransactionId;
    if (around.recovery) {
        // All that is known there. The id that comes next the server would take for one that runs.
        xid = seen.catalog_age > 0 ? slot.catalog_xmin : InvalidTransactionId;
    } else if (retained_bytes(seen) - unconfirmed_bytes(seen) > kNegligibleBytes) {
        xid = find_holder(running, restart_xid_of(slot));
    } else if (pins && running.count > 0) {
        xid = running.xids[0];  // catalog_xmin passes none that runs
    }
    if (!TransactionIdIsNormal(xid)) {
        return;
    }
    find_process(running, xid);
    if (!running.runs) {
        return;
    }
    seen.pin_xid = xid;
    seen.pin_pid = running.pid;
    seen.pin_prepared = running.pid == 0 && !around.recovery;  // during recovery: it runs on the primary
    seen.pin_database = running.database;
}

}  // namespace

Surroundings look_around() {
    Surroundings around{};
    around.at = steady_now();
    around.wall_at = GetCurrentTimestamp();
    around.recovery = RecoveryInProgress();
    around.wal_lsn = pg::written_wal_end(around.recovery);
    around.next_xid = XidFromFullTransactionId(ReadNextFullTransactionId());
    struct statvfs file_system;
    around.disk_free = statvfs(XLOGDIR, &file_system) == 0
                           ? static_cast<int64>(file_system.f_bavail) * static_cast<int64>(file_system.f_frsize)
                           : -1;
    return around;
}

int read_slots(const Surroundings &around, ServerSlot *out) {
    int count = 0;
    LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
    for (int i = 0; i < max_replication_slots; ++i) {
        ReplicationSlot *const slot = &ReplicationSlotCtl->replication_slots[i];
        if (slot->in_use) {
            copy_slot(slot, i, out[count++]);
        }
    }
    LWLockRelease(ReplicationSlotControlLock);
    if (count == 0) {
        return 0;
    }

    auto *const senders = static_cast<Sender *>(palloc(sizeof(Sender) * static_cast<Size>(Max(max_wal_senders, 1))));
    const int sender_count = read_senders(senders);
    Transactions running{};
    running.first = -1;
    if (!around.recovery) {
        read_transactions(running);
    }
    Segment last{0, WALAVAIL_INVALID_LSN};
    for (int i = 0; i < count; ++i) {
        ServerSlot &slot = out[i];
        Observation &seen = slot.seen;
        seen.wal_lsn = around.wal_lsn;
        seen.disk_free = around.disk_free;
        slot.policy = policy_of(settings.policies, NameStr(slot.name));
        seen.own_cap = slot.policy == nullptr ? 0 : slot.policy->cap;
        find_wal_status(slot, last);
        read_server_cap(around, slot);
        if (seen.active) {
            find_walsender(slot, senders, sender_count);
        }
        if (seen.logical) {
            find_pin(around, slot, running);
        }
        // Always where there is a client: what it had been given when it last confirmed anything must be known later.
        if (seen.logical && seen.walsender) {
            seen.decoded_txns = pg::decoded_transactions(slot.name);
        }
    }
    pfree(senders);
    return count;
}

bool is_still_read(const ServerSlot &slot) {
    ReplicationSlot *const source = &ReplicationSlotCtl->replication_slots[slot.index];
    SpinLockAcquire(&source->mutex);
    const bool read = source->in_use && pg::slot_pid(source) == slot.active_pid;
    SpinLockRelease(&source->mutex);
    return read;
}

}  // namespace cdc::guard
