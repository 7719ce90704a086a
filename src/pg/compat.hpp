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

}  // namespace cdc::pg
