// Spools: writing, forgetting and sending them.
#include "spool.hpp"

#include "../pg/boundary.hpp"
#include "../pg/compat.hpp"
#include "../wire/records.hpp"
#include "../wire/renumber.hpp"

namespace cdc::plugin {

namespace {

// What is written at a time, at least.
constexpr Size kBlock = 64 << 10;

// What a block in the file begins with; `size` bytes of records and then the pieces follow.
struct Block {
    Size size;
    Size piece_count;
    uint64 ordinal;  // at its end, as the next one
    uint64 record_count;
};

}  // namespace

struct Spool {
    Spool *next;  // of all there are
    ReorderBufferTXN *txn;
    File file;       // -1: not made yet
    off_t size;      // bytes in it
    uint64 ordinal;  // of the last change, rolled back or not
    bool sent;
    RepOriginId origin_id;  // of its changes, as far as is known
    char *origin_name;      // as catalogs had it then; in UTF-8
};

namespace {

Spool *spool_of(const ReorderBufferTXN *txn) {
    return static_cast<Spool *>(txn->output_plugin_private);
}

Spool *find_or_make_spool(Stream *stream, ReorderBufferTXN *txn) {
    Spool *spool = spool_of(txn);
    if (spool == nullptr) {
        spool = static_cast<Spool *>(MemoryContextAllocZero(stream->context, sizeof(Spool)));
        spool->txn = txn;
        spool->file = -1;
        spool->next = stream->spools;
        stream->spools = spool;
        txn->output_plugin_private = spool;
    }
    return spool;
}

// An origin may be dropped before the commit is decoded, and then only here the catalogs of the transaction have its
// name. (Which origin it is, the first change says as a rule; the commit decides.)
void note_origin(Stream *stream, Spool *spool) {
    const RepOriginId origin = spool->txn->origin_id;
    if (origin != InvalidRepOriginId && origin != spool->origin_id) {
        const std::string_view name = find_origin_name(stream, origin);
        if (spool->origin_name != nullptr) {
            pfree(spool->origin_name);
        }
        spool->origin_id = origin;
        spool->origin_name = static_cast<char *>(MemoryContextAllocZero(stream->context, name.size() + 1));
        memcpy(spool->origin_name, name.data(), name.size());
    }
}

[[noreturn]] void file_failed(const char *what, File file) {
    ereport(ERROR, errcode_for_file_access(), errmsg("could not %s file \"%s\": %m", what, FilePathName(file)));
    pg_unreachable();
}

// As the files of the reorder buffer, which are removed by what follows "xid" in their names: when the slot is next
// used, and when the server starts.
File make_file(TransactionId xid) {
    char name[MAXPGPATH];
    snprintf(name, sizeof name, "pg_replslot/%s/xid-%u-cdc_plugin.spill", NameStr(MyReplicationSlot->data.name), xid);
    const File file = PathNameOpenFile(name, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
    if (file < 0) {
        ereport(ERROR, errcode_for_file_access(), errmsg("could not create file \"%s\": %m", name));
    }
    return file;
}

// The place of a block's head is kept free in the batch.
void begin_block(Stream *stream, const Piece &piece) {
    reset_batch(stream);
    stream->batch.reserve(sizeof(Block));
    stream->batch.used = sizeof(Block);
    stream->piece_count = 0;
    open_piece(stream, piece);
    end_record(stream);
}

Piece last_piece(const Stream *stream) {
    return stream->pieces[stream->piece_count - 1];
}

void write_block(Stream *stream) {
    Spool *const spool = stream->spool;
    wire::Buffer &batch = stream->batch;
    const OpenTransaction &transaction = stream->transaction;
    if (batch.used == sizeof(Block) && transaction.ordinal == stream->pieces[0].ordinal) {
        return;
    }
    const Block block{batch.used - sizeof(Block), stream->piece_count, transaction.ordinal, transaction.record_count};
    memcpy(batch.data, &block, sizeof block);
    batch.append(stream->pieces, stream->piece_count * sizeof(Piece));
    if (spool->file < 0) {
        spool->file = make_file(spool->txn->xid);
    }
    const auto size = static_cast<int>(batch.used);
    errno = 0;
    if (FileWrite(spool->file, reinterpret_cast<char *>(batch.data), size, spool->size,
                  WAIT_EVENT_REORDER_BUFFER_WRITE) != size) {
        if (errno == 0) {
            errno = ENOSPC;
        }
        file_failed("write to", spool->file);
    }
    spool->size += size;
    begin_block(stream, last_piece(stream));
}

// --- sending --------------------------------------------------------------------------------------------------------

// Reads a spool's file from its start to its end.
struct SpoolReader {
    File file;
    off_t end;
    off_t at;

    void read(void *to, Size size) {
        const auto wanted = static_cast<int>(size);
        int got = 0;
        if (size <= static_cast<Size>(end - at)) {
            // Up to 16 it returns an int.
            got = static_cast<int>(FileRead(file, static_cast<char *>(to), wanted, at, WAIT_EVENT_REORDER_BUFFER_READ));
        }
        if (got < 0) {
            file_failed("read", file);
        }
        if (got != wanted) {
            ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("file \"%s\" is damaged", FilePathName(file)),
                    errdetail("Of %d bytes at byte %lld there are %d.", wanted, static_cast<long long>(at), got));
        }
        at += static_cast<off_t>(size);
    }
};

int compare_xids(const void *a, const void *b) {
    const auto left = *static_cast<const TransactionId *>(a);
    const auto right = *static_cast<const TransactionId *>(b);
    return left < right ? -1 : left > right;
}

// The subtransactions of a transaction that has committed. Those that were rolled back are none of it any more; the
// server does not tell of each of them that it told changes of.
struct Survivors {
    TransactionId *xids;
    Size count;

    bool have(TransactionId xid) const {
        return !TransactionIdIsValid(xid) ||
               (count > 0 && bsearch(&xid, xids, count, sizeof xid, compare_xids) != nullptr);
    }
};

Survivors survivors_of(const Stream *stream, ReorderBufferTXN *txn) {
    Survivors survivors{nullptr, 0};
    const Size room = (static_cast<Size>(txn->nsubtxns) + 1) * sizeof(TransactionId);
    survivors.xids = static_cast<TransactionId *>(MemoryContextAllocHuge(stream->context, room));
    // (The macros for lists are not C++.)
    const dlist_node *const head = &txn->subtxns.head;
    for (const dlist_node *node = head->next; node != nullptr && node != head; node = node->next) {
        const char *const at = reinterpret_cast<const char *>(node) - offsetof(ReorderBufferTXN, node);
        survivors.xids[survivors.count++] = reinterpret_cast<const ReorderBufferTXN *>(at)->xid;
    }
    qsort(survivors.xids, survivors.count, sizeof(TransactionId), compare_xids);
    return survivors;
}

// Sends records one after the other, so that batches end where they would have ended without the spool.
void send_records(LogicalDecodingContext *ctx, Stream *stream, std::string_view records, uint64 dropped_ordinals) {
    wire::Error error;
    wire::Reader reader(records, records.data(), error);
    wire::Field field;
    for (const char *at = reader.position(); reader.next(field); at = reader.position()) {
        const std::string_view record(at, static_cast<Size>(reader.position() - at));
        if (dropped_ordinals == 0) {
            stream->batch.append(record.data(), record.size());
        } else {
            wire::append_renumbered(stream->batch, record, -static_cast<int64>(dropped_ordinals), error);
        }
        end_record(stream);
        send_full_batch(ctx, stream);
    }
    if (error) {
        ereport(ERROR, errcode(ERRCODE_DATA_CORRUPTED), errmsg("a spooled transaction is damaged"),
                errdetail("%s at byte %zu of %zu.", error.what, error.offset, records.size()));
    }
}

// Sends what is left of a block; returns the ordinals of what was rolled back in it.
uint64 send_block(LogicalDecodingContext *ctx, Stream *stream, const Survivors &survivors, const Block &block,
                  uint64 dropped_before) {
    const wire::Buffer &content = stream->aside;
    OpenTransaction &transaction = stream->transaction;
    const bool from_elsewhere = !stream->options.any_origin && transaction.origin_id != InvalidRepOriginId;
    const auto piece_at = [&](Size number) {
        Piece piece;
        memcpy(&piece, content.data + block.size + number * sizeof piece, sizeof piece);
        return piece;
    };
    uint64 dropped = 0;
    Piece piece = piece_at(0);
    for (Size i = 0; i < block.piece_count; ++i) {
        Piece next{};
        next.at = sizeof(Block) + block.size;
        next.ordinal = block.ordinal;
        next.record_count = block.record_count;
        if (i + 1 < block.piece_count) {
            next = piece_at(i + 1);
        }
        if (!survivors.have(piece.xid)) {
            dropped += next.ordinal - piece.ordinal;
        } else if (next.at > piece.at && !(piece.kind == PieceKind::kLocalOnly && from_elsewhere) &&
                   !(piece.kind == PieceKind::kDefinition &&
                     !mark_sent(stream->relations, piece.relation_id, piece.fingerprint))) {
            ensure_begun(ctx, stream);
            transaction.record_count += next.record_count - piece.record_count;
            send_records(ctx, stream, pg::contents(content).substr(piece.at - sizeof(Block), next.at - piece.at),
                         dropped_before + dropped);
        }
        piece = next;
    }
    return dropped;
}

// The files themselves go with the reorder buffer's. This runs behind an error as well, when the slot may be another
// process's already.
extern "C" void close_files(void *stream) {
    for (const Spool *spool = static_cast<Stream *>(stream)->spools; spool != nullptr; spool = spool->next) {
        if (spool->file >= 0) {
            FileClose(spool->file);
        }
    }
}

}  // namespace

void prepare_spools(Stream *stream) {
    constexpr Size kPieces = 16;
    stream->pieces = static_cast<Piece *>(MemoryContextAlloc(stream->context, kPieces * sizeof(Piece)));
    stream->piece_room = kPieces;
    auto *const callback =
        static_cast<MemoryContextCallback *>(MemoryContextAllocZero(stream->context, sizeof(MemoryContextCallback)));
    callback->func = close_files;
    callback->arg = stream;
    MemoryContextRegisterResetCallback(stream->context, callback);
}

void open_piece(Stream *stream, Piece piece) {
    piece.at = stream->batch.used;
    piece.ordinal = stream->transaction.ordinal;
    piece.record_count = stream->transaction.record_count;
    if (stream->piece_count > 0 && last_piece(stream).at == piece.at && last_piece(stream).ordinal == piece.ordinal) {
        --stream->piece_count;  // it is empty
    }
    if (stream->piece_count == stream->piece_room) {
        stream->piece_room *= 2;
        stream->pieces = static_cast<Piece *>(repalloc_huge(stream->pieces, stream->piece_room * sizeof(Piece)));
    }
    stream->pieces[stream->piece_count++] = piece;
}

Size first_piece_of_run(const Stream *stream) {
    const Run &run = stream->run;
    Size first = stream->piece_count;
    while (first > 1 && stream->pieces[first - 1].at >= run.at && stream->pieces[first - 1].ordinal >= run.ordinal) {
        --first;
    }
    return first;
}

Piece piece_at_run(const Stream *stream) {
    const Size first = first_piece_of_run(stream);
    Piece piece = first > 0 ? stream->pieces[first - 1] : Piece{};
    piece.at = stream->run.at;
    piece.ordinal = stream->run.ordinal;
    piece.record_count = stream->run.record_count;
    return piece;
}

void resume_spool(Stream *stream, ReorderBufferTXN *txn) {
    Spool *const spool = find_or_make_spool(stream, txn);
    note_origin(stream, spool);
    sweep_relations(stream->relations);
    stream->transaction = OpenTransaction{};
    stream->transaction.ordinal = spool->ordinal;
    stream->encoder.pinned = false;
    stream->spool = spool;
    // Definitions are spooled anew each time: those of before may be a subtransaction's that is rolled back by now.
    // (One that is not yet can be relied upon: what uses it and is written until then is rolled back together with it.)
    ++stream->spool_turn;
    stream->run = Run{};
    begin_block(stream, Piece{});
}

void pause_spool(Stream *stream) {
    stream->batch.used = stream->complete;
    for (Size i = stream->piece_count; i > 0 && stream->pieces[i - 1].at > stream->complete; --i) {
        stream->pieces[i - 1].at = stream->complete;
    }
    write_block(stream);
    reset_batch(stream);
    stream->piece_count = 0;
    stream->spool->ordinal = stream->transaction.ordinal;
    stream->spool = nullptr;
    MemoryContextReset(stream->encoder.scratch);
    stream->encoder.scratch_used = false;
}

void spool_subtransaction(Stream *stream) {
    // The server has it for its own purposes: the (sub)transaction of the change at hand, unless that has committed.
    // (Messages come without a word about theirs.)
    TransactionId xid = CheckXidAlive;
    if (xid == stream->spool->txn->xid) {
        xid = InvalidTransactionId;
    }
    if (xid != last_piece(stream).xid) {
        Piece piece{};
        piece.xid = xid;
        open_piece(stream, piece);
    }
}

void spool_full_block(Stream *stream) {
    if (stream->batch.used >= kBlock || stream->piece_count * sizeof(Piece) >= kBlock) {
        write_block(stream);
    }
}

void spool_definition(Stream *stream, const CachedRelation *relation, bool leads) {
    const uint64 ordinal = leads ? stream->run.ordinal : stream->transaction.ordinal;
    Piece piece{};
    piece.xid = last_piece(stream).xid;
    piece.kind = PieceKind::kDefinition;
    piece.relation_id = relation->relation_id;
    piece.fingerprint = relation->layout->fingerprint;
    open_piece(stream, piece);
    stream->pieces[stream->piece_count - 1].ordinal = ordinal;
    wire::write_relation_record(stream->batch, relation->layout->message);
    end_record(stream);
    piece.kind = PieceKind::kRecords;
    open_piece(stream, piece);
    stream->pieces[stream->piece_count - 1].ordinal = ordinal;
}

void spool_local_only(Stream *stream, bool local_only) {
    Piece piece{};
    piece.xid = last_piece(stream).xid;
    piece.kind = local_only ? PieceKind::kLocalOnly : PieceKind::kRecords;
    open_piece(stream, piece);
}

void send_spooled(LogicalDecodingContext *ctx, Stream *stream, ReorderBufferTXN *txn) {
    Spool *const spool = find_or_make_spool(stream, txn);
    if (spool->sent) {
        return;
    }
    begin_transaction(stream, txn);
    OpenTransaction &transaction = stream->transaction;
    // In txn there may be that of one of its changes by now; the record that is being decoded is the commit.
    transaction.origin_id = XLogRecGetOrigin(ctx->reader);
    if (spool->origin_name != nullptr && spool->origin_id == transaction.origin_id) {
        transaction.origin_name = spool->origin_name;
    }
    const Survivors survivors = survivors_of(stream, txn);
    uint64 dropped = 0;  // ordinals of changes that were rolled back
    for (SpoolReader reader{spool->file, spool->size, 0}; reader.at < reader.end;) {
        CHECK_FOR_INTERRUPTS();
        Block block;
        reader.read(&block, sizeof block);
        const Size size = block.size + block.piece_count * sizeof(Piece);
        pg::reset_buffer(stream->aside, kBlock);
        reader.read(stream->aside.reserve(size), size);
        stream->aside.used = size;
        dropped += send_block(ctx, stream, survivors, block, dropped);
        pg::update_progress(ctx, false);  // should all of it have been rolled back
    }
    pfree(survivors.xids);
    transaction.ordinal = spool->ordinal - dropped;
    spool->sent = true;
}

void forget_spooled(Stream *stream, ReorderBufferTXN *txn) {
    Spool *const spool = spool_of(txn);
    if (spool == nullptr) {
        return;
    }
    Spool **link = &stream->spools;
    while (*link != spool) {
        link = &(*link)->next;
    }
    *link = spool->next;
    txn->output_plugin_private = nullptr;
    if (spool->file >= 0) {
        char name[MAXPGPATH];
        strlcpy(name, FilePathName(spool->file), sizeof name);
        FileClose(spool->file);
        if (unlink(name) != 0) {
            ereport(WARNING, errcode_for_file_access(), errmsg("could not remove file \"%s\": %m", name));
        }
    }
    if (spool->origin_name != nullptr) {
        pfree(spool->origin_name);
    }
    pfree(spool);
}

}  // namespace cdc::plugin
