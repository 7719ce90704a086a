# The guard where less is possible: on a standby that can write nothing, through its promotion, and on servers that have
# no logical decoding or no slots at all.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = <<'CONF';
cdc_plugin.guard_inactive_time = 0
cdc_plugin.guard_heartbeat_interval = 100ms
CONF

sub sql { my ($node, $query) = @_; return $node->safe_psql('postgres', $query) }
sub status { my ($node, $columns) = @_; return sql($node, "SELECT $columns FROM cdc.guard_status()") }

# What a session hears on channel cdc_alerts while CODE runs and until it has heard something.
sub listen_while {
    my ($node, $code) = @_;
    my $session = session($node);
    $session->query_safe('LISTEN cdc_alerts');
    $code->();
    my $heard = '';
    wait_until('a notification comes', sub { $heard .= $session->query('SELECT 1'); $heard =~ /notification/ });
    end_session($session);
    return $heard;
}

# --- a standby --------------------------------------------------------------------------------------------------------

my $primary = guard_node('primary', conf => $conf);
sql($primary, q(SELECT pg_create_physical_replication_slot('standby')));
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', <<'CONF');
primary_slot_name = 'standby'
hot_standby_feedback = on
cdc_plugin.guard_policies = 'cascade: cap=4MB; *: cap=100GB at_cap=drop'
CONF
$standby->start;
$primary->wait_for_catchup($standby);

wait_until('the guard watches on the standby', sub { status($standby, 'watching') eq 't' });
sql($standby, q(SELECT pg_create_physical_replication_slot('cascade', true)));
wait_samples($standby, 3);
is(sql($standby, q(SELECT concat_ws(' ', slot_name, level, slot_type, wal_status) FROM cdc.slots)),
    'cascade ok physical reserved', 'standby: its own slot, not the primary\'s');
write_wal($primary, 6);
$primary->wait_for_catchup($standby);
wait_samples($standby, 6);
is(sql($standby, q(SELECT concat_ws(' ', level, cause, cap_source, retained_bytes > cap_bytes) FROM cdc.slots)),
    'critical consumer_down policy t', 'standby: a slot that nobody reads retains the WAL that comes');
is(sql($standby, q(SELECT concat_ws(' ', slot_name, kind, level) FROM cdc.alerts ORDER BY alert DESC LIMIT 1)),
    'cascade level critical', 'standby: with an alert');
is(sql($standby, q(SELECT count(*) > 5 FROM cdc.slot_history WHERE slot_name = 'cascade')), 't', 'standby: a history');
is(sql($standby, q(SELECT count(*) FROM cdc.slots_pretty WHERE retained ~ '^[0-9]+ [kM]B$')), 1, 'standby: readable');
like(sql($standby, q(SELECT string_agg(check_name || ' ' || status, ', ') FROM cdc.diagnose('cascade'))),
    qr/^verdict critical, .*consumer problem/, 'standby: diagnosis');
like(sql($standby, q(SELECT string_agg(title, ', ' ORDER BY step) FROM cdc.runbook('cascade'))),
    qr/^Read the panel, Start/, 'standby: runbook');
is(sql($standby, q(SELECT count(*) FROM cdc.check())), 1, 'standby: check');
is(sql($standby, q(SELECT status FROM cdc.preflight() WHERE item = 'guard')), 'ok', 'standby: preflight');
unlike(slurp_file($standby->logfile), qr/ERROR|FATAL|WARNING:  (?!replication slot "cascade" is at level)/,
    'standby: nothing was tried that cannot work');
my (undef, undef, $error) = $standby->psql('postgres', 'SELECT cdc.heartbeat()');
like($error, qr/ERROR:  cannot write a heartbeat during recovery\nHINT:  Write it on the primary/,
    'standby: no heartbeat');
is(sql($standby, 'SELECT count(*) FROM cdc.alerts WHERE NOT notified'), 0, 'standby: nothing is left to send');

is(sql($primary, q(SELECT concat_ws(' ', slot_type, active, level, cause) FROM cdc.slots WHERE slot_name = 'standby')),
    'physical t ok none', 'primary: the standby\'s slot');

SKIP: {
    skip 'logical slots on a standby need PostgreSQL 16', 2 if $primary->pg_version < 16;

    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        my $connection = $standby->connstr('postgres');
        { exec('pg_recvlogical', '-d', $connection, '-S', 'there', '--create-slot', '-P', 'cdc_plugin') }
        POSIX::_exit(127);
    }
    wait_until('the slot is created', sub {
        sql($primary, 'SELECT pg_log_standby_snapshot()');
        return waitpid($pid, POSIX::WNOHANG()) == $pid;
    });
    write_wal($primary, 3);
    $primary->wait_for_catchup($standby);
    wait_samples($standby, 3);
    is(sql($standby, q(SELECT concat_ws(' ', cause, slot_type, database) FROM cdc.slots WHERE slot_name = 'there')),
        'consumer_down logical postgres', 'standby: a logical slot');
    is(sql($standby, q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cdc_plugin guard helper')), 0,
        'standby: no heartbeat for it');
}

# --- promotion --------------------------------------------------------------------------------------------------------

my ($samples, $alerts) = (status($standby, 'samples'), sql($standby, 'SELECT count(*) FROM cdc.alerts'));
$standby->promote;
wait_samples($standby, 5);
cmp_ok(status($standby, 'samples'), '>', $samples, 'promoted: the guard goes on');
is(sql($standby, q(SELECT level FROM cdc.slots WHERE slot_name = 'cascade')), 'critical',
    'promoted: with what it knew');
is(sql($standby, 'SELECT count(*) FROM cdc.alerts'), $alerts, 'promoted: and no alert again');
create_slot($standby, 'logical');
my $heard = listen_while($standby, sub {
    $standby->append_conf('postgresql.conf', q(cdc_plugin.guard_policies = 'logical: cap=2MB; cascade: cap=4MB'));
    $standby->reload;
    write_wal($standby, 3);
});
like($heard, qr/"cdc_alerts" with payload .*"slot_name" : "logical"/, 'promoted: LISTEN hears of alerts');
$standby->poll_query_until('postgres',
    q(SELECT heartbeat_at IS NOT NULL FROM cdc.slots WHERE slot_name = 'logical')) or die;
like(sql($standby, 'SELECT cdc.heartbeat()'), qr{^[0-9A-F]+/[0-9A-F]+$}, 'promoted: heartbeats');
$standby->stop('fast');
$primary->stop('fast');

# --- servers without logical decoding, or without slots ---------------------------------------------------------------

my $replica = guard_node('replica', level => 'replica', conf => $conf);
sql($replica, q(SELECT pg_create_physical_replication_slot('physical', true)));
write_wal($replica, 2);
wait_samples($replica, 5);
is(sql($replica, q(SELECT concat_ws(' ', slot_name, level, cause) FROM cdc.slots)), 'physical ok consumer_down',
    'wal_level = replica: physical slots');
is(sql($replica, q(SELECT count(*) > 3 FROM cdc.slot_history)), 't', 'wal_level = replica: a history');
like(sql($replica, 'SELECT cdc.heartbeat()'), qr{/}, 'wal_level = replica: a heartbeat that nobody waits for');
is(sql($replica, q(SELECT status FROM cdc.preflight() WHERE item = 'wal_level')), 'error',
    'wal_level = replica: preflight');

# Logical slots of before keep the server from starting; none are left here.
sql($replica, q(SELECT pg_drop_replication_slot('physical')));
$replica->append_conf('postgresql.conf',
    "wal_level = minimal\nmax_wal_senders = 0\nmax_replication_slots = 0\narchive_mode = off");
$replica->restart;
wait_until('the guard watches', sub { status($replica, 'watching') eq 't' });
wait_samples($replica, 5);
for my $view (qw(slots slots_pretty slot_history alerts check())) {
    is(sql($replica, "SELECT count(*) FROM cdc.$view"), 0, "max_replication_slots = 0: cdc.$view is empty");
}
(undef, undef, $error) = $replica->psql('postgres', q(SELECT * FROM cdc.runbook('nowhere')));
like($error, qr/ERROR:  replication slot "nowhere" does not exist/, 'max_replication_slots = 0: runbook');
is(sql($replica, q(SELECT status FROM cdc.preflight() WHERE item = 'guard')), 'ok',
    'max_replication_slots = 0: preflight');
like(sql($replica, 'SELECT cdc.heartbeat()'), qr{/}, 'max_replication_slots = 0: heartbeat');
$replica->stop('fast');

# A history that is as short or as long as it may be.
for my $history (32, 100_000) {
    $replica->append_conf('postgresql.conf', "cdc_plugin.guard_history = $history\nwal_level = logical\n"
        . 'max_replication_slots = 3');
    $replica->start;
    create_slot($replica, "history_$history");
    wait_samples($replica, 40);
    is(sql($replica, "SELECT count(*) " . ($history > 32 ? '>=' : '=') . ' least(40, ' . $history . ')'
            . " FROM cdc.slot_history WHERE slot_name = 'history_$history'"), 't', "guard_history = $history");
    $replica->stop('fast');
}

done_testing();
