// The state of one decoding session, and the way of its records into messages of the slot.
#pragma once

#include "options.hpp"
#include "relation_cache.hpp"

#include "../encode/encoder.hpp"
#include "../pg/memory.hpp"
#include "../pg/postgres.hpp"

namespace cdc::plugin {

struct Spool;
struct Piece;

// The transaction that is being decoded.
struct OpenTransaction {
    uint64 xid;
    XLogRecPtr commit_lsn;
    TimestampTz commit_time;
    RepOriginId origin_id;
    std::string_view origin_name;  // if it is known already
    XLogRecPtr origin_lsn;
    uint64 ordinal;       // of the change decoded last, filtered or not
    uint64 record_count;  // changes, truncates and messages written
    bool begun;           // its Begin is written
};

// What came from the WAL record that was decoded last: see order.hpp.
struct Run {
    XLogRecPtr lsn;
    Size at;              // where its records start in the batch
    Size bytes;           // of its changes
    uint64 ordinal;       // before its first change
    uint64 record_count;  // likewise
};

struct Stream {
    Options options;
    MemoryContext context;
    wire::Buffer batch;  // records that are not sent yet
    Size complete;       // end of the last complete record in it
    Size full_at;        // end of the record that made it full; 0: it is not
    wire::Buffer json;   // with format=json, the record that is being sent
    encode::Encoder encoder;
    RelationCache *relations;
    OpenTransaction transaction;
    Run run;
    wire::Buffer aside;          // records that are to be rewritten
    FullTransactionId last_xid;  // to widen 32-bit ids by
    int changes_since_progress;
    TimestampTz last_progress;  // commit time of the transaction whose end was reported last

    // Transactions that are decoded before their end: see spool.hpp.
    Spool *spool;       // where records go now; nullptr: to the client
    Spool *spools;      // all there are
    uint64 spool_turn;  // counts how often one of them was resumed
    Piece *pieces;      // what the records in the batch are
    Size piece_count;
    Size piece_room;
};

// The name of a replication origin in UTF-8, in memory that lives until the scratch context is reset; empty if there is
// none any more.
std::string_view find_origin_name(Stream *stream, RepOriginId origin);

// Makes the stream of a decoding context, in that context's memory.
Stream *open_stream(LogicalDecodingContext *ctx, const Options &options);

inline Stream *stream_of(LogicalDecodingContext *ctx) {
    return static_cast<Stream *>(ctx->output_plugin_private);
}

void begin_transaction(Stream *stream, const ReorderBufferTXN *txn);

// Writes its Commit and sends what is left of it, unless it is empty and such are skipped.
void end_transaction(LogicalDecodingContext *ctx, Stream *stream, const ReorderBufferTXN *txn, XLogRecPtr commit_lsn);

// Writes the transaction's Begin, unless it is written.
void ensure_begun(LogicalDecodingContext *ctx, Stream *stream);

// Writes a relation's definition, unless the stream has it.
void ensure_defined(LogicalDecodingContext *ctx, Stream *stream, CachedRelation *relation);

// To be called behind each record.
inline void end_record(Stream *stream) {
    stream->complete = stream->batch.used;
    if (stream->full_at == 0 && stream->complete >= static_cast<Size>(stream->options.batch_bytes)) {
        stream->full_at = stream->complete;
    }
}

// Sends the batch, if it is full; in several messages, if more records were written since.
void send_full_batch(LogicalDecodingContext *ctx, Stream *stream);

// Empties the batch.
void reset_batch(Stream *stream);

// Sends what there is. `last`: it ends a transaction, so that the client may confirm its position.
void send_batch(LogicalDecodingContext *ctx, Stream *stream, bool last);

// To be called for each decoded change, written or not.
void report_progress(LogicalDecodingContext *ctx, Stream *stream);

}  // namespace cdc::plugin
