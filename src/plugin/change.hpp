// Decoded changes, truncates and messages into records.
#pragma once

#include "stream.hpp"

namespace cdc::plugin {

void write_change(LogicalDecodingContext *ctx, Stream *stream, Relation relation, const ReorderBufferChange *change);

void write_truncate(LogicalDecodingContext *ctx, Stream *stream, int count, Relation *relations,
                    const ReorderBufferChange *change);

// txn is nullptr for a message outside of transactions.
void write_message(LogicalDecodingContext *ctx, Stream *stream, const ReorderBufferTXN *txn, XLogRecPtr lsn,
                   const char *prefix, std::string_view content);

}  // namespace cdc::plugin
