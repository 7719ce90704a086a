# What must not get into a copy that is completed: rows whose transaction was rolled back, gaps in the slot, commits that a
# crash takes back, other people's tables. And ends that repeat themselves.
use strict;
use warnings;

use CdcConsumer;
use CdcResume;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Asynchronous commits stay in memory until somebody has WAL flushed.
my $node = cdc_node('source', conf => "max_replication_slots = 20\nmax_wal_senders = 20\nautovacuum = off\nwal_writer_delay = 10s");
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$target->start;
$node->safe_psql('postgres', q{
    CREATE TABLE orders (id bigint PRIMARY KEY, body text, state int);
    CREATE TABLE days (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    CREATE TABLE log (n int, line text);
    ALTER TABLE log REPLICA IDENTITY FULL;
    CREATE TABLE small (id int PRIMARY KEY, what text);
    INSERT INTO orders SELECT n, md5(n::text), 0 FROM generate_series(1, 60000) AS n;
    INSERT INTO days SELECT n, date '2026-01-01' + n % 50 FROM generate_series(1, 2000) AS n;
    INSERT INTO log SELECT n % 50, 'line' FROM generate_series(1, 5000) AS n;
    INSERT INTO small SELECT n, 'what' FROM generate_series(1, 100) AS n;
});
resume_between($node, $target, qw(public.orders public.days public.log public.small));

sub drop_slot {
    my ($sink) = @_;
    consumer_ok($node, 'drop-slot', "$sink->{run}{slot}: drop-slot", slot => $sink->{run}{slot}, tables => undef);
    return;
}

# --- a disk that is full --------------------------------------------------------------------------------------------------

# SQLite gives up the transaction that all writers share.
for my $limit (800, 1600, 2400) {
    my $full = sink_of('sqlite', "full_$limit");
    my @command = CdcConsumer::command_line($node, 'run', %{ $full->{run} },
        args => [ '--snapshot-chunk', '64kB', '--snapshot-jobs', '4', '--until-caught-up' ]);
    my $error = '';
    IPC::Run::run([ 'bash', '-c', "trap '' XFSZ; ulimit -f $limit; exec \"\$\@\"", '-', @command ], '2>', \$error);
    like($error, qr/^cdc_consumer: .*(?:full|I\/O|rolled back)/m, "$limit kB: too little");
    complete($full, 'room');
    $full->{same}->("$limit kB, and then more");
    drop_slot($full);
}

for my $kind (qw(postgres sqlite)) {

    # --- the slot moves -----------------------------------------------------------------------------------------------

    my $moved = sink_of($kind, "moved_$kind");
    interrupt($moved);
    my $consumer = interrupt($moved, again => 1, run => { args => [ @{ $moved->{run}{args} }, '--until-caught-up' ] }, goes_on => 1, meanwhile => sub {
        $node->safe_psql('postgres', q(UPDATE orders SET state = 1 WHERE id < 100; DELETE FROM orders WHERE id BETWEEN 100 AND 200));
        $node->safe_psql('postgres', "SELECT pg_replication_slot_advance('moved_$kind', pg_current_wal_lsn())");
    });
    is($consumer->wait_for_end, 0, "$kind: it ends");
    like($consumer->errors, qr/advanced by somebody else.*copying anew/, "$kind: a slot that was advanced meanwhile: a new copy");
    $moved->{same}->("$kind: with what lay in the gap");
    drop_slot($moved);

    # --- commits that are lost ----------------------------------------------------------------------------------------

    my $lost = sink_of($kind, "lost_$kind");
    interrupt($lost);
    lose($lost, 'orders', 'first_block % 16 = 0');
    $node->safe_psql('postgres', 'SET synchronous_commit = off; UPDATE orders SET state = 55 WHERE id % 100 = 0');
    $consumer = interrupt($lost, again => 1, goes_on => 1, meanwhile => sub { crash($node) });
    start_behind_crash($node);
    wait_for_sink($node, $kind eq 'sqlite' ? $lost->{file} : $target, $consumer) if $kind eq 'sqlite';
    wait_until("$kind: the copy is complete", sub { $consumer->errors =~ /the copy is complete/ || !$consumer->running });
    is($consumer->stop, 0, "$kind: SIGTERM ends it");
    complete($lost, $kind);
    $lost->{same}->("$kind: with a crash of the source");
    drop_slot($lost);

    # --- what the replica identity hid --------------------------------------------------------------------------------

    my $hidden = sink_of($kind, "hidden_$kind");
    interrupt($hidden);
    my $first = $kind eq 'sqlite' ? 300 : 400;
    $node->safe_psql('postgres', $_) for (
        'ALTER TABLE orders REPLICA IDENTITY NOTHING',
        "UPDATE orders SET id = id + 1000000 WHERE id BETWEEN $first AND $first + 50",
        'ALTER TABLE orders REPLICA IDENTITY DEFAULT');
    like(complete($hidden, $kind), qr/orders was altered.*copying anew/, "$kind: no replica identity for a while: a new copy");
    $hidden->{same}->("$kind: after that");
    drop_slot($hidden);

    # --- a swap that fails ---------------------------------------------------------------------------------------------

    my $blocked = sink_of($kind, "blocked_$kind");
    complete($blocked, $kind);
    my $create = $kind eq 'sqlite' ? 'CREATE INDEX mine ON orders (body)' : 'CREATE VIEW mine AS SELECT body FROM orders';
    change_sink($blocked, $create);
    $node->safe_psql('postgres', "ALTER TABLE orders DROP COLUMN body; INSERT INTO orders VALUES (-1, 0)");
    my @rewrite = ('--until-caught-up', '--on-rewrite', 'resnapshot');
    for my $attempt (1, 2) {
        my ($exit, undef, $log) = consumer($node, 'run', %{ $blocked->{run} }, args => \@rewrite);
        is($exit, 4, "$kind: attempt $attempt at a copy that something at the sink stands in the way of") or diag($log);
        my $copies = () = $log =~ /copying \d+ tables/g;
        cmp_ok($copies, '<=', 1, "$kind: is made once");
    }
    change_sink($blocked, $kind eq 'sqlite' ? 'DROP INDEX mine' : 'DROP VIEW mine');
    unlike(complete($blocked, $kind), qr/copying \d+ tables/, "$kind: without what stood in the way, it is swapped in");
    $blocked->{same}->("$kind: then");
    $node->safe_psql('postgres', 'DELETE FROM orders WHERE id = -1; ALTER TABLE orders ADD COLUMN body text');
    drop_slot($blocked);

    # --- tables of others ---------------------------------------------------------------------------------------------

    my $theirs = sink_of($kind, "theirs_$kind");
    interrupt($theirs);
    change_sink($theirs, q(CREATE TABLE small (id int, mine text)));
    change_sink($theirs, q(INSERT INTO small VALUES (1, 'own')));
    consumer_fails($node, 'run', 1, qr/was not made by cdc_consumer|cdc_consumer did not make/, "$kind: a table that was made meanwhile", %{ $theirs->{run} });
    is($theirs->{query}->('SELECT * FROM small'), '1|own', "$kind: is left alone");
    change_sink($theirs, 'DROP TABLE small');
    like(complete($theirs, $kind), qr/going on with it/, "$kind: without it, the copy goes on");
    $theirs->{same}->("$kind: and is right");
    drop_slot($theirs);

    # A new copy that cannot even begin keeps no slot, whatever an older one has left.
    my $never = sink_of($kind, "never_$kind");
    interrupt($never);
    $node->safe_psql('postgres', 'CREATE TABLE mine (id int PRIMARY KEY)');
    change_sink($never, 'CREATE TABLE mine (id int)');
    my ($exit, undef, $log) = consumer($node, 'run', %{ $never->{run} });
    is($exit, 1, "$kind: a new copy that cannot begin") or diag($log);
    unlike($log, qr/the next run goes on/, "$kind: does not promise to go on");
    is(slots($never), '0', "$kind: and leaves no slot");
    change_sink($never, 'DROP TABLE mine');
    complete($never, $kind);
    $never->{same}->("$kind: the next one can");
    $node->safe_psql('postgres', 'DROP TABLE mine');
    drop_slot($never);

    # --- complete, but not shown yet ----------------------------------------------------------------------------------

    my $late = sink_of($kind, "late_$kind");
    my $init = scratch_file('init.sql');
    append_to_file($init, 'SELECT * FROM no_such_table;');
    consumer_fails($node, 'run', 1, qr/no_such_table/, "$kind: an init file that fails", %{ $late->{run} },
        args => [ '--until-caught-up', '--init-sql', $init ]);
    $node->safe_psql('postgres', 'DROP TABLE days_2');
    like(complete($late, $kind), qr/dropped.*copying anew/, "$kind: a partition was dropped before it was shown: a new copy");
    $late->{same}->("$kind: without its rows");
    $node->safe_psql('postgres', q{CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        INSERT INTO days SELECT n, date '2026-02-01' + n % 20 FROM generate_series(1, 800) AS n});
    drop_slot($late);
}

# --- a stop while a table is locked -----------------------------------------------------------------------------------------

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE');
my $locked = sink_of('sqlite', 'locked');
my $consumer = start_consumer($node, %{ $locked->{run} });
$node->poll_query_until('postgres', q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'))) or die 'it does not wait';
is($consumer->stop, 0, 'SIGTERM ends what waits for a lock');
$session->query_safe('ROLLBACK');
$session->quit;
is(slots($locked), '0', 'without a slot');

# Nor does it wait for those who have locked the copy that a new one is to take the place of.
my $swapped = sink_of('postgres', 'swapped');
complete($swapped, 'first');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('swapped'); DELETE FROM small WHERE id = 1});
$session = $target->background_psql('swapped');
$session->query_safe('BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE');
$consumer = start_consumer($node, %{ $swapped->{run} }, args => [ '--on-lost-slot', 'resnapshot' ]);
$target->poll_query_until('postgres', q(SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'))) or die 'it does not wait';
is($consumer->stop, 0, 'SIGTERM ends what waits for a lock at the sink');
like($consumer->errors, qr/the next run goes on with it/, 'which says what is left');
is($swapped->{query}->('SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = \'Lock\''), 0, 'and nobody waits any longer');
$session->query_safe('ROLLBACK');
$session->quit;
is($swapped->{query}->('SELECT count(*) FROM small'), 100, 'what was there before is there');
unlike(complete($swapped, 'then'), qr/copying (?:the rest of )?\d+ tables/, 'the next run has nothing left to copy');
$swapped->{same}->('and shows it');
$node->safe_psql('postgres', q(INSERT INTO small VALUES (1, 'what')));
drop_slot($swapped);

# --- a stop while WAL is not flushed ----------------------------------------------------------------------------------------

# By a role that cannot have it flushed, so that it waits for the WAL writer.
$node->safe_psql('postgres', q{
    CREATE ROLE humble LOGIN REPLICATION;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO humble;
    REVOKE EXECUTE ON FUNCTION pg_logical_emit_message(boolean, text, text) FROM PUBLIC;
});
my $unflushed = sink_of('sqlite', 'unflushed');
my %humble = (%{ $unflushed->{run} }, source => $node->connstr('postgres') . ' user=humble');
consumer_ok($node, 'run', 'a role that may not emit messages', %humble, args => ['--until-caught-up']);
$node->safe_psql('postgres', 'SET synchronous_commit = off; UPDATE orders SET state = 7 WHERE id < 100');
$consumer = start_consumer($node, %humble, args => [ '--until-caught-up', '--log-level', 'debug' ]);
wait_until('it cannot have WAL flushed', sub { $consumer->errors =~ /could not be flushed|streaming from/ || !$consumer->running });
is($consumer->stop, 0, 'SIGTERM ends it');
unlike($consumer->errors, qr/streaming from/, 'before it has waited for the WAL writer');
consumer_ok($node, 'run', 'the next run waits', %humble, args => ['--until-caught-up']);
$unflushed->{same}->('and has it all');

$node->stop;
$target->stop;
done_testing();
