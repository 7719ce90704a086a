-- Values out of line and compressed ones; what is sent of those that an update left alone; values too large to be sent.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA toast_test;
SET search_path = toast_test;
-- external: out of line, as it is. packed: compressed in line. both: compressed and out of line. doc, list: the like.
CREATE TABLE by_key (
    id int PRIMARY KEY, n int, external text, packed text, "Both" text, bytes bytea, doc jsonb, list text[]
);
ALTER TABLE by_key ALTER external SET STORAGE external, ALTER bytes SET STORAGE external;
CREATE TABLE by_full (LIKE by_key INCLUDING ALL);
ALTER TABLE by_full REPLICA IDENTITY FULL;
CREATE TABLE by_nothing (LIKE by_key INCLUDING ALL);
ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
-- The key itself is out of line.
CREATE TABLE by_long_key (k text PRIMARY KEY, n int);
ALTER TABLE by_long_key ALTER k SET STORAGE external;

-- Text that pglz makes half as long, and bytes that nothing makes shorter.
CREATE FUNCTION words(seed text, count int) RETURNS text LANGUAGE sql IMMUTABLE
    AS $$ SELECT string_agg(md5(seed || i) || repeat(seed, 20), ' ' ORDER BY i) FROM generate_series(1, count) AS i $$;
CREATE FUNCTION noise(seed text, count int) RETURNS bytea LANGUAGE sql IMMUTABLE
    AS $$ SELECT string_agg(sha256(convert_to(seed || i, 'UTF8')), '' ORDER BY i)
          FROM generate_series(1, count) AS i $$;

-- Rows with the long values cut to their start and length.
CREATE FUNCTION brief(fields jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_object_agg(
        key, CASE WHEN length(value::text) < 30 THEN value
                  ELSE to_jsonb(format('%s... (%s)', left(value::text, 5), length(value::text))) END)
    FROM jsonb_each(fields)
$$;
\pset format unaligned
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_toast', 'cdc_plugin');
CREATE VIEW changes AS
    SELECT ordinal, op, split_part(relation, '.', 2) AS relation, before, after, details
    FROM cdc.peek_changes('regress_toast');
PREPARE next AS SELECT pg_replication_slot_advance('regress_toast', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- Inserted values are there, whatever way they are stored. ------------------------------------------------------------
INSERT INTO by_key VALUES
    (1, 1, repeat('external ', 1000), repeat('packed ', 1000), words('both', 200), noise('bytes', 300),
     jsonb_build_object('words', words('doc', 100), 'more', ARRAY[1, 2]), ARRAY[words('list', 50), NULL, 'x']),
    (2, 1, 'short', 'short', 'short', 'short', '"short"', '{short}'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO by_full SELECT * FROM by_key;
INSERT INTO by_nothing SELECT * FROM by_key;
INSERT INTO by_long_key VALUES (repeat('k', 2500), 1);
-- As stored: the first is out of line as it is, the second compressed in line, the third compressed and out of line.
SELECT id, pg_column_size(external) = octet_length(external) AS external, pg_column_size(packed) < 2000 AS packed,
       pg_column_size("Both") BETWEEN 2001 AND octet_length("Both") - 1 AS both
    FROM by_key WHERE id = 1;
SELECT relation, op, brief(after) AS after, details FROM changes;
SELECT relation, t.id, after = to_jsonb(t) AS same FROM changes JOIN by_key AS t ON after->'id' = to_jsonb(t.id)
    ORDER BY relation, t.id;
EXECUTE next;

-- Unchanged ones are not in the WAL: named as unchanged. A full old row fills them in. --------------------------------
UPDATE by_key SET n = 2;
UPDATE by_full SET n = 2;
UPDATE by_nothing SET n = 2;
SELECT relation, op, brief(before) AS before, brief(after) AS after, details FROM changes;
SELECT relation, count(*) FILTER (WHERE after = to_jsonb(t)) AS filled
    FROM changes JOIN by_full AS t ON after->'id' = to_jsonb(t.id) GROUP BY relation ORDER BY relation;
EXECUTE next;

-- Some of them changed, one to NULL, one to something short. ----------------------------------------------------------
UPDATE by_key SET external = repeat('changed ', 1000), packed = NULL WHERE id = 1;
UPDATE by_full SET external = repeat('changed ', 1000), packed = NULL WHERE id = 1;
UPDATE by_key SET "Both" = 'short', doc = '{}' WHERE id = 1;
UPDATE by_full SET "Both" = 'short', doc = '{}' WHERE id = 1;
-- From short to long.
UPDATE by_key SET external = repeat('long ', 1000) WHERE id = 2;
UPDATE by_full SET external = repeat('long ', 1000) WHERE id = 2;
-- The key changed, which leaves the rest alone: the old row is the key only, so that nothing can be filled in.
UPDATE by_key SET id = 11 WHERE id = 1;
UPDATE by_full SET id = 11 WHERE id = 1;
SELECT relation, op, brief(before) AS before, brief(after) AS after, details FROM changes;
SELECT relation, after = to_jsonb(t) AS same
    FROM changes JOIN by_full AS t ON after->'id' = to_jsonb(t.id) AND t.id = 11
    ORDER BY relation;
EXECUTE next;

-- Deleted. -----------------------------------------------------------------------------------------------------------
DELETE FROM by_key WHERE id = 11;
DELETE FROM by_full WHERE id = 11;
DELETE FROM by_nothing WHERE id = 1;
SELECT relation, op, brief(before) AS before, details FROM changes;
EXECUTE next;

-- A key out of line: updates bring it in the old row, and name it as unchanged in the new one. ------------------------
UPDATE by_long_key SET n = 2;
UPDATE by_long_key SET k = repeat('l', 2500);
DELETE FROM by_long_key;
SELECT relation, op, brief(before) AS before, brief(after) AS after, details FROM changes;
EXECUTE next;

-- Within one transaction, with subtransactions that come to nothing. --------------------------------------------------
BEGIN;
INSERT INTO by_full (id, external, bytes) VALUES (21, repeat('a', 5000), noise('a', 100));
UPDATE by_full SET n = 21 WHERE id = 21;
SAVEPOINT s;
UPDATE by_full SET external = repeat('b', 5000) WHERE id = 21;
INSERT INTO by_full (id, external) VALUES (22, repeat('c', 5000));
ROLLBACK TO s;
INSERT INTO by_full (id, external) VALUES (23, repeat('d', 5000)), (24, repeat('e', 5000));
UPDATE by_full SET external = external || 'f', n = 0 WHERE id IN (21, 23);
UPDATE by_full SET n = 1 WHERE id = 24;
DELETE FROM by_full WHERE id = 23;
COMMIT;
SELECT ordinal, op, brief(before) AS before, brief(after) AS after, details FROM changes;
SELECT after = to_jsonb(t) AS same FROM changes JOIN by_full AS t ON after->'id' = to_jsonb(t.id)
    WHERE ordinal IN (5, 6, 7);
EXECUTE next;

-- max_value_bytes -----------------------------------------------------------------------------------------------------
-- At the limit, above it; short, packed, out of line; on both sides of an update. Sizes are those of the plain values.
CREATE TABLE limits (id int PRIMARY KEY, a text, b text, c bytea, d jsonb, e int[], f numeric, g uuid, h name, i inet);
ALTER TABLE limits ALTER b SET STORAGE external, REPLICA IDENTITY FULL;
INSERT INTO limits VALUES
    (1, 'at100' || repeat('x', 95), 'é', '\x', '{}', '{}', 1, '00112233-4455-6677-8899-aabbccddeeff', 'name', '::1'),
    (2, 'at101' || repeat('x', 96), repeat('é', 51), noise('c', 4), to_jsonb(repeat('d', 100)), array_fill(1, '{25}'),
        repeat('1234567890', 30)::numeric, NULL, repeat('n', 63), '::1'),
    (3, repeat('a', 50000), repeat('b', 50000), noise('c', 1000), to_jsonb(repeat('d', 50000)), array_fill(1, '{5000}'),
        repeat('1', 20000)::numeric, NULL, '', NULL);
UPDATE limits SET id = 13, a = 'short', c = NULL WHERE id = 3;
DELETE FROM limits WHERE id = 13;
SELECT op, brief(before) AS before, brief(after) AS after, details
    FROM cdc.peek_changes('regress_toast', NULL, NULL, 'max_value_bytes', '100');
SELECT id, octet_length(a) AS a, octet_length(b) AS b, octet_length(c) AS c FROM limits ORDER BY id;
-- 0 is no limit, and so is a large one.
SELECT count(*) FROM (
    SELECT * FROM changes EXCEPT ALL
    SELECT ordinal, op, split_part(relation, '.', 2), before, after, details
        FROM cdc.peek_changes('regress_toast', NULL, NULL, 'max_value_bytes', '0')) AS differ;
SELECT count(*) FROM cdc.peek_changes('regress_toast', NULL, NULL, 'max_value_bytes', '1MB')
    WHERE details ?| '{before_too_large,after_too_large}';
-- What is unchanged and what is too large are told apart; what the old row fills in is too large too.
EXECUTE next;
UPDATE by_key SET n = 3, packed = repeat('packed ', 1000) WHERE id = 2;
UPDATE by_full SET n = 3, packed = repeat('packed ', 1000) WHERE id = 2;
SELECT op, brief(before) AS before, brief(after) AS after, details
    FROM cdc.peek_changes('regress_toast', NULL, NULL, 'max_value_bytes', '1000');
-- In records.
SELECT data::jsonb - '{record,xid,commit_lsn,relation_id,schema}'::text[] AS change
    FROM pg_logical_slot_get_changes('regress_toast', NULL, NULL, 'max_value_bytes', '4', 'format', 'json')
    WHERE data::jsonb->>'record' = 'change';

-- Values of the other compression method, where the server has it.
SELECT 'lz4' = ANY (enumvals) AS has_lz4 FROM pg_settings WHERE name = 'default_toast_compression' \gset
CREATE TABLE other_method (id int PRIMARY KEY, a text, b text);
\if :has_lz4
ALTER TABLE other_method ALTER a SET COMPRESSION lz4, ALTER b SET COMPRESSION lz4;
\endif
INSERT INTO other_method VALUES (1, repeat('packed ', 1000), words('both', 500));
SELECT after = to_jsonb(t) AS same FROM changes, other_method AS t;
SELECT details FROM cdc.get_changes('regress_toast', NULL, NULL, 'max_value_bytes', '1000');

-- A table that was rewritten, with values that stay where they are.
INSERT INTO by_full (id, external) VALUES (31, repeat('g', 5000));
VACUUM FULL by_full;
UPDATE by_full SET n = 5 WHERE id = 31;
CLUSTER by_full USING by_full_pkey;
DELETE FROM by_full WHERE id = 31;
SELECT op, brief(before) AS before, brief(after) AS after, details FROM changes;

SET client_min_messages = warning;
DROP SCHEMA toast_test CASCADE;
SELECT pg_drop_replication_slot('regress_toast');
