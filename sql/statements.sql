-- What statements make of the stream: the ways in which rows are written, and what is not decoded at all.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;

CREATE SCHEMA statements_test;
SET search_path = statements_test;
CREATE TABLE t (id int PRIMARY KEY, v text);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_statements', 'cdc_plugin');
PREPARE changes AS
    SELECT ordinal, op, replace(relation, 'statements_test.', '') AS relation, before, after
    FROM cdc.get_changes('regress_statements');

-- COPY, and INSERTs of many rows at once: an ordinal for each row, though they share an LSN.
COPY t FROM stdin;
1	a
2	\N
3	tab\tline\n
\.
INSERT INTO t SELECT i, 'i' FROM generate_series(4, 6) AS i;
EXECUTE changes;
-- ON CONFLICT: what became of the row.
INSERT INTO t VALUES (6, 'x'), (7, 'y') ON CONFLICT DO NOTHING;
INSERT INTO t VALUES (7, 'z'), (8, 'w') ON CONFLICT (id) DO UPDATE SET v = excluded.v || t.v;
INSERT INTO t VALUES (8, 'z') ON CONFLICT (id) DO UPDATE SET id = 9 WHERE t.v = 'w';
INSERT INTO t VALUES (9, 'z') ON CONFLICT (id) DO UPDATE SET id = 10 WHERE false;
EXECUTE changes;
-- CTEs; what reads only; locks.
WITH gone AS (DELETE FROM t WHERE id < 3 RETURNING *) INSERT INTO t SELECT id + 20, v FROM gone;
BEGIN;
SELECT count(*) FROM (SELECT * FROM t FOR UPDATE) AS locked;
LOCK TABLE t;
COMMIT;
EXECUTE changes;
-- HOT updates and others; of a row that was inserted and updated in one transaction; keys that change places.
BEGIN;
INSERT INTO t VALUES (30, 'a');
UPDATE t SET v = 'b' WHERE id = 30;
UPDATE t SET v = 'c' WHERE id = 30;
UPDATE t SET id = 31 WHERE id = 30;
UPDATE t SET id = 30 WHERE id = 31;
DELETE FROM t WHERE id = 30;
COMMIT;
EXECUTE changes;
-- Foreign keys and triggers: their changes are changes.
CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE log (n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, what text);
CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log (what) VALUES (tg_op);
    RETURN NULL;
END
$$;
CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION log();
CREATE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.v := upper(new.v);
    RETURN new;
END
$$;
CREATE TRIGGER louder BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION louder();
INSERT INTO t VALUES (40, 'loud');
INSERT INTO child VALUES (1, 40);
UPDATE t SET id = 41 WHERE id = 40;
DELETE FROM t WHERE id = 41;
EXECUTE changes;
DROP TRIGGER louder ON t;
DROP TRIGGER log ON t;

-- Rows of no columns, and of only NULLs; the widest.
CREATE TABLE empty ();
ALTER TABLE empty REPLICA IDENTITY FULL;
INSERT INTO empty DEFAULT VALUES;
DELETE FROM empty;
CREATE TABLE nulls (a int, b text, c numeric, d int[], e jsonb, f uuid, g timestamptz, h boolean, i name);
ALTER TABLE nulls REPLICA IDENTITY FULL;
INSERT INTO nulls DEFAULT VALUES;
UPDATE nulls SET a = NULL;
DELETE FROM nulls;
EXECUTE changes;
SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s bool', i), ', ')) AS ddl,
       format('INSERT INTO wide VALUES (%s)',
           string_agg(CASE WHEN i % 3 = 0 THEN 'NULL' ELSE (i % 2 = 0)::text END, ', ')) AS dml
    FROM generate_series(1, 1600) AS i \gset
:ddl;
:dml;
SELECT after = to_jsonb(wide) AS same FROM cdc.get_changes('regress_statements'), wide;

-- Not decoded: unlogged and temporary tables, views that are refreshed, sequences, large objects, the catalogs.
CREATE UNLOGGED TABLE unlogged (id int);
INSERT INTO unlogged VALUES (1);
CREATE TEMPORARY TABLE temporary (id int);
INSERT INTO temporary VALUES (1);
CREATE MATERIALIZED VIEW matview AS SELECT * FROM t;
CREATE UNIQUE INDEX ON matview (id);
UPDATE t SET v = 'new' WHERE id = 21;
REFRESH MATERIALIZED VIEW matview;
REFRESH MATERIALIZED VIEW CONCURRENTLY matview;
CREATE SEQUENCE seq;
SELECT nextval('seq'), setval('seq', 10);
SELECT lo_from_bytea(0, 'large object') AS lo \gset
SELECT lo_unlink(:lo);
ANALYZE t;
EXECUTE changes;
-- Becoming logged makes nothing of the rows that are there.
ALTER TABLE unlogged SET LOGGED;
INSERT INTO unlogged VALUES (2);
ALTER TABLE unlogged SET UNLOGGED;
INSERT INTO unlogged VALUES (3);
EXECUTE changes;
-- Neither do rewrites; a table made from a query has its rows.
VACUUM FULL t;
CLUSTER t USING t_pkey;
DROP MATERIALIZED VIEW matview;
ALTER TABLE t ALTER v TYPE text USING v || '!';
CREATE TABLE copied AS SELECT id FROM t WHERE id > 20;
SELECT * INTO copied_2 FROM copied;
EXECUTE changes;

DROP SCHEMA statements_test CASCADE;
SELECT pg_drop_replication_slot('regress_statements');
