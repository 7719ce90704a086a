\echo Use "ALTER EXTENSION cdc_plugin UPDATE TO '0.3'" to load this file. \quit

-- Snapshots ----------------------------------------------------------------------------------------------------------
-- Whoever may read a table may have it in this form. Settings are pinned while a batch is made, which parallel
-- workers may not do.

CREATE FUNCTION cdc.snapshot(
    relation regclass, first_block bigint DEFAULT 0, end_block bigint DEFAULT NULL, batch_bytes integer DEFAULT 65536,
    max_value_bytes bigint DEFAULT 0)
    RETURNS SETOF bytea AS 'MODULE_PATHNAME', 'cdc_snapshot' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 1000;
COMMENT ON FUNCTION cdc.snapshot(regclass, bigint, bigint, integer, bigint) IS
    'the rows of a table, or of a range of its blocks, as batches of records like a slot''s';

CREATE FUNCTION cdc.snapshot_blocks(relation regclass) RETURNS bigint
    AS 'MODULE_PATHNAME', 'cdc_snapshot_blocks' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION cdc.snapshot_blocks(regclass) IS 'the number of blocks of a table, to cut ranges for cdc.snapshot()';
