\echo Use "ALTER EXTENSION cdc_plugin UPDATE TO '0.2'" to load this file. \quit

-- What the guard sees ------------------------------------------------------------------------------------------------
-- Slots show other sessions' doings, so all of this is for pg_monitor. The functions are the library's; the views and
-- functions below them are for people.

CREATE FUNCTION cdc.slot_state(
    OUT slot_name name, OUT active boolean, OUT level text, OUT cause text, OUT also text, OUT advice text,
    OUT retained_bytes bigint, OUT unconfirmed_bytes bigint, OUT cap_bytes bigint, OUT cap_source text,
    OUT headroom_bytes bigint, OUT used_percent integer, OUT wal_bytes_per_s bigint, OUT confirmed_bytes_per_s bigint,
    OUT time_to_cap interval, OUT disk_free_bytes bigint, OUT time_to_disk_full interval, OUT wal_status text,
    OUT culprit_pid integer, OUT culprit_xid bigint, OUT culprit_prepared boolean, OUT culprit_database name,
    OUT inactive_since timestamptz, OUT sampled_at timestamptz, OUT slot_type text, OUT plugin name, OUT database name,
    OUT active_pid integer, OUT restart_lsn pg_lsn, OUT confirmed_flush_lsn pg_lsn, OUT sent_lsn pg_lsn,
    OUT catalog_age bigint, OUT policy_action text, OUT peak_bytes bigint, OUT heartbeat_at timestamptz,
    OUT heartbeat_echo interval)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'cdc_slot_state' LANGUAGE C VOLATILE STRICT ROWS 10;
COMMENT ON FUNCTION cdc.slot_state() IS 'what cdc.slots is made of';

CREATE FUNCTION cdc.slot_samples(
    OUT slot_name name, OUT sampled_at timestamptz, OUT wal_lsn pg_lsn, OUT restart_lsn pg_lsn,
    OUT confirmed_flush_lsn pg_lsn, OUT retained_bytes bigint, OUT headroom_bytes bigint, OUT active boolean,
    OUT level text, OUT cause text)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'cdc_slot_samples' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION cdc.slot_samples() IS 'what cdc.slot_history is made of';

CREATE FUNCTION cdc.alert_ring(
    OUT alert bigint, OUT raised_at timestamptz, OUT slot_name name, OUT kind text, OUT level text,
    OUT previous_level text, OUT cause text, OUT also text, OUT message text, OUT detail text, OUT hint text,
    OUT retained_bytes bigint, OUT cap_bytes bigint, OUT headroom_bytes bigint, OUT time_to_cap interval,
    OUT disk_free_bytes bigint, OUT culprit_pid integer, OUT culprit_xid bigint, OUT culprit_gid text,
    OUT culprit_database text, OUT notified boolean)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'cdc_alert_ring' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION cdc.alert_ring() IS 'what cdc.alerts is made of';

CREATE FUNCTION cdc.guard_status(
    OUT preloaded boolean, OUT enabled boolean, OUT worker_pid integer, OUT watching boolean, OUT samples bigint,
    OUT sampled_at timestamptz, OUT last_sample_us float8, OUT mean_sample_us float8, OUT max_sample_us float8,
    OUT peak_bytes bigint, OUT disk_free_bytes bigint, OUT interval_ms bigint, OUT server_cap_bytes bigint)
    RETURNS SETOF record AS 'MODULE_PATHNAME', 'cdc_guard_status' LANGUAGE C VOLATILE STRICT ROWS 1;
COMMENT ON FUNCTION cdc.guard_status() IS 'the guard itself: whether it watches, and what its samples cost';

CREATE VIEW cdc.slots AS
    SELECT s.slot_name, s.active, s.level, s.cause, s.advice, s.retained_bytes, s.unconfirmed_bytes, s.cap_bytes,
           s.cap_source, s.headroom_bytes, s.wal_bytes_per_s, s.confirmed_bytes_per_s, s.time_to_cap,
           s.disk_free_bytes, s.time_to_disk_full, s.wal_status, s.culprit_pid, p.gid AS culprit_gid,
           s.inactive_since, s.sampled_at, s.also, s.used_percent, s.culprit_xid,
           coalesce(s.culprit_database, p.database) AS culprit_database, s.slot_type,
           s.plugin, s.database, s.active_pid, s.restart_lsn, s.confirmed_flush_lsn, s.sent_lsn, s.catalog_age,
           s.policy_action, s.peak_bytes, s.heartbeat_at, s.heartbeat_echo
    FROM cdc.slot_state() AS s
         LEFT JOIN pg_catalog.pg_prepared_xacts AS p
         ON s.culprit_prepared AND p.transaction::text::bigint = s.culprit_xid
    ORDER BY pg_catalog.array_position(ARRAY['lost', 'critical', 'warning', 'notice', 'ok'], s.level),
             s.retained_bytes DESC NULLS LAST, s.slot_name;
COMMENT ON VIEW cdc.slots IS 'replication slots: how near to trouble, why, and what to do';

CREATE VIEW cdc.slots_pretty AS
    SELECT slot_name, active, level, cause, advice,
           pg_catalog.pg_size_pretty(retained_bytes) AS retained,
           pg_catalog.pg_size_pretty(unconfirmed_bytes) AS unconfirmed,
           pg_catalog.pg_size_pretty(cap_bytes) AS cap, cap_source,
           pg_catalog.pg_size_pretty(headroom_bytes) AS headroom,
           pg_catalog.pg_size_pretty(wal_bytes_per_s) || '/s' AS wal_rate,
           pg_catalog.pg_size_pretty(confirmed_bytes_per_s) || '/s' AS confirmed_rate,
           pg_catalog.date_trunc('second', time_to_cap) AS time_to_cap,
           pg_catalog.pg_size_pretty(disk_free_bytes) AS disk_free,
           pg_catalog.date_trunc('second', time_to_disk_full) AS time_to_disk_full,
           wal_status, culprit_pid, culprit_gid,
           pg_catalog.date_trunc('second', inactive_since) AS inactive_since,
           pg_catalog.date_trunc('second', sampled_at) AS sampled_at
    FROM cdc.slots;
COMMENT ON VIEW cdc.slots_pretty IS 'cdc.slots with sizes that are easy to read';

CREATE VIEW cdc.slot_history AS SELECT * FROM cdc.slot_samples();
COMMENT ON VIEW cdc.slot_history IS 'the guard''s samples of each slot, as many as shared memory holds';

CREATE VIEW cdc.alerts AS SELECT * FROM cdc.alert_ring();
COMMENT ON VIEW cdc.alerts IS 'the guard''s last alerts, since the server was started';

CREATE FUNCTION cdc.check() RETURNS SETOF cdc.slots
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        slot cdc.slots;
        message text;
        detail text;
    BEGIN
        FOR slot IN SELECT * FROM cdc.slots WHERE level <> 'ok' LOOP
            message := CASE slot.level WHEN 'lost' THEN format('replication slot "%s" is lost', slot.slot_name)
                       ELSE format('replication slot "%s" is at level %s: it retains %s of WAL%s', slot.slot_name,
                                   slot.level, pg_size_pretty(slot.retained_bytes),
                                   ', ' || slot.used_percent || ' % of its cap') END;
            detail := format('Cause: %s%s.', slot.cause, ' and ' || slot.also);
            IF slot.level = 'notice' THEN
                RAISE NOTICE USING MESSAGE = message, DETAIL = detail, HINT = slot.advice;
            ELSE
                RAISE WARNING USING MESSAGE = message, DETAIL = detail, HINT = slot.advice;
            END IF;
            RETURN NEXT slot;
        END LOOP;
    END
    $$;
COMMENT ON FUNCTION cdc.check() IS
    'raises the notices and warnings that stand now to this session, and returns their slots';

-- Raises the error that all functions with a slot's name have for one that is not there.
CREATE FUNCTION cdc.slot_by_name(slot name) RETURNS cdc.slots
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        found_slot cdc.slots;
    BEGIN
        SELECT * INTO found_slot FROM cdc.slots WHERE slot_name = slot;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_object',
                MESSAGE = CASE WHEN slot IS NULL THEN 'the name of a replication slot must not be NULL'
                               ELSE format('replication slot "%s" does not exist', slot) END,
                HINT = 'SELECT slot_name FROM cdc.slots; lists the slots.';
        END IF;
        RETURN found_slot;
    END
    $$;
COMMENT ON FUNCTION cdc.slot_by_name(name) IS 'the slot''s row of cdc.slots; an error if there is no such slot';

-- Diagnosis: the checks behind the cause, each with what it found -----------------------------------------------------
-- Query texts come from pg_stat_activity, which hides them from those who may not read them.

CREATE FUNCTION cdc.diagnose(slot name, OUT check_name text, OUT status text, OUT finding text, OUT evidence jsonb,
                             OUT advice text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        s cdc.slots := cdc.slot_by_name(slot);
        held bigint := s.retained_bytes - s.unconfirmed_bytes;
        blamed text[] := ARRAY[s.cause, s.also];
        sender record;
        holder record;
        guard record;
        reason text;
    BEGIN
        SELECT to_jsonb(r) ->> 'invalidation_reason' INTO reason FROM pg_replication_slots AS r WHERE slot_name = slot;
        SELECT * INTO guard FROM cdc.guard_status();

        check_name := 'verdict';
        status := s.level;
        finding := format('level %s, cause %s%s', s.level, s.cause, ' and ' || s.also);
        evidence := jsonb_build_object('retained_bytes', s.retained_bytes, 'unconfirmed_bytes', s.unconfirmed_bytes,
                                       'held_bytes', held, 'restart_lsn', s.restart_lsn,
                                       'confirmed_flush_lsn', s.confirmed_flush_lsn);
        advice := s.advice;
        RETURN NEXT;

        check_name := 'slot';
        evidence := jsonb_build_object('slot_type', s.slot_type, 'plugin', s.plugin, 'database', s.database,
                                       'wal_status', s.wal_status, 'invalidation_reason', reason);
        advice := NULL;
        IF s.cause = 'slot_lost' THEN
            status := 'lost';
            finding := 'the slot is lost: WAL that it needs is gone, and it can only be dropped'
                       || coalesce(' (' || reason || ')', '');
            advice := format('SELECT * FROM cdc.runbook(%L);', slot);
            RETURN NEXT;
            RETURN;
        ELSIF s.restart_lsn IS NULL THEN
            status := 'ok';
            finding := 'the slot has never reserved WAL, so it retains none';
            RETURN NEXT;
            RETURN;
        END IF;
        status := 'ok';
        finding := format('a %s slot, which retains %s of WAL', s.slot_type, pg_size_pretty(s.retained_bytes));
        RETURN NEXT;

        check_name := 'consumer';
        SELECT pid, usename, application_name, client_addr, state, sent_lsn, flush_lsn, reply_time INTO sender
            FROM pg_stat_replication WHERE pid = s.active_pid;
        evidence := jsonb_build_object('active', s.active, 'active_pid', s.active_pid,
                                       'inactive_since', s.inactive_since, 'application_name', sender.application_name,
                                       'client_addr', sender.client_addr, 'reply_time', sender.reply_time);
        status := CASE WHEN 'consumer_down' = ANY (blamed) THEN 'problem' ELSE 'ok' END;
        finding := CASE WHEN s.active THEN format('process %s reads the slot', s.active_pid)
                        ELSE 'nobody reads the slot' || coalesce(', since ' || s.inactive_since, '') END;
        advice := CASE WHEN status <> 'ok'
                       THEN format('Start the consumer, or give it up: SELECT pg_drop_replication_slot(%L);', slot) END;
        RETURN NEXT;

        check_name := 'progress';
        evidence := jsonb_build_object('unconfirmed_bytes', s.unconfirmed_bytes, 'sent_lsn', sender.sent_lsn,
                                       'flush_lsn', sender.flush_lsn, 'wal_bytes_per_s', s.wal_bytes_per_s,
                                       'confirmed_bytes_per_s', s.confirmed_bytes_per_s,
                                       'sent_bytes_behind', s.retained_bytes - (sender.sent_lsn - s.restart_lsn));
        status := CASE WHEN blamed && ARRAY['consumer_slow', 'idle_database'] THEN 'problem' ELSE 'ok' END;
        finding := format('the consumer has not confirmed %s of WAL%s', pg_size_pretty(s.unconfirmed_bytes),
                          CASE WHEN 'idle_database' = ANY (blamed)
                               THEN ', none of which had a change for it: it confirms events only, and there are none'
                               ELSE '' END);
        advice := CASE WHEN status <> 'ok' THEN s.advice END;
        RETURN NEXT;

        check_name := 'transaction';
        SELECT a.pid, a.datname, a.usename, a.application_name, a.state, a.xact_start, a.state_change, a.backend_xid,
               a.query, coalesce(a.pid = s.culprit_pid, false) AS is_culprit
            INTO holder
            FROM pg_stat_activity AS a WHERE a.backend_xid IS NOT NULL
            ORDER BY a.pid = s.culprit_pid DESC NULLS LAST, age(a.backend_xid) DESC LIMIT 1;
        status := CASE WHEN blamed && ARRAY['long_transaction'] THEN 'problem'
                       WHEN 'catalog_bloat' = ANY (blamed) THEN 'notice' ELSE 'ok' END;
        evidence := jsonb_build_object('held_bytes', held, 'oldest', CASE WHEN holder.pid IS NOT NULL THEN
            jsonb_build_object('pid', holder.pid, 'database', holder.datname, 'role', holder.usename,
                               'application_name', holder.application_name, 'state', holder.state,
                               'xid', holder.backend_xid::text, 'xact_start', holder.xact_start,
                               'state_change', holder.state_change, 'query', holder.query) END);
        finding := CASE
            WHEN holder.pid IS NULL THEN 'no session has a transaction id'
            WHEN holder.is_culprit AND 'long_transaction' = ANY (blamed) THEN
                format('process %s in database %I holds %s of WAL back with a transaction that is open since %s',
                       holder.pid, holder.datname, pg_size_pretty(held), holder.xact_start)
            WHEN holder.is_culprit THEN
                format('process %s in database %I keeps catalog_xmin back with a transaction that is open since %s, '
                       'but no WAL', holder.pid, holder.datname, holder.xact_start)
            ELSE format('the oldest transaction with an id (process %s, since %s) does not hold the slot back',
                        holder.pid, holder.xact_start) END;
        advice := CASE WHEN holder.is_culprit THEN format('SELECT pg_terminate_backend(%s);', holder.pid) END;
        RETURN NEXT;

        check_name := 'prepared_transaction';
        status := CASE WHEN 'prepared_transaction' = ANY (blamed) THEN 'problem' ELSE 'ok' END;
        SELECT p.gid, p.database, p.prepared, p.owner, p.transaction::text AS xid INTO holder
            FROM pg_prepared_xacts AS p
            ORDER BY p.gid = s.culprit_gid DESC NULLS LAST, age(p.transaction) DESC LIMIT 1;
        evidence := jsonb_build_object('held_bytes', held, 'oldest', CASE WHEN holder.gid IS NOT NULL THEN
            jsonb_build_object('gid', holder.gid, 'database', holder.database, 'prepared', holder.prepared,
                               'owner', holder.owner, 'xid', holder.xid) END);
        finding := CASE
            WHEN holder.gid IS NULL THEN 'there are no prepared transactions'
            WHEN s.culprit_gid IS NOT NULL THEN
                format('prepared transaction %L in database %I holds WAL or catalogs back since %s', holder.gid,
                       holder.database, holder.prepared)
            ELSE format('the oldest prepared transaction (%L, since %s) does not hold the slot back', holder.gid,
                        holder.prepared) END;
        advice := CASE WHEN s.culprit_gid IS NOT NULL
                       THEN format('In database %I: COMMIT PREPARED %L; or ROLLBACK PREPARED %L;', holder.database,
                                   holder.gid, holder.gid) END;
        RETURN NEXT;

        check_name := 'heartbeat';
        status := CASE WHEN 'idle_database' = ANY (blamed) AND s.heartbeat_at IS NULL THEN 'problem' ELSE 'ok' END;
        evidence := jsonb_build_object('heartbeat_at', s.heartbeat_at, 'echo', s.heartbeat_echo);
        finding := CASE
            WHEN s.heartbeat_at IS NULL THEN 'no heartbeat was sent in the slot''s database'
            WHEN s.heartbeat_echo IS NULL THEN format('the heartbeat of %s is not confirmed yet', s.heartbeat_at)
            ELSE format('the last heartbeat was confirmed within %s', s.heartbeat_echo) END;
        advice := CASE WHEN status <> 'ok' THEN
            'ALTER SYSTEM SET cdc_plugin.guard_heartbeat_interval = ''1min''; SELECT pg_reload_conf();' END;
        RETURN NEXT;

        check_name := 'catalog';
        status := CASE WHEN 'catalog_bloat' = ANY (blamed) THEN 'notice' ELSE 'ok' END;
        evidence := jsonb_build_object('catalog_age', s.catalog_age);
        finding := CASE WHEN s.catalog_age IS NULL THEN 'the slot holds no catalog rows back'
                        ELSE format('catalog_xmin is %s transactions old; VACUUM keeps what was dead in the catalogs '
                                    'since', s.catalog_age) END;
        advice := NULL;
        RETURN NEXT;

        check_name := 'cap';
        status := CASE WHEN 'cap_too_small' = ANY (blamed) THEN 'problem'
                       WHEN s.cap_source = 'disk' THEN 'warning' ELSE 'ok' END;
        evidence := jsonb_build_object('cap_bytes', s.cap_bytes, 'cap_source', s.cap_source,
                                       'headroom_bytes', s.headroom_bytes, 'peak_bytes', s.peak_bytes,
                                       'interval_ms', guard.interval_ms, 'disk_free_bytes', s.disk_free_bytes,
                                       'time_to_cap', s.time_to_cap, 'time_to_disk_full', s.time_to_disk_full);
        finding := format('%s of WAL may be retained (%s), %s is left; up to %s came within one sampling interval',
                          pg_size_pretty(s.cap_bytes), s.cap_source, pg_size_pretty(s.headroom_bytes),
                          coalesce(pg_size_pretty(s.peak_bytes), 'an unknown amount'));
        advice := CASE WHEN status <> 'ok' THEN 'SELECT * FROM cdc.preflight();' END;
        RETURN NEXT;

        check_name := 'guard';
        status := CASE WHEN guard.watching THEN 'ok' ELSE 'warning' END;
        evidence := to_jsonb(guard);
        finding := CASE WHEN guard.watching
                        THEN format('the guard watches; its last sample is from %s', guard.sampled_at)
                        WHEN NOT guard.preloaded THEN 'cdc_plugin is not preloaded: nobody watches, and causes that '
                                                      'take time to know are guesses'
                        WHEN NOT guard.enabled THEN 'cdc_plugin.guard_enabled is off'
                        ELSE 'the guard takes no samples' END;
        advice := CASE WHEN status <> 'ok' THEN 'SELECT * FROM cdc.preflight();' END;
        RETURN NEXT;
    END
    $$;
COMMENT ON FUNCTION cdc.diagnose(name) IS 'the checks behind a slot''s cause, each with its evidence';

-- Runbook: what to do now, as commands to paste -----------------------------------------------------------------------

-- A cap that leaves half of the disk to others and has room for bursts; text for ALTER SYSTEM.
CREATE FUNCTION cdc.suggested_cap(s cdc.slots) RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT greatest(64, least(greatest(2 * coalesce(server_cap_bytes, 0), 4 * coalesce(peak_bytes, 0),
                                           2 * coalesce((s).retained_bytes, 0), 1024 * 1024 * 1024::bigint),
                                  (coalesce(disk_free_bytes, 0) + coalesce((s).retained_bytes, 0)) / 2)
                            / (1024 * 1024))::text || 'MB'
        FROM cdc.guard_status()
    $$;
COMMENT ON FUNCTION cdc.suggested_cap(cdc.slots) IS 'a value for max_slot_wal_keep_size that cdc.runbook() can offer';

CREATE FUNCTION cdc.runbook(slot name, OUT step integer, OUT title text, OUT instruction text, OUT command text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        s cdc.slots := cdc.slot_by_name(slot);
        cap text := cdc.suggested_cap(s);
        look constant text := format('SELECT * FROM cdc.slots WHERE slot_name = %L;', slot);
        set_cap constant text := format('ALTER SYSTEM SET max_slot_wal_keep_size = %L; SELECT pg_reload_conf();', cap);
        -- restart_lsn moves with the next record of running transactions.
        move_on constant text := CASE WHEN current_setting('server_version_num')::integer >= 160000
                                      THEN 'SELECT pg_log_standby_snapshot();' ELSE 'CHECKPOINT;' END;
        -- What writes is for the primary, whose WAL comes here.
        place constant text := CASE WHEN pg_is_in_recovery() THEN 'On the primary. ' ELSE '' END;
        ours constant boolean := s.plugin IS NOT DISTINCT FROM 'cdc_plugin';
        two_phase boolean;
        cause text;
        before text;
    BEGIN
        step := 0;
        SELECT r.two_phase INTO two_phase FROM pg_replication_slots AS r WHERE slot_name = slot;

        IF s.cause = 'slot_lost' THEN
            SELECT a.cause INTO before FROM cdc.alerts AS a
                WHERE a.slot_name = slot AND a.cause NOT IN ('slot_lost', 'none') ORDER BY a.alert DESC LIMIT 1;
            RETURN QUERY VALUES
                (1, 'See the loss', 'wal_status says "lost": WAL that the slot needs is gone. No command brings it '
                    'back, and the slot retains nothing any more, so there is no hurry.',
                    format('SELECT slot_name, plugin, database, active, wal_status FROM pg_replication_slots '
                           'WHERE slot_name = %L;', slot)),
                (2, 'Find the cause', coalesce(format('Before the loss the guard said: %s. Mend that first, or it '
                    'comes again.', before), 'The guard has no record of what came before. The server log may have.'),
                    format('SELECT raised_at, level, cause, message, detail FROM cdc.alerts WHERE slot_name = %L '
                           'ORDER BY alert;', slot)),
                (3, 'Stop the consumer', 'Stop it where it runs, so that it does not meet the new slot with its old '
                    'position.', format('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots '
                           'WHERE slot_name = %L AND active;', slot)),
                (4, 'Give the next slot more room', 'The suggestion leaves half of the free disk to others. Choose '
                    'your own if you know your bursts.', set_cap),
                (5, 'Drop the lost slot', 'Nothing can be read from it.',
                    format('SELECT pg_drop_replication_slot(%L);', slot)),
                (6, 'Create it again', CASE WHEN s.slot_type = 'physical' THEN 'The standby must be made anew if it '
                    'cannot get the WAL from an archive.' ELSE format('In database %I. It waits for transactions that '
                    'run now; changes from before are not in it.', s.database) END,
                    CASE WHEN s.slot_type = 'physical'
                         THEN format('SELECT pg_create_physical_replication_slot(%L);', slot)
                         ELSE format('SELECT * FROM pg_create_logical_replication_slot(%L, %L, false, %s);', slot,
                                     s.plugin, coalesce(two_phase, false)::text) END),
                (7, 'Copy the tables again', 'Only now, after the new slot: the rows as they are, into the consumer''s '
                    'target, in place of what it has. Rows that were deleted in the gap are in no change, so it must '
                    'lose what the copy does not have.' || CASE WHEN ours THEN format(' cdc_consumer does all that, in '
                    'the shell where it runs; %s.conf stands for its config file. It makes the slot once more, to '
                    'copy under its snapshot.', slot) ELSE '' END,
                    CASE WHEN ours THEN format('cdc_consumer resnapshot --config %s.conf', slot) END),
                (8, 'Start the consumer', 'It goes on from the new slot.',
                    CASE WHEN ours THEN format('cdc_consumer run --config %s.conf', slot) END),
                (9, 'See that it flows', 'unconfirmed_bytes must fall, and level be ok.', look);
            RETURN;
        END IF;

        RETURN QUERY VALUES (1, 'Read the panel', format('%s, level %s, cause %s%s. %s', s.slot_name, s.level, s.cause,
            ' and ' || s.also, CASE WHEN s.time_to_cap IS NULL THEN 'How long it lasts is not known.'
                ELSE format('At the present rate it lasts for another %s.', date_trunc('second', s.time_to_cap)) END),
            look);
        step := 1;
        IF s.restart_lsn IS NULL THEN
            RETURN QUERY VALUES (2, 'Nothing to recover', 'The slot has never reserved WAL, so it retains none.',
                                 NULL::text);
            RETURN;
        END IF;
        IF s.cause = 'none' THEN
            RETURN QUERY VALUES (2, 'Nothing to recover', 'The slot has no fault of its own.'
                || CASE WHEN s.level <> 'ok' THEN ' Look at what else fills its file system.' ELSE '' END, NULL::text);
            RETURN;
        END IF;

        FOREACH cause IN ARRAY array_remove(ARRAY[s.cause, s.also], NULL) LOOP
            CASE cause
            WHEN 'consumer_down' THEN
                RETURN QUERY VALUES
                    (step + 1, 'Start the consumer', 'Look at its log and start it again. As long as the slot is not '
                        'lost, nothing is: it goes on where it was.',
                        format('SELECT active, active_pid FROM pg_replication_slots WHERE slot_name = %L;', slot)),
                    (step + 2, 'Wait or drop', format('If it cannot be started before the cap is reached, buy time, as '
                        'far as the disk has room (%s free).', pg_size_pretty(s.disk_free_bytes)), set_cap),
                    (step + 3, 'Give it up', 'If the consumer is gone for good, or the disk is more urgent than a new '
                        'copy of the tables: this frees the WAL at the next checkpoint, and the consumer must start '
                        'from scratch.', format('SELECT pg_drop_replication_slot(%L);', slot));
                step := step + 3;
            WHEN 'consumer_slow' THEN
                RETURN QUERY VALUES
                    (step + 1, 'See what it waits for', 'sent_lsn behind the WAL: the consumer does not take what is '
                        'sent. sent_lsn at the end, flush_lsn behind: it takes changes and does not confirm them.',
                        format('SELECT a.pid, a.application_name, a.client_addr, a.wait_event_type, a.wait_event, '
                               'r.sent_lsn, r.flush_lsn, r.reply_time FROM pg_stat_activity AS a '
                               'JOIN pg_stat_replication AS r USING (pid) WHERE a.pid = %s;', s.active_pid)),
                    (step + 2, 'Buy time', format('As far as the disk has room (%s free).',
                        pg_size_pretty(s.disk_free_bytes)), set_cap),
                    (step + 3, 'Break the connection', 'If it hangs: most consumers connect again and go on where they '
                        'were.', format('SELECT pg_terminate_backend(%s);', s.active_pid));
                step := step + 3;
            WHEN 'long_transaction' THEN
                RETURN QUERY VALUES
                    (step + 1, 'See the transaction', 'Its session may be idle and forgotten, or at work.',
                        CASE WHEN s.culprit_pid IS NULL THEN 'SELECT pid, datname, usename, state, xact_start, query '
                             'FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;'
                        ELSE format('SELECT pid, datname, usename, application_name, state, xact_start, query '
                                    'FROM pg_stat_activity WHERE pid = %s;', s.culprit_pid) END),
                    (step + 2, 'End it', 'What it did is rolled back. The consumer is innocent: do not drop its slot.',
                        CASE WHEN s.culprit_pid IS NOT NULL
                             THEN format('SELECT pg_terminate_backend(%s);', s.culprit_pid)
                        END),
                    (step + 3, 'Let the slot move on', place || 'It moves with the next record of running '
                        'transactions, at the latest within 15 seconds of further writes; this writes one now.',
                        move_on);
                step := step + 3;
            WHEN 'prepared_transaction' THEN
                RETURN QUERY VALUES
                    (step + 1, 'See the prepared transaction', 'Ask its owner, or the transaction manager, which end '
                        'it should have.', format('SELECT * FROM pg_prepared_xacts WHERE gid = %L;', s.culprit_gid)),
                    (step + 2, 'End it',
                        coalesce('In database ' || quote_ident(s.culprit_database), 'Where it was prepared')
                            || '. COMMIT PREPARED instead keeps what it did.',
                        CASE WHEN s.culprit_gid IS NOT NULL THEN format('ROLLBACK PREPARED %L;', s.culprit_gid) END),
                    (step + 3, 'Let the slot move on', place || 'It moves with the next record of running '
                        'transactions; this writes one now.', move_on);
                step := step + 3;
            WHEN 'idle_database' THEN
                RETURN QUERY VALUES
                    (step + 1, 'Send a heartbeat',
                        place || format('In database %I: an event for the consumer to confirm.', s.database),
                        'CREATE EXTENSION IF NOT EXISTS cdc_plugin; SELECT cdc.heartbeat();'),
                    (step + 2, 'Send them always',
                        place || 'The guard sends them where there are slots, when WAL has moved.',
                        'ALTER SYSTEM SET cdc_plugin.guard_heartbeat_interval = ''1min''; SELECT pg_reload_conf();');
                step := step + 2;
            WHEN 'catalog_bloat' THEN
                RETURN QUERY VALUES
                    (step + 1, 'See the oldest transaction', 'No WAL is held back. VACUUM cannot clean the system '
                        'catalogs up to catalog_xmin.', 'SELECT pid, datname, usename, state, xact_start, backend_xid, '
                        'query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;'),
                    (step + 2, 'End it, if it was forgotten', 'What it did is rolled back.',
                        CASE WHEN s.culprit_pid IS NOT NULL
                             THEN format('SELECT pg_terminate_backend(%s);', s.culprit_pid)
                             WHEN s.culprit_gid IS NOT NULL THEN format('ROLLBACK PREPARED %L;', s.culprit_gid) END);
                step := step + 2;
            WHEN 'cap_too_small' THEN
                RETURN QUERY VALUES
                    (step + 1, 'Raise the cap', format('Up to %s of WAL came within one sampling interval, and the cap '
                        'is %s: a burst loses the slot before anybody can act.', pg_size_pretty(s.peak_bytes),
                        pg_size_pretty(s.cap_bytes)),
                        CASE s.cap_source WHEN 'policy' THEN 'SHOW cdc_plugin.guard_policies;' ELSE set_cap END);
                step := step + 1;
            END CASE;
        END LOOP;
        RETURN QUERY VALUES (step + 1, 'See that it is over', 'retained_bytes must fall, and level be ok.', look);
    END
    $$;
COMMENT ON FUNCTION cdc.runbook(name) IS 'what to do about a slot now, step by step, with the commands';

-- Heartbeat -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION cdc.heartbeat() RETURNS pg_lsn
    AS 'MODULE_PATHNAME', 'cdc_heartbeat' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION cdc.heartbeat() IS
    'an event for the consumers of this database''s slots to confirm; returns its end';

-- Preflight -----------------------------------------------------------------------------------------------------------

ALTER FUNCTION cdc.preflight() RENAME TO preflight_capture;
COMMENT ON FUNCTION cdc.preflight_capture() IS 'the part of cdc.preflight() about capturing changes';

CREATE FUNCTION cdc.preflight_guard(OUT item text, OUT status text, OUT finding text, OUT fix text) RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
    DECLARE
        guard record;
        retained bigint;
        cap bigint;
        suggested text;
        libraries text;
    BEGIN
        IF NOT pg_has_role('pg_monitor', 'USAGE') THEN
            item := 'guard';
            status := 'warning';
            finding := 'not checked: only members of pg_monitor see the guard and the disk';
            fix := format('run cdc.preflight() as one of them, or: GRANT pg_monitor TO %I;', current_user);
            RETURN NEXT;
            RETURN;
        END IF;
        SELECT * INTO guard FROM cdc.guard_status();
        cap := guard.server_cap_bytes;
        SELECT coalesce(max(retained_bytes), 0) INTO retained FROM cdc.slots;
        suggested := greatest(64, (guard.disk_free_bytes + retained) / 2 / (1024 * 1024)) || 'MB';

        item := 'guard';
        IF NOT guard.preloaded THEN
            SELECT coalesce(string_agg(quote_literal(btrim(name, E' "\t\n')), ', ') || ', ', '') INTO libraries
                FROM unnest(string_to_array(current_setting('shared_preload_libraries'), ',')) AS name
                WHERE btrim(name, E' "\t\n') <> '';
            status := 'warning';
            finding := 'cdc_plugin is not preloaded, so nobody watches the replication slots';
            fix := format('ALTER SYSTEM SET shared_preload_libraries = %s''cdc_plugin''; -- then restart the server',
                          libraries);
        ELSIF NOT guard.enabled THEN
            status := 'warning';
            finding := 'cdc_plugin.guard_enabled is off, so nobody watches the replication slots';
            fix := 'ALTER SYSTEM SET cdc_plugin.guard_enabled = on; SELECT pg_reload_conf();';
        ELSIF NOT guard.watching AND guard.worker_pid IS NULL THEN
            status := 'error';
            finding := 'the guard''s worker does not run; if max_worker_processes is too small for it, the server log '
                       'says "too many background workers" at the start';
            fix := format('ALTER SYSTEM SET max_worker_processes = %s; -- then restart the server',
                          current_setting('max_worker_processes')::integer + 4);
        ELSIF NOT guard.watching THEN
            status := 'error';
            finding := 'the guard takes no samples; the server log may say why';
            fix := format('SELECT pg_terminate_backend(%s); -- it starts again within seconds', guard.worker_pid);
        ELSE
            status := 'ok';
            finding := format('the guard watches the replication slots every %s ms', guard.interval_ms);
            fix := NULL;
        END IF;
        RETURN NEXT;

        item := 'max_slot_wal_keep_size';
        status := 'warning';
        fix := format('ALTER SYSTEM SET max_slot_wal_keep_size = %L; SELECT pg_reload_conf();', suggested);
        IF cap IS NULL THEN
            finding := 'there is no cap: a slot that nobody reads retains WAL until the disk is full and the server '
                       'stops';
        ELSIF cap - retained > guard.disk_free_bytes THEN
            finding := format('the cap of %s is larger than the disk has room for (%s free, %s retained already): the '
                              'disk fills up first', pg_size_pretty(cap), pg_size_pretty(guard.disk_free_bytes),
                              pg_size_pretty(retained));
        ELSE
            status := 'ok';
            finding := format('slots may retain %s, and the disk has %s free', pg_size_pretty(cap),
                              pg_size_pretty(guard.disk_free_bytes));
            fix := NULL;
        END IF;
        RETURN NEXT;

        IF guard.watching THEN
            item := 'burst';
            IF cap IS NOT NULL AND guard.peak_bytes >= cap THEN
                status := 'warning';
                finding := format('%s of WAL came within one sampling interval, more than the cap of %s: a slot can be '
                                  'lost before anything shows', pg_size_pretty(guard.peak_bytes), pg_size_pretty(cap));
                fix := format('ALTER SYSTEM SET max_slot_wal_keep_size = %L; SELECT pg_reload_conf();', suggested);
            ELSE
                status := 'ok';
                finding := format('at most %s of WAL came within one sampling interval',
                                  pg_size_pretty(guard.peak_bytes));
                fix := NULL;
            END IF;
            RETURN NEXT;
        END IF;
    END
    $$;
COMMENT ON FUNCTION cdc.preflight_guard() IS 'the part of cdc.preflight() about the guard, the cap and the disk';

CREATE FUNCTION cdc.preflight(OUT item text, OUT status text, OUT finding text, OUT fix text) RETURNS SETOF record
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
    AS $$
        SELECT * FROM cdc.preflight_capture() UNION ALL SELECT * FROM cdc.preflight_guard()
    $$;
COMMENT ON FUNCTION cdc.preflight() IS
    'what stands in the way of change data capture on this server and in this database, or endangers the server';

-- Privileges ----------------------------------------------------------------------------------------------------------

REVOKE ALL ON FUNCTION cdc.slot_state(), cdc.slot_samples(), cdc.alert_ring(), cdc.guard_status(), cdc.check(),
    cdc.slot_by_name(name), cdc.diagnose(name), cdc.suggested_cap(cdc.slots), cdc.runbook(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cdc.slot_state(), cdc.slot_samples(), cdc.alert_ring(), cdc.guard_status(), cdc.check(),
    cdc.slot_by_name(name), cdc.diagnose(name), cdc.suggested_cap(cdc.slots), cdc.runbook(name) TO pg_monitor;
GRANT SELECT ON cdc.slots, cdc.slots_pretty, cdc.slot_history, cdc.alerts TO pg_monitor;
