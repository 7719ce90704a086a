# Snapshots under a writer that never pauses, in parallel parts, interrupted at any moment: no row lost or doubled, and
# readers never see half of a table.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = cdc_node('snapshot');
$node->safe_psql('postgres', q{
    CREATE TABLE orders (id serial PRIMARY KEY, state int NOT NULL, body text);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE TABLE log (n int, body text);
    ALTER TABLE log REPLICA IDENTITY FULL;
    INSERT INTO orders (state, body) SELECT n, repeat('b', 500) FROM generate_series(1, 30000) AS n;
    INSERT INTO log SELECT n % 100, 'same' FROM generate_series(1, 3000) AS n;
});
my @tables = qw(public.orders public.log);

# Writes in its own transactions until it is told to stop.
my $script = scratch_file('writer.sql');
append_to_file($script, <<'SQL');
\set id random(1, 30000)
\set n random(0, 99)
BEGIN;
INSERT INTO orders (state, body) VALUES (:n, 'new');
UPDATE orders SET state = state + 1 WHERE id = :id;
DELETE FROM orders WHERE id = :id + 1;
INSERT INTO log VALUES (:n, 'same');
DELETE FROM log WHERE ctid = (SELECT ctid FROM log WHERE n = :n LIMIT 1);
COMMIT;
SQL

sub start_writer {
    my $errors = scratch_file('writer.err');
    return (CdcTest::start_command('/dev/null', $errors, $node->installed_command('pgbench'), '-n', '-c', '2', '-T', '600',
            '-R', '100', '-f', $script, $node->connstr('postgres')), $errors);
}

sub stop_writer {
    my ($pid) = @_;
    kill('TERM', $pid);    # SIGINT is ignored below a shell's background job
    waitpid($pid, 0);
    return;
}

my $file = scratch_file('sink.db');
my %run = (sink => "sqlite:$file");
my ($writer) = start_writer();
my $consumer = start_consumer($node, %run, args => [ '--snapshot-jobs', '3' ]);
wait_until('the copy is complete', sub {
    die $consumer->errors unless $consumer->running;
    return defined sqlite_position($file) && sqlite_rows($file, q(SELECT count(*) FROM cdc_state WHERE phase = 'streaming')) eq '1';
});
sleep(1);
stop_writer($writer);
wait_for_sink($node, $file, $consumer);
same_in_sqlite($node, $file, 'under a writer', @tables);
is($consumer->stop, 0, 'SIGTERM ends it cleanly');

# --- killed in mid-copy -----------------------------------------------------------------------------------------------

($writer) = start_writer();
my $seed = $ENV{CDC_TEST_SEED} // time();
note("seed $seed");
srand($seed);
# A reader that notices when a table is empty or half there.
my $least = sqlite_rows($file, 'SELECT count(*) FROM orders') - 5000;
my $fewest = $least + 5000;
for my $attempt (1 .. 4) {
    my $copy = start_consumer($node, %run, command => 'resnapshot');
    my $end = time() + rand(3);
    while (time() < $end && $copy->running) {
        my $rows = sqlite_rows($file, 'SELECT count(*) FROM orders');
        $fewest = $rows if $rows < $fewest;
    }
    $attempt % 2 ? $copy->kill_hard : $copy->stop;
    like($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), qr/^[01]$/, 'one slot at the most');
}
cmp_ok($fewest, '>', $least, 'a reader sees whole tables all the time');
$consumer = start_consumer($node, %run);
wait_until('an interrupted copy is completed, or made anew', sub {
    die $consumer->errors unless $consumer->running;
    return sqlite_rows($file, q(SELECT count(*) FROM cdc_state WHERE phase = 'streaming')) eq '1';
});
stop_writer($writer);
wait_for_sink($node, $file, $consumer);
same_in_sqlite($node, $file, 'after interrupted copies', @tables);
is(sqlite_rows($file, q(SELECT count(*) FROM sqlite_master WHERE name LIKE 'cdc\_new%' ESCAPE '\')), '0', 'nothing is left of them');

# --- killed between the copy and the stream ---------------------------------------------------------------------------

is($consumer->stop, 0, 'SIGTERM ends it cleanly');
for my $round (1 .. 3) {
    my $fresh = scratch_file('fresh.db');
    my %fresh = (sink => "sqlite:$fresh", slot => "fresh_$round");
    $consumer = start_consumer($node, %fresh);
    wait_until('the copy is complete', sub { return ($consumer->errors =~ /the copy is complete/) || !$consumer->running });
    $consumer->kill_hard;
    $node->safe_psql('postgres', "INSERT INTO orders (state, body) VALUES ($round, 'between')");
    consumer_ok($node, 'run', "round $round: the next run streams", %fresh, args => ['--until-caught-up']);
    same_in_sqlite($node, $fresh, "round $round", @tables);
}

# --- stopped while the slot waits for an open transaction ---------------------------------------------------------------

my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN; INSERT INTO orders (state, body) VALUES (0, 'open')");
my $stopped = scratch_file('stopped.db');
my %stopped = (sink => "sqlite:$stopped", slot => 'stopped');
$consumer = start_consumer($node, %stopped);
$node->poll_query_until('postgres', q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'walsender'
    AND query LIKE 'CREATE_REPLICATION_SLOT "stopped"%' AND wait_event_type = 'Lock'))) or die 'the slot does not wait';
is($consumer->stop, 0, 'SIGTERM ends it');
ok($node->poll_query_until('postgres',
        q(SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = 'stopped'))), 'without a slot');
$open->query_safe('COMMIT');
$open->quit;
consumer_ok($node, 'run', 'the next run copies', %stopped, args => ['--until-caught-up']);
same_in_sqlite($node, $stopped, 'after that', @tables);

# The exported snapshot's transaction does not go on while the stream does.
$consumer = start_consumer($node, %stopped);
wait_until('it streams', sub { $consumer->errors =~ /streaming from/ || !$consumer->running });
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()
    AND backend_type = 'client backend')), '0', 'nothing holds a snapshot');
is($consumer->stop, 0, 'SIGTERM ends it');

done_testing();
