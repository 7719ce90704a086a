#include "schema_source.hpp"

namespace cdc::consumer {

bool SchemaOfSource::fill(const Relation &relation, SchemaStep &step) {
    const Source::MissingValue missing = source_.missing_value(relation.id, step.column.attribute_number);
    if (missing.text && missing.json) {
        step.fill = SchemaStep::Fill{*missing.text, *missing.json};
    }
    return missing.known;
}

bool SchemaOfSource::started_empty(const Relation &relation) {
    if (!relation.is_partition()) {
        return true;
    }
    // A partition that was made as one is as old as its place in the tree; the row of a system column is never updated,
    // so it is as old as the table.
    const Result attached = source_.connection().query(
        "SELECT 1 FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_attribute AS a ON attrelid = inhrelid AND attnum "
        "= -1 WHERE inhrelid = $1::pg_catalog.oid AND i.xmin::pg_catalog.text <> a.xmin::pg_catalog.text",
        {std::to_string(relation.id)});
    return attached.rows() == 0;
}

}  // namespace cdc::consumer
