-- The guard's functions and views on a server that has not preloaded the library: they work, with fewer columns filled,
-- and say so.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
-- Nothing to see where it is preloaded: that is for the tests under test/t.
SELECT preloaded FROM cdc.guard_status() \gset
\if :preloaded
\quit
\endif
RESET client_min_messages;

-- One NOTICE for each look.
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_guard', 'cdc_plugin');
SELECT slot_name, active, level, cause, advice, cap_source, wal_bytes_per_s, time_to_cap, wal_status, culprit_pid,
       culprit_gid, sampled_at, slot_type, plugin, database = current_database() AS here
    FROM cdc.slots WHERE slot_name = 'regress_guard';
SET client_min_messages = warning;

-- The same numbers as the server's own view.
SELECT s.restart_lsn = r.restart_lsn AS restart_lsn, s.confirmed_flush_lsn = r.confirmed_flush_lsn AS confirmed,
       s.active = r.active AS active, s.wal_status = r.wal_status AS wal_status,
       s.retained_bytes BETWEEN 0 AND 10000000 AS retained, s.unconfirmed_bytes <= s.retained_bytes AS unconfirmed,
       s.disk_free_bytes > 0 AS disk_free
    FROM cdc.slots AS s JOIN pg_replication_slots AS r USING (slot_name) WHERE slot_name = 'regress_guard';

-- The columns that people read, in their order.
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = 'cdc.slots'::regclass AND attnum BETWEEN 1 AND 20;
SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'cdc.slots_pretty'::regclass AND attnum > 0;
SELECT slot_name, level, retained ~ '^\d+ (bytes|kB|MB)$' AS retained FROM cdc.slots_pretty WHERE slot_name = 'regress_guard';

-- Nothing is kept without a worker.
SELECT count(*) FROM cdc.slot_history;
SELECT count(*) FROM cdc.alerts;
SELECT preloaded, worker_pid, watching, samples FROM cdc.guard_status();

-- Each check says what it found.
SELECT check_name, status FROM cdc.diagnose('regress_guard');
SELECT DISTINCT finding <> '' AND jsonb_typeof(evidence) = 'object' AS found FROM cdc.diagnose('regress_guard');
SELECT step, title, regexp_replace(command, '\d+MB', 'NMB') AS command FROM cdc.runbook('regress_guard');
SELECT count(*) FROM cdc.check() WHERE slot_name = 'regress_guard' AND level <> 'ok';

-- A physical slot, one that never reserved WAL, and none at all.
SELECT 'made' AS slot FROM pg_create_physical_replication_slot('regress_guard_physical', true);
SELECT 'made' AS slot FROM pg_create_physical_replication_slot('regress_guard_unreserved');
SELECT slot_name, slot_type, level, cause, plugin, database, retained_bytes IS NULL AS retains_none, wal_status
    FROM cdc.slots WHERE slot_name LIKE 'regress_guard_%' ORDER BY 1;
SELECT check_name, status FROM cdc.diagnose('regress_guard_physical') WHERE status NOT IN ('ok', 'warning');
SELECT check_name, status, finding FROM cdc.diagnose('regress_guard_unreserved') WHERE check_name = 'slot';
SELECT step, title FROM cdc.runbook('regress_guard_unreserved');
SELECT * FROM cdc.diagnose('regress_nowhere');
SELECT * FROM cdc.runbook('regress_nowhere');
SELECT * FROM cdc.diagnose(NULL);
SELECT * FROM cdc.runbook('');

-- A heartbeat is an event of the slot.
SELECT cdc.heartbeat() > '0/0' AS emitted;
SELECT op, details ->> 'prefix' AS prefix, (details ->> 'content')::jsonb ? 'at' AS content
    FROM cdc.peek_changes('regress_guard', NULL, NULL, 'messages', 'off');

-- Settings that make no sense are refused, with the place.
ALTER SYSTEM SET cdc_plugin.guard_policies = 'orders: cap=10GB; audit_*: cap=2 at_cap=drop';
ALTER SYSTEM SET cdc_plugin.guard_policies = 'orders: at_cap=drop';
ALTER SYSTEM SET cdc_plugin.guard_policies = 'orders: cap=1GB at_cap=delete';
ALTER SYSTEM SET cdc_plugin.guard_time_left = 'notice=1h, warning';
ALTER SYSTEM SET cdc_plugin.guard_notice_percent = 101;
ALTER SYSTEM SET cdc_plugin.guard_interval = 0;
ALTER SYSTEM SET cdc_plugin.no_such_setting = 0;
SET cdc_plugin.guard_enabled = off;

-- What preflight says of it.
SELECT item, status, finding, fix FROM cdc.preflight() WHERE item = 'guard';
SELECT item, status, fix ~ '^ALTER SYSTEM SET max_slot_wal_keep_size = ''\d+MB''; SELECT pg_reload_conf\(\);$' AS fix
    FROM cdc.preflight() WHERE item = 'max_slot_wal_keep_size';

-- Who may look.
CREATE ROLE regress_cdc_nobody;
CREATE ROLE regress_cdc_watcher;
GRANT pg_monitor TO regress_cdc_watcher;
SET ROLE regress_cdc_nobody;
SELECT * FROM cdc.slots;
SELECT * FROM cdc.slots_pretty;
SELECT * FROM cdc.slot_history;
SELECT * FROM cdc.alerts;
SELECT * FROM cdc.check();
SELECT * FROM cdc.diagnose('regress_guard');
SELECT * FROM cdc.runbook('regress_guard');
SELECT * FROM cdc.guard_status();
SELECT item, status, finding, fix FROM cdc.preflight() WHERE item = 'guard';
SET ROLE regress_cdc_watcher;
SELECT slot_name, level FROM cdc.slots WHERE slot_name = 'regress_guard';
SELECT count(*) FROM cdc.slots_pretty WHERE slot_name = 'regress_guard';
SELECT count(*) FROM cdc.alerts;
SELECT count(*) FROM cdc.check() WHERE slot_name = 'regress_guard' AND level <> 'ok';
SELECT count(*) > 0 AS rows FROM cdc.diagnose('regress_guard');
SELECT count(*) > 0 AS rows FROM cdc.runbook('regress_guard');
SELECT item, status FROM cdc.preflight() WHERE item = 'guard';
RESET ROLE;

-- Names in search_path are not trusted.
CREATE SCHEMA regress_guard_trap;
CREATE FUNCTION regress_guard_trap.pg_size_pretty(bigint) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
SET search_path = regress_guard_trap, pg_catalog;
SELECT count(*) FROM cdc.slots_pretty WHERE retained = 'trapped';
SELECT count(*) FROM cdc.diagnose('regress_guard') WHERE finding LIKE '%trapped%';
RESET search_path;
DROP SCHEMA regress_guard_trap CASCADE;

DROP ROLE regress_cdc_nobody, regress_cdc_watcher;
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'regress_guard%';
