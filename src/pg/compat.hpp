// What differs between PostgreSQL's major versions: every version test of the project but those for headers.
#pragma once

#include "postgres.hpp"

namespace cdc::pg {

// A change's tuples. Up to 16 they are wrapped in a buffer struct.
#if PG_VERSION_NUM >= 170000
inline HeapTuple change_tuple(HeapTuple tuple) {
    return tuple;
}
#else
inline HeapTuple change_tuple(ReorderBufferTupleBuf *buffer) {
    return buffer == nullptr ? nullptr : &buffer->tuple;
}
#endif

// A transaction's commit time.
inline TimestampTz commit_time(const ReorderBufferTXN *txn) {
#if PG_VERSION_NUM >= 190000
    return txn->commit_time;
#elif PG_VERSION_NUM >= 150000
    return txn->xact_time.commit_time;
#else
    return txn->commit_time;
#endif
}

// Tells the walsender where decoding is, so that lag is tracked, synchronous commits of skipped transactions return
// and a client that is sent nothing for long is not taken for dead.
inline void update_progress(LogicalDecodingContext *ctx, bool skipped_transaction) {
#if PG_VERSION_NUM >= 150000
    OutputPluginUpdateProgress(ctx, skipped_transaction);
#else
    (void) skipped_transaction;
    OutputPluginUpdateProgress(ctx);
#endif
}

// Whether the plugin itself has to call update_progress() inside of a long transaction.
#if PG_VERSION_NUM >= 160000
constexpr bool kPluginReportsProgress = false;
#else
constexpr bool kPluginReportsProgress = true;
#endif

// attalign of a column as a number of bytes.
inline uint8_t alignment(char attalign) {
    switch (attalign) {
        case TYPALIGN_DOUBLE:
            return ALIGNOF_DOUBLE;
        case TYPALIGN_INT:
            return ALIGNOF_INT;
        case TYPALIGN_SHORT:
            return ALIGNOF_SHORT;
        default:
            return 1;
    }
}

// Virtual generated columns (18) are not stored, so no row has a value for them.
inline bool is_virtual(const FormData_pg_attribute *attribute) {
#ifdef ATTRIBUTE_GENERATED_VIRTUAL
    return attribute->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
    (void) attribute;
    return false;
#endif
}

// Intervals have infinities from 17 on: all fields at their extreme.
inline bool is_infinite(const Interval *interval, bool *positive) {
#if PG_VERSION_NUM >= 170000
    *positive = INTERVAL_IS_NOEND(interval);
    return INTERVAL_NOT_FINITE(interval);
#else
    (void) interval;
    (void) positive;
    return false;
#endif
}

// The primary key's index, or InvalidOid.
inline Oid primary_key_index(Relation relation) {
#if PG_VERSION_NUM >= 180000
    return RelationGetPrimaryKeyIndex(relation, false);
#else
    return RelationGetPrimaryKeyIndex(relation);
#endif
}

// Whether a role may use a schema.
inline bool may_use_schema(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

// The number of a relation's file, as pg_class has it; each rewrite and TRUNCATE gives it another.
inline Oid file_number(const FormData_pg_class *row) {
    return row->relfilenode;
}

// How far there is WAL to decode.
inline XLogRecPtr readable_wal_end() {
    if (RecoveryInProgress()) {
        return GetXLogReplayRecPtr(nullptr);
    }
#if PG_VERSION_NUM >= 150000
    return GetFlushRecPtr(nullptr);
#else
    return GetFlushRecPtr();
#endif
}

// The prefix of this library's settings: what is set under it and not defined is a mistake.
inline void reserve_settings(const char *prefix) {
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved(prefix);
#else
    EmitWarningsOnPlaceholders(prefix);
#endif
}

// The end of WAL that slots are measured against.
inline XLogRecPtr written_wal_end(bool recovery) {
    if (!recovery) {
        return GetXLogWriteRecPtr();
    }
    const XLogRecPtr replayed = GetXLogReplayRecPtr(nullptr);
    const XLogRecPtr received = GetWalRcvFlushRecPtr(nullptr, nullptr);
    return replayed > received ? replayed : received;
}

// Megabytes of a setting as whole WAL segments; -1 is none.
inline uint64 mb_to_segments(int mb) {
    return mb < 0 ? 0 : static_cast<uint64>(mb) / (static_cast<uint64>(wal_segment_size) / (1024 * 1024));
}

// The process that has acquired a slot, or 0. The caller holds the slot's spinlock.
inline pid_t slot_pid(const ReplicationSlot *slot) {
#if PG_VERSION_NUM >= 190000
    return slot->active_proc == INVALID_PROC_NUMBER ? 0 : GetPGProcByNumber(slot->active_proc)->pid;
#else
    return slot->active_pid;
#endif
}

// Since when nobody has acquired a slot, where the server keeps that. The caller holds the slot's spinlock.
inline TimestampTz slot_inactive_since(const ReplicationSlot *slot) {
#if PG_VERSION_NUM >= 170000
    return slot->inactive_since;
#else
    (void) slot;
    return 0;
#endif
}

// Whether a slot is kept up from the primary, and nothing of this server's own.
inline bool slot_synced(const ReplicationSlotPersistentData &data) {
#if PG_VERSION_NUM >= 170000
    return data.synced;
#else
    (void) data;
    return false;
#endif
}

inline bool slot_invalidated(const ReplicationSlotPersistentData &data) {
#if PG_VERSION_NUM >= 160000
    return data.invalidated != RS_INVAL_NONE;
#else
    return XLogRecPtrIsInvalid(data.restart_lsn) && !XLogRecPtrIsInvalid(data.invalidated_at);
#endif
}

// Transactions that a slot's output plugin was given since statistics were reset; -1 if there are no statistics.
inline int64 decoded_transactions(const NameData &slot) {
    const auto *const statistics = pgstat_fetch_replslot(slot);
    return statistics == nullptr ? -1 : static_cast<int64>(statistics->total_txns);
}

// Writes a message that logical decoding shows outside of transactions, and makes it durable.
inline XLogRecPtr emit_message(const char *prefix, std::string_view content) {
#if PG_VERSION_NUM >= 170000
    return LogLogicalMessage(prefix, content.data(), content.size(), false, true);
#else
    const XLogRecPtr lsn = LogLogicalMessage(prefix, content.data(), content.size(), false);
    XLogFlush(lsn);
    return lsn;
#endif
}

}  // namespace cdc::pg
