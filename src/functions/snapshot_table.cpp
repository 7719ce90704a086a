// The conditions for reading a table as the stream would have it.
#include "snapshot_table.hpp"

#include "../pg/compat.hpp"

namespace cdc::functions {

namespace {

const char *quoted_name(Relation table) {
    return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)), RelationGetRelationName(table));
}

void check_kind(Relation table) {
    const char *const name = RelationGetRelationName(table);
    const char *what = nullptr;
    switch (table->rd_rel->relkind) {
        case RELKIND_RELATION:
            break;
        case RELKIND_PARTITIONED_TABLE:
            ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("cannot take a snapshot of partitioned table \"%s\"", name),
                    errdetail("Rows are captured under the partitions that hold them."),
                    errhint("Name the partitions: SELECT relid FROM pg_partition_tree(%s) WHERE isleaf",
                            quote_literal_cstr(quoted_name(table))));
            break;
        case RELKIND_VIEW:
            what = "view";
            break;
        case RELKIND_MATVIEW:
            what = "materialized view";
            break;
        case RELKIND_FOREIGN_TABLE:
            what = "foreign table";
            break;
        case RELKIND_SEQUENCE:
            what = "sequence";
            break;
        case RELKIND_INDEX:
        case RELKIND_PARTITIONED_INDEX:
            what = "index";
            break;
        case RELKIND_COMPOSITE_TYPE:
            what = "composite type";
            break;
        default:
            what = "relation";
            break;
    }
    if (what != nullptr) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot take a snapshot of %s \"%s\"", what, name),
                errhint("Name a table."));
    }
    if (IsCatalogRelation(table)) {
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("cannot take a snapshot of system table \"%s\"", name),
                errdetail("Changes of system tables are never captured."));
    }
    if (table->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) {
        const bool temporary = table->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("cannot take a snapshot of %s table \"%s\"", temporary ? "temporary" : "unlogged", name),
                errdetail("Its changes are not in the WAL, so they are never captured."));
    }
}

// As a SELECT of all columns would be checked.
void check_privileges(Relation table) {
    const Oid id = RelationGetRelid(table);
    const Oid role = GetUserId();
    if (!pg::may_use_schema(RelationGetNamespace(table), role)) {
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, get_namespace_name(RelationGetNamespace(table)));
    }
    if (pg_class_aclcheck(id, role, ACL_SELECT) != ACLCHECK_OK &&
        pg_attribute_aclcheck_all(id, role, ACL_SELECT, ACLMASK_ALL) != ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(table));
    }
    if (check_enable_rls(id, InvalidOid, true) == RLS_ENABLED) {
        ereport(
            ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
            errmsg("row-level security of table \"%s\" would hide rows from the snapshot",
                   RelationGetRelationName(table)),
            errdetail("The stream has all rows, so a snapshot must have them, too."),
            errhint("Take it as a role with BYPASSRLS, or as the owner, to whom policies do not apply unless they are "
                    "forced."));
    }
}

// TRUNCATE and what rewrites a table give it a new file, in which an older snapshot finds nothing, or rows in other
// blocks. So the file must be the one that the snapshot sees in pg_class.
void check_file(Relation table, Snapshot snapshot) {
    const Relation catalog = table_open(RelationRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(RelationGetRelid(table)));
    const SysScanDesc scan = systable_beginscan(catalog, ClassOidIndexId, true, snapshot, 1, &key);
    const HeapTuple row = systable_getnext(scan);
    const bool same = HeapTupleIsValid(row) && pg::file_number(reinterpret_cast<Form_pg_class>(GETSTRUCT(row))) ==
                                                   pg::file_number(table->rd_rel);
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
    if (!same) {
        ereport(ERROR, errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                errmsg("table \"%s\" was rewritten after the snapshot was taken", RelationGetRelationName(table)),
                errdetail("TRUNCATE, and commands that rewrite a table, leave nothing for older snapshots to read."),
                errhint("Take a new snapshot: begin another transaction, or create the slot anew."));
    }
}

}  // namespace

Relation open_snapshot_table(Oid id, Snapshot snapshot) {
    const Relation table = try_relation_open(id, AccessShareLock);
    if (table == nullptr) {
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with OID %u", id));
    }
    check_kind(table);
    check_privileges(table);
    check_file(table, snapshot);
    return table;
}

}  // namespace cdc::functions
