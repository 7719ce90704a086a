// Large transactions before their end: encoded as they are decoded, kept in a file beside the slot, sent at their
// commit.
//
// The server keeps what it decoded of a transaction until that ends; what does not fit in logical_decoding_work_mem it
// writes to disk and reads back change by change, with three system calls for each. A plugin that takes changes of
// transactions in progress is handed them instead. This one does, and shows nothing of it on the wire: the client gets
// whole transactions, in commit order, byte for byte as if they had fitted in memory.
//
// A spool is a run of blocks: records, and behind them pieces, which say what the records are. Those of one
// subtransaction are a piece, because each can be rolled back by itself, which only comes out later: they are then left
// out, and the ordinals behind them lowered. Definitions of relations are pieces, too: the stream may have them, or
// others, when the transaction is sent.
#pragma once

#include "stream.hpp"

namespace cdc::plugin {

enum class PieceKind : uint32 { kRecords, kLocalOnly, kDefinition };

// Where a piece starts; it goes to the start of the next one.
struct Piece {
    PieceKind kind;
    TransactionId xid;  // the subtransaction; InvalidTransactionId for what cannot be rolled back by itself
    Oid relation_id;    // of a definition, as the next one
    uint64 fingerprint;
    Size at;              // in the batch; in the file, in the block
    uint64 ordinal;       // of the last change before it, written or not
    uint64 record_count;  // before it
};

// Once for a stream.
void prepare_spools(Stream *stream);

// Directs what is written from now on into the transaction's spool, which is made if need be.
void resume_spool(Stream *stream, ReorderBufferTXN *txn);

// Ends that, and drops a record that was begun and not finished: its transaction was rolled back in the meantime.
void pause_spool(Stream *stream);

// To be called before a change is counted: it may be of another subtransaction than the one before.
void spool_subtransaction(Stream *stream);

// Writes a block, if there is enough for one. To be called between records.
void spool_full_block(Stream *stream);

// `leads`: it stands in front of the run.
void spool_definition(Stream *stream, const CachedRelation *relation, bool leads);

// Around the record of a message that is left out if its transaction turns out to come from another origin.
void spool_local_only(Stream *stream, bool local_only);

// Starts a piece that is like another one, with what is written next.
void open_piece(Stream *stream, Piece piece);

// The piece that the start of the stream's run is in, as if it started there; and the number of the first one that
// starts behind that, or there. (Without a spool there are none.)
Piece piece_at_run(const Stream *stream);
Size first_piece_of_run(const Stream *stream);

// Begins a transaction that has committed, and sends what it has spooled, unless that is done already. What is decoded
// of it afterwards is sent as usual.
void send_spooled(LogicalDecodingContext *ctx, Stream *stream, ReorderBufferTXN *txn);

// Ends its spool.
void forget_spooled(Stream *stream, ReorderBufferTXN *txn);

}  // namespace cdc::plugin
