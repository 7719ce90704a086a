# Nothing that is done to databases, to the extension or to the guard's processes stops the guard, and the guard stops
# nothing of it: DDL on the databases that it notifies and sends heartbeats to, its worker ended or killed, the server
# restarted, and slots that come and go meanwhile, up to a hundred of them.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guard_node('hostile', conf => <<'CONF');
cdc_plugin.guard_interval = 50ms
cdc_plugin.guard_grace = 0
cdc_plugin.guard_history = 64
cdc_plugin.guard_inactive_time = 0
cdc_plugin.guard_heartbeat_interval = 100ms
cdc_plugin.guard_notify_database = 'alerts'
cdc_plugin.guard_policies = 'steady: cap=1MB'
max_replication_slots = 110
restart_after_crash = on
CONF

# All DDL has to come through in this time; DROP DATABASE and its like wait for 5 seconds at most for others to leave.
my $limit = 30;

sub sql {
    my ($database, $query) = @_;
    return $node->safe_psql($database, $query, timeout => $limit + 30, extra_params => ['-q']);
}

sub ddl {
    my ($name, @commands) = @_;
    my $done = eval {
        $node->safe_psql('postgres', join("\n", "SET statement_timeout = '${limit}s';", map { "$_;" } @commands));
        1;
    };
    ok($done, $name) or diag($@);
    return;
}

sub status { return sql('postgres', "SELECT $_[0] FROM cdc.guard_status()") }

# Runs a script of SQL again and again until the file is gone. It may fail: databases come and go.
sub start_loop {
    my ($run, $database, $script) = @_;
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        my $deadline = time() + 600;
        while (-e $run && time() < $deadline) {
            system('psql', '-X', '-q', '-d', $node->connstr($database), '-c', $_) for @$script;
        }
        POSIX::_exit(0);
    }
    return $pid;
}

sub start_loops {
    my ($run, @loops) = @_;
    append_to_file($run, 'run');
    return map { start_loop($run, @$_) } @loops;
}

sub end_loops {
    my ($run, @pids) = @_;
    unlink($run);
    waitpid($_, 0) for @pids;
    return;
}

my $fill = q(SELECT count(pg_logical_emit_message(false, 'fill', repeat('x', 100000))) FROM generate_series(1, 4));

# --- DDL on databases while alerts and heartbeats are sent ------------------------------------------------------------

sql('postgres', "CREATE DATABASE $_") for qw(alerts busy);
create_slot($node, 'steady');
create_slot($node, "busy_$_", 'busy') for 1 .. 3;
sql('postgres', $fill) for 1 .. 4;

sub steady_alerts { return alert_count($node, 'steady') }
sub steady_level { return slot_row($node, 'steady', 'level') }

my $critical = q(SELECT count(*) = 1 FROM cdc.alerts WHERE slot_name = 'steady' AND level = 'critical');
$node->poll_query_until('postgres', $critical) or die;
my $alerted = steady_alerts();

# Every reload moves the level of the slots in database busy, which gives an alert for each; WAL gives heartbeats.
my $run = scratch_file('run');
my @pids = start_loops(
    $run,
    [ 'postgres', [
        q(ALTER SYSTEM SET cdc_plugin.guard_policies = 'steady: cap=1MB; busy*: cap=1MB'),
        'SELECT pg_reload_conf()', $fill,
        q(ALTER SYSTEM SET cdc_plugin.guard_policies = 'steady: cap=1MB; busy*: cap=1TB'),
        'SELECT pg_reload_conf()', $fill ] ],
    [ 'postgres', [
        q(SELECT pg_create_logical_replication_slot('loop', 'cdc_plugin')),
        q(SELECT count(*) FROM cdc.slots), q(SELECT count(*) FROM cdc.slot_history),
        q(SELECT pg_drop_replication_slot('loop')) ] ]);

sub last_alert { return sql('postgres', 'SELECT coalesce(max(alert), 0) FROM cdc.alerts' . ($_[0] // '')) }
sub heartbeat_at { return sql('postgres', q(SELECT max(heartbeat_at) FROM cdc.slots WHERE database = 'busy')) }

wait_until('alerts are sent', sub { last_alert(' WHERE notified') > 5 });
wait_until('heartbeats are sent', sub { heartbeat_at() ne '' });
my ($alerts, $heartbeat, $worker) = (last_alert(), heartbeat_at(), status('worker_pid'));
ddl('CREATE DATABASE from the database that alerts are sent to', 'CREATE DATABASE copy TEMPLATE alerts');
ddl('CREATE DATABASE from a database with slots', 'CREATE DATABASE copy_busy TEMPLATE busy');
for my $round (1 .. 4) {
    ddl("round $round: ALTER DATABASE RENAME of the database that alerts are sent to",
        'ALTER DATABASE alerts RENAME TO other', 'ALTER DATABASE other RENAME TO alerts');
    ddl("round $round: ALTER DATABASE RENAME of a database with slots",
        'ALTER DATABASE busy RENAME TO other', 'ALTER DATABASE other RENAME TO busy');
}
cmp_ok(last_alert(), '>', $alerts, 'there were alerts meanwhile');
isnt(heartbeat_at(), $heartbeat, 'and heartbeats');
ddl('DROP EXTENSION and CREATE EXTENSION', 'DROP EXTENSION cdc_plugin', 'CREATE EXTENSION cdc_plugin');
ddl('DROP DATABASE of copies', 'DROP DATABASE copy', 'DROP DATABASE copy_busy');
ddl('DROP DATABASE of a database with slots', 'DROP DATABASE busy');
is(sql('postgres', q(SELECT count(*) FROM pg_replication_slots WHERE database = 'busy')), 0,
    'its slots are gone with it');
ddl('CREATE DATABASE', 'CREATE DATABASE busy');
create_slot($node, 'busy_1', 'busy');
ddl('DROP DATABASE WITH (FORCE) of a database with a slot', 'DROP DATABASE busy WITH (FORCE)');
ddl('DROP DATABASE WITH (FORCE) of the database that alerts are sent to', 'DROP DATABASE alerts WITH (FORCE)');
end_loops($run, @pids);
wait_samples($node, 5);
is(status('watching'), 't', 'the guard watches on');
is(status('worker_pid'), $worker, 'and is the same one, which has not started again');
my @lost = map { /(FATAL|PANIC|ERROR).*/ ? $& : () } grep { !/psql|020_|021_/ } slurp_lines($node->logfile);
my $gone = qr/database "?(?:alerts|busy|other|\d+)"? does not exist/;
my $expected = qr/$gone|terminating background worker|administrator command/;
is_deeply([ grep { !/$expected/ } @lost ], [],
    'its helpers have nothing to complain of but databases that are gone');

# --- the worker is ended, killed, and the server restarted ------------------------------------------------------------

sql('postgres', q(ALTER SYSTEM RESET cdc_plugin.guard_policies));
sql('postgres', 'SELECT pg_reload_conf()');
sql('postgres', q(SELECT pg_drop_replication_slot('loop') FROM pg_replication_slots WHERE slot_name = 'loop'));
wait_samples($node, 5);

sub wait_for_new_worker {
    my ($old) = @_;
    wait_until('the worker is there again', sub {
        my $query = "SELECT worker_pid FROM cdc.guard_status() WHERE worker_pid <> $old";
        my (undef, $pid) = $node->psql('postgres', $query);
        return $pid;
    });
    wait_until('it samples', sub { status('watching') eq 't' });
    return;
}

is(steady_level(), 'critical', 'a slot at its cap');
is(steady_alerts(), $alerted, 'was not alerted of again, through all of that');
# The history is short, and must have samples of before at the end of this.
set_conf($node, 'cdc_plugin.guard_interval' => '500ms');
my $samples = status('samples');
$worker = status('worker_pid');
my $ended = sql('postgres', 'SELECT clock_timestamp()');
sql('postgres', "SELECT pg_terminate_backend($worker)");
wait_for_new_worker($worker);
wait_samples($node, 2);
is(sql('postgres', "SELECT min(sampled_at) < '$ended' AND max(sampled_at) > '$ended' FROM cdc.slot_history"), 't',
    'pg_terminate_backend: the history goes on');
set_conf($node, 'cdc_plugin.guard_interval' => '50ms');
wait_samples($node, 5);
cmp_ok(status('samples'), '>', $samples, 'pg_terminate_backend: the worker comes back and goes on');
is(steady_level() . steady_alerts(), "critical$alerted", 'pg_terminate_backend: it does not alert again');

$worker = status('worker_pid');
kill('KILL', $worker);
wait_for_new_worker($worker);
wait_samples($node, 5);
is(steady_level() . steady_alerts(), 'critical0', 'kill -9: the server recovers, and the guard does not alert again');

for my $how (qw(immediate fast)) {
    $node->stop($how);
    $node->start;
    wait_until('the guard watches', sub { status('watching') eq 't' });
    wait_samples($node, 5);
    is(steady_level() . steady_alerts(), 'critical0', "restart, $how: the guard does not alert again");
}

# Whatever is in the file that carries levels over a restart: the guard starts, and the slot has the level that it has.
my $file = $node->data_dir . '/pg_stat/cdc_plugin.guard';
like(slurp_file($file), qr/^steady critical$/m, 'levels are kept in a file');
my %contents = (
    'cut' => "cdc_plugin guard 1\nsteady crit",
    'binary' => "cdc_plugin guard 1\n" . join('', map { chr($_ % 256) } 1 .. 5000),
    'huge' => "cdc_plugin guard 1\n" . "other critical\n" x 300_000,
    'one long line' => "cdc_plugin guard 1\n" . 'x' x 1_000_000,
    'of long names' => "cdc_plugin guard 1\n" . ('x' x 64) . " critical\n" . ('x' x 90) . " critical\n",
    'with a wrong level' => "cdc_plugin guard 1\nsteady terrible\n",
);
for my $what (sort keys %contents) {
    $node->stop('fast');
    open(my $out, '>:raw', $file) or die "$file: $!";
    print $out $contents{$what};
    close($out) or die "$file: $!";
    $node->start;
    wait_until('the guard watches', sub { status('watching') eq 't' });
    wait_samples($node, 2);
    is(steady_level() . steady_alerts(), 'critical1', "a file that is $what: as if there were none");
}

# --- a hundred slots --------------------------------------------------------------------------------------------------

sql('postgres',
    q(SELECT count(pg_create_logical_replication_slot('many_' || n, 'cdc_plugin')) FROM generate_series(1, 100) AS n));
wait_samples($node, 70);
is(sql('postgres', q(SELECT count(*) FROM cdc.slots WHERE slot_name LIKE 'many_%' AND sampled_at IS NOT NULL)), 100,
    'a hundred slots are in cdc.slots, sampled');
is(sql('postgres', q(SELECT DISTINCT count(*) FROM cdc.slot_history WHERE slot_name LIKE 'many_%' GROUP BY slot_name)),
    64, 'each has as much history as there is room for');
is(sql('postgres', q(SELECT count(DISTINCT slot_name) FROM cdc.slot_history WHERE slot_name LIKE 'many_%')), 100,
    'all of them');
is(sql('postgres', q{
    SELECT count(*) FROM cdc.slots AS s JOIN pg_replication_slots AS r USING (slot_name)
    WHERE (s.restart_lsn, s.confirmed_flush_lsn, s.active, s.wal_status, s.database)
        IS NOT DISTINCT FROM (r.restart_lsn, r.confirmed_flush_lsn, r.active, r.wal_status, r.database)}), 101,
    'as the server has them');

# An index of the server's array that another slot gets. Few samples, so that there is room for all of them.
set_conf($node, 'cdc_plugin.guard_interval' => '500ms');
sql('postgres', q(SELECT pg_drop_replication_slot('many_50')));
my $dropped = sql('postgres', 'SELECT clock_timestamp()');
create_slot($node, 'another');
wait_samples($node, 3);
is(sql('postgres', qq{
    SELECT count(*) BETWEEN 1 AND 60 AND min(sampled_at) >= '$dropped'
    FROM cdc.slot_history WHERE slot_name = 'another'}),
    't', 'a new slot in the place of an old one starts afresh');
is(sql('postgres', q(SELECT count(*) FROM cdc.slot_history WHERE slot_name = 'many_50')), 0,
    'and the old one is forgotten');
is(sql('postgres', qq(SELECT inactive_since >= '$dropped' FROM cdc.slots WHERE slot_name = 'another')), 't',
    'nobody reads it since it was made');

# As fast as the guard can, while slots come and go.
set_conf($node, 'cdc_plugin.guard_interval' => '1ms');
my $script = scratch_file('slots.sql');
append_to_file($script, <<'SQL');
SELECT pg_create_logical_replication_slot('come_' || :client_id, 'cdc_plugin');
SELECT count(*) FROM cdc.slots;
SELECT count(*) FROM cdc.slot_history;
SELECT count(*) FROM cdc.check();
SELECT pg_drop_replication_slot('come_' || :client_id);
SQL
my ($out, $err) = ('', '');
ok(IPC::Run::run([ 'pgbench', '-n', '-c', 3, '-t', 10, '-f', $script, $node->connstr('postgres') ],
        '>', \$out, '2>', \$err, IPC::Run::timeout(600)), 'slots come and go while cdc.slots is read') or diag($err);
wait_samples($node, 100);
is(status('watching'), 't', 'guard_interval = 1ms: the guard watches a hundred slots');
ddl('guard_interval = 1ms: CREATE DATABASE and DROP DATABASE', 'CREATE DATABASE copy', 'DROP DATABASE copy');
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|terminated by signal 11|TRAP/, 'nothing crashed but what was killed');

done_testing();
