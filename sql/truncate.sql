-- TRUNCATE: of one table and of several, with CASCADE and RESTART IDENTITY, under filters.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;

CREATE SCHEMA truncate_test;
SET search_path = truncate_test;
CREATE TABLE a (id int PRIMARY KEY, v text);
CREATE TABLE b (id serial PRIMARY KEY, a int REFERENCES a);
CREATE TABLE c (id int PRIMARY KEY);
CREATE TABLE root (id int) PARTITION BY RANGE (id);
CREATE TABLE leaf_1 PARTITION OF root FOR VALUES FROM (0) TO (10);
CREATE TABLE leaf_2 PARTITION OF root FOR VALUES FROM (10) TO (20);
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
CREATE UNLOGGED TABLE unlogged (id int);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_truncate', 'cdc_plugin');
CREATE FUNCTION truncates(VARIADIC options text[] DEFAULT '{}')
    RETURNS TABLE (ordinal bigint, op text, relation text, details jsonb)
    LANGUAGE sql AS $$
        SELECT ordinal, op, replace(relation, 'truncate_test.', ''), details
        FROM cdc.peek_changes('regress_truncate', NULL, NULL, VARIADIC options)
    $$;
PREPARE next AS SELECT pg_replication_slot_advance('regress_truncate', pg_current_wal_lsn()) IS NOT NULL AS advanced;

INSERT INTO c VALUES (1);
TRUNCATE c;
TRUNCATE c;
TRUNCATE b, c;
TRUNCATE c, b;
TRUNCATE a, b;
TRUNCATE a CASCADE;
TRUNCATE c RESTART IDENTITY;
TRUNCATE a, c RESTART IDENTITY CASCADE;
SELECT * FROM truncates();
EXECUTE next;

-- Amid other changes; rolled back.
BEGIN;
INSERT INTO a VALUES (1, 'a');
INSERT INTO b (a) VALUES (1);
TRUNCATE b;
SAVEPOINT s;
TRUNCATE a CASCADE;
INSERT INTO c VALUES (1);
ROLLBACK TO s;
INSERT INTO b (a) VALUES (1);
TRUNCATE c;
DELETE FROM b;
COMMIT;
BEGIN;
TRUNCATE a CASCADE;
ROLLBACK;
SELECT * FROM truncates();
EXECUTE next;

-- A table that was made in the same transaction; tables that are not decoded.
BEGIN;
CREATE TABLE d (id int);
INSERT INTO d VALUES (1);
TRUNCATE d;
INSERT INTO d VALUES (2);
COMMIT;
TRUNCATE unlogged;
TRUNCATE unlogged, d;
CREATE TEMPORARY TABLE temporary (id int);
TRUNCATE temporary;
SELECT * FROM truncates();
EXECUTE next;

-- Partitions and children go with their parent, which is named too.
TRUNCATE root;
TRUNCATE leaf_1;
TRUNCATE parent;
TRUNCATE ONLY parent;
SELECT * FROM truncates();
EXECUTE next;

-- Filters: the tables that are selected; none is no event.
TRUNCATE a, b, c;
INSERT INTO c VALUES (2);
SELECT * FROM truncates('tables', '*.a');
SELECT * FROM truncates('exclude_tables', '*.a');
SELECT * FROM truncates('exclude_tables', 'truncate_test.*');
SELECT * FROM truncates('actions', 'insert,update,delete');
SELECT * FROM truncates('actions', 'truncate');
-- In records, each with its definition ahead.
SELECT record->>'record' AS record, record->>'table' AS "table", record->>'cascade' AS cascade,
       (SELECT string_agg(r->>'table', ' ' ORDER BY n)
        FROM jsonb_array_elements(record->'relations') WITH ORDINALITY AS t (r, n)) AS tables
    FROM pg_logical_slot_peek_binary_changes('regress_truncate', NULL, NULL, 'exclude_tables', '*.b'),
         cdc.decode(data) AS record;
SELECT data::jsonb->>'record' AS record, data::jsonb->>'table' AS "table",
       (SELECT string_agg(r->>'table', ' ' ORDER BY n)
        FROM jsonb_array_elements(data::jsonb->'relations') WITH ORDINALITY AS t (r, n)) AS tables
    FROM pg_logical_slot_get_changes('regress_truncate', NULL, NULL, 'format', 'json');
-- Without definitions, tables are numbers.
TRUNCATE c;
SELECT record->>'record' AS record, record->'relations'->0 ? 'table' AS named,
       (record #>> '{relations, 0, relation_id}')::oid = 'c'::regclass AS numbered
    FROM pg_logical_slot_get_binary_changes('regress_truncate', NULL, NULL, 'batch_bytes', '1'),
         cdc.decode(data) AS record
    WHERE record->>'record' = 'truncate';

DROP SCHEMA truncate_test CASCADE;
SELECT pg_drop_replication_slot('regress_truncate');
