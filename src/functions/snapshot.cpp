// cdc.snapshot(): the rows of a table as batches in the stream's own format, one batch for each call, so that nothing
// is gathered anywhere. cdc.snapshot_blocks(): how many blocks there are to cut into ranges.
#include "snapshot_table.hpp"

#include "../encode/tuple.hpp"
#include "../pg/compat.hpp"
#include "../pg/materialize.hpp"
#include "../pg/owner.hpp"
#include "../pg/text.hpp"
#include "../wire/records.hpp"
#include "../wire/value.hpp"

namespace {

using namespace cdc;

constexpr uint8_t kAfterElement = wire::element_tag(wire::change::after);
constexpr int64 kMaxValueBytes = int64{1} << 30;  // no value can be larger

// What the caller asked for, checked.
struct Request {
    Oid table;
    int64 first_block;
    int64 end_block;
    Size batch_bytes;
    Size max_value_bytes;
};

// A snapshot between two of its batches. All of it lives as long as the set is asked for.
struct Reading {
    Relation table;  // nullptr when all has been read
    ExprContext *caller;
    Snapshot snapshot;
    TableScanDesc scan;  // nullptr if there are no blocks to read
    bool by_tid;         // which kind of scan it is
    TupleTableSlot *slot;
    encode::RelationLayout *layout;
    encode::Encoder encoder;
    wire::Buffer batch;  // a bytea: it starts with room for the header
    Size batch_bytes;
    Size row_bytes;  // size of the last record, as a guess for the next
    bool defined;    // the Relation record is written
};

Request read_request(FunctionCallInfo fcinfo) {
    for (int i = 0; i < PG_NARGS(); ++i) {
        static constexpr const char *kNames[] = {"relation", "first_block", "end_block", "batch_bytes",
                                                 "max_value_bytes"};
        if (PG_ARGISNULL(i) && i != 2) {
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", kNames[i]));
        }
    }
    Request request{};
    request.table = PG_GETARG_OID(0);
    request.first_block = PG_GETARG_INT64(1);
    request.end_block = PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2);
    if (request.first_block < 0 || request.end_block < request.first_block) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("invalid range of blocks: from %lld to %lld", static_cast<long long>(request.first_block),
                       static_cast<long long>(request.end_block)),
                errdetail("Blocks count from 0, and end_block is the first one behind the range."));
    }
    const int32 batch_bytes = PG_GETARG_INT32(3);
    if (batch_bytes < 1 || static_cast<Size>(batch_bytes) > encode::kLargestBatch) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid batch_bytes: %d", batch_bytes),
                errdetail("It may be 1 to %zu.", static_cast<size_t>(encode::kLargestBatch)));
    }
    const int64 max_value_bytes = PG_GETARG_INT64(4);
    if (max_value_bytes < 0 || max_value_bytes > kMaxValueBytes) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("invalid max_value_bytes: %lld", static_cast<long long>(max_value_bytes)),
                errdetail("It may be 0, for no limit, to %lld.", static_cast<long long>(kMaxValueBytes)));
    }
    request.batch_bytes = static_cast<Size>(batch_bytes);
    request.max_value_bytes = static_cast<Size>(max_value_bytes == 0 ? kMaxValueBytes : max_value_bytes);
    return request;
}

// Spelled out, because the server's macro for it does not compile without warnings.
ItemPointerData row_id(BlockNumber block, OffsetNumber offset) {
    return ItemPointerData{{static_cast<uint16>(block >> 16), static_cast<uint16>(block & 0xFFFF)}, offset};
}

// In order, from the first block on (not where another scan is at), and without pushing other tables out of the
// server's buffers.
void begin_scan(Reading *reading, const Request &request) {
    const Relation table = reading->table;
    const auto blocks = static_cast<int64>(RelationGetNumberOfBlocks(table));
    const int64 end = Min(request.end_block, blocks);
    if (request.first_block >= end) {
        return;
    }
    const auto first_block = static_cast<BlockNumber>(request.first_block);
    const auto end_block = static_cast<BlockNumber>(end);
    reading->by_tid = table->rd_tableam != GetHeapamTableAmRoutine();
    if (!reading->by_tid) {
        reading->scan = table_beginscan_strat(table, reading->snapshot, 0, nullptr, true, false);
        heap_setscanlimits(reading->scan, first_block, end_block - first_block);
    } else if (table->rd_tableam->scan_set_tidrange != nullptr) {
        ItemPointerData first = row_id(first_block, FirstOffsetNumber);
        ItemPointerData last = row_id(end_block - 1, MaxOffsetNumber);
        reading->scan = table_beginscan_tidrange(table, reading->snapshot, &first, &last);
    } else {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("cannot take a snapshot of table \"%s\"", RelationGetRelationName(table)),
                errdetail("Its access method cannot read ranges of blocks."));
    }
    reading->slot = table_slot_create(table, nullptr);
}

// Gives back what an ERROR would make the server clean up by itself.
extern "C" void end_reading(Datum datum) {
    auto *const reading = reinterpret_cast<Reading *>(DatumGetPointer(datum));
    if (reading->table == nullptr) {
        return;
    }
    if (reading->scan != nullptr) {
        ExecDropSingleTupleTableSlot(reading->slot);
        table_endscan(reading->scan);
        reading->scan = nullptr;
    }
    UnregisterSnapshot(reading->snapshot);
    table_close(reading->table, AccessShareLock);
    reading->table = nullptr;
}

Reading *begin_reading(FunctionCallInfo fcinfo, MemoryContext context) {
    const Request request = read_request(fcinfo);
    const MemoryContext caller = MemoryContextSwitchTo(context);
    auto *const reading = static_cast<Reading *>(palloc0(sizeof(Reading)));
    pg::must_be_trivial<Reading>();
    reading->batch_bytes = request.batch_bytes;
    reading->snapshot = RegisterSnapshot(GetActiveSnapshot());
    reading->table = functions::open_snapshot_table(request.table, reading->snapshot);
    reading->layout = encode::describe_relation(reading->table, context);
    reading->batch = pg::make_buffer(context, VARHDRSZ + 2 * request.batch_bytes);

    encode::Encoder &encoder = reading->encoder;
    encoder.out = &reading->batch;
    encoder.scratch = AllocSetContextCreate(context, "cdc_plugin snapshot row", ALLOCSET_DEFAULT_SIZES);
    encoder.labels = encode::make_enum_labels(context);
    encoder.max_value_bytes = request.max_value_bytes;
    encoder.record_bytes = encode::kMaxRecordBytes - VARHDRSZ;
    encoder.utf8 = GetDatabaseEncoding() == PG_UTF8;
    encoder.fetch = true;
    pg::prepare_conversion();

    begin_scan(reading, request);
    // For a caller that stops asking, as LIMIT does.
    reading->caller = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo)->econtext;
    RegisterExprContextCallback(reading->caller, end_reading, PointerGetDatum(reading));
    MemoryContextSwitchTo(caller);
    return reading;
}

void write_row(Reading *reading, HeapTuple tuple) {
    wire::Buffer &out = reading->batch;
    encode::Encoder &encoder = reading->encoder;
    const Size start = out.used;
    const wire::Nested record = wire::begin_nested(out, wire::batch::records, reading->row_bytes + 3);
    const wire::Nested body = wire::begin_nested(out, wire::record::change, reading->row_bytes);
    uint8_t *at = out.reserve(3 * (1 + wire::kMaxVarint));
    *at++ = static_cast<uint8_t>(wire::tag(wire::change::op, wire::kVarint));
    *at++ = static_cast<uint8_t>(wire::Op::kRead);
    *at++ = static_cast<uint8_t>(wire::tag(wire::change::relation_id, wire::kVarint));
    at = wire::put_varint(at, RelationGetRelid(reading->table));
    out.advance_to(at);
    encode::begin_change(encoder);
    encode::encode_tuple(encoder, kAfterElement, *reading->layout, reading->slot->tts_tupleDescriptor, tuple, false);
    wire::end_nested(out, body);
    wire::end_nested(out, record);
    reading->row_bytes = out.used - start;
    if (encoder.scratch_used) {
        MemoryContextReset(encoder.scratch);
        encoder.scratch_used = false;
    }
}

bool next_row(Reading *reading) {
    return reading->by_tid ? table_scan_getnextslot_tidrange(reading->scan, ForwardScanDirection, reading->slot)
                           : table_scan_getnextslot(reading->scan, ForwardScanDirection, reading->slot);
}

// Writes rows until the batch is full; false if there are no more.
bool write_rows(Reading *reading) {
    while (reading->scan != nullptr && next_row(reading)) {
        CHECK_FOR_INTERRUPTS();
        bool is_copy;
        const HeapTuple tuple = ExecFetchSlotHeapTuple(reading->slot, false, &is_copy);
        write_row(reading, tuple);
        if (is_copy) {
            heap_freetuple(tuple);
        }
        if (reading->batch.used - VARHDRSZ >= reading->batch_bytes) {
            return true;
        }
    }
    return false;
}

// The next batch, which is valid until the next call; nullptr if there is none.
bytea *next_batch(Reading *reading) {
    wire::Buffer &batch = reading->batch;
    if (reading->table == nullptr) {
        return nullptr;
    }
    pg::reset_buffer(batch, VARHDRSZ + 2 * reading->batch_bytes);
    batch.used = VARHDRSZ;
    reading->encoder.pinned = false;
    reading->encoder.owner = pg::make_owner();
    if (!reading->defined) {
        wire::write_relation_record(batch, reading->layout->message);
        reading->defined = true;
    }
    const bool more = write_rows(reading);
    pg::end_owner(reading->encoder.owner, false);
    reading->encoder.owner = nullptr;
    if (!more) {
        UnregisterExprContextCallback(reading->caller, end_reading, PointerGetDatum(reading));
        end_reading(PointerGetDatum(reading));
        if (batch.used == VARHDRSZ) {
            return nullptr;
        }
    }
    SET_VARSIZE(batch.data, batch.used);
    return reinterpret_cast<bytea *>(batch.data);
}

Datum snapshot(FunctionCallInfo fcinfo) {
    // Settings are pinned for the length of this call: the rest of the query must not see them. An ERROR undoes them,
    // too.
    const int settings = NewGUCNestLevel();
    if (SRF_IS_FIRSTCALL()) {
        FuncCallContext *const first = SRF_FIRSTCALL_INIT();
        first->user_fctx = begin_reading(fcinfo, first->multi_call_memory_ctx);
    }
    FuncCallContext *const call = SRF_PERCALL_SETUP();
    bytea *const batch = next_batch(static_cast<Reading *>(call->user_fctx));
    AtEOXact_GUC(false, settings);
    if (batch == nullptr) {
        SRF_RETURN_DONE(call);
    }
    SRF_RETURN_NEXT(call, PointerGetDatum(batch));
}

Datum snapshot_blocks(FunctionCallInfo fcinfo) {
    const Relation table = functions::open_snapshot_table(PG_GETARG_OID(0), GetActiveSnapshot());
    const auto blocks = static_cast<int64>(RelationGetNumberOfBlocks(table));
    table_close(table, AccessShareLock);
    return Int64GetDatum(blocks);
}

}  // namespace

extern "C" {
CDC_FUNCTION(cdc_snapshot) {
    return pg::guarded([=] { return snapshot(fcinfo); });
}

CDC_FUNCTION(cdc_snapshot_blocks) {
    return pg::guarded([=] { return snapshot_blocks(fcinfo); });
}
}
