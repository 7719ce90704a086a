-- cdc.preflight(): what it finds, and for whom. Numbers of this server are left out, and what depends on whether it has
-- the setting output_plugin_libraries.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;

CREATE SCHEMA "Preflight test";
SET search_path = "Preflight test";
CREATE ROLE regress_cdc_ordinary;
CREATE ROLE regress_cdc_replication REPLICATION;
CREATE ROLE "regress cdc Odd";
CREATE ROLE regress_cdc_monitor;
GRANT pg_monitor TO regress_cdc_monitor;
PREPARE findings AS
    SELECT item, status, regexp_replace(finding, '\d+', 'N', 'g') AS finding, fix FROM cdc.preflight()
    WHERE item NOT IN ('output_plugin_libraries', 'replica_identity', 'max_slot_wal_keep_size', 'guard', 'burst');

-- Who asks.
EXECUTE findings;
SET ROLE regress_cdc_ordinary;
EXECUTE findings;
SET ROLE regress_cdc_replication;
EXECUTE findings;
SET ROLE "regress cdc Odd";
EXECUTE findings;
RESET ROLE;

-- Tables whose updates and deletes do not say which row they hit.
CREATE TABLE with_key (id int PRIMARY KEY);
CREATE TABLE full_identity (id int);
ALTER TABLE full_identity REPLICA IDENTITY FULL;
CREATE TABLE with_index (id int NOT NULL UNIQUE);
ALTER TABLE with_index REPLICA IDENTITY USING INDEX with_index_id_key;
CREATE TABLE unique_only (id int NOT NULL UNIQUE);
CREATE TABLE "No Key, at all" (id int);
CREATE TABLE nothing (id int PRIMARY KEY);
ALTER TABLE nothing REPLICA IDENTITY NOTHING;
CREATE TABLE lost_index (id int PRIMARY KEY, n int NOT NULL UNIQUE);
ALTER TABLE lost_index REPLICA IDENTITY USING INDEX lost_index_n_key;
ALTER TABLE lost_index DROP CONSTRAINT lost_index_n_key;
CREATE TABLE root (id int) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
CREATE UNLOGGED TABLE unlogged (id int);
CREATE TEMPORARY TABLE temporary (id int);
CREATE MATERIALIZED VIEW matview AS SELECT 1 AS id;
CREATE VIEW view AS SELECT 1 AS id;
SELECT status, finding, fix FROM cdc.preflight()
    WHERE item = 'replica_identity' AND finding LIKE '"Preflight test"%' ORDER BY finding;
-- The server takes a deferrable primary key for none.
CREATE TABLE deferrable_key (id int PRIMARY KEY DEFERRABLE);
SELECT status, fix FROM cdc.preflight() WHERE item = 'replica_identity' AND finding LIKE '%.deferrable_key:%';
-- The fixes do what they are for.
SELECT fix FROM cdc.preflight() WHERE item = 'replica_identity' AND finding LIKE '"Preflight test"%' ORDER BY fix \gexec
SELECT count(*) FROM cdc.preflight() WHERE item = 'replica_identity' AND finding LIKE '"Preflight test"%';

-- Whether this plugin may be one. On a server without the setting everything is NULL and well; with it, the command
-- keeps what is on the list, and mends lists that somebody put between one pair of quotes. Only what is not as expected
-- is listed here.
SELECT count(*) > 0 AS has_setting FROM pg_settings WHERE name = 'output_plugin_libraries' \gset
CREATE TEMPORARY TABLE lists (id serial, setting text, allowed boolean, listed text);
INSERT INTO lists (setting, allowed, listed) VALUES
    ('cdc_plugin', true, 'cdc_plugin'),
    ('pgoutput, test_decoding', false, 'pgoutput, test_decoding, cdc_plugin'),
    ('pgoutput, test_decoding, cdc_plugin', true, 'pgoutput, test_decoding, cdc_plugin'),
    ('"pgoutput, test_decoding, cdc_plugin"', false, 'pgoutput, test_decoding, cdc_plugin'),
    ('"pgoutput, cdc_plugin", wal2json', false, 'pgoutput, wal2json, cdc_plugin'),
    ('"Odd name", "it''s", "1st"', false, '''Odd name'', ''it''''s'', ''1st'', cdc_plugin'),
    ('cdc_plugin_2, Cdc_plugin', false, 'cdc_plugin_2, ''Cdc_plugin'', cdc_plugin'),
    ('', false, 'cdc_plugin');
CREATE FUNCTION plugin_findings() RETURNS TABLE (
        id int, allowed boolean, shown text, command text, status text, finding text, fix text)
    LANGUAGE plpgsql AS $$
DECLARE
    list record;
BEGIN
    FOR list IN SELECT * FROM lists ORDER BY lists.id LOOP
        PERFORM set_config('output_plugin_libraries', list.setting, true);
        RETURN QUERY SELECT list.id, a.allowed, a.setting, a.command, p.status, p.finding, p.fix
            FROM cdc.plugin_allowed() AS a, cdc.preflight() AS p WHERE p.item = 'output_plugin_libraries';
    END LOOP;
END
$$;
CREATE TEMPORARY TABLE found (id int, allowed boolean, shown text, command text, status text, finding text, fix text);
\if :has_setting
INSERT INTO found SELECT * FROM plugin_findings();
\else
INSERT INTO found
    SELECT id, lists.allowed, lists.setting,
           format('ALTER SYSTEM SET output_plugin_libraries = %s; SELECT pg_reload_conf();', listed),
           CASE WHEN lists.allowed THEN 'ok' ELSE 'error' END,
           CASE WHEN lists.allowed THEN 'cdc_plugin is listed' ELSE 'cdc_plugin is not listed' END,
           CASE WHEN NOT lists.allowed THEN 'the command' END
    FROM lists, cdc.plugin_allowed() AS answer
    WHERE answer.allowed IS NULL AND answer.setting IS NULL AND answer.command IS NULL;
\endif
SELECT lists.setting, found.shown, found.command
    FROM lists LEFT JOIN found USING (id)
    WHERE found.allowed IS DISTINCT FROM lists.allowed
       OR found.shown IS DISTINCT FROM lists.setting
       OR found.command IS DISTINCT FROM
          format('ALTER SYSTEM SET output_plugin_libraries = %s; SELECT pg_reload_conf();', listed)
       OR found.status <> CASE WHEN lists.allowed THEN 'ok' ELSE 'error' END
       OR (found.fix IS NULL) <> lists.allowed
       OR found.finding NOT LIKE CASE WHEN lists.allowed THEN 'cdc_plugin is listed'
                                      ELSE 'cdc_plugin is not listed%' END;
-- Ordinary roles are not told what the list is, but whether this plugin is on it; members of pg_monitor are told all.
SET ROLE regress_cdc_ordinary;
SELECT setting, command FROM cdc.plugin_allowed();
SELECT status FROM cdc.preflight() WHERE item = 'output_plugin_libraries';
SET ROLE regress_cdc_monitor;
SELECT count(*) AS differ FROM cdc.plugin_allowed()
    WHERE (allowed IS NULL) <> (setting IS NULL) OR (setting IS NULL) <> (command IS NULL);
RESET ROLE;

-- Nothing in the search path gets in its way.
CREATE FUNCTION format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE FUNCTION current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'fooled' $$;
SET search_path = "Preflight test", pg_catalog;
SELECT item, status FROM cdc.preflight() WHERE item = 'wal_level';
SET search_path = "Preflight test";

DROP SCHEMA "Preflight test" CASCADE;
DROP ROLE regress_cdc_ordinary, regress_cdc_replication, "regress cdc Odd", regress_cdc_monitor;
