// Decoded changes, truncates and messages into records.
#pragma once

#include "stream.hpp"

namespace cdc::plugin {

void write_change(LogicalDecodingContext *ctx, Stream *stream, Relation relation, const ReorderBufferChange *change);

void write_truncate(LogicalDecodingContext *ctx, Stream *stream, int count, Relation *relations,
                    const ReorderBufferChange *change);

void write_message(LogicalDecodingContext *ctx, Stream *stream, bool transactional, XLogRecPtr lsn, const char *prefix,
                   std::string_view content);

}  // namespace cdc::plugin
