-- Partitioned tables and inheritance: changes come under the table that holds the row.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA partitions_test;
SET search_path = partitions_test;
-- Partitions whose columns lie in another order, with a dropped one, and with an identity of their own.
CREATE TABLE root (id int, region text, note text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE north PARTITION OF root FOR VALUES IN ('n');
CREATE TABLE south (gone int, note text, region text NOT NULL, id int NOT NULL, PRIMARY KEY (id, region));
ALTER TABLE south DROP gone, REPLICA IDENTITY FULL;
ALTER TABLE root ATTACH PARTITION south FOR VALUES IN ('s');
CREATE TABLE east PARTITION OF root FOR VALUES IN ('e') PARTITION BY RANGE (id);
CREATE TABLE east_1 PARTITION OF east FOR VALUES FROM (0) TO (100);
CREATE TABLE east_2 PARTITION OF east FOR VALUES FROM (100) TO (200);
CREATE TABLE other PARTITION OF root DEFAULT;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_partitions', 'cdc_plugin');
PREPARE changes AS
    SELECT ordinal, op, split_part(relation, '.', 2) AS relation, before, after, details
    FROM cdc.get_changes('regress_partitions');

INSERT INTO root VALUES (1, 'n', 'a'), (2, 's', 'b'), (3, 'e', 'c'), (150, 'e', 'd'), (4, 'x', 'e');
INSERT INTO east VALUES (5, 'e', 'f');
INSERT INTO east_2 VALUES (160, 'e', 'g');
UPDATE root SET note = upper(note);
EXECUTE changes;
-- A row that moves is deleted in one and inserted into the other.
UPDATE root SET region = 's' WHERE id = 1;
UPDATE root SET region = 'e' WHERE id = 2;
UPDATE root SET id = 101 WHERE id = 5;
EXECUTE changes;
DELETE FROM root WHERE region IN ('s', 'e');
EXECUTE changes;
-- Attached and detached.
CREATE TABLE west (LIKE root INCLUDING ALL);
INSERT INTO west VALUES (7, 'w', 'h');
ALTER TABLE root ATTACH PARTITION west FOR VALUES IN ('w');
INSERT INTO root VALUES (8, 'w', 'i');
ALTER TABLE root DETACH PARTITION north;
INSERT INTO north VALUES (9, 'n', 'j');
INSERT INTO root VALUES (10, 'n', 'k');
EXECUTE changes;
-- Columns of all partitions change.
ALTER TABLE root ADD added int DEFAULT 1;
UPDATE root SET note = 'new' WHERE region = 'w';
ALTER TABLE root DROP note;
INSERT INTO root VALUES (11, 's', 2);
EXECUTE changes;
-- Filters are about the tables that hold the rows, and about those above them.
INSERT INTO root VALUES (12, 's', 3), (13, 'e', 3);
SELECT ordinal, relation FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', '*.root');
SELECT ordinal, relation FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', '*.east');
SELECT ordinal, relation FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', '*.east_1');
SELECT ordinal, relation FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'exclude_tables', '*.root');
SELECT ordinal, relation
    FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', '*.root', 'exclude_tables', '*.east');
SELECT ordinal, relation FROM cdc.get_changes('regress_partitions', NULL, NULL, 'exclude_tables', '*.south');
-- A partition that goes takes its rows along: nothing is said about them.
DROP TABLE west;
TRUNCATE south;
EXECUTE changes;

-- What a partition belongs to is decided anew when that changes: partitions that are made, detached and attached, also
-- with what is below them, and tables above them that get other names, in the midst of the stream and of a transaction.
CREATE SCHEMA partitions_other;
CREATE TABLE top (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE mid PARTITION OF top FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF mid FOR VALUES FROM (0) TO (50);
CREATE TABLE bystander (id int, note text);
SELECT 'all seen' AS so_far FROM cdc.get_changes('regress_partitions') LIMIT 1;
INSERT INTO leaf VALUES (1, 'in top');
INSERT INTO bystander VALUES (1, 'never');
BEGIN;
CREATE TABLE leaf_2 PARTITION OF mid FOR VALUES FROM (50) TO (100);
INSERT INTO top VALUES (51, 'in a new one');
ALTER TABLE mid DETACH PARTITION leaf_2;
INSERT INTO leaf_2 VALUES (52, 'detached: never');
ALTER TABLE mid ATTACH PARTITION leaf_2 FOR VALUES FROM (50) TO (100);
INSERT INTO leaf_2 VALUES (53, 'attached');
COMMIT;
ALTER TABLE top DETACH PARTITION mid;
INSERT INTO mid VALUES (2, 'detached with mid: never'), (54, 'detached with mid: never');
ALTER TABLE top ATTACH PARTITION mid FOR VALUES FROM (0) TO (100);
INSERT INTO mid VALUES (3, 'attached with mid'), (55, 'attached with mid');
ALTER TABLE top RENAME TO summit;
INSERT INTO mid VALUES (4, 'another name: never');
ALTER TABLE summit RENAME TO top;
INSERT INTO mid VALUES (5, 'the old name');
ALTER TABLE top SET SCHEMA partitions_other;
INSERT INTO mid VALUES (6, 'another schema: never');
ALTER TABLE partitions_other.top SET SCHEMA partitions_test;
ALTER SCHEMA partitions_test RENAME TO partitions_renamed;
INSERT INTO partitions_renamed.mid VALUES (7, 'its schema has another name: never');
ALTER SCHEMA partitions_renamed RENAME TO partitions_test;
INSERT INTO mid VALUES (8, 'the old schema');
SELECT split_part(relation, '.', 2) AS relation, after
    FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', 'partitions_test.top');
-- And all that time, definitions say what is at the top.
SELECT r->>'schema' AS schema, r->>'table' AS partition, r->>'root_schema' AS root_schema, r->>'root_table' AS root,
       (r->>'root_relation_id')::oid = 'top'::regclass AS same_table, r->'after'->>'note' AS note
    FROM (SELECT data::jsonb AS r FROM pg_logical_slot_get_changes('regress_partitions', NULL, NULL, 'format', 'json')) AS r
    WHERE r->>'record' IN ('relation', 'change');
-- Columns keep their numbers when they are renamed, and partitions have numbers of their own.
ALTER TABLE top RENAME note TO words;
CREATE TABLE leaf_3 (gone int, words text, id int);
ALTER TABLE leaf_3 DROP gone;
ALTER TABLE top ATTACH PARTITION leaf_3 FOR VALUES FROM (100) TO (200);
ALTER TABLE top DROP words, ADD words text;
INSERT INTO top VALUES (9, 'x'), (109, 'y');
SELECT r->>'table' AS partition, c->>'name' AS column, c->'attribute_number' AS number
    FROM (SELECT data::jsonb AS r FROM pg_logical_slot_get_changes('regress_partitions', NULL, NULL, 'format', 'json')) AS r,
         jsonb_array_elements(r->'columns') AS c
    WHERE r->>'record' = 'relation';
-- A primary key that may be broken for a while is none.
CREATE TABLE deferred_key (a int, b int, PRIMARY KEY (b, a) DEFERRABLE);
CREATE TABLE immediate_key (a int, b int, PRIMARY KEY (b, a));
INSERT INTO deferred_key VALUES (1, 2);
INSERT INTO immediate_key VALUES (1, 2);
SELECT r->>'table' AS "table", c->>'name' AS column, c->'primary_key_position' AS position,
       c->'in_replica_identity' AS in_identity
    FROM (SELECT data::jsonb AS r FROM pg_logical_slot_get_changes('regress_partitions', NULL, NULL, 'format', 'json')) AS r,
         jsonb_array_elements(r->'columns') AS c
    WHERE r->>'record' = 'relation';
SELECT r->>'root_table' AS root, r->'after' AS after
    FROM cdc.decode((SELECT string_agg(s, '') FROM (SELECT cdc.snapshot('leaf') AS s) AS b)) AS r LIMIT 2;

-- Inheritance: each table for itself.
CREATE TABLE parent (id int PRIMARY KEY, a text);
CREATE TABLE child (b text, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 'p');
INSERT INTO child VALUES (2, 'c', 'b');
UPDATE parent SET a = 'x', id = id + 10;
DELETE FROM ONLY parent;
EXECUTE changes;

SET client_min_messages = warning;
DROP SCHEMA partitions_test, partitions_other CASCADE;
SELECT pg_drop_replication_slot('regress_partitions');
