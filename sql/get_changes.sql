-- cdc.get_changes(): takes whole transactions, up to where it looked, and nothing if it fails.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;
SELECT 'created' AS slot FROM pg_create_logical_replication_slot('regress_get', 'cdc_plugin');
CREATE TABLE get_changes_row (id int PRIMARY KEY);

-- With a limit, it ends behind the transaction that reaches it; the next call goes on there.
INSERT INTO get_changes_row VALUES (1), (2), (3);
INSERT INTO get_changes_row VALUES (4);
SELECT 'sent' AS message FROM pg_logical_emit_message(false, 'get', 'between');
INSERT INTO get_changes_row VALUES (5);
SELECT op, after FROM cdc.get_changes('regress_get', NULL, 1);
SELECT op, after FROM cdc.get_changes('regress_get', NULL, 1);
SELECT op, details->>'content' AS content FROM cdc.get_changes('regress_get', NULL, 1);
SELECT op, after FROM cdc.get_changes('regress_get');
SELECT op, after FROM cdc.get_changes('regress_get');

-- Up to a position.
INSERT INTO get_changes_row VALUES (6);
SELECT pg_current_wal_lsn() AS here \gset
INSERT INTO get_changes_row VALUES (7);
SELECT op, after FROM cdc.get_changes('regress_get', :'here');
SELECT op, after FROM cdc.peek_changes('regress_get');

-- A position that lies ahead takes nothing that was not there yet.
SELECT op, after FROM cdc.get_changes('regress_get', 'FFFFFFFF/FFFFFFFF');
INSERT INTO get_changes_row VALUES (8);
SELECT op, after FROM cdc.get_changes('regress_get');

-- A call that fails on the way leaves the slot as it was: here, jsonb cannot hold so long a string.
CREATE TABLE get_changes_large (note text);
INSERT INTO get_changes_large VALUES (repeat('x', 268435456));
INSERT INTO get_changes_row VALUES (9);
\set VERBOSITY sqlstate
SELECT op FROM cdc.get_changes('regress_get', NULL, NULL, 'max_value_bytes', '1GB');
\set VERBOSITY default
SELECT op, relation, after, details FROM cdc.get_changes('regress_get');

-- A position that lies behind, or a limit that makes no sense, takes nothing.
INSERT INTO get_changes_row VALUES (10);
SELECT op, after FROM cdc.get_changes('regress_get', '0/1');
SELECT op, after FROM cdc.get_changes('regress_get', NULL, -1);
SELECT op, after FROM cdc.get_changes('regress_get', NULL, 0);

DROP TABLE get_changes_row, get_changes_large;
SELECT pg_drop_replication_slot('regress_get');
