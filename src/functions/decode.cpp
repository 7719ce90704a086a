// cdc.decode(bytea): the records of a batch as jsonb. The bytes may come from anywhere.
#include "json_records.hpp"
#include "../pg/materialize.hpp"

#include "../pg/text.hpp"

namespace {

using namespace cdc;

void decode(FunctionCallInfo fcinfo) {
    ReturnSetInfo *const result = pg::begin_set(fcinfo, true);
    const bytea *const bytes = PG_GETARG_BYTEA_PP(0);
    const std::string_view batch(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));

    const MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "cdc_plugin decode", ALLOCSET_DEFAULT_SIZES);
    const MemoryContext row = AllocSetContextCreate(context, "cdc_plugin decode row", ALLOCSET_DEFAULT_SIZES);
    functions::Definitions *const definitions = functions::make_definitions(context);
    wire::Buffer text = pg::make_buffer(context, 1024);
    wire::Transaction transaction;
    wire::Error error;
    wire::Reader reader(batch, batch.data(), error);
    wire::RecordView record;
    while (wire::next_record(reader, record)) {
        CHECK_FOR_INTERRUPTS();
        if (record.kind == wire::record::relation) {
            functions::remember_definition(definitions, record, record.bytes);
        }
        text.used = 0;
        wire::render_record(text, record, transaction, functions::source_of(definitions), pg::render_options());
        functions::check_batch(error, batch.size());
        const MemoryContext caller = MemoryContextSwitchTo(row);
        Datum value = functions::jsonb_from(text);
        bool is_null = false;
        tuplestore_putvalues(result->setResult, result->setDesc, &value, &is_null);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(row);
    }
    functions::check_batch(error, batch.size());
    MemoryContextDelete(context);
}

}  // namespace

extern "C" {
CDC_FUNCTION(cdc_decode) {
    pg::guarded([=] { decode(fcinfo); });
    return static_cast<Datum>(0);
}
}
