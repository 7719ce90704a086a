-- Where a transaction came from, and the option origin.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE TABLE origins_row (id int PRIMARY KEY);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_origins', 'cdc_plugin');
\t on
\pset format unaligned
\o /dev/null
SELECT pg_replication_origin_create('regress origin "é"'), pg_replication_origin_create('regress_origin_2');
INSERT INTO origins_row VALUES (1);
SELECT pg_replication_origin_session_setup('regress origin "é"');
-- With and without the LSN and the time that it had there.
BEGIN;
SELECT pg_replication_origin_xact_setup('16/B374D848', '2013-01-01 00:00+00');
INSERT INTO origins_row VALUES (2);
SELECT pg_logical_emit_message(true, 'in', 'a');
SELECT pg_logical_emit_message(false, 'at once', 'b');
SELECT pg_logical_emit_message(false, 'cdc_plugin.heartbeat', 'c');
SELECT pg_logical_emit_message(true, 'cdc_plugin.heartbeat', 'd');
COMMIT;
INSERT INTO origins_row VALUES (3);
TRUNCATE origins_row;
SELECT pg_replication_origin_session_reset();
SELECT pg_replication_origin_session_setup('regress_origin_2');
INSERT INTO origins_row VALUES (4);
SELECT pg_replication_origin_session_reset();
SELECT pg_logical_emit_message(false, 'at once', 'e');
BEGIN;
INSERT INTO origins_row VALUES (5);
SELECT pg_logical_emit_message(true, 'in', 'f');
COMMIT;
\o
CREATE FUNCTION origins_events(VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(':', ordinal, op, coalesce(after->>'id', details->>'content')), ' ')
    FROM cdc.peek_changes('regress_origins', NULL, NULL, VARIADIC options)
$$;
SELECT origins_events();
SELECT origins_events('origin', 'any');
-- What began here, and heartbeats.
SELECT origins_events('origin', 'none');
SELECT origins_events('origin', 'none', 'messages', 'off');
SELECT record->>'origin', record->>'origin_lsn', (record->>'commit_time')::timestamptz = '2013-01-01 00:00+00'
    FROM pg_logical_slot_peek_binary_changes('regress_origins', NULL, NULL), cdc.decode(data) AS record
    WHERE record->>'record' = 'begin';
-- One that was dropped since has the name that it had at the time.
SELECT pg_replication_origin_drop('regress_origin_2');
SELECT data::jsonb ? 'origin', data::jsonb->>'origin', data::jsonb->>'origin_lsn'
    FROM pg_logical_slot_get_changes('regress_origins', NULL, NULL, 'format', 'json')
    WHERE data::jsonb->>'record' = 'begin';

SELECT pg_replication_origin_drop('regress origin "é"');
DROP TABLE origins_row;
DROP FUNCTION origins_events;
SELECT pg_drop_replication_slot('regress_origins');
