// Counting changes, and putting messages into their place.
#include "order.hpp"

#include "spool.hpp"

#include "../wire/renumber.hpp"

namespace cdc::plugin {

namespace {

// A run that is larger than this is not kept whole: one page of rows with large values could be beyond all bounds.
constexpr Size kLargestRun = 1 << 20;

void begin_run(LogicalDecodingContext *ctx, Stream *stream, XLogRecPtr lsn) {
    if (stream->spool == nullptr) {
        send_full_batch(ctx, stream);
    } else {
        spool_full_block(stream);
    }
    stream->run = Run{lsn, stream->batch.used, 0, stream->transaction.ordinal, stream->transaction.record_count};
}

void count(LogicalDecodingContext *ctx, Stream *stream) {
    if (stream->spool != nullptr) {
        spool_subtransaction(stream);
    }
    ++stream->transaction.ordinal;
    report_progress(ctx, stream);
}

TakenRun take_run(Stream *stream) {
    const Run &run = stream->run;
    wire::Buffer &batch = stream->batch;
    pg::reset_buffer(stream->aside, kLargestRun);
    stream->aside.append(batch.data + run.at, batch.used - run.at);
    TakenRun taken{nullptr, 0, stream->transaction.ordinal, stream->transaction.record_count};
    const Piece start = piece_at_run(stream);
    const Size first = first_piece_of_run(stream);
    taken.piece_count = 1 + stream->piece_count - first;
    taken.pieces = static_cast<Piece *>(MemoryContextAlloc(stream->context, taken.piece_count * sizeof(Piece)));
    taken.pieces[0] = start;
    memcpy(taken.pieces + 1, stream->pieces + first, (taken.piece_count - 1) * sizeof(Piece));
    taken.pieces[0].kind = PieceKind::kRecords;  // behind a definition
    stream->piece_count = first;
    batch.used = run.at;
    if (stream->full_at > run.at) {
        stream->full_at = 0;
    }
    stream->transaction.ordinal = run.ordinal;
    stream->transaction.record_count = run.record_count;
    if (stream->spool != nullptr) {
        open_piece(stream, taken.pieces[0]);
    }
    return taken;
}

}  // namespace

void count_change(LogicalDecodingContext *ctx, Stream *stream, XLogRecPtr lsn) {
    if (lsn != stream->run.lsn || stream->run.bytes > kLargestRun) {
        begin_run(ctx, stream, lsn);
    }
    count(ctx, stream);
}

TakenRun count_message(LogicalDecodingContext *ctx, Stream *stream, XLogRecPtr lsn) {
    TakenRun taken{};
    if (lsn == stream->run.lsn) {
        taken = take_run(stream);
    } else {
        begin_run(ctx, stream, lsn);
    }
    stream->run.lsn = InvalidXLogRecPtr;
    count(ctx, stream);
    return taken;
}

void put_back(Stream *stream, const TakenRun &taken) {
    if (taken.pieces == nullptr) {
        return;
    }
    OpenTransaction &transaction = stream->transaction;
    const uint8_t *const bytes = stream->aside.data;
    const Size start = taken.pieces[0].at;
    for (Size i = 0; i < taken.piece_count; ++i) {
        const Piece &piece = taken.pieces[i];
        const bool last = i + 1 == taken.piece_count;
        const Size end = last ? start + stream->aside.used : taken.pieces[i + 1].at;
        if (stream->spool != nullptr) {
            open_piece(stream, piece);
        }
        const std::string_view records(reinterpret_cast<const char *>(bytes) + (piece.at - start), end - piece.at);
        wire::Error error;
        if (!wire::append_renumbered(stream->batch, records, 1, error)) {
            elog(ERROR, "records that were just written are damaged: %s", error.what);
        }
        transaction.ordinal += (last ? taken.ordinal : taken.pieces[i + 1].ordinal) - piece.ordinal;
        transaction.record_count += (last ? taken.record_count : taken.pieces[i + 1].record_count) - piece.record_count;
    }
    if (stream->full_at == 0 && stream->batch.used >= static_cast<Size>(stream->options.batch_bytes)) {
        stream->full_at = 1;  // somewhere within
    }
    end_record(stream);
    pfree(taken.pieces);
}

}  // namespace cdc::plugin
