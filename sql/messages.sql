-- Logical messages, those that the project itself relies on included.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE TABLE messages_row (id int PRIMARY KEY);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_messages', 'cdc_plugin');
-- LSNs and transaction ids are there where they should be.
CREATE FUNCTION messages_now(VARIADIC options text[] DEFAULT '{}') RETURNS TABLE (
        ordinal bigint, has_commit_lsn boolean, has_xid boolean, op text, relation text, details jsonb, has_lsn boolean)
    LANGUAGE sql AS $$
    SELECT ordinal, commit_lsn IS NOT NULL, xid IS NOT NULL, op, relation, details - 'lsn',
           (details->>'lsn')::pg_lsn > '0/0'
    FROM cdc.peek_changes('regress_messages', NULL, NULL, VARIADIC options)
$$;
PREPARE next AS SELECT pg_replication_slot_advance('regress_messages', pg_current_wal_lsn()) IS NOT NULL AS advanced;
\t on
\pset format unaligned
\o /dev/null

-- In a transaction, between changes; alone; empty; out of transactions, at once. (Such a message is not flushed to
-- disk, and so not decoded, before something else is: hence the last one.)
BEGIN;
INSERT INTO messages_row VALUES (1);
SELECT pg_logical_emit_message(true, 'prefix', 'content');
SELECT pg_logical_emit_message(false, 'at once', 'sent before its transaction');
INSERT INTO messages_row VALUES (2);
SELECT pg_logical_emit_message(true, '', '');
COMMIT;
SELECT pg_logical_emit_message(true, 'alone', 'é 😀');
SELECT pg_logical_emit_message(false, 'at once', '');
SELECT pg_logical_emit_message(true, 'end', '');
\o
SELECT * FROM messages_now();
EXECUTE next;

-- Rolled back: what is transactional is gone, the rest is not.
\o /dev/null
BEGIN;
SELECT pg_logical_emit_message(true, 'gone', '');
SELECT pg_logical_emit_message(false, 'stays', '');
ROLLBACK;
BEGIN;
SELECT pg_logical_emit_message(true, 'first', '');
SAVEPOINT s;
SELECT pg_logical_emit_message(true, 'gone', '');
SELECT pg_logical_emit_message(false, 'stays too', '');
ROLLBACK TO s;
SELECT pg_logical_emit_message(true, 'second', '');
COMMIT;
\o
SELECT * FROM messages_now();
EXECUTE next;

-- Content is bytes: text where it is UTF-8, hexadecimal where it is not.
\o /dev/null
SELECT pg_logical_emit_message(true, 'text', '\x6120220a5c'::bytea);
SELECT pg_logical_emit_message(true, 'NUL', '\x610062'::bytea);
SELECT pg_logical_emit_message(true, 'not UTF-8', '\xc3'::bytea);
SELECT pg_logical_emit_message(true, 'not UTF-8', '\xfffe00'::bytea);
SELECT pg_logical_emit_message(true, 'surrogate', '\xeda080'::bytea);
SELECT pg_logical_emit_message(true, 'é, * "x" \', '{"json": true}');
SELECT pg_logical_emit_message(true, repeat('long prefix ', 20), repeat('long content ', 20));
SELECT pg_logical_emit_message(false, 'binary at once', '\x00'::bytea);
SELECT pg_logical_emit_message(true, 'end', '');
\o
SELECT * FROM messages_now();
-- Larger ones than max_value_bytes.
SELECT details - 'lsn' FROM cdc.peek_changes('regress_messages', NULL, NULL, 'max_value_bytes', '3');
EXECUTE next;

-- Filters. Heartbeats pass them all, in and out of transactions. ------------------------------------------------------
\o /dev/null
SELECT pg_logical_emit_message(true, 'app.order', 'a');
SELECT pg_logical_emit_message(true, 'app.user', 'b');
SELECT pg_logical_emit_message(false, 'app.order', 'c');
SELECT pg_logical_emit_message(true, 'other,thing', 'd');
SELECT pg_logical_emit_message(true, 'cdc_plugin.heartbeat', 'e');
SELECT pg_logical_emit_message(false, 'cdc_plugin.heartbeat', 'f');
SELECT pg_logical_emit_message(true, 'cdc_plugin.heartbeats', 'g');
SELECT pg_logical_emit_message(true, 'Cdc_plugin.heartbeat', 'h');
SELECT pg_logical_emit_message(true, '', 'i');
BEGIN;
INSERT INTO messages_row VALUES (3);
SELECT pg_logical_emit_message(true, 'app.order', 'j');
INSERT INTO messages_row VALUES (4);
SELECT pg_logical_emit_message(true, 'app.user', 'k');
COMMIT;
\o
CREATE FUNCTION contents(VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(coalesce(details->>'content', '-') || coalesce(ordinal, 0), ' ')
    FROM cdc.peek_changes('regress_messages', NULL, NULL, VARIADIC options)
$$;
SELECT contents();
SELECT contents('messages', 'off');
SELECT contents('messages', 'on');
SELECT contents('message_prefixes', 'app.order');
SELECT contents('message_prefixes', 'app.*');
SELECT contents('message_prefixes', '*order, *user');
SELECT contents('message_prefixes', 'other\,thing');
SELECT contents('message_prefixes', 'other,thing');
SELECT contents('message_prefixes', 'App.order');
SELECT contents('message_prefixes', '*');
SELECT contents('message_prefixes', 'app.*', 'messages', 'off');
SELECT contents('tables', 'no.such', 'message_prefixes', 'none');
-- The actions are those of rows and tables.
SELECT contents('actions', 'truncate');

-- Records. A message out of transactions has neither transaction nor ordinal; each is a batch of its own.
SELECT string_agg(record->>'record', ' '), bool_and(NOT record ? 'xid' AND NOT record ? 'ordinal')
    FROM pg_logical_slot_peek_binary_changes('regress_messages', NULL, NULL, 'message_prefixes', 'none'),
         cdc.decode(data) AS record
    WHERE record @> '{"record": "message", "transactional": false}';
SELECT data::jsonb - '{lsn,xid,commit_lsn}'::text[]
    FROM pg_logical_slot_get_changes('regress_messages', NULL, NULL, 'format', 'json', 'message_prefixes', 'app.order')
    WHERE data::jsonb->>'record' = 'message';
-- Between the messages of a large transaction, one out of transactions does not tear it apart: it comes before it.
\o /dev/null
BEGIN;
INSERT INTO messages_row VALUES (5);
SELECT pg_logical_emit_message(false, 'at once', '');
INSERT INTO messages_row VALUES (6);
COMMIT;
\o
SELECT string_agg(record->>'record', ' ')
    FROM pg_logical_slot_get_binary_changes('regress_messages', NULL, NULL, 'batch_bytes', '1'),
         cdc.decode(data) AS record;

DROP TABLE messages_row;
DROP FUNCTION messages_now, contents;
SELECT pg_drop_replication_slot('regress_messages');
