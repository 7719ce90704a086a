// Batches and what leads up to them.
#include "stream.hpp"

#include "spool.hpp"

#include "../pg/boundary.hpp"
#include "../pg/compat.hpp"
#include "../pg/text.hpp"
#include "../wire/records.hpp"
#include "../wire/render.hpp"

namespace cdc::plugin {

namespace {

static_assert(kMaxBatchBytes == static_cast<int64_t>(encode::kLargestBatch), "records are limited by it");
// A byte can become six in JSON (\u001f).
constexpr Size kJsonGrowth = 6;

// Memory that the batch keeps when it has been sent. More would stay with a walsender for ever after one large row.
Size kept_bytes(const Stream *stream) {
    return static_cast<Size>(stream->options.batch_bytes) * 2 + (64 << 10);
}

uint64 widen_xid(Stream *stream, TransactionId xid) {
    // Ids in the WAL that can still be decoded are within 2^31 of each other.
    const uint64 last = U64FromFullTransactionId(stream->last_xid);
    const auto distance = static_cast<int32>(xid - static_cast<uint32>(last));
    const uint64 wide = last + static_cast<uint64>(static_cast<int64>(distance));
    stream->last_xid = FullTransactionIdFromU64(wide);
    return wide;
}

std::string_view find_definition(void *relations, uint32_t relation_id) {
    return cached_definition(static_cast<RelationCache *>(relations), relation_id);
}

// With format=json each record becomes a message of its own: a line for pg_recvlogical, a row for SQL.
void send_as_json(LogicalDecodingContext *ctx, Stream *stream, bool last) {
    wire::Error error;
    wire::Reader batch(pg::contents(stream->batch), pg::contents(stream->batch).data(), error);
    wire::RecordView record;
    wire::Transaction transaction;
    transaction.known = true;
    transaction.xid = stream->transaction.xid;
    transaction.commit_lsn = stream->transaction.commit_lsn;
    wire::RenderOptions options = pg::render_options();
    options.lenient = true;  // an ERROR here would come again at each attempt
    while (wire::next_record(batch, record)) {
        const bool last_of_all = last && batch.at_end();
        OutputPluginPrepareWrite(ctx, last_of_all);
        wire::render_record(stream->json, record, transaction, {find_definition, stream->relations}, options);
        appendBinaryStringInfo(ctx->out, reinterpret_cast<char *>(stream->json.data),
                               static_cast<int>(stream->json.used));
        pg::reset_buffer(stream->json, kept_bytes(stream));
        if (error) {
            break;
        }
        OutputPluginWrite(ctx, last_of_all);
    }
    if (error) {
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not render a change record as JSON"),
                errdetail("%s at byte %zu of the record.", error.what, error.offset));
    }
}

void send_message(LogicalDecodingContext *ctx, const Stream *stream, std::string_view records, bool last) {
    OutputPluginPrepareWrite(ctx, last);
    if (stream->options.framing == Framing::kDelimited) {
        uint8_t length[wire::kMaxVarint];
        const uint8_t *const end = wire::put_varint(length, records.size());
        appendBinaryStringInfo(ctx->out, reinterpret_cast<char *>(length), static_cast<int>(end - length));
    }
    appendBinaryStringInfo(ctx->out, records.data(), static_cast<int>(records.size()));
    OutputPluginWrite(ctx, last);
}

// To be called at the end of each transaction; `sent` is false for one that was skipped.
void report_transaction_end(LogicalDecodingContext *ctx, Stream *stream, bool sent) {
    // Behind a transaction that was sent, the server only takes a sample of the lag, at most one a second, yet reads
    // the clock each time. Commit times are a clock that costs nothing.
    const int64 distance = stream->transaction.commit_time - stream->last_progress;
    if (!sent || distance >= USECS_PER_SEC || distance <= -USECS_PER_SEC) {
        stream->last_progress = stream->transaction.commit_time;
        pg::update_progress(ctx, !sent);
    }
}

}  // namespace

std::string_view find_origin_name(Stream *stream, RepOriginId origin) {
    // The commit of a transaction that was spooled is decoded outside of transactions, but for SQL functions.
    const bool outside = !IsTransactionState();
    const MemoryContext caller = CurrentMemoryContext;
    if (outside) {
        StartTransactionCommand();
    }
    MemoryContextSwitchTo(stream->encoder.scratch);
    stream->encoder.scratch_used = true;
    char *name = nullptr;
    const std::string_view found = replorigin_by_oid(origin, true, &name) ? pg::name_to_utf8(name) : std::string_view();
    if (outside) {
        AbortCurrentTransaction();
    }
    MemoryContextSwitchTo(caller);
    return found;
}

Stream *open_stream(LogicalDecodingContext *ctx, const Options &options) {
    const MemoryContext context = AllocSetContextCreate(ctx->context, "cdc_plugin stream", ALLOCSET_DEFAULT_SIZES);
    auto *const stream = static_cast<Stream *>(MemoryContextAllocZero(context, sizeof(Stream)));
    pg::must_be_trivial<Stream>();
    stream->context = context;
    stream->options = options;
    stream->batch = pg::make_buffer(context, kept_bytes(stream));

    encode::Encoder &encoder = stream->encoder;
    encoder.out = &stream->batch;
    encoder.scratch = AllocSetContextCreate(context, "cdc_plugin change", ALLOCSET_DEFAULT_SIZES);
    encoder.labels = encode::make_enum_labels(context);
    encoder.max_value_bytes =
        static_cast<Size>(options.max_value_bytes == 0 ? kMaxValueBytes : options.max_value_bytes);
    encoder.record_bytes = encode::kMaxRecordBytes;
    encoder.utf8 = GetDatabaseEncoding() == PG_UTF8;
    stream->aside = pg::make_buffer(context, 1024);
    prepare_spools(stream);
    if (options.format == Format::kJson) {
        encoder.record_bytes /= kJsonGrowth;
        stream->json = pg::make_buffer(context, kept_bytes(stream));
    }
    stream->relations = make_relation_cache(context, &stream->options, encoder.labels);
    pg::prepare_conversion();
    stream->last_xid = ReadNextFullTransactionId();
    return stream;
}

void begin_transaction(Stream *stream, const ReorderBufferTXN *txn) {
    sweep_relations(stream->relations);
    OpenTransaction &transaction = stream->transaction;
    transaction = OpenTransaction{};
    transaction.xid = widen_xid(stream, txn->xid);
    transaction.commit_lsn = txn->final_lsn;
    transaction.commit_time = pg::commit_time(txn);
    transaction.origin_id = txn->origin_id;
    transaction.origin_lsn = txn->origin_lsn;
    stream->run = Run{};
    stream->encoder.pinned = false;
}

void ensure_begun(LogicalDecodingContext *ctx, Stream *stream) {
    OpenTransaction &transaction = stream->transaction;
    if (transaction.begun || stream->spool != nullptr) {
        return;
    }
    wire::BeginRecord begin{};
    begin.xid = transaction.xid;
    begin.commit_lsn = transaction.commit_lsn;
    begin.commit_time_micros = transaction.commit_time;
    begin.has_origin = transaction.origin_id != InvalidRepOriginId;
    if (begin.has_origin) {
        begin.origin_name =
            transaction.origin_name.empty() ? find_origin_name(stream, transaction.origin_id) : transaction.origin_name;
        begin.origin_lsn = transaction.origin_lsn;
    }
    wire::write_begin(stream->batch, begin);
    transaction.begun = true;
    end_record(stream);
    send_full_batch(ctx, stream);
    stream->run.at = stream->batch.used;
}

void end_transaction(LogicalDecodingContext *ctx, Stream *stream, const ReorderBufferTXN *txn, XLogRecPtr commit_lsn) {
    const OpenTransaction &transaction = stream->transaction;
    const bool sent = transaction.begun || !stream->options.skip_empty_xacts;
    if (sent) {
        send_full_batch(ctx, stream);
        ensure_begun(ctx, stream);
        wire::CommitRecord record{};
        record.xid = transaction.xid;
        record.commit_lsn = commit_lsn;
        record.end_lsn = txn->end_lsn;
        record.commit_time_micros = transaction.commit_time;
        record.record_count = transaction.record_count;
        wire::write_commit(stream->batch, record);
        send_batch(ctx, stream, true);
    }
    report_transaction_end(ctx, stream, sent);
}

void ensure_defined(LogicalDecodingContext *ctx, Stream *stream, CachedRelation *relation) {
    // What comes before all that its WAL record brings is none of the run, and need not stay with it.
    const bool leads = stream->batch.used == stream->run.at;
    if (stream->spool != nullptr) {
        if (relation->spool_turn != stream->spool_turn) {
            spool_definition(stream, relation, leads);
            relation->spool_turn = stream->spool_turn;
        }
    } else if (relation->sent_fingerprint != relation->layout->fingerprint) {
        wire::write_relation_record(stream->batch, relation->layout->message);
        relation->sent_fingerprint = relation->layout->fingerprint;
        end_record(stream);
        if (leads) {
            send_full_batch(ctx, stream);
        }
    }
    if (leads) {
        stream->run.at = stream->batch.used;
    }
}

void send_full_batch(LogicalDecodingContext *ctx, Stream *stream) {
    wire::Buffer &batch = stream->batch;
    if (stream->options.format == Format::kJson ? batch.used == 0 : stream->full_at == 0) {
        return;
    }
    if (stream->options.format == Format::kJson || stream->full_at == batch.used) {
        send_batch(ctx, stream, false);
        return;
    }
    const std::string_view bytes = pg::contents(batch);
    wire::Error error;
    wire::Reader records(bytes, bytes.data(), error);
    wire::Field record;
    Size sent = 0;
    while (records.next(record)) {
        const auto end = static_cast<Size>(records.position() - bytes.data());
        if (end - sent >= static_cast<Size>(stream->options.batch_bytes)) {
            send_message(ctx, stream, bytes.substr(sent, end - sent), false);
            sent = end;
        }
    }
    const Size rest = batch.used - sent;
    memmove(batch.data, batch.data + sent, rest);
    reset_batch(stream);
    batch.used = rest;
    end_record(stream);
}

void reset_batch(Stream *stream) {
    pg::reset_buffer(stream->batch, kept_bytes(stream));
    stream->complete = 0;
    stream->full_at = 0;
}

void send_batch(LogicalDecodingContext *ctx, Stream *stream, bool last) {
    if (stream->options.format == Format::kJson) {
        send_as_json(ctx, stream, last);
    } else {
        send_message(ctx, stream, pg::contents(stream->batch), last);
    }
    reset_batch(stream);
}

void report_progress(LogicalDecodingContext *ctx, Stream *stream) {
    constexpr int kChangesBetweenReports = 100;  // as pgoutput does it
    if (pg::kPluginReportsProgress && ++stream->changes_since_progress >= kChangesBetweenReports) {
        stream->changes_since_progress = 0;
        pg::update_progress(ctx, false);
    }
}

}  // namespace cdc::plugin
