-- changed_columns: which columns an update changed, where the old row is full.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE TABLE changed_full (
    id int PRIMARY KEY, "Text" text, number numeric, json json, jsonb jsonb, list int[], f float8, t timestamptz,
    big text, gone int, plus int GENERATED ALWAYS AS (id + 1) STORED
);
ALTER TABLE changed_full ALTER big SET STORAGE external, DROP gone, REPLICA IDENTITY FULL;
CREATE TABLE changed_key (id int PRIMARY KEY, value text);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_changed', 'cdc_plugin');
PREPARE changes AS
    SELECT ordinal, op, relation, details
    FROM cdc.get_changes('regress_changed', NULL, NULL, 'changed_columns', 'on');

INSERT INTO changed_full VALUES (1, 'a', 1.0, '{"a": 1}', '{"a": 1}', '{1,2}', 0, '2024-01-01 00:00+00',
    repeat('x', 10000));
-- None, one, all; from NULL and to NULL.
UPDATE changed_full SET id = id;
UPDATE changed_full SET "Text" = 'b';
UPDATE changed_full SET "Text" = NULL, number = NULL;
UPDATE changed_full SET "Text" = NULL, number = 0;
UPDATE changed_full SET id = 2, "Text" = '', number = 1, json = 'null', jsonb = 'null', list = '{}', f = 1,
                        t = 'infinity', big = '';
EXECUTE changes;
-- The same value in another guise: the scale of a numeric and the spaces of json count, as they are sent.
UPDATE changed_full SET number = 1.0;
UPDATE changed_full SET number = 1.00, json = ' null ', jsonb = ' null ', f = '-0', list = '{}';
UPDATE changed_full SET f = 0, t = 'infinity', list = '[0:0]={1}';
UPDATE changed_full SET f = 'NaN', list = '[1:1]={1}';
UPDATE changed_full SET f = 'NaN';
EXECUTE changes;
-- Values out of line: unchanged, changed, changed into the same.
UPDATE changed_full SET big = repeat('y', 10000);
UPDATE changed_full SET "Text" = 'c';
UPDATE changed_full SET big = repeat('y', 10000);
UPDATE changed_full SET big = repeat('z', 10000);
EXECUTE changes;
-- A column added since the row was written.
ALTER TABLE changed_full ADD added int DEFAULT 5, ADD added_text text;
UPDATE changed_full SET "Text" = 'd';
UPDATE changed_full SET added = 5;
UPDATE changed_full SET added = 6, added_text = '';
EXECUTE changes;
-- Only updates with a full old row have the list.
INSERT INTO changed_key VALUES (1, 'a');
UPDATE changed_key SET value = 'b';
UPDATE changed_key SET id = 2;
DELETE FROM changed_key;
DELETE FROM changed_full;
EXECUTE changes;
-- Without the option, nobody has.
INSERT INTO changed_full (id, "Text") VALUES (1, 'a');
UPDATE changed_full SET "Text" = 'b';
SELECT op, details FROM cdc.peek_changes('regress_changed');
SELECT op, details FROM cdc.peek_changes('regress_changed', NULL, NULL, 'changed_columns', 'off');
-- In records: with names where the definition is there, positions where it is not.
SELECT record->'changed' AS changed
    FROM pg_logical_slot_peek_binary_changes('regress_changed', NULL, NULL, 'changed_columns', 'on'),
         cdc.decode(data) AS record
    WHERE record->>'op' = 'update';
SELECT data::jsonb->'changed' AS changed
    FROM pg_logical_slot_peek_changes('regress_changed', NULL, NULL, 'changed_columns', 'on', 'format', 'json')
    WHERE data::jsonb->>'op' = 'update';
SELECT record->'changed' AS changed, jsonb_typeof(record->'after') AS after
    FROM pg_logical_slot_get_binary_changes('regress_changed', NULL, NULL, 'changed_columns', 'on', 'batch_bytes', '1'),
         cdc.decode(data) AS record
    WHERE record->>'op' = 'update';

-- Many columns: positions of more than 127 take two bytes.
SELECT format('CREATE TABLE changed_wide (%s)', string_agg(format('c%s int', i), ', ' ORDER BY i))
    FROM generate_series(0, 299) AS i \gexec
ALTER TABLE changed_wide REPLICA IDENTITY FULL;
INSERT INTO changed_wide DEFAULT VALUES;
UPDATE changed_wide SET c0 = 1, c127 = 1, c128 = 1, c299 = 1;
EXECUTE changes;

-- Of a value that is too large to send only the size is known: it counts as changed, but for unchanged TOAST.
CREATE TABLE changed_large (id int PRIMARY KEY, small text, large text, kept text);
ALTER TABLE changed_large ALTER kept SET STORAGE EXTERNAL;
ALTER TABLE changed_large REPLICA IDENTITY FULL;
INSERT INTO changed_large VALUES (1, 'a', repeat('a', 100), repeat('k', 3000));
UPDATE changed_large SET large = repeat('b', 100);
SELECT op, details FROM cdc.get_changes('regress_changed', NULL, NULL, 'changed_columns', 'on', 'max_value_bytes', '10')
    WHERE op = 'update';

DROP TABLE changed_full, changed_key, changed_wide, changed_large;
SELECT pg_drop_replication_slot('regress_changed');
