-- cdc.snapshot(): the rows of a table as batches of records, whole and by ranges of blocks.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;
CREATE SCHEMA snapshot_test;
SET search_path = snapshot_test;

-- Batches concatenated are a batch, so that all rows find their definition.
CREATE FUNCTION records(source regclass, first bigint DEFAULT 0, behind bigint DEFAULT NULL, bytes int DEFAULT 65536)
    RETURNS SETOF jsonb LANGUAGE sql AS
    $$ SELECT cdc.decode(string_agg(s, '')) FROM (SELECT cdc.snapshot(source, first, behind, bytes) AS s) AS batches $$;
CREATE FUNCTION rows_of(source regclass, first bigint DEFAULT 0, behind bigint DEFAULT NULL, bytes int DEFAULT 65536)
    RETURNS SETOF jsonb LANGUAGE sql AS
    $$ SELECT r->'after' FROM records(source, first, behind, bytes) AS r WHERE r->>'record' = 'change' $$;

-- What it looks like: the definition first, then the rows.
CREATE TABLE small (id int PRIMARY KEY, note text);
INSERT INTO small VALUES (1, 'one'), (2, NULL), (3, '');
SELECT jsonb_pretty(r - 'relation_id' - 'columns' - 'fingerprint') AS record FROM records('small') AS r LIMIT 2;
SELECT r->'ordinal' AS ordinal, r->'op' AS op, r->'before' AS before, r->'after' AS after
    FROM records('small') AS r WHERE r->>'record' = 'change';
-- An empty table has a definition, too.
CREATE TABLE nothing (LIKE small);
SELECT r->>'record' AS record, r->>'table' AS name FROM records('nothing') AS r;
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
SELECT r->>'record' AS record, r->'after' AS after FROM records('no_columns') AS r;

-- The same rows as the stream's, in the same form, for all kinds of values.
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b date);
CREATE DOMAIN small_numbers AS int[] CHECK (array_length(VALUE, 1) < 5);
CREATE TABLE kinds (
    id int PRIMARY KEY, b boolean, n numeric, f float8, t text, c char(5), v varchar, bytes bytea, u uuid,
    d date, ts timestamp, tz timestamptz, tt timetz, i interval, j json, jb jsonb, ints int[], texts text[], m mood,
    p pair, dn small_numbers, box box, money money, r int4range, inet inet, o oid, name name, ch "char");
ALTER TABLE kinds REPLICA IDENTITY FULL;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_snapshot', 'cdc_plugin');
INSERT INTO kinds VALUES
    (1, true, 12.50, 1.5, 'Zoë', 'ab', 'x', '\x00ff', '00112233-4455-6677-8899-aabbccddeeff',
     '2020-02-29', '2020-02-29 12:00', '2020-02-29 12:00+02', '12:00+02', '1 day 02:00', '{"a": 1}', '{"a": [1, null]}',
     '{1,2,NULL}', '{{a,b},{c,d}}', 'happy', '(1,2020-02-29)', '{1}', '(1,2),(3,4)', 12.5, '[1,5)', '10.0.0.1/8', 17,
     'n', 'q'),
    (2, NULL, 'NaN', 'Infinity', '', '', '', '', NULL, 'infinity', '-infinity', 'infinity', NULL, '0', 'null', '"s"',
     '{}', '[0:1]={x,NULL}', 'sad', NULL, NULL, NULL, NULL, 'empty', NULL, NULL, NULL, NULL);
INSERT INTO kinds (id) VALUES (3);
SELECT count(*) AS different FROM
    (SELECT after FROM cdc.peek_changes('regress_snapshot') EXCEPT ALL SELECT rows_of('kinds')) AS d;
SELECT count(*) AS same FROM (SELECT after FROM cdc.get_changes('regress_snapshot')
    INTERSECT ALL SELECT rows_of('kinds')) AS d;
-- And the definition is the stream's, byte for byte.
UPDATE kinds SET b = b WHERE id = 1;
SELECT count(DISTINCT d->>'fingerprint') AS definitions FROM
    (SELECT cdc.decode(data) AS d
     FROM pg_logical_slot_get_binary_changes('regress_snapshot', NULL, NULL, 'tables', 'snapshot_test.kinds')
     UNION ALL SELECT records('kinds')) AS r
    WHERE d->>'record' = 'relation';

-- The caller's settings do not matter, and are back between the batches.
SET DateStyle = 'SQL, DMY';
SET bytea_output = escape;
SET extra_float_digits = -5;
SET TimeZone = 'Asia/Tokyo';
SELECT r->>'p' AS p, r->>'money' AS money FROM rows_of('kinds') AS r WHERE r->>'id' = '1';
SELECT length(cdc.snapshot('kinds', 0, NULL, 1)) > 0 AS batch, current_setting('DateStyle') AS style,
       '2020-02-29'::date AS day, current_setting('search_path') AS path, '\xff'::bytea AS bytes;
SET cursor_tuple_fraction = 1;
BEGIN;
DECLARE batches CURSOR FOR SELECT length(cdc.snapshot('kinds', 0, NULL, 1)) > 0 AS batch;
FETCH batches;
SHOW DateStyle;
SET LOCAL DateStyle = 'German';
FETCH batches;
SHOW DateStyle;
SAVEPOINT inner_one;
FETCH batches;
ROLLBACK TO inner_one;
FETCH ALL batches;
SHOW DateStyle;
COMMIT;
SHOW DateStyle;
SHOW search_path;
RESET DateStyle;
RESET bytea_output;
RESET extra_float_digits;
RESET TimeZone;
SET search_path = snapshot_test;

-- Ranges of blocks are the whole, each row once.
CREATE TABLE large (id int PRIMARY KEY, filler text);
ALTER TABLE large ALTER filler SET STORAGE PLAIN;
INSERT INTO large SELECT i, repeat('x', 400) FROM generate_series(1, 2000) AS i;
DELETE FROM large WHERE id % 7 = 0;
UPDATE large SET filler = 'y' WHERE id % 5 = 0;
SELECT cdc.snapshot_blocks('large') > 50 AS many, cdc.snapshot_blocks('large') = pg_relation_size('large')
    / current_setting('block_size')::int AS as_stored, cdc.snapshot_blocks('nothing') AS none;
SELECT count(*) AS batches, bool_and(octet_length(s) BETWEEN 4000 AND 4800) AS of_that_size
    FROM (SELECT s, row_number() OVER () AS n, count(*) OVER () AS last
          FROM (SELECT cdc.snapshot('large', 0, 20, 4000) AS s) AS b) AS b
    WHERE n < last;
CREATE TABLE read AS
    SELECT n AS range, (r->>'id')::int AS id FROM generate_series(0, 200, 10) AS n, rows_of('large', n, n + 10) AS r;
SELECT count(*) > count(DISTINCT id) AS twice, count(*) = (SELECT count(*) FROM large) AS whole,
       count(DISTINCT range) > 5 AS ranges
    FROM read;
SELECT count(*) FROM rows_of('large') AS r FULL JOIN large AS l ON to_jsonb(l) = r WHERE r IS NULL OR l IS NULL;
-- Ranges that are empty, or behind the end.
SELECT count(*) FROM rows_of('large', 3, 3);
SELECT count(*) FROM rows_of('large', 100000);
SELECT count(*) FROM rows_of('large', 100000, 9223372036854775807);
SELECT count(*) = (SELECT count(*) FROM large) AS whole FROM rows_of('large', 0, 5000000000);

-- Callers that stop early.
SELECT length(cdc.snapshot('large', batch_bytes => 1000)) > 0 AS batch LIMIT 2;
SELECT locktype, mode FROM pg_locks WHERE relation = 'large'::regclass AND pid = pg_backend_pid();
BEGIN;
DECLARE batches CURSOR FOR SELECT length(cdc.snapshot('large', batch_bytes => 1000)) > 0 AS batch;
FETCH 2 FROM batches;
SELECT mode FROM pg_locks WHERE relation = 'large'::regclass AND pid = pg_backend_pid();
-- Rows that come while the cursor is open are not in it.
INSERT INTO large SELECT i, 'late' FROM generate_series(10001, 10500) AS i;
CLOSE batches;
SELECT mode FROM pg_locks WHERE relation = 'large'::regclass AND pid = pg_backend_pid() AND mode = 'AccessShareLock';
DECLARE late CURSOR FOR SELECT cdc.snapshot('large', batch_bytes => 1000) AS batch;
MOVE 1 FROM late;
DELETE FROM large;
DO $$
DECLARE
    late refcursor := 'late';
    batch bytea;
    records bigint := 0;
BEGIN
    LOOP
        FETCH late INTO batch;
        EXIT WHEN NOT FOUND;
        records := records + (SELECT count(*) FROM cdc.decode(batch));
    END LOOP;
    RAISE NOTICE 'rows were still found: %', records > 1500;
END $$;
ROLLBACK;
-- An ERROR in mid-scan, and on with it.
DO $$
DECLARE
    batch bytea;
BEGIN
    FOR batch IN SELECT cdc.snapshot('large', batch_bytes => 1000) LOOP
        RAISE 'enough';
    END LOOP;
EXCEPTION WHEN raise_exception THEN
    RAISE NOTICE '%, and rows: %', SQLERRM, (SELECT count(*) FROM rows_of('large')) = (SELECT count(*) FROM large);
END $$;
-- Two at once, for several tables, and more than once in one query.
SELECT count(a) > 5 AS a, count(b) AS b FROM
    (SELECT cdc.snapshot('large') AS a, cdc.snapshot('small') AS b) AS both_of_them;
SELECT t, sum(octet_length(s)) > 0 AS bytes
    FROM unnest('{small,kinds,large,nothing}'::regclass[]) AS t, LATERAL cdc.snapshot(t) AS s GROUP BY t ORDER BY t::text;

-- Values out of line and compressed are fetched; larger ones are sized, if that is asked for.
CREATE TABLE toasted (id int, plain text, packed text, j jsonb);
ALTER TABLE toasted ALTER plain SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT i, repeat('abc', 20000), repeat('def', 20000), to_jsonb(repeat('ghi', 20000))
    FROM generate_series(1, 20) AS i;
INSERT INTO toasted SELECT 21, string_agg(md5(i::text), ''), string_agg(md5(i::text), ''), '[]' FROM generate_series(1, 9000) AS i;
SELECT count(*) AS rows, bool_and(to_jsonb(t) = r) AS same FROM rows_of('toasted') AS r JOIN toasted AS t ON t.id = (r->>'id')::int;
SELECT r - 'relation_id' AS record FROM cdc.decode(
    (SELECT string_agg(s, '') FROM (SELECT cdc.snapshot('toasted', max_value_bytes => 1000) AS s) AS b)) AS r
    WHERE r->'after'->>'id' IN ('1', '21');

-- Columns that were dropped and added since, and generated ones.
CREATE TABLE shaped (gone text, id int, area int GENERATED ALWAYS AS (id * 10) STORED, also_gone int DEFAULT 7);
INSERT INTO shaped (gone, id) VALUES ('x', 1), (NULL, 2);
ALTER TABLE shaped DROP gone, ADD added int DEFAULT 5, ADD word text DEFAULT 'fast default', ADD empty text;
ALTER TABLE shaped DROP also_gone;
INSERT INTO shaped (id, added) VALUES (3, NULL);
ALTER TABLE shaped ADD last numeric NOT NULL DEFAULT 1.50, ADD list int[] DEFAULT '{1,2}';
SELECT rows_of('shaped');
CREATE TABLE "Quoted ""Name" ("A b" int, "é" text);
INSERT INTO "Quoted ""Name" VALUES (1, 'ü');
SELECT r->>'table' AS name, r->'after' AS after FROM records('"Quoted ""Name"') AS r;

-- A table that was rewritten in the same transaction; an older snapshot that finds nothing in it is in the isolation
-- test.
BEGIN ISOLATION LEVEL REPEATABLE READ;
TRUNCATE small;
INSERT INTO small VALUES (9, 'nine');
SELECT rows_of('small');
ALTER TABLE small ALTER id TYPE bigint;
SELECT rows_of('small');
ROLLBACK;
SELECT count(*) FROM rows_of('small');
BEGIN;
CREATE TABLE fresh AS SELECT 1 AS id;
SELECT rows_of('fresh');
ROLLBACK;

-- What has no snapshot.
CREATE VIEW a_view AS SELECT 1;
CREATE MATERIALIZED VIEW a_matview AS SELECT 1;
CREATE SEQUENCE a_sequence;
CREATE TABLE parts (id int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parts DEFAULT;
INSERT INTO parts VALUES (1);
CREATE TEMPORARY TABLE a_temporary (id int);
CREATE UNLOGGED TABLE an_unlogged (id int);
SELECT cdc.snapshot('a_view');
SELECT cdc.snapshot('a_matview');
SELECT cdc.snapshot('a_sequence');
SELECT cdc.snapshot('small_pkey');
SELECT cdc.snapshot('pair');
SELECT cdc.snapshot('parts');
SELECT cdc.snapshot('a_temporary');
SELECT cdc.snapshot('an_unlogged');
SELECT cdc.snapshot('pg_class');
SELECT cdc.snapshot(reltoastrelid) FROM pg_class WHERE oid = 'pg_proc'::regclass;
SELECT cdc.snapshot(0);
SELECT cdc.snapshot_blocks('a_view');
SELECT cdc.snapshot_blocks(NULL) IS NULL AS unknown;
SELECT rows_of(relid) FROM pg_partition_tree('parts') WHERE isleaf;
-- Wrong arguments.
SELECT cdc.snapshot(NULL);
SELECT cdc.snapshot('small', NULL);
SELECT cdc.snapshot('small', 0, 1, NULL);
SELECT cdc.snapshot('small', -1);
SELECT cdc.snapshot('small', 2, 1);
SELECT cdc.snapshot('small', 0, -1);
SELECT cdc.snapshot('small', batch_bytes => 0);
SELECT cdc.snapshot('small', batch_bytes => 67108865);
SELECT cdc.snapshot('small', max_value_bytes => -1);
SELECT cdc.snapshot('small', max_value_bytes => 1073741825);
\set VERBOSITY sqlstate
SELECT cdc.snapshot('a_view');
SELECT cdc.snapshot('parts');
SELECT cdc.snapshot('small', 2, 1);
\set VERBOSITY default

-- Who may have one: whoever may read the whole table.
CREATE ROLE regress_cdc_reader;
SET ROLE regress_cdc_reader;
SELECT cdc.snapshot('snapshot_test.small');
RESET ROLE;
SELECT 'small'::regclass::oid AS small \gset
SET ROLE regress_cdc_reader;
SELECT cdc.snapshot(:small);
RESET ROLE;
GRANT USAGE ON SCHEMA snapshot_test TO regress_cdc_reader;
GRANT SELECT (id) ON small TO regress_cdc_reader;
SET ROLE regress_cdc_reader;
SELECT cdc.snapshot('small');
SELECT cdc.snapshot_blocks('small');
RESET ROLE;
GRANT SELECT (note) ON small TO regress_cdc_reader;
SET ROLE regress_cdc_reader;
SELECT count(*) AS batches FROM cdc.snapshot('small');
RESET ROLE;
REVOKE SELECT (id, note) ON small FROM regress_cdc_reader;
GRANT SELECT ON small TO regress_cdc_reader;
SET ROLE regress_cdc_reader;
SELECT count(*) AS batches FROM cdc.snapshot('small');
RESET ROLE;
-- Row-level security that applies to the caller would leave rows out.
ALTER TABLE small ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON small USING (true);
SET ROLE regress_cdc_reader;
SELECT cdc.snapshot('small');
SET row_security = off;
SELECT cdc.snapshot('small');
RESET row_security;
RESET ROLE;
SELECT count(*) AS batches FROM cdc.snapshot('small');
ALTER ROLE regress_cdc_reader BYPASSRLS;
SET ROLE regress_cdc_reader;
SELECT count(*) AS batches FROM cdc.snapshot('small');
RESET ROLE;

SET client_min_messages = warning;
DROP OWNED BY regress_cdc_reader;
DROP ROLE regress_cdc_reader;
DROP SCHEMA snapshot_test CASCADE;
SELECT pg_drop_replication_slot('regress_snapshot');
