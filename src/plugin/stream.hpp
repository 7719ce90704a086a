// The state of one decoding session, and the way of its records into messages of the slot.
#pragma once

#include "options.hpp"
#include "relation_cache.hpp"

#include "../encode/encoder.hpp"
#include "../pg/memory.hpp"
#include "../pg/postgres.hpp"

namespace cdc::plugin {

// The transaction that is being decoded.
struct OpenTransaction {
    uint64 xid;
    XLogRecPtr commit_lsn;
    TimestampTz commit_time;
    RepOriginId origin_id;
    XLogRecPtr origin_lsn;
    uint64 ordinal;       // of the change decoded last, filtered or not
    uint64 record_count;  // changes, truncates and messages written
    bool begun;           // its Begin is written
};

struct Stream {
    Options options;
    MemoryContext context;
    wire::Buffer batch;  // records that are not sent yet
    wire::Buffer json;   // with format=json, the record that is being sent
    encode::Encoder encoder;
    RelationCache *relations;
    OpenTransaction transaction;
    FullTransactionId last_xid;  // to widen 32-bit ids by
    int changes_since_progress;
    TimestampTz last_progress;  // commit time of the transaction whose end was reported last
};

// Makes the stream of a decoding context, in that context's memory.
Stream *open_stream(LogicalDecodingContext *ctx, const Options &options);

inline Stream *stream_of(LogicalDecodingContext *ctx) {
    return static_cast<Stream *>(ctx->output_plugin_private);
}

void begin_transaction(Stream *stream, const ReorderBufferTXN *txn);

// Writes the transaction's Begin, unless it is written.
void ensure_begun(LogicalDecodingContext *ctx, Stream *stream);

// Writes a relation's definition, unless the stream has it.
void ensure_defined(LogicalDecodingContext *ctx, Stream *stream, CachedRelation *relation);

// To be called behind each record: sends the batch if it is full.
void end_record(LogicalDecodingContext *ctx, Stream *stream);

// Sends what there is. `last`: the message ends a transaction, so that the client may confirm its position.
void send_batch(LogicalDecodingContext *ctx, Stream *stream, bool last);

// To be called for each decoded change, written or not.
void report_progress(LogicalDecodingContext *ctx, Stream *stream);

// To be called at the end of each transaction; `sent` is false for one that was skipped.
void report_transaction_end(LogicalDecodingContext *ctx, Stream *stream, bool sent);

}  // namespace cdc::plugin
