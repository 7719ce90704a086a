-- Names are sent as they are stored: unquoted, in their case, whatever characters they have. Patterns name them with
-- escapes.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA names_test;
CREATE SCHEMA "Names.Test, 2";
CREATE TABLE names_test.plain ("Id" int PRIMARY KEY, "a b" int, "c.d" int, "e,f" int, "g""h" int, "i\j" int, "k*" int,
                               "ünïcödé 😀" int, "select" int, "'" int, "{}" int, "1" int);
CREATE TABLE "Names.Test, 2"."T.a,b \ c*" (id int PRIMARY KEY);
CREATE TABLE names_test."T.a,b \ c*" (id int PRIMARY KEY);
CREATE TABLE names_test.tables (id int PRIMARY KEY);
CREATE TABLE names_test." spaces " (id int PRIMARY KEY);
CREATE TABLE names_test."Ünïcödé" (id int PRIMARY KEY);
CREATE TABLE names_test."*" (id int PRIMARY KEY);
CREATE TABLE names_test."\" (id int PRIMARY KEY);
CREATE TYPE names_test."Type, ""A.b""" AS ENUM ('Label, "x"', 'ü');
CREATE DOMAIN "Names.Test, 2"."Domain 1" AS numeric(5, 2);
CREATE TABLE names_test.typed (id int PRIMARY KEY, a names_test."Type, ""A.b""", b "Names.Test, 2"."Domain 1",
                               c names_test."Type, ""A.b"""[]);
-- The longest names.
SELECT format('CREATE TABLE names_test.%s (%s int PRIMARY KEY)', repeat('t', 63), repeat('c', 63)) \gexec
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_names', 'cdc_plugin');

INSERT INTO names_test.plain VALUES (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
INSERT INTO "Names.Test, 2"."T.a,b \ c*" VALUES (1);
INSERT INTO names_test."T.a,b \ c*" VALUES (2);
INSERT INTO names_test.tables VALUES (3);
INSERT INTO names_test." spaces " VALUES (4);
INSERT INTO names_test."Ünïcödé" VALUES (5);
INSERT INTO names_test."*" VALUES (6);
INSERT INTO names_test."\" VALUES (7);
INSERT INTO names_test.typed VALUES (8, 'ü', 1.5, ARRAY['Label, "x"', 'ü']::names_test."Type, ""A.b"""[]);
SELECT format('INSERT INTO names_test.%s VALUES (9)', repeat('t', 63)) \gexec
TRUNCATE "Names.Test, 2"."T.a,b \ c*", names_test."Ünïcödé";

-- In SQL, relations are quoted as SQL wants it.
SELECT op, relation, after FROM cdc.peek_changes('regress_names');
-- Records have them as they are.
SELECT record->>'schema' AS schema, record->>'table' AS "table",
       (SELECT string_agg(format('<%s>', c->>'name'), ' ' ORDER BY n)
        FROM jsonb_array_elements(record->'columns') WITH ORDINALITY AS columns (c, n)) AS columns
    FROM pg_logical_slot_peek_binary_changes('regress_names', NULL, NULL, 'batch_bytes', '1'),
         cdc.decode(data) AS record
    WHERE record->>'record' = 'relation';
SELECT c->>'name' AS name, c->>'type' AS type, c->>'type_schema' AS type_schema, c->>'type_name' AS type_name
    FROM pg_logical_slot_peek_binary_changes('regress_names', NULL, NULL, 'tables', '*.typed'),
         cdc.decode(data) AS record,
         jsonb_array_elements(record->'columns') AS c;
SELECT r->>'schema' AS schema, r->>'table' AS "table"
    FROM pg_logical_slot_peek_changes('regress_names', NULL, NULL, 'format', 'json', 'actions', 'truncate'),
         jsonb_array_elements(data::jsonb->'relations') AS r
    WHERE data::jsonb->>'record' = 'truncate';

-- Patterns; each table is named by the id of its row. -----------------------------------------------------------------
CREATE TEMPORARY TABLE patterns (id serial, pattern text);
INSERT INTO patterns (pattern) VALUES
    ('names_test.plain'), ('NAMES_TEST.PLAIN'), ('"names_test"."plain"'), ('*.plain'), ('names_test.*'), ('*.*'),
    ('names\_test.pl*n'), ('n*t.p*a*n'), ('*n*a*m*.**l**'), ('names_test.plai'), ('names_test.plain*'),
    ('names_test.*plain'),
    ('Names\.Test\, 2.T\.a\,b \\ c\*'), ('Names\.Test\, 2.*'), ('*.T\.a\,b \\ c\*'), ('N*2.T*c\*'), ('*2.T*c*'),
    ('names_test.\*'), ('names_test.\\'), ('names_test.*\\*'), ('names_test.Ünïcödé'), ('names_test.?nïcödé'),
    ('*.*ö*'),
    ('names_test. spaces '), ('names_test.\ spaces\ '), ('names_test.\ *'), ('*.*\ '), (' *.tables , *.typed '),
    (E'*.tables,\n\t*.typed'), ('*.tables,*.tables'), ('*.t*s,*.typed'), ('names_test.' || repeat('t', 63)),
    ('names_test.' || repeat('t', 64)), ('names_test.' || repeat('t', 62)), ('names_test.' || repeat('t*', 40));
SELECT pattern,
       (SELECT string_agg(coalesce(after->>'id', after->>'Id', '9'), ',')
        FROM cdc.peek_changes('regress_names', NULL, NULL, 'tables', pattern, 'actions', 'insert')) AS tables,
       (SELECT string_agg(coalesce(after->>'id', after->>'Id', '9'), ',')
        FROM cdc.peek_changes('regress_names', NULL, NULL, 'exclude_tables', pattern, 'actions', 'insert')) AS but
    FROM patterns ORDER BY id;

SET client_min_messages = warning;
DROP SCHEMA names_test, "Names.Test, 2" CASCADE;
SELECT pg_drop_replication_slot('regress_names');
