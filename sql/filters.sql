-- Filters of tables and actions. What they hold back is counted all the same: an event has the same ordinal under all
-- options.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA filters_test;
CREATE SCHEMA filters_test_2;
SET search_path = filters_test;
CREATE TABLE a (id int PRIMARY KEY, v text);
CREATE TABLE b (id int PRIMARY KEY, v text);
CREATE TABLE filters_test_2.a (id int PRIMARY KEY, v text);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_filters', 'cdc_plugin');
-- Events as words: 3:update:a is the third event of its transaction.
CREATE FUNCTION events(VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(
        format('%s:%s:%s', ordinal, op, replace(coalesce(relation, details->>'prefix'), 'filters_', '')), ' ')
    FROM cdc.peek_changes('regress_filters', NULL, NULL, VARIADIC options)
$$;

BEGIN;
INSERT INTO a VALUES (1, 'x');
INSERT INTO b VALUES (1, 'x');
INSERT INTO filters_test_2.a VALUES (1, 'x');
UPDATE a SET v = 'y';
UPDATE b SET id = 2;
SELECT pg_logical_emit_message(true, 'in', '') IS NOT NULL AS emitted;
UPDATE filters_test_2.a SET v = 'y';
DELETE FROM a;
TRUNCATE b, filters_test_2.a;
INSERT INTO b VALUES (3, 'x');
DELETE FROM b;
COMMIT;
INSERT INTO a VALUES (4, 'x');
DELETE FROM a;
INSERT INTO b VALUES (4, 'x');

SELECT events();
SELECT events('tables', 'filters_test.*');
SELECT events('tables', 'filters_test.a');
SELECT events('tables', '*.a');
SELECT events('tables', 'filters_test*.b');
SELECT events('tables', 'filters_test.a,filters_test_2.a');
SELECT events('exclude_tables', 'filters_test.a');
SELECT events('exclude_tables', '*.a , *.b');
SELECT events('exclude_tables', '*.*');
-- What is excluded is out, even if it is named.
SELECT events('tables', '*.a', 'exclude_tables', 'filters_test_2.*');
SELECT events('tables', 'filters_test.*', 'exclude_tables', '*.a');
SELECT events('tables', '*.a', 'exclude_tables', '*.a');
SELECT events('tables', 'no.such');
SELECT events('actions', 'insert');
SELECT events('actions', 'update');
SELECT events('actions', 'delete');
SELECT events('actions', 'truncate');
SELECT events('actions', 'insert,truncate');
SELECT events('actions', 'insert,update,delete,truncate');
SELECT events('actions', 'delete', 'tables', '*.b', 'messages', 'off');
SELECT events('tables', '*.b', 'messages', 'off', 'batch_bytes', '1', 'skip_empty_xacts', 'off', 
              'changed_columns', 'on', 'origin', 'none', 'max_value_bytes', '1');

-- A commit counts what was sent, and transactions of which nothing is left are left out.
SELECT name, (SELECT string_agg(record->>'record', ' ' ORDER BY n)
              FROM (SELECT string_agg(data, '') AS data
                    FROM pg_logical_slot_peek_binary_changes('regress_filters', NULL, NULL, VARIADIC options)) AS d,
                   cdc.decode(data) WITH ORDINALITY AS r (record, n)) AS records,
       (SELECT string_agg(record->>'record_count', ' ' ORDER BY n)
        FROM (SELECT string_agg(data, '') AS data
              FROM pg_logical_slot_peek_binary_changes('regress_filters', NULL, NULL, VARIADIC options)) AS d,
             cdc.decode(data) WITH ORDINALITY AS r (record, n)) AS record_counts
    FROM (VALUES ('all', '{}'::text[]), ('table', '{tables, filters_test.b}'), ('action', '{actions, truncate}'),
                 ('excluded', '{exclude_tables, "*.*"}'), ('nothing', '{exclude_tables, "*.*", messages, off}'))
         AS v (name, options);

-- Each event that a filter lets through is the same event: id, transaction and rows.
SELECT options, (SELECT count(*) FROM (
                     SELECT * FROM cdc.peek_changes('regress_filters', NULL, NULL, VARIADIC options)
                     EXCEPT ALL SELECT * FROM cdc.peek_changes('regress_filters')) AS d
                 WHERE op <> 'truncate') AS others
    FROM (VALUES ('{tables, *.b}'::text[]), ('{actions, "update,delete"}'), ('{exclude_tables, *.a, messages, off}'),
                 ('{batch_bytes, 1}'), ('{skip_empty_xacts, off}')) AS v (options);

DROP FUNCTION events;
SET client_min_messages = warning;
DROP SCHEMA filters_test, filters_test_2 CASCADE;
SELECT pg_drop_replication_slot('regress_filters');
