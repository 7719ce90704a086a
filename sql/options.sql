-- Options of the output plugin: what each of them takes, and the error for what it does not take. A refused option
-- leaves the slot as it was.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE TABLE options_row (id int PRIMARY KEY);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_options', 'cdc_plugin');
INSERT INTO options_row VALUES (1);

-- One row and one call: the change is there, or there is an error.
PREPARE changes (text[]) AS
    SELECT count(*) FROM cdc.peek_changes('regress_options', NULL, NULL, VARIADIC $1);
EXECUTE changes ('{}');

-- Values that each option takes ---------------------------------------------------------------------------------------

CREATE TEMPORARY TABLE good (id serial, name text, value text);
INSERT INTO good (name, value) VALUES
    ('batch_bytes', '1'), ('batch_bytes', '1B'), ('batch_bytes', '64kB'), ('batch_bytes', '0064kB'),
    ('batch_bytes', '64MB'), ('batch_bytes', '67108864'),
    ('tables', '*.*'), ('tables', 'public.options_row'), ('tables', ' public.options_row , x.y '),
    ('tables', '\public.option\s\_row'), ('tables', 'none.none'),
    ('exclude_tables', '*.*'), ('exclude_tables', 'public.options_row'), ('exclude_tables', 'none.none'),
    ('actions', 'insert'), ('actions', 'truncate, delete,update ,insert'), ('actions', 'update,delete'),
    ('messages', 'on'), ('messages', 'true'), ('messages', 'yes'), ('messages', '1'),
    ('messages', 'off'), ('messages', 'false'), ('messages', 'no'), ('messages', '0'),
    ('message_prefixes', '*'), ('message_prefixes', 'a,b.c, d\,e'), ('message_prefixes', '\ '),
    ('origin', 'any'), ('origin', 'none'),
    ('skip_empty_xacts', 'on'), ('skip_empty_xacts', 'off'),
    ('changed_columns', 'on'), ('changed_columns', 'off'),
    ('max_value_bytes', '0'), ('max_value_bytes', '1'), ('max_value_bytes', '1GB'), ('max_value_bytes', '1073741824');
\t on
\pset format unaligned
SELECT format('EXECUTE changes (ARRAY[%L,%L])', name, value) FROM good ORDER BY id \gexec

-- What only the plugin itself takes, because cdc.peek_changes() decodes the records.
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('regress_options', NULL, NULL, 'format', 'protobuf');
SELECT count(*) FROM pg_logical_slot_peek_changes('regress_options', NULL, NULL, 'format', 'json');
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('regress_options', NULL, NULL, 'framing', 'none');
SELECT count(*) FROM pg_logical_slot_peek_binary_changes('regress_options', NULL, NULL, 'framing', 'delimited');
SELECT count(*) FROM pg_logical_slot_peek_changes('regress_options', NULL, NULL, 'framing', 'none', 'format', 'json');

-- Several at once.
EXECUTE changes ('{tables, public.*, exclude_tables, *.x, actions, insert, messages, off, batch_bytes, 1}');

-- Values that they do not take ----------------------------------------------------------------------------------------

CREATE TEMPORARY TABLE bad (id serial, options text[]);
INSERT INTO bad (options) VALUES
    -- no such option
    ('{wrong, on}'),
    -- given twice, even with one value
    ('{messages, on, messages, on}'), ('{tables, a.b, actions, insert, tables, a.b}'),
    -- Booleans
    ('{messages, ""}'), ('{messages, maybe}'), ('{messages, ON}'), ('{skip_empty_xacts, 2}'),
    ('{changed_columns, " on"}'),
    -- sizes
    ('{batch_bytes, ""}'), ('{batch_bytes, 0}'), ('{batch_bytes, -1}'), ('{batch_bytes, 1.5}'), ('{batch_bytes, kB}'),
    ('{batch_bytes, "64 kB"}'), ('{batch_bytes, 64KB}'), ('{batch_bytes, 64kBB}'), ('{batch_bytes, 67108865}'),
    ('{batch_bytes, 65537kB}'), ('{batch_bytes, 65MB}'), ('{batch_bytes, 1GB}'), ('{batch_bytes, 1TB}'),
    ('{batch_bytes, 99999999999999999999999999}'), ('{batch_bytes, 0x10}'),
    ('{max_value_bytes, 1073741825}'), ('{max_value_bytes, 2GB}'), ('{max_value_bytes, 17179869184GB}'),
    ('{max_value_bytes, -0}'), ('{max_value_bytes, off}'),
    -- lists of tables
    ('{tables, ""}'), ('{tables, " "}'), ('{tables, ","}'), ('{tables, "a.b,"}'), ('{tables, "a.b,,c.d"}'),
    ('{tables, a}'), ('{tables, a.b.c}'), ('{tables, .b}'), ('{tables, a.}'), ('{tables, .}'), ('{tables, a\\.b}'),
    ('{tables, "a.b\\"}'), ('{tables, "a.b,c\\"}'), ('{tables, "\\"}'), ('{exclude_tables, ""}'),
    ('{exclude_tables, a}'), ('{exclude_tables, "a.\\"}'),
    -- lists of prefixes
    ('{message_prefixes, ""}'), ('{message_prefixes, "a,"}'), ('{message_prefixes, "a\\"}'),
    -- lists of actions
    ('{actions, ""}'), ('{actions, "insert,"}'), ('{actions, "insert,insert"}'), ('{actions, INSERT}'),
    ('{actions, "insert update"}'), ('{actions, select}'), ('{actions, *}'),
    -- words
    ('{origin, ""}'), ('{origin, some}'), ('{origin, None}'),
    ('{format, ""}'), ('{format, xml}'), ('{format, JSON}'), ('{framing, ""}'), ('{framing, lines}'),
    ('{framing, on}'),
    -- options that exclude each other
    ('{format, json, framing, delimited}'), ('{framing, delimited, format, json}');

-- With what is wrong and what to do about it. The slot can be used after each.
PREPARE plugin (text[]) AS
    SELECT count(*) FROM pg_logical_slot_peek_binary_changes('regress_options', NULL, NULL, VARIADIC $1);
SELECT format('EXECUTE plugin (%L)', options), 'EXECUTE plugin (''{}'')' FROM bad ORDER BY id \gexec

-- With their SQLSTATEs.
\set VERBOSITY sqlstate
SELECT format('EXECUTE plugin (%L)', options) FROM bad ORDER BY id \gexec
EXECUTE plugin ('{"", on}');
EXECUTE plugin ('{Tables, *.*}');
EXECUTE plugin ('{"tables ", *.*}');

-- A list of options that is not one -----------------------------------------------------------------------------------

\set VERBOSITY default
EXECUTE plugin ('{messages}');
EXECUTE plugin ('{messages, on, tables}');
EXECUTE plugin ('{{messages, on}}');
EXECUTE plugin ('{messages, NULL}');
EXECUTE plugin (NULL);

-- cdc.peek_changes() and cdc.get_changes() read the batches themselves.
EXECUTE changes ('{format, json}');
EXECUTE changes ('{messages, on, framing, delimited}');
EXECUTE changes ('{messages, format}');
EXECUTE changes (NULL);
SELECT count(*) FROM cdc.get_changes('regress_options', NULL, NULL, 'format', 'json');
SELECT count(*) FROM cdc.get_changes('regress_options', NULL, NULL, 'messages', 'maybe');
SELECT count(*) FROM cdc.peek_changes(NULL);
EXECUTE changes ('{messages}');
EXECUTE changes ('{messages, NULL}');
EXECUTE changes ('{NULL, on}');
SELECT count(*) FROM cdc.peek_changes('regress_options', NULL, 1, VARIADIC '{messages}');
SELECT count(*) FROM cdc.peek_changes('regress_options', NULL, 1, 'messages', NULL);
SELECT count(*) FROM cdc.peek_changes('regress_options', NULL, 1, NULL, 'on');
SELECT count(*) FROM cdc.peek_changes('regress_options', NULL, 1, VARIADIC '{{messages, on}}');
SELECT count(*) FROM cdc.peek_changes('no_such_slot');

-- A name without a value, which only the replication protocol can send.
\c -reuse-previous=on "replication=database"
START_REPLICATION SLOT regress_options LOGICAL 0/0 (messages);
START_REPLICATION SLOT regress_options LOGICAL 0/0 (messages 'on', messages);
\c -reuse-previous=on "replication=false"

-- The change is still there.
SELECT count(*) FROM cdc.get_changes('regress_options');

DROP TABLE options_row;
SELECT pg_drop_replication_slot('regress_options');
