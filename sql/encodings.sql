-- Databases of other encodings: the stream is UTF-8 whatever the database's encoding is, and what cannot be UTF-8 is
-- sent as the bytes that there are.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
SELECT current_database() AS home,
       CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'LOCALE_PROVIDER libc' ELSE '' END AS provider \gset

-- LATIN1 --------------------------------------------------------------------------------------------------------------
CREATE DATABASE regress_encodings TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C' :provider;
\c regress_encodings
SET client_encoding = 'UTF8';
CREATE EXTENSION cdc_plugin;
CREATE SCHEMA "schéma";
CREATE TYPE "schéma"."hümeur" AS ENUM ('triste', 'gâté');
CREATE TABLE "schéma"."täble" (
    "ïd" int PRIMARY KEY, t text, c char(3), n name, e "schéma"."hümeur", j json, jb jsonb, l text[], r text[],
        x "char", inet inet
);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_encodings', 'cdc_plugin');
INSERT INTO "schéma"."täble" VALUES
    (1, 'plain', 'abc', 'plain', 'triste', '{"a": "b"}', '{"a": "b"}', '{a}', '{}', 'x', '::1'),
    (2, 'é', 'é', 'ñame', 'gâté', '{"é": "ÿ\u0020"}', '{"é": "ÿ"}', '{é,NULL,"ö ö"}', '{}', 'é', NULL),
    (3, repeat('é', 1000), 'ÀÿÆ', repeat('é', 63), NULL, ('"' || repeat('é', 5000) || '"')::json,
        to_jsonb(repeat('ü', 5000)), array_fill('ö'::text, '{500}'), NULL, NULL, NULL);
SELECT pg_logical_emit_message(true, 'préfixe', 'contenu é') IS NOT NULL AS emitted;
SELECT op, relation, after, details - 'lsn' AS details
    FROM cdc.peek_changes('regress_encodings', NULL, NULL, 'max_value_bytes', '999');
SELECT after = to_jsonb(row) AS same
    FROM cdc.peek_changes('regress_encodings') JOIN "schéma"."täble" AS row ON "ïd" = (after->>'ïd')::int
    ORDER BY "ïd";
SELECT record->>'schema' AS schema, record->>'table' AS "table", c->>'name' AS name, c->>'type' AS type
    FROM pg_logical_slot_peek_binary_changes('regress_encodings', NULL, NULL, 'batch_bytes', '1'),
         cdc.decode(data) AS record, jsonb_array_elements(record->'columns') AS c
    WHERE c->>'name' IN ('ïd', 'e');
-- The bytes on the wire are those of UTF-8.
SELECT what, position(convert_to(what, 'UTF8') IN wire) > 0 AS utf8,
       position(convert_to(what, 'LATIN1') IN wire) > 0 AS latin1
    FROM (SELECT string_agg(data, '') AS wire
          FROM pg_logical_slot_peek_binary_changes('regress_encodings', NULL, NULL)) AS d,
         unnest('{schéma,täble,gâté,ñame,"\"ÿ\"",ééééé,préfixe}'::text[]) AS what;
-- JSON is ASCII, so that it can be text in this database.
SELECT bool_and(data ~ '^[\x01-\x7f]*$') AS ascii,
       bool_and(data::jsonb->'after' = to_jsonb(row)) FILTER (WHERE data::jsonb->>'record' = 'change') AS same
    FROM pg_logical_slot_peek_changes('regress_encodings', NULL, NULL, 'format', 'json')
    LEFT JOIN "schéma"."täble" AS row ON "ïd" = (data::jsonb #>> '{after, ïd}')::int;
-- Patterns are in the encoding of the session that gives them.
SELECT count(*) FROM cdc.peek_changes('regress_encodings', NULL, NULL, 'tables', 'schéma.t*');
SELECT count(*) FROM cdc.peek_changes('regress_encodings', NULL, NULL, 'tables', 's*.t_ble', 'messages', 'off');
SELECT count(*) FROM cdc.peek_changes('regress_encodings', NULL, NULL, 'exclude_tables', '*.täble');
-- A batch from elsewhere may have text that this database has no characters for: here, an insert of '€'.
\set VERBOSITY sqlstate
SELECT record->'after' AS after FROM cdc.decode('\x0a0d220b0801100132053203e282ac') AS record;
\set VERBOSITY default
SELECT pg_drop_replication_slot('regress_encodings');
\c :home
DROP DATABASE regress_encodings;

-- SQL_ASCII: text that is UTF-8 is text, other text is bytes. ---------------------------------------------------------
SET client_min_messages = warning;
CREATE DATABASE regress_encodings TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C' :provider;
\c regress_encodings
CREATE EXTENSION cdc_plugin;
CREATE TYPE mood AS ENUM ('sad');
CREATE TABLE t (id int PRIMARY KEY, t text, c char(3), n name, e mood, j json, jb jsonb, l text[]);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_encodings', 'cdc_plugin');
INSERT INTO t VALUES (1, 'plain', 'abc', 'plain', 'sad', '{"a": "b"}', '{"a": "b"}', '{a}');
-- é in UTF-8; é in LATIN1, which is nothing in UTF-8; half a character.
INSERT INTO t VALUES (2, E'\xc3\xa9', E'\xc3\xa9', E'n\xc3\xa9', 'sad', E'"\xc3\xa9"', E'"\xc3\xa9"',
    ARRAY[E'\xc3\xa9']);
INSERT INTO t VALUES (3, E'\xe9', E'\xe9', E'n\xe9', 'sad', E'"\xe9"', E'"\xe9"', ARRAY[E'\xe9', 'a']);
INSERT INTO t VALUES (4, E'a\xc3', NULL, NULL, NULL, NULL, NULL, NULL);
ALTER TYPE mood RENAME VALUE 'sad' TO E'tr\xe9s sad';
INSERT INTO t (id, e) VALUES (5, E'tr\xe9s sad');
ALTER TABLE t RENAME t TO "t\xe9";
SELECT pg_logical_emit_message(true, E'\xe9', E'\xe9'::bytea) IS NOT NULL AS emitted;
SET client_encoding = 'SQL_ASCII';
SELECT op, relation, after, details - 'lsn' AS details FROM cdc.peek_changes('regress_encodings');
SELECT regexp_replace(data, '^.*"table":"t",', '') AS line
    FROM pg_logical_slot_peek_changes('regress_encodings', NULL, NULL, 'format', 'json')
    WHERE data LIKE '{"record":"change"%';
SELECT pg_replication_slot_advance('regress_encodings', pg_current_wal_lsn()) IS NOT NULL AS advanced;
-- json with escapes, which jsonb refuses in this database; a table whose name has no form in UTF-8.
INSERT INTO t (id, j) VALUES (6, '"\u00e9"');
SELECT after->'j' AS j FROM cdc.get_changes('regress_encodings');
DO $$
BEGIN
    EXECUTE format('ALTER TABLE t RENAME TO %I', E't\xe9');
    EXECUTE format('INSERT INTO %I (id) VALUES (7)', E't\xe9');
END
$$;
SELECT op, relation, after->'id' AS id FROM cdc.peek_changes('regress_encodings');
SELECT pg_drop_replication_slot('regress_encodings');
\c :home
DROP DATABASE regress_encodings;
