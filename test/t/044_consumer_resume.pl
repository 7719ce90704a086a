# Copies that are interrupted, and completed by the next run: parts of a table as of different moments, brought to the
# same one by the stream, with a writer that never pauses. And what makes a new copy necessary.
use strict;
use warnings;

use CdcConsumer;
use CdcResume;
use CdcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = cdc_node('source', conf => "max_replication_slots = 20\nmax_wal_senders = 20\nautovacuum = off");
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$target->start;

# `small` comes last in a copy, and `log`, which has no key, first.
$node->safe_psql('postgres', q{
    CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, amount numeric(12,2), body text, state int);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    ALTER TABLE orders ALTER body SET STORAGE EXTERNAL;
    CREATE TABLE stock (shop text, item int, pieces int NOT NULL, PRIMARY KEY (shop, item));
    CREATE TABLE events (id int, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE TABLE log (n int, line text);
    ALTER TABLE log REPLICA IDENTITY FULL;
    CREATE TABLE small (id int PRIMARY KEY, what text);
    ALTER TABLE small REPLICA IDENTITY FULL;
    INSERT INTO orders SELECT n, n % 100, n / 7.0, CASE WHEN n % 500 = 0 THEN repeat(md5(n::text), 100) ELSE md5(n::text) END, 0
        FROM generate_series(1, 60000) AS n;
    INSERT INTO stock SELECT 'shop ' || n % 7, n, n FROM generate_series(1, 20000) AS n;
    INSERT INTO events SELECT n, date '2026-01-01' + n % 50, 'what ' || n FROM generate_series(1, 20000) AS n;
    INSERT INTO log SELECT n % 50, 'line' FROM generate_series(1, 2000) AS n;
    INSERT INTO small SELECT n, 'what' FROM generate_series(1, 100) AS n;
});
my @tables = qw(public.orders public.stock public.events public.log public.small);
resume_between($node, $target, @tables);

# Rows move to other blocks, to other keys and back, go, and come again as others.
my $script = scratch_file('writer.sql');
append_to_file($script, <<'SQL');
\set id random(1, 60000)
\set near :id + 1
\set far 1000000 + :id
\set item random(1, 20000)
\set n random(0, 49)
BEGIN;
UPDATE orders SET state = state + 1 WHERE id = :id;
UPDATE orders SET id = :far WHERE id = :near AND NOT EXISTS (SELECT FROM orders WHERE id = :far);
DELETE FROM orders WHERE id = :id + 2;
INSERT INTO orders VALUES (:id + 2, :n, 1, 'again', -1) ON CONFLICT DO NOTHING;
UPDATE stock SET item = item + 100000 WHERE item = :item AND shop <> 'shop 3';
UPDATE stock SET pieces = pieces + 1 WHERE item BETWEEN :item AND :item + 5;
UPDATE events SET day = date '2026-01-01' + (day - date '2026-01-01' + 25) % 50 WHERE id = :item;
INSERT INTO log VALUES (:n, 'new');
DELETE FROM log WHERE ctid = (SELECT ctid FROM log WHERE n = :n LIMIT 1);
COMMIT;
SQL

my $writer;

sub start_writer {
    my $errors = scratch_file('writer.err');
    $writer = CdcTest::start_command('/dev/null', $errors, $node->installed_command('pgbench'), '-n', '-c', '2', '-T', '600',
        '-R', '200', '-f', $script, $node->connstr('postgres'));
    return;
}

sub stop_writer {
    kill('TERM', $writer);
    waitpid($writer, 0);
    return;
}

# --- completed --------------------------------------------------------------------------------------------------------

for my $kind (qw(postgres sqlite)) {
    my $sink = sink_of($kind, "resumed_$kind");
    start_writer();
    interrupt($sink, meanwhile => sub {
        my ($consumer) = @_;
        return unless $kind eq 'sqlite';
        consumer_fails($node, 'run', 1, qr/another process feeds/, 'a second consumer of the sink', %{ $sink->{run} });
    });
    my $ranges = ranges($sink);
    cmp_ok($ranges, '>', 20, "$kind: parts are noted");
    like(consumer_ok($node, 'status', "$kind: status", %{ $sink->{run} }, tables => undef, args => []), qr/unfinished/, "$kind: names it");

    # A third of the orders is copied as of another moment, and others have taken their keys and places meanwhile.
    lose($sink, 'orders', 'first_block % 24 = 0');
    lose($sink, 'stock', 'first_block % 16 = 8');
    sleep(1);
    stop_writer();    # it could meet what follows in a deadlock
    my $far = $kind eq 'sqlite' ? 2000000 : 3000000;
    $node->safe_psql('postgres', qq{
        DELETE FROM orders WHERE id % 13 = 5;
        VACUUM orders;
        BEGIN;
        UPDATE orders SET id = -1 WHERE id = 100;
        UPDATE orders SET id = 100 WHERE id = 300;
        UPDATE orders SET id = 300 WHERE id = -1;
        COMMIT;
        UPDATE orders SET state = state + 1 WHERE id IN (100, 300) OR id % 500 = 0;
        UPDATE orders SET id = id + $far WHERE id % 17 = 3 AND id < 100000;
        INSERT INTO orders SELECT id - $far, 1, 2, 'the key of another', 3 FROM orders WHERE id > $far AND id % 2 = 0
            ON CONFLICT DO NOTHING;
        DELETE FROM small WHERE id = 7;
        UPDATE small SET what = 'other' WHERE id = 8;
    });
    start_writer();
    my $log = complete($sink, $kind);
    like($log, qr/going on with it/, "$kind: the next run goes on with it");
    unlike($log, qr/anew/, "$kind: and makes no new copy");
    stop_writer();
    complete($sink, $kind);
    $sink->{same}->("$kind: completed");
    is($sink->{leftovers}->(), '0', "$kind: nothing is left of it");
    is(ranges($sink), 0, "$kind: in the notes, either");
    is(slots($sink), '1', "$kind: with its slot");

    # The copy again, interrupted by a stop, and then in mid-stream; those who read the sink see the old rows.
    start_writer();
    my $seen = $sink->{query}->('SELECT count(*), sum(state) FROM orders');
    interrupt($sink, run => { command => 'resnapshot' }, meanwhile => sub {
        my ($consumer) = @_;
        $consumer->signal('TERM');
        isnt($consumer->wait_for_end, 0, "$kind: a stop ends resnapshot");
        like($consumer->errors, qr/goes on with it.*holds back WAL/, "$kind: and says what stays");
    });
    is(slots($sink), '1', "$kind: the slot stays");
    stop_writer();
    $node->safe_psql('postgres', q{UPDATE orders SET state = state + 1, body = left(body, 3000)});
    start_writer();
    my $consumer = start_consumer($node, %{ $sink->{run} }, command => 'resnapshot');
    my $first = $sink->{query}->("SELECT position FROM $sink->{state}");
    wait_until('the stream is in the copy', sub {
        die $consumer->errors unless $consumer->running;
        return $sink->{query}->("SELECT position FROM $sink->{state}") ne $first;
    });
    $consumer->kill_hard;
    my ($phase) = $sink->{query}->("SELECT phase FROM $sink->{state}");
    SKIP: {
        skip 'it was complete before it was killed', 2 unless $phase eq 'snapshot';
        is($sink->{query}->('SELECT count(*), sum(state) FROM orders'), $seen, "$kind: readers see the old rows");
        $log = complete($sink, $kind, command => 'resnapshot', args => []);
        like($log, qr/going on with it/, "$kind: resnapshot goes on with it, too");
    }
    stop_writer();
    complete($sink, $kind);
    $sink->{same}->("$kind: completed again");

    # At random moments.
    start_writer();
    my $seed = $ENV{CDC_TEST_SEED} // int(time());
    note("seed $seed");
    srand($seed);
    for my $round (1 .. 4) {
        my $copy = start_consumer($node, %{ $sink->{run} }, command => 'resnapshot');
        sleep(rand(0.8));
        $round % 2 ? $copy->kill_hard : $copy->stop;
    }
    stop_writer();
    complete($sink, $kind);
    $sink->{same}->("$kind: after random moments");
    consumer_ok($node, 'drop-slot', "$kind: drop-slot", slot => $sink->{run}{slot}, tables => undef);
}

# --- anew ---------------------------------------------------------------------------------------------------------------

# What happens meanwhile, and the reason that the log gives.
my @obstacles = (
    [ 'a column was added', 'ALTER TABLE orders ADD COLUMN more int', qr/public\.orders was altered/ ],
    [ 'a table was added', 'CREATE TABLE one_more (id int PRIMARY KEY)', qr/public\.one_more was not there/ ],
    [ 'a table was dropped', 'DROP TABLE one_more', qr/dropped/ ],
    [ 'a table was rewritten', 'VACUUM FULL stock', qr/public\.stock was rewritten/, stock => 'first_block = 0' ],
    [ 'a complete table was rewritten', 'VACUUM FULL orders', qr/public\.orders was rewritten/ ],
    # The definition stays the same, and no change tells of the new values.
    [ 'a complete table got other values', 'ALTER TABLE orders ALTER state TYPE int USING state + 1', qr/public\.orders was rewritten/ ],
    [ 'a complete table was emptied', q(TRUNCATE stock; INSERT INTO stock VALUES ('shop 1', 1, 1)), qr/public\.stock was rewritten/ ],
    [ 'a table without a key is there in part', 'SELECT 1', qr/public\.log has no key/, log => 'first_block = 0' ],
    [ 'the slot is gone', q(SELECT pg_drop_replication_slot('anew')), qr/is gone/ ],
    [ 'a large value was not told', q(ALTER TABLE orders REPLICA IDENTITY DEFAULT), qr/orders was altered/ ],
    # Found by its key only, with a value that the update has left as it was.
    [ 'an update is incomplete', q(UPDATE orders SET state = state + 1 WHERE id % 500 = 0), qr/does not say all of its row/ ],
    [ 'a table was emptied', 'CREATE TABLE kept AS TABLE orders; TRUNCATE orders; INSERT INTO orders SELECT * FROM kept; DROP TABLE kept',
        qr/public\.orders was rewritten/, orders => 'first_block = 0' ],
);
for my $obstacle (@obstacles) {
    my ($name, $sql, $reason, $table, $lost) = @$obstacle;
    my $sink = sink_of('sqlite', 'anew');
    interrupt($sink);
    lose($sink, $table, $lost) if $table;
    $node->safe_psql('postgres', $_) for split(/; /, $sql);
    my $log = complete($sink, $name);
    note($log);
    like($log, qr/$reason.*copying anew|copying anew.*$reason/, "$name: a new copy");
    $sink->{same}->($name);
    consumer_ok($node, 'drop-slot', "$name: drop-slot", slot => 'anew', tables => undef);
}

# This needs none.
$node->safe_psql('postgres', 'ALTER TABLE orders REPLICA IDENTITY FULL');
my $complete = sink_of('sqlite', 'harmless');
interrupt($complete);
$node->safe_psql('postgres', $_) for (q(DELETE FROM log WHERE n = 3), q(INSERT INTO log SELECT 4, 'line' FROM generate_series(1, 5)));
unlike(complete($complete, 'log'), qr/anew/, 'a complete table without a key has other rows: no new copy');
$complete->{same}->('and they are there');
consumer_ok($node, 'drop-slot', 'drop-slot', slot => 'harmless', tables => undef);

# A table of the copy was dropped in the sink.
my $gone = sink_of('sqlite', 'gone');
interrupt($gone);
change_sink($gone, 'DROP TABLE cdc_new_orders');
like(complete($gone, 'gone'), qr/cdc_new_orders .*is gone.*copying anew/, 'a table of the copy is gone: a new copy');
$gone->{same}->('which is right');
consumer_ok($node, 'drop-slot', 'drop-slot', slot => 'gone', tables => undef);

# Of other tables: those that are wanted now.
my $other = sink_of('sqlite', 'other');
interrupt($other);
my (undef, undef, $log) = consumer($node, 'run', %{ $other->{run} }, tables => 'public.small,public.log', args => ['--until-caught-up']);
like($log, qr/copying anew \(it is of other tables\)/, 'other tables: a new copy');
is($other->{query}->(q(SELECT count(*) FROM sqlite_master WHERE name = 'orders')), '0', 'of these only');

# --- an error at the very end -------------------------------------------------------------------------------------------

my $late = sink_of('sqlite', 'late');
my $init = scratch_file('init.sql');
append_to_file($init, 'CREATE VIEW wrong AS SELECT 1; SELECT * FROM no_such_table;');
consumer_fails($node, 'run', 1, qr/no_such_table/, 'an init file that fails', %{ $late->{run} }, args => [ '--until-caught-up', '--init-sql', $init ]);
is(slots($late), '1', 'the slot stays');
$node->safe_psql('postgres', 'DELETE FROM small WHERE id = 9');
my $mended = scratch_file('mended.sql');
append_to_file($mended, 'CREATE VIEW large AS SELECT * FROM orders WHERE amount > 100;');
$log = complete($late, 'mended', args => [ '--until-caught-up', '--init-sql', $mended ]);
like($log, qr/going on with it/, 'the copy is not made again for it');
$late->{same}->('mended');

$node->stop;
$target->stop;
done_testing();
