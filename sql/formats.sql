-- The plugin's own output: protobuf, framed protobuf, JSON lines.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE TABLE formats_row (id int PRIMARY KEY, t text, j json, n numeric[]);
ALTER TABLE formats_row REPLICA IDENTITY FULL;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_formats', 'cdc_plugin');
BEGIN;
INSERT INTO formats_row VALUES (1, E'line\nline\r\u2028\t"é😀', E'{\n  "a":\t"x\\ny",\r\n  "b": [1,2]\n}', '{1.0,NULL}');
UPDATE formats_row SET t = NULL;
SELECT pg_logical_emit_message(true, E'pre\nfix', E'con\ntent') IS NOT NULL AS emitted;
COMMIT;
DELETE FROM formats_row;
INSERT INTO formats_row SELECT i, repeat('x', 100) FROM generate_series(1, 500) AS i;
TRUNCATE formats_row;

-- JSON: a record is a line and a message, and is what cdc.decode() makes of the batches.
\pset format unaligned
SELECT regexp_replace(regexp_replace(data, '"(commit_lsn|end_lsn|lsn|commit_time|fingerprint)":"[^"]*"', '"\1":"..."',
                                     'g'), '"(xid|relation_id)":[0-9]*', '"\1":...', 'g') AS line
    FROM pg_logical_slot_peek_changes('regress_formats', NULL, 7, 'format', 'json')
         WITH ORDINALITY AS lines (lsn, xid, data, n)
    WHERE n < 11;
\pset format aligned
CREATE TEMPORARY TABLE lines AS
    SELECT n, data::jsonb AS record, data ~ '[\n\r]' AS broken
    FROM pg_logical_slot_peek_changes('regress_formats', NULL, NULL, 'format', 'json')
         WITH ORDINALITY AS lines (lsn, xid, data, n);
CREATE TEMPORARY TABLE records AS
    SELECT n, record
    FROM (SELECT string_agg(data, '') AS data
          FROM pg_logical_slot_peek_binary_changes('regress_formats', NULL, NULL)) AS d,
         cdc.decode(data) WITH ORDINALITY AS r (record, n);
SELECT count(*) AS lines, count(*) FILTER (WHERE broken) AS broken,
       count(*) FILTER (WHERE lines.record <> records.record) AS differ
    FROM lines FULL JOIN records USING (n);
-- batch_bytes makes no difference to it.
SELECT count(*) AS lines, count(*) FILTER (WHERE lines.record <> data::jsonb) AS differ
    FROM pg_logical_slot_peek_changes('regress_formats', NULL, NULL, 'format', 'json', 'batch_bytes', '64MB')
         WITH ORDINALITY AS other (lsn, xid, data, n)
    FULL JOIN lines USING (n);

-- Framed: each batch with its length in front.
CREATE FUNCTION unframed(framed bytea) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    length bigint := 0;
    at int := 0;
BEGIN
    LOOP
        length := length + ((get_byte(framed, at) & 127)::bigint << (7 * at));
        at := at + 1;
        EXIT WHEN get_byte(framed, at - 1) < 128;
    END LOOP;
    RETURN CASE WHEN length = octet_length(framed) - at THEN substring(framed FROM at + 1) END;
END
$$;
SELECT bytes, count(*) > 2 AS many,
       count(*) FILTER (WHERE framed.data IS NULL OR unframed(framed.data) IS DISTINCT FROM plain.data) AS differ
    FROM (VALUES ('1'), ('1kB'), ('64MB')) AS v (bytes),
         LATERAL (SELECT n, data FROM pg_logical_slot_peek_binary_changes('regress_formats', NULL, NULL,
                                                                       'framing', 'delimited', 'batch_bytes', bytes)
                  WITH ORDINALITY AS r (lsn, xid, data, n)) AS framed
         FULL JOIN
         LATERAL (SELECT n, data FROM pg_logical_slot_peek_binary_changes('regress_formats', NULL, NULL,
                                                                       'batch_bytes', bytes)
                  WITH ORDINALITY AS r (lsn, xid, data, n)) AS plain USING (n)
    GROUP BY bytes ORDER BY bytes;

-- The server does not give binary output as text. JSON it gives as bytes, too.
\set VERBOSITY sqlstate
SELECT count(*) FROM pg_logical_slot_peek_changes('regress_formats', NULL, NULL);
SELECT count(*) FROM pg_logical_slot_peek_changes('regress_formats', NULL, NULL, 'format', 'protobuf');
SELECT count(*) FROM pg_logical_slot_peek_changes('regress_formats', NULL, NULL, 'framing', 'delimited');
\set VERBOSITY default
SELECT count(*) AS differ
    FROM pg_logical_slot_peek_binary_changes('regress_formats', NULL, NULL, 'format', 'json')
         WITH ORDINALITY AS r (lsn, xid, data, n)
    FULL JOIN lines USING (n) WHERE convert_from(data, 'UTF8')::jsonb IS DISTINCT FROM record;

-- Slots of other plugins have nothing to show here, and must not lose what they hold.
CREATE PUBLICATION formats_publication FOR TABLE formats_row;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_formats_other', 'pgoutput');
INSERT INTO formats_row VALUES (1);
DO $$
BEGIN
    PERFORM cdc.get_changes('regress_formats_other', NULL, NULL,
                            'proto_version', '1', 'publication_names', 'formats_publication');
    RAISE 'no error' USING ERRCODE = 'assert_failure';  -- which OTHERS does not include
EXCEPTION WHEN OTHERS THEN NULL;
END
$$;
SELECT count(*) > 0 AS still_there
    FROM pg_logical_slot_peek_binary_changes('regress_formats_other', NULL, NULL, 'proto_version', '1',
                                             'publication_names', 'formats_publication');
SELECT pg_drop_replication_slot('regress_formats_other');
DROP PUBLICATION formats_publication;

-- Versions.
SELECT wire, library = extension AS same FROM cdc.version();
SELECT cdc.wire_version(), cdc.library_version() = extversion AS same FROM pg_extension WHERE extname = 'cdc_plugin';

DROP TABLE formats_row;
DROP FUNCTION unframed;
SELECT pg_drop_replication_slot('regress_formats');
