-- Definitions that change in mid-stream: rows follow the definition of their time, and a definition is sent again when,
-- and only when, it changed.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA ddl_test;
SET search_path = ddl_test;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_ddl', 'cdc_plugin');
-- The stream, a line for each definition and each change.
CREATE VIEW stream AS
    SELECT n, CASE record->>'record'
        WHEN 'relation' THEN
            format('%s.%s (%s)', record->>'schema', record->>'table',
                   (SELECT string_agg(format('%s %s%s', c->>'name', c->>'type',
                                             CASE WHEN NOT (c->>'nullable')::boolean THEN ' NOT NULL' END),
                                      ', ' ORDER BY i)
                    FROM jsonb_array_elements(record->'columns') WITH ORDINALITY AS columns (c, i)))
        WHEN 'change' THEN
            '  ' || concat_ws(' ', record->>'ordinal', record->>'op', record->>'table',
                              (record->'before')::text || ' ->', record->>'after')
        WHEN 'truncate' THEN '  truncate'
        WHEN 'begin' THEN 'begin' END AS line
    FROM (SELECT string_agg(data, '') AS data FROM pg_logical_slot_peek_binary_changes('regress_ddl', NULL, NULL)) AS d,
         cdc.decode(data) WITH ORDINALITY AS records (record, n);
PREPARE show AS SELECT line FROM stream WHERE line IS NOT NULL ORDER BY n;
PREPARE next AS SELECT pg_replication_slot_advance('regress_ddl', pg_current_wal_lsn()) IS NOT NULL AS advanced;
\t on
\pset format unaligned

-- Columns: added, with a default that old rows get without being rewritten, dropped, renamed, retyped. ----------------
CREATE TABLE t (id int PRIMARY KEY, a text, b text);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, 'a', 'b'), (2, 'a', 'b'), (3, NULL, NULL);
INSERT INTO t VALUES (4, 'a', 'b');
ALTER TABLE t ADD c int;
INSERT INTO t VALUES (5, 'a', 'b', 5);
UPDATE t SET a = 'new' WHERE id = 1;
ALTER TABLE t ADD d numeric DEFAULT 1.50, ADD e text DEFAULT 'a long default ' || repeat('e', 20),
    ADD f int2 DEFAULT -1,
    ADD g timestamptz DEFAULT '2024-01-01 00:00+00', ADD h char DEFAULT 'h', ADD i int[] DEFAULT '{1,NULL}';
UPDATE t SET a = 'new' WHERE id = 2;
DELETE FROM t WHERE id IN (3, 4);
ALTER TABLE t DROP a, DROP e;
UPDATE t SET b = 'new' WHERE id = 1;
UPDATE t SET b = 'new' WHERE id = 2;
ALTER TABLE t RENAME b TO "B b";
INSERT INTO t VALUES (6, 'b');
ALTER TABLE t ALTER "B b" TYPE int USING length("B b"), ALTER d TYPE text;
UPDATE t SET "B b" = 0 WHERE id = 6;
ALTER TABLE t DROP c, DROP d, DROP f, DROP g, DROP h, DROP i, DROP "B b";
INSERT INTO t VALUES (7);
ALTER TABLE t ADD random float8 DEFAULT random() - random();  -- every row is rewritten
UPDATE t SET random = 0 WHERE id = 7 AND random = random;
DELETE FROM t WHERE id = 7;
ALTER TABLE t DROP id;
INSERT INTO t DEFAULT VALUES;
SELECT regexp_replace(line, '"random": -?[0-9.]*[1-9][0-9.]*', '"random": ...')
    FROM stream WHERE line IS NOT NULL ORDER BY n;
EXECUTE next;
DROP TABLE t;

-- The same in one transaction, with what was written before, between and behind, and a part that is rolled back.
CREATE TABLE t (id int PRIMARY KEY, a text);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, 'a');
EXECUTE next;
BEGIN;
INSERT INTO t VALUES (2, 'b');
ALTER TABLE t ADD c int DEFAULT 7;
UPDATE t SET a = 'new';
SAVEPOINT s;
ALTER TABLE t DROP a, ADD lost int;
INSERT INTO t VALUES (0, 0, 0);
ROLLBACK TO s;
INSERT INTO t VALUES (3, 'd', 8);
ALTER TABLE t ALTER a TYPE int USING length(a);
UPDATE t SET a = 0 WHERE id = 3;
ALTER TABLE t RENAME TO u;
DELETE FROM u WHERE id = 3;
ALTER TABLE u DROP a;
DELETE FROM u WHERE id = 2;
COMMIT;
EXECUTE show;
EXECUTE next;
DROP TABLE u;

-- A table that comes, one that goes, one that comes and goes; one that comes back under its name.
BEGIN;
CREATE TABLE t (id int);
INSERT INTO t VALUES (1);
DROP TABLE t;
CREATE TABLE t AS SELECT 2 AS x;
INSERT INTO t VALUES (3);
COMMIT;
BEGIN;
INSERT INTO t VALUES (4);
DROP TABLE t;
COMMIT;
CREATE TABLE t (id int);
INSERT INTO t VALUES (5);
EXECUTE show;
EXECUTE next;

-- Names of tables and schemas.
INSERT INTO t VALUES (6);
ALTER TABLE t RENAME TO "T 2";
INSERT INTO "T 2" VALUES (7);
CREATE SCHEMA ddl_test_2;
ALTER TABLE "T 2" SET SCHEMA ddl_test_2;
INSERT INTO ddl_test_2."T 2" VALUES (8);
ALTER SCHEMA ddl_test_2 RENAME TO "Ddl test 2";
INSERT INTO "Ddl test 2"."T 2" VALUES (9);
EXECUTE show;
-- Filters look at the name of the time.
SELECT after->>'id', relation FROM cdc.peek_changes('regress_ddl', NULL, NULL, 'tables', 'ddl\_test.*');
SELECT after->>'id', relation FROM cdc.peek_changes('regress_ddl', NULL, NULL, 'tables', '*.T 2');
SELECT after->>'id', relation FROM cdc.peek_changes('regress_ddl', NULL, NULL, 'tables', 'D*.*');
SELECT after->>'id', relation FROM cdc.peek_changes('regress_ddl', NULL, NULL, 'exclude_tables', 'ddl*.*');
EXECUTE next;
DROP SCHEMA "Ddl test 2" CASCADE;

-- Enums: labels added and renamed; types renamed and moved.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE t (id int, mood mood, moods mood[]);
INSERT INTO t VALUES (1, 'sad', '{sad,ok}');
ALTER TYPE mood ADD VALUE 'happy' AFTER 'sad';
INSERT INTO t VALUES (2, 'happy', '{happy}');
ALTER TYPE mood RENAME VALUE 'sad' TO 'very sad';
INSERT INTO t VALUES (3, 'very sad', '{"very sad",ok}');
EXECUTE show;
EXECUTE next;
BEGIN;
INSERT INTO t VALUES (4, 'ok', '{ok}');
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
INSERT INTO t VALUES (5, 'fine', '{fine}');
ALTER TYPE mood RENAME TO "Mood";
INSERT INTO t VALUES (6, 'fine', '{fine}');
CREATE SCHEMA ddl_test_2;
ALTER TYPE "Mood" SET SCHEMA ddl_test_2;
INSERT INTO t VALUES (7, 'fine', '{fine}');
ALTER TABLE t DROP moods, ALTER mood TYPE text;
DROP TYPE ddl_test_2."Mood";
INSERT INTO t VALUES (8, 'fine');
COMMIT;
EXECUTE show;
EXECUTE next;
DROP TABLE t;

-- A column whose type is gone, in rows that still have it.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE t (id int PRIMARY KEY, mood mood, last text);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, 'ok', 'last');
ALTER TABLE t DROP mood;
DROP TYPE mood;
UPDATE t SET id = 2;
DELETE FROM t;
EXECUTE show;
EXECUTE next;
DROP TABLE t;

-- Composite types and domains.
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int;
CREATE TABLE t (id positive, pair pair);
INSERT INTO t VALUES (1, (1, 'x'));
ALTER TYPE pair ADD ATTRIBUTE c int;
INSERT INTO t VALUES (2, (2, 'y', 3));
ALTER TYPE pair DROP ATTRIBUTE a;
INSERT INTO t VALUES (3, ('z', 4));
ALTER TYPE pair RENAME TO twins;
ALTER DOMAIN positive ADD CHECK (VALUE > 0);
ALTER DOMAIN positive RENAME TO "> 0";
INSERT INTO t VALUES (4, ('z', 4));
EXECUTE show;
EXECUTE next;
DROP TABLE t;

-- What a definition has beside names and types: modifiers, NOT NULL, the primary key.
CREATE TABLE t (id int, a varchar(10), n numeric(5, 2));
INSERT INTO t VALUES (1, 'a', 1);
ALTER TABLE t ALTER a TYPE varchar(20);
INSERT INTO t VALUES (2, 'a', 1);
ALTER TABLE t ALTER n TYPE numeric(6, 2);
INSERT INTO t VALUES (3, 'a', 1);
ALTER TABLE t ALTER a SET NOT NULL;
INSERT INTO t VALUES (4, 'a', 1);
ALTER TABLE t ADD PRIMARY KEY (id);
INSERT INTO t VALUES (5, 'a', 1);
EXECUTE show;
EXECUTE next;

-- What it has not leaves it as it is: it is sent once.
INSERT INTO t VALUES (11, 'a', 1);
CREATE INDEX ON t (a);
INSERT INTO t VALUES (12, 'a', 1);
ALTER TABLE t ALTER a SET DEFAULT 'x', ADD CHECK (n < 100), SET (fillfactor = 50), ALTER a SET STATISTICS 10;
COMMENT ON TABLE t IS 'nothing';
INSERT INTO t VALUES (13, 'a', 1);
ANALYZE t;
VACUUM t;
GRANT SELECT ON t TO PUBLIC;
INSERT INTO t VALUES (14, 'a', 1);
CREATE TABLE another (id int);
CREATE TYPE another_type AS ENUM ('x');
ALTER TYPE another_type RENAME TO another_type_2;
CREATE SCHEMA ddl_test_3;
ALTER SCHEMA ddl_test_3 RENAME TO ddl_test_4;
INSERT INTO t VALUES (15, 'a', 1);
BEGIN;
ALTER TABLE t ADD lost int;
INSERT INTO t VALUES (0, 'a', 1, 0);
ROLLBACK;
INSERT INTO t VALUES (16, 'a', 1);
VACUUM FULL t;
INSERT INTO t VALUES (17, 'a', 1);
TRUNCATE t;
REINDEX TABLE t;
INSERT INTO t VALUES (18, 'a', 1);
EXECUTE show;
-- One and the same definition has one and the same fingerprint, in any stream; each other one, another.
SELECT count(DISTINCT record->>'fingerprint') FROM (
    SELECT record FROM pg_logical_slot_peek_binary_changes('regress_ddl', NULL, NULL), cdc.decode(data) AS record
    UNION ALL
    SELECT record FROM pg_logical_slot_peek_binary_changes('regress_ddl', NULL, NULL, 'batch_bytes', '1'),
                       cdc.decode(data) AS record) AS r;
ALTER TABLE t ALTER a DROP NOT NULL;
INSERT INTO t VALUES (19, 'a', 1);
ALTER TABLE t ALTER a SET NOT NULL;
INSERT INTO t VALUES (20, 'a', 1);
SELECT count(*), count(DISTINCT record->>'fingerprint')
    FROM pg_logical_slot_peek_binary_changes('regress_ddl', NULL, NULL), cdc.decode(data) AS record
    WHERE record->>'record' = 'relation';
EXECUTE next;

-- More tables than the stream keeps in mind when all their definitions are in doubt.
DO $$
BEGIN
    FOR i IN 1..300 LOOP
        EXECUTE format('CREATE TABLE many_%s (id int)', i);
        EXECUTE format('INSERT INTO many_%s VALUES (1)', i);
    END LOOP;
END
$$;
CREATE PROCEDURE insert_into_many() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..300 LOOP
        EXECUTE format('INSERT INTO many_%s VALUES (2)', i);
    END LOOP;
END
$$;
CALL insert_into_many();
ALTER SCHEMA ddl_test_4 RENAME TO ddl_test_5;
INSERT INTO many_7 VALUES (3);
INSERT INTO many_8 VALUES (3);
ALTER TABLE many_8 ADD a int;
CALL insert_into_many();
INSERT INTO many_8 VALUES (3, 3);
SELECT count(*) FILTER (WHERE line LIKE '  % insert %') AS inserts,
       count(DISTINCT line) FILTER (WHERE line LIKE 'ddl_test.%') AS definitions FROM stream;

SET client_min_messages = warning;
DROP SCHEMA ddl_test, ddl_test_2, ddl_test_5 CASCADE;
SELECT pg_drop_replication_slot('regress_ddl');
