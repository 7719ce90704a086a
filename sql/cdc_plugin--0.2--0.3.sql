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

-- Slots in a terminal --------------------------------------------------------------------------------------------------
-- As psql prints it, a line has at most 100 columns: 21 + 8 + 20 + 8 + 9 + 4 + 9, and what stands between them.

CREATE VIEW cdc.slots_brief AS
    SELECT CASE WHEN pg_catalog.length(slot_name) > 21 THEN pg_catalog.left(slot_name, 20) || '~'
                ELSE slot_name::text END AS slot_name,
           level, cause,
           -- Single bytes would be the longest.
           CASE WHEN retained_bytes < 10240 THEN retained_bytes / 1024 || ' kB'
                ELSE pg_catalog.pg_size_pretty(retained_bytes) END AS retained,
           CASE WHEN pg_catalog.abs(headroom_bytes) < 10240 THEN headroom_bytes / 1024 || ' kB'
                ELSE pg_catalog.pg_size_pretty(headroom_bytes) END AS headroom,
           used_percent || '%' AS used,
           CASE WHEN seconds < 120 THEN pg_catalog.ceil(seconds) || ' s'
                WHEN seconds < 7200 THEN pg_catalog.floor(seconds / 60) || ' min'
                WHEN seconds < 172800 THEN pg_catalog.floor(seconds / 3600) || ' h'
                WHEN seconds < 864000000 THEN pg_catalog.floor(seconds / 86400) || ' days' END AS time_left
    FROM (SELECT *, pg_catalog.date_part('epoch', time_to_cap) AS seconds FROM cdc.slots) AS slots;
COMMENT ON VIEW cdc.slots_brief IS 'cdc.slots in lines for a terminal of 100 columns';

GRANT SELECT ON cdc.slots_brief TO pg_monitor;
