// cdc.peek_changes() and cdc.get_changes(): a slot's changes as rows, decoded from the very batches that a consumer
// would be sent.
#include "json_records.hpp"
#include "../pg/materialize.hpp"

#include "../pg/compat.hpp"
#include "../pg/text.hpp"

namespace {

using namespace cdc;

constexpr long kFetch = 64;  // messages at a time

enum Column { kCommitLsn, kOrdinal, kXid, kOp, kRelation, kBefore, kAfter, kDetails, kColumns };

struct Decoding {
    ReturnSetInfo *result;
    MemoryContext row;  // reset behind each event
    functions::Definitions *definitions;
    wire::Transaction transaction;
    XLogRecPtr end;  // behind the last transaction or message
    wire::Buffer text;
};

// UTF-8 in the server's encoding, in CurrentMemoryContext.
const char *server_text(std::string_view utf8) {
    const char *const copy = pnstrdup(utf8.data(), utf8.size());
    return pg_any_to_server(copy, static_cast<int>(utf8.size()), PG_UTF8);
}

const char *quoted_name(std::string_view definition) {
    const wire::RelationName name = wire::relation_name(definition);
    return quote_qualified_identifier(server_text(name.schema), server_text(name.name));
}

// Names of the tables of a truncate, with commas between.
Datum truncated_names(const Decoding &decoding, const wire::RecordView &record) {
    StringInfoData names;
    initStringInfo(&names);
    const wire::RelationSource source = functions::source_of(decoding.definitions);
    wire::each_truncated(record, [&](uint32_t relation_id) {
        if (names.len > 0) {
            appendStringInfoString(&names, ", ");
        }
        const std::string_view definition = source(relation_id);
        appendStringInfoString(&names, definition.empty() ? psprintf("%u", relation_id) : quoted_name(definition));
    });
    return CStringGetTextDatum(names.data);
}

struct Row {
    Datum values[kColumns];
    bool nulls[kColumns];

    void set(Column column, Datum value) {
        values[column] = value;
        nulls[column] = false;
    }
};

// What the other columns do not say: members that start with a comma become an object; no members, NULL.
void set_details(Row &row, wire::Buffer &text) {
    if (text.used > 0) {
        text.data[0] = '{';
        text.append('}');
        row.set(kDetails, functions::jsonb_from(text));
    }
}

void fill_change(Decoding &decoding, const wire::RecordView &record, const wire::EventView &event, Row &row) {
    const wire::RenderOptions options = pg::render_options();
    wire::Buffer &text = decoding.text;
    if (!event.relation.empty()) {
        row.set(kRelation, CStringGetTextDatum(quoted_name(event.relation)));
    }
    const auto set_row = [&](Column column, uint32_t list) {
        text.used = 0;
        wire::render_row(text, record, event, list, options);
        if (!record.body.error()) {
            row.set(column, functions::jsonb_from(text));
        }
    };
    if (event.before_kind != wire::Before::kNone) {
        set_row(kBefore, wire::change::before);
    }
    if (event.op != wire::Op::kDelete) {
        set_row(kAfter, wire::change::after);
    }
    text.used = 0;
    if (event.before_kind != wire::Before::kNone) {
        wire::put_text(
            text, event.before_kind == wire::Before::kFull ? ",\"before_kind\":\"full\"" : ",\"before_kind\":\"key\"");
    }
    wire::render_change_notes(text, record, event, options);
    set_details(row, text);
}

void fill_truncate(Decoding &decoding, const wire::RecordView &record, const wire::EventView &event, Row &row) {
    row.set(kRelation, truncated_names(decoding, record));
    wire::Buffer &text = decoding.text;
    text.used = 0;
    wire::put_text(text, event.cascade ? ",\"cascade\":true" : ",\"cascade\":false");
    wire::put_text(text, event.restart_identity ? ",\"restart_identity\":true" : ",\"restart_identity\":false");
    set_details(row, text);
}

void fill_message(Decoding &decoding, const wire::EventView &event, Row &row) {
    wire::Buffer &text = decoding.text;
    text.used = 0;
    wire::put_text(text, event.transactional ? ",\"transactional\":true" : ",\"transactional\":false");
    wire::put_text(text, ",\"lsn\":");
    wire::put_lsn(text, event.lsn);
    wire::render_message_members(text, event, pg::render_options());
    set_details(row, text);
}

void add_event(Decoding &decoding, const wire::RecordView &record) {
    wire::EventView event;
    if (!wire::read_event(record, functions::source_of(decoding.definitions), event)) {
        return;
    }
    Row row;
    for (bool &is_null : row.nulls) {
        is_null = true;
    }
    row.set(kOp, CStringGetTextDatum(wire::event_word(event)));
    if (record.kind != wire::record::message || event.transactional) {
        row.set(kCommitLsn, LSNGetDatum(decoding.transaction.commit_lsn));
        row.set(kOrdinal, Int64GetDatum(static_cast<int64>(event.ordinal)));
        row.set(kXid, FullTransactionIdGetDatum(FullTransactionIdFromU64(decoding.transaction.xid)));
    }
    if (record.kind == wire::record::change) {
        fill_change(decoding, record, event, row);
    } else if (record.kind == wire::record::truncate) {
        fill_truncate(decoding, record, event, row);
    } else {
        fill_message(decoding, event, row);
        if (!event.transactional) {
            decoding.end = event.lsn + 1;  // anywhere in the message's WAL record
        }
    }
    if (!record.body.error()) {
        tuplestore_putvalues(decoding.result->setResult, decoding.result->setDesc, row.values, row.nulls);
    }
}

void add_batch(Decoding &decoding, std::string_view batch) {
    wire::Error error;
    wire::Reader reader(batch, batch.data(), error);
    wire::RecordView record;
    while (wire::next_record(reader, record)) {
        CHECK_FOR_INTERRUPTS();
        switch (record.kind) {
            case wire::record::commit:
                decoding.end = wire::commit_end(record);
                wire::follow_transaction(record, decoding.transaction);
                break;
            case wire::record::begin:
                wire::follow_transaction(record, decoding.transaction);
                break;
            case wire::record::relation:
                functions::remember_definition(decoding.definitions, record, record.bytes);
                break;
            default: {
                const MemoryContext caller = MemoryContextSwitchTo(decoding.row);
                add_event(decoding, record);
                MemoryContextSwitchTo(caller);
                MemoryContextReset(decoding.row);
                break;
            }
        }
        functions::check_batch(error, batch.size());
    }
    functions::check_batch(error, batch.size());
}

// The options for the plugin: the caller's, which may not decide what this function itself must read, and two that it
// sets where the caller does not. The server counts messages towards upto_nchanges: with a limit, each record is one.
// And jsonb holds at most 256 MB, so larger values are shown by their size.
ArrayType *plugin_options(ArrayType *given, bool limited) {
    Datum *texts;
    bool *nulls;
    int count;
    deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &count);
    bool add_batch_bytes = limited;
    bool add_max_value_bytes = true;
    for (int i = 0; i < count; ++i) {
        if (nulls[i]) {
            return given;  // the server refuses it
        }
        if (i % 2 != 0) {
            continue;
        }
        const char *const name = TextDatumGetCString(texts[i]);
        if (strcmp(name, "format") == 0 || strcmp(name, "framing") == 0) {
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("option \"%s\" cannot be set here", name),
                    errdetail("This function decodes the records itself."),
                    errhint("To see the plugin's own output, call pg_logical_slot_peek_changes() with format=json, or "
                            "pg_logical_slot_peek_binary_changes()."));
        }
        add_batch_bytes = add_batch_bytes && strcmp(name, "batch_bytes") != 0;
        add_max_value_bytes = add_max_value_bytes && strcmp(name, "max_value_bytes") != 0;
    }
    if (ARR_NDIM(given) > 1 || count % 2 != 0) {
        return given;  // the server refuses it
    }
    auto *const all = static_cast<Datum *>(palloc(static_cast<Size>(count + 4) * sizeof(Datum)));
    memcpy(all, texts, static_cast<Size>(count) * sizeof(Datum));
    if (add_batch_bytes) {
        all[count++] = CStringGetTextDatum("batch_bytes");
        all[count++] = CStringGetTextDatum("1");
    }
    if (add_max_value_bytes) {
        all[count++] = CStringGetTextDatum("max_value_bytes");
        all[count++] = CStringGetTextDatum("64MB");
    }
    return construct_array(all, count, TEXTOID, -1, false, TYPALIGN_INT);
}

// A slot of another plugin would give bytes that are no batches; get_changes() would take them away on top of that.
void check_plugin(Name slot) {
    Oid types[] = {NAMEOID};
    Datum values[] = {NameGetDatum(slot)};
    SPI_execute_with_args("SELECT plugin FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", 1, types, values,
                          nullptr, true, 1);
    if (SPI_processed == 1) {
        const char *const plugin = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
        if (plugin != nullptr && strcmp(plugin, "cdc_plugin") != 0) {
            ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("replication slot \"%s\" does not belong to cdc_plugin", NameStr(*slot)),
                    errdetail("Its output plugin is \"%s\".", plugin),
                    errhint("Create a slot with pg_create_logical_replication_slot('...', 'cdc_plugin')."));
        }
    }
    // No such slot, or a physical one: the server says so itself.
    SPI_freetuptable(SPI_tuptable);
}

// Decodes what the slot holds up to `upto`; returns the number of messages.
uint64 decode_slot(Decoding &decoding, Datum slot, XLogRecPtr upto, Datum upto_nchanges, bool limited, Datum options) {
    Oid types[] = {NAMEOID, PG_LSNOID, INT4OID, TEXTARRAYOID};
    Datum values[] = {slot, LSNGetDatum(upto), upto_nchanges, options};
    const char nulls[] = {' ', ' ', limited ? ' ' : 'n', ' '};
    const Portal portal = SPI_cursor_open_with_args(
        nullptr, "SELECT data FROM pg_catalog.pg_logical_slot_peek_binary_changes($1, $2, $3, VARIADIC $4)", 4, types,
        values, nulls, false, 0);
    uint64 messages = 0;
    for (;;) {
        SPI_cursor_fetch(portal, true, kFetch);
        if (SPI_processed == 0) {
            break;
        }
        messages += SPI_processed;
        for (uint64 i = 0; i < SPI_processed; ++i) {
            bool is_null;
            const Datum data = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &is_null);
            if (!is_null) {
                const bytea *const batch = DatumGetByteaPP(data);
                add_batch(decoding, std::string_view(VARDATA_ANY(batch), VARSIZE_ANY_EXHDR(batch)));
            }
        }
        SPI_freetuptable(SPI_tuptable);
    }
    SPI_cursor_close(portal);
    return messages;
}

void advance_slot(Datum slot, XLogRecPtr upto) {
    Oid types[] = {NAMEOID, PG_LSNOID};
    Datum values[] = {slot, LSNGetDatum(upto)};
    // Not to where it already is or to what lies behind: that would be an ERROR.
    SPI_execute_with_args(
        "SELECT pg_catalog.pg_replication_slot_advance(slot_name, $2) FROM pg_catalog.pg_replication_slots "
        "WHERE slot_name = $1 AND confirmed_flush_lsn < $2",
        2, types, values, nullptr, false, 0);
}

// Rows of what the slot holds. To `consume` is to look first and to advance the slot then, to where was looked: a
// failure on the way (a value that jsonb cannot hold, a cancelled query) must not cost changes.
void show_changes(FunctionCallInfo fcinfo, bool consume) {
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("slot name must not be null"));
    }
    if (PG_ARGISNULL(3)) {
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("options must not be null"));
    }
    if (!PG_ARGISNULL(2) && PG_GETARG_INT32(2) < 0) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("upto_nchanges must not be negative"));
    }
    Decoding decoding{};
    decoding.result = pg::begin_set(fcinfo, false);
    const MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "cdc_plugin changes", ALLOCSET_DEFAULT_SIZES);
    decoding.row = AllocSetContextCreate(context, "cdc_plugin changes row", ALLOCSET_DEFAULT_SIZES);
    decoding.definitions = functions::make_definitions(context);
    decoding.text = pg::make_buffer(context, 1024);

    const bool limited = !PG_ARGISNULL(2);
    const Datum options = PointerGetDatum(plugin_options(PG_GETARG_ARRAYTYPE_P(3), limited));
    // Decided once, because the WAL goes on growing between looking and advancing.
    const XLogRecPtr end = pg::readable_wal_end();
    const XLogRecPtr upto = PG_ARGISNULL(1) ? end : Min(end, PG_GETARG_LSN(1));

    SPI_connect();
    check_plugin(PG_GETARG_NAME(0));
    const uint64 messages = decode_slot(decoding, PG_GETARG_DATUM(0), upto,
                                        limited ? PG_GETARG_DATUM(2) : static_cast<Datum>(0), limited, options);
    if (consume) {
        const int32 limit = limited ? PG_GETARG_INT32(2) : 0;
        const bool stopped_early = limit > 0 && messages >= static_cast<uint64>(limit);
        const XLogRecPtr consumed = stopped_early ? decoding.end : upto;
        if (!XLogRecPtrIsInvalid(consumed)) {
            advance_slot(PG_GETARG_DATUM(0), consumed);
        }
    }
    SPI_finish();
    MemoryContextDelete(context);
}

}  // namespace

extern "C" {
CDC_FUNCTION(cdc_peek_changes) {
    pg::guarded([=] { show_changes(fcinfo, false); });
    return static_cast<Datum>(0);
}

CDC_FUNCTION(cdc_get_changes) {
    pg::guarded([=] { show_changes(fcinfo, true); });
    return static_cast<Datum>(0);
}
}
