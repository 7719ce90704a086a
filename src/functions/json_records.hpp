// Batches opened for SQL: what cdc.decode() and the functions that show a slot's changes have in common.
#pragma once

#include "../pg/memory.hpp"
#include "../wire/reader.hpp"
#include "../wire/render.hpp"

namespace cdc::functions {

// The definitions of relations met so far, by OID.
struct Definitions;

// `context` also holds copies of the definitions, so that they outlive the batch that brought them.
Definitions *make_definitions(MemoryContext context);
void remember_definition(Definitions *definitions, const wire::RecordView &record, std::string_view relation);
wire::RelationSource source_of(Definitions *definitions);

// JSON text in a buffer as a jsonb datum, in CurrentMemoryContext.
Datum jsonb_from(wire::Buffer &text);

// An ERROR that says what is wrong with a batch and where, if anything is.
void check_batch(const wire::Error &error, Size batch_size);

}  // namespace cdc::functions
