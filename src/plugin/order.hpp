// The order of what is decoded, and so its ordinals.
//
// The server merges the changes of a transaction and its subtransactions by LSN. A message's LSN is the end of its
// record, though, which is where the next record starts: a message of one subtransaction and a change of another may
// have the same, and the server may hand over either first, depending on what else is in memory. Here the message comes
// first, always, so that ids do not depend on that: a message that comes behind changes of its LSN takes the place in
// front of them. So what came from one WAL record stays in the batch until there is a change from another.
#pragma once

#include "stream.hpp"

namespace cdc::plugin {

// Counts a change or truncate, written or not; to be called before anything of it is written.
void count_change(LogicalDecodingContext *ctx, Stream *stream, XLogRecPtr lsn);

// What was written behind the place of a message.
struct TakenRun {
    Piece *pieces;  // nullptr: nothing
    Size piece_count;
    uint64 ordinal;       // of its last change
    uint64 record_count;  // at its end
};

// Counts a message of a transaction, and puts aside what it comes before. put_back() follows, whether the message was
// written or filtered.
TakenRun count_message(LogicalDecodingContext *ctx, Stream *stream, XLogRecPtr lsn);
void put_back(Stream *stream, const TakenRun &taken);

}  // namespace cdc::plugin
