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
-- Filters are about the tables that hold the rows.
INSERT INTO root VALUES (12, 's', 3), (13, 'e', 3);
SELECT ordinal, relation FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', '*.root');
SELECT ordinal, relation FROM cdc.peek_changes('regress_partitions', NULL, NULL, 'tables', '*.east*');
SELECT ordinal, relation FROM cdc.get_changes('regress_partitions', NULL, NULL, 'exclude_tables', '*.east*');
-- A partition that goes takes its rows along: nothing is said about them.
DROP TABLE west;
TRUNCATE south;
EXECUTE changes;

-- Inheritance: each table for itself.
CREATE TABLE parent (id int PRIMARY KEY, a text);
CREATE TABLE child (b text, PRIMARY KEY (id)) INHERITS (parent);
INSERT INTO parent VALUES (1, 'p');
INSERT INTO child VALUES (2, 'c', 'b');
UPDATE parent SET a = 'x', id = id + 10;
DELETE FROM ONLY parent;
EXECUTE changes;

SET client_min_messages = warning;
DROP SCHEMA partitions_test CASCADE;
SELECT pg_drop_replication_slot('regress_partitions');
