// The records of what changed.
#include "change.hpp"

#include "order.hpp"
#include "row_lists.hpp"
#include "spool.hpp"

#include "../encode/tuple.hpp"
#include "../pg/compat.hpp"
#include "../pg/text.hpp"
#include "../wire/records.hpp"
#include "../wire/value.hpp"

namespace cdc::plugin {

namespace {

constexpr uint8_t kBeforeElement = wire::element_tag(wire::change::before);
constexpr uint8_t kAfterElement = wire::element_tag(wire::change::after);

bool origin_selected(const Options &options, RepOriginId origin) {
    // Here and not in filter_by_origin_cb, which drops changes before they can be counted: ordinals must not depend on
    // options.
    return options.any_origin || origin == InvalidRepOriginId;
}

struct Operation {
    Action action;
    wire::Op op;
};

Operation operation_of(const ReorderBufferChange *change) {
    switch (change->action) {
        case REORDER_BUFFER_CHANGE_INSERT:
            return {kInsert, wire::Op::kInsert};
        case REORDER_BUFFER_CHANGE_UPDATE:
            return {kUpdate, wire::Op::kUpdate};
        case REORDER_BUFFER_CHANGE_DELETE:
            return {kDelete, wire::Op::kDelete};
        default:
            elog(ERROR, "unexpected change of type %d", static_cast<int>(change->action));
    }
    pg_unreachable();
}

wire::Before before_kind(const encode::RelationLayout &layout, HeapTuple old_tuple) {
    if (old_tuple == nullptr) {
        return wire::Before::kNone;
    }
    return layout.identity == wire::ReplicaIdentity::kFull ? wire::Before::kFull : wire::Before::kKey;
}

void encode_change(Stream *stream, const CachedRelation *cached, Relation relation, wire::Op op, HeapTuple old_tuple,
                   HeapTuple new_tuple) {
    const encode::RelationLayout &layout = *cached->layout;
    const TupleDesc descriptor = RelationGetDescr(relation);
    encode::Encoder &encoder = stream->encoder;
    wire::Buffer &out = stream->batch;
    const wire::Before before = before_kind(layout, old_tuple);

    const wire::Nested record = wire::begin_nested(out, wire::batch::records, cached->change_bytes + 3);
    const wire::Nested body = wire::begin_nested(out, wire::record::change, cached->change_bytes);
    uint8_t *at = out.reserve(4 * (1 + wire::kMaxVarint));
    *at++ = static_cast<uint8_t>(wire::tag(wire::change::op, wire::kVarint));
    *at++ = static_cast<uint8_t>(op);
    *at++ = static_cast<uint8_t>(wire::tag(wire::change::ordinal, wire::kVarint));
    at = wire::put_varint(at, stream->transaction.ordinal);
    *at++ = static_cast<uint8_t>(wire::tag(wire::change::relation_id, wire::kVarint));
    at = wire::put_varint(at, cached->relation_id);
    if (before != wire::Before::kNone) {
        *at++ = static_cast<uint8_t>(wire::tag(wire::change::before_kind, wire::kVarint));
        *at++ = static_cast<uint8_t>(before);
    }
    out.advance_to(at);

    encode::begin_change(encoder);
    RowLists lists{out.used, out.used, out.used};
    if (old_tuple != nullptr) {
        encode::encode_tuple(encoder, kBeforeElement, layout, descriptor, old_tuple, before == wire::Before::kKey);
        lists.after = out.used;
    }
    if (new_tuple != nullptr) {
        encode::encode_tuple(encoder, kAfterElement, layout, descriptor, new_tuple, false);
        lists.end = out.used;
        if (before == wire::Before::kFull) {
            // Only then: a key-only tuple has NULLs where it knows nothing.
            if (stream->options.changed_columns) {
                write_changed_columns(out, lists);
            }
            if (encode::has_unchanged_toast(new_tuple)) {
                fill_unchanged_toast(out, lists, encoder.limit);
            }
        }
    }
    wire::end_nested(out, body);
    wire::end_nested(out, record);
}

}  // namespace

void write_change(LogicalDecodingContext *ctx, Stream *stream, Relation relation, const ReorderBufferChange *change) {
    count_change(ctx, stream, change->lsn);
    const Operation operation = operation_of(change);
    if ((stream->options.actions & operation.action) == 0 || !origin_selected(stream->options, change->origin_id)) {
        return;
    }
    CachedRelation *const cached = find_relation(stream->relations, relation);
    if (!cached->selected) {
        return;
    }
    const HeapTuple old_tuple = pg::change_tuple(change->data.tp.oldtuple);
    const HeapTuple new_tuple = pg::change_tuple(change->data.tp.newtuple);
    ensure_begun(ctx, stream);
    ensure_defined(ctx, stream, cached);
    const Size start = stream->batch.used;
    encode_change(stream, cached, relation, operation.op, operation.op == wire::Op::kInsert ? nullptr : old_tuple,
                  operation.op == wire::Op::kDelete ? nullptr : new_tuple);
    cached->change_bytes = stream->batch.used - start;
    stream->run.bytes += cached->change_bytes;
    ++stream->transaction.record_count;
    if (stream->encoder.scratch_used) {
        MemoryContextReset(stream->encoder.scratch);
        stream->encoder.scratch_used = false;
    }
    end_record(stream);
}

void write_truncate(LogicalDecodingContext *ctx, Stream *stream, int count, Relation *relations,
                    const ReorderBufferChange *change) {
    count_change(ctx, stream, change->lsn);
    if ((stream->options.actions & kTruncate) == 0 || !origin_selected(stream->options, change->origin_id)) {
        return;
    }
    const MemoryContext caller = MemoryContextSwitchTo(stream->encoder.scratch);
    auto *const ids = static_cast<uint32 *>(palloc(static_cast<Size>(count) * sizeof(uint32)));
    MemoryContextSwitchTo(caller);
    Size selected = 0;
    for (int i = 0; i < count; ++i) {
        CachedRelation *const cached = find_relation(stream->relations, relations[i]);
        if (cached->selected) {
            ensure_begun(ctx, stream);
            ensure_defined(ctx, stream, cached);
            ids[selected++] = cached->relation_id;
        }
    }
    if (selected > 0) {
        wire::write_truncate(stream->batch, stream->transaction.ordinal, ids, selected, change->data.truncate.cascade,
                             change->data.truncate.restart_seqs);
        ++stream->transaction.record_count;
        end_record(stream);
    }
    MemoryContextReset(stream->encoder.scratch);
}

namespace {

// `local_only`: a filter that only the end of the transaction decides.
void put_message(LogicalDecodingContext *ctx, Stream *stream, bool transactional, bool local_only, XLogRecPtr lsn,
                 const char *prefix, std::string_view content) {
    const MemoryContext caller = MemoryContextSwitchTo(stream->encoder.scratch);
    wire::MessageRecord message{};
    message.ordinal = transactional ? stream->transaction.ordinal : 0;
    message.transactional = transactional;
    message.lsn = lsn;
    message.prefix = pg::name_to_utf8(prefix);
    if (content.size() > Min(stream->encoder.max_value_bytes, stream->encoder.record_bytes)) {
        message.too_large_bytes = content.size();
    } else {
        message.content = content;
    }
    if (local_only) {
        spool_local_only(stream, true);
    } else if (transactional) {
        ensure_begun(ctx, stream);
    }
    wire::write_message(stream->batch, message);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(stream->encoder.scratch);
    if (!transactional) {
        send_batch(ctx, stream, true);
        return;
    }
    ++stream->transaction.record_count;
    end_record(stream);
    if (local_only) {
        spool_local_only(stream, false);
    }
}

}  // namespace

void write_message(LogicalDecodingContext *ctx, Stream *stream, bool transactional, XLogRecPtr lsn, const char *prefix,
                   std::string_view content) {
    const TakenRun later = transactional ? count_message(ctx, stream, lsn) : TakenRun{};
    // Of a transaction in progress nothing says yet where it comes from. Outside of transactions a message is decoded
    // in the moment in which its WAL record is read.
    const bool in_progress = transactional && stream->spool != nullptr;
    const RepOriginId origin = transactional ? stream->transaction.origin_id : XLogRecGetOrigin(ctx->reader);
    const bool heartbeat = strcmp(prefix, wire::kHeartbeatPrefix) == 0;
    if (heartbeat ||
        ((in_progress || origin_selected(stream->options, origin)) && selects_message(stream->options, prefix))) {
        const bool local_only = in_progress && !heartbeat && !stream->options.any_origin;
        put_message(ctx, stream, transactional, local_only, lsn, prefix, content);
    }
    put_back(stream, later);
}

}  // namespace cdc::plugin
