\echo Use "CREATE EXTENSION cdc_plugin" to load this file. \quit

-- Version ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION cdc.library_version() RETURNS text
    AS 'MODULE_PATHNAME', 'cdc_library_version' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cdc.library_version() IS 'version of the loaded library';

CREATE FUNCTION cdc.wire_version() RETURNS integer
    AS 'MODULE_PATHNAME', 'cdc_wire_version' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cdc.wire_version() IS 'version of the wire contract that the library speaks';

CREATE FUNCTION cdc.version(OUT library text, OUT extension text, OUT wire integer) RETURNS record
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT cdc.library_version(), extversion, cdc.wire_version()
        FROM pg_extension
        WHERE extname = 'cdc_plugin'
    $$;
COMMENT ON FUNCTION cdc.version() IS 'versions of the library, of the extension''s SQL, and of the wire contract';

-- Looking at changes -------------------------------------------------------------------------------------------------

CREATE FUNCTION cdc.decode(batch bytea) RETURNS SETOF jsonb
    AS 'MODULE_PATHNAME', 'cdc_decode' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cdc.decode(bytea) IS 'the records of a batch, as a slot sends it with format=protobuf';

CREATE FUNCTION cdc.peek_changes(
    slot name, upto_lsn pg_lsn DEFAULT NULL, upto_nchanges integer DEFAULT NULL, VARIADIC options text[] DEFAULT '{}',
    OUT commit_lsn pg_lsn, OUT ordinal bigint, OUT xid xid8, OUT op text, OUT relation text,
    OUT before jsonb, OUT after jsonb, OUT details jsonb)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'cdc_peek_changes' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION cdc.peek_changes(name, pg_lsn, integer, text[]) IS 'changes that a slot holds, without consuming them';

CREATE FUNCTION cdc.get_changes(
    slot name, upto_lsn pg_lsn DEFAULT NULL, upto_nchanges integer DEFAULT NULL, VARIADIC options text[] DEFAULT '{}',
    OUT commit_lsn pg_lsn, OUT ordinal bigint, OUT xid xid8, OUT op text, OUT relation text,
    OUT before jsonb, OUT after jsonb, OUT details jsonb)
    RETURNS SETOF record
    AS 'MODULE_PATHNAME', 'cdc_get_changes' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION cdc.get_changes(name, pg_lsn, integer, text[]) IS 'changes that a slot holds; the slot forgets them';
-- It takes changes away from whoever else reads the slot.
REVOKE ALL ON FUNCTION cdc.get_changes(name, pg_lsn, integer, text[]) FROM PUBLIC;

-- Preflight ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION cdc.plugin_allowed(OUT allowed boolean, OUT setting text, OUT command text) RETURNS record
    AS 'MODULE_PATHNAME', 'cdc_plugin_allowed' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cdc.plugin_allowed() IS
    'whether output_plugin_libraries lists cdc_plugin, and the command that adds it; NULLs on servers without the setting';

CREATE FUNCTION cdc.preflight(OUT item text, OUT status text, OUT finding text, OUT fix text) RETURNS SETOF record
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT 'wal_level',
               CASE WHEN level = 'logical' THEN 'ok' ELSE 'error' END,
               format('wal_level is %s', level),
               CASE WHEN level <> 'logical'
                    THEN 'ALTER SYSTEM SET wal_level = logical; -- then restart the server' END
        FROM current_setting('wal_level') AS level
    UNION ALL
        SELECT 'output_plugin_libraries',
               CASE WHEN allowed IS FALSE THEN 'error' ELSE 'ok' END,
               CASE WHEN allowed IS NULL THEN 'this server has no such setting and takes any output plugin'
                    WHEN allowed THEN 'cdc_plugin is listed'
                    ELSE format('cdc_plugin is not listed (the setting is %s), so the server refuses it as an output plugin',
                                coalesce(setting, 'not shown to this role')) END,
               CASE WHEN allowed IS FALSE
                    THEN coalesce(command, 'run cdc.preflight() as a superuser or a member of pg_monitor') END
        FROM cdc.plugin_allowed()
    UNION ALL
        SELECT 'max_replication_slots',
               CASE WHEN used < slots THEN 'ok' ELSE 'error' END,
               format('%s of %s replication slots are in use', used, slots),
               CASE WHEN used >= slots
                    THEN format('ALTER SYSTEM SET max_replication_slots = %s; -- then restart the server', slots + 5) END
        FROM (SELECT count(*) AS used FROM pg_replication_slots) AS u,
             (SELECT current_setting('max_replication_slots')::bigint AS slots) AS s
    UNION ALL
        SELECT 'max_wal_senders',
               CASE WHEN used < senders THEN 'ok' ELSE 'error' END,
               format('%s of %s WAL senders are in use', used, senders),
               CASE WHEN used >= senders
                    THEN format('ALTER SYSTEM SET max_wal_senders = %s; -- then restart the server', senders + 5) END
        FROM (SELECT count(*) AS used FROM pg_stat_replication) AS u,
             (SELECT current_setting('max_wal_senders')::bigint AS senders) AS s
    UNION ALL
        SELECT 'server_encoding', 'warning',
               'the database has no encoding (SQL_ASCII): text that is not UTF-8 is sent as undecoded bytes',
               'move the data to a database with a real encoding, such as UTF8'
        WHERE current_setting('server_encoding') = 'SQL_ASCII'
    UNION ALL
        SELECT 'role',
               CASE WHEN rolsuper OR rolreplication THEN 'ok' ELSE 'warning' END,
               format(CASE WHEN rolsuper OR rolreplication THEN 'role %I may use replication slots'
                           ELSE 'role %I may not use replication slots' END, rolname),
               CASE WHEN NOT (rolsuper OR rolreplication) THEN format('ALTER ROLE %I REPLICATION;', rolname) END
        FROM pg_roles
        WHERE rolname = current_user
    UNION ALL
        -- Tables whose updates and deletes reach a consumer without saying which row they hit.
        SELECT 'replica_identity', 'warning',
               format('%I.%I: updates and deletes do not say which row they hit, because %s', nspname, relname,
                      CASE relreplident
                           WHEN 'n' THEN 'its replica identity is NOTHING'
                           WHEN 'i' THEN 'the index of its replica identity is gone'
                           ELSE CASE WHEN EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)
                                     THEN 'its primary key is deferrable' ELSE 'it has no primary key' END END),
               format('ALTER TABLE %I.%I REPLICA IDENTITY FULL;', nspname, relname)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE relkind = 'r' AND relpersistence = 'p'
          AND nspname NOT IN ('pg_catalog', 'information_schema')
          AND CASE relreplident
                   WHEN 'f' THEN false
                   WHEN 'n' THEN true
                   WHEN 'i' THEN NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisreplident AND indisvalid)
                   ELSE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary AND indisvalid AND indimmediate) END
    $$;
COMMENT ON FUNCTION cdc.preflight() IS 'what stands in the way of change data capture on this server and in this database';

-- What is not for everybody is revoked function by function.
GRANT USAGE ON SCHEMA cdc TO PUBLIC;
