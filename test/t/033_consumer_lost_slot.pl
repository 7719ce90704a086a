# Slots that are lost, dropped, recreated or advanced: never a silent gap, and a new copy where one is asked for.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('lost', init => [ '--wal-segsize', '1' ], conf => "max_slot_wal_keep_size = 4MB\nautovacuum = off");
$node->safe_psql('postgres', q{
    CREATE TABLE orders (id int PRIMARY KEY, note text);
    INSERT INTO orders SELECT n, 'old ' || n FROM generate_series(1, 100) AS n;
});
my $file = scratch_file('sink.db');
my %run = (sink => "sqlite:$file", args => ['--until-caught-up']);
my %again = (sink => "sqlite:$file", args => [ '--until-caught-up', '--on-lost-slot', 'resnapshot' ]);
consumer_ok($node, 'run', 'the first copy', %run);

my $counter = 100;

# Rows that change, and rows that are deleted, while nobody looks.
sub change_unseen {
    my $new = ++$counter;
    my $gone = $counter - 100;
    $node->safe_psql('postgres',
        "INSERT INTO orders VALUES ($new, 'new'); DELETE FROM orders WHERE id = $gone; UPDATE orders SET note = note || '!' WHERE id % 7 = $new % 7");
    return;
}

my %losses = (
    invalidated => [ sub {
        $node->safe_psql('postgres', q(SELECT pg_logical_emit_message(false, 'fill', repeat('x', 1 << 20)) FROM generate_series(1, 8)));
        $node->safe_psql('postgres', 'CHECKPOINT');
        is($node->safe_psql('postgres', 'SELECT wal_status FROM pg_replication_slots'), 'lost', 'the slot is invalidated');
    }, qr/was invalidated/ ],
    dropped => [ sub {
        $node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('consumer')));
    }, qr/is gone/ ],
    recreated => [ sub {
        $node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('consumer')));
        $node->safe_psql('postgres', q(SELECT pg_create_logical_replication_slot('consumer', 'cdc_plugin')));
    }, qr/recreated or advanced/ ],
    advanced => [ sub {
        $node->safe_psql('postgres', q(SELECT pg_replication_slot_advance('consumer', pg_current_wal_lsn())));
    }, qr/recreated or advanced/ ]);
for my $loss (sort keys %losses) {
    my ($lose, $message) = @{ $losses{$loss} };
    change_unseen();
    my $before = sqlite_rows($file, 'SELECT count(*), max(id) FROM orders');
    $lose->();
    change_unseen();
    consumer_fails($node, 'run', 3, $message, $loss, %run, hint => 'resnapshot');
    is(sqlite_rows($file, 'SELECT count(*), max(id) FROM orders'), $before, "$loss: nothing changed in the sink");
    consumer_ok($node, 'run', "$loss: a new copy, where it is wanted", %again);
    same_in_sqlite($node, $file, $loss, 'public.orders');
}

# --- lost while it runs -----------------------------------------------------------------------------------------------

my $consumer = start_consumer($node, %run, args => [ '--on-lost-slot', 'resnapshot', '--max-retry-delay', '200ms' ]);
my $walsender = $consumer->walsender;
$consumer->signal('STOP');
change_unseen();
$node->safe_psql('postgres', q(SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1 << 20)) FROM generate_series(1, 12)));
# The checkpointer ends the walsender, which ends when its client takes what it is sending.
my $before = -s $node->logfile;
my $checkpoint = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'CHECKPOINT' ],
    '>', \my $out, '2>', \my $err);
wait_until('the walsender is terminated', sub {
    return slurp_file($node->logfile, $before) =~ /terminating process $walsender to release replication slot/;
});
$consumer->signal('CONT');
wait_until('it copies anew', sub { $consumer->errors =~ /was invalidated.*copied anew/ });
ok($checkpoint->finish, 'the checkpoint ends') or diag($err);
change_unseen();
wait_for_sink($node, $file, $consumer);
same_in_sqlite($node, $file, 'lost while it ran', 'public.orders');
is($consumer->stop, 0, 'SIGTERM ends it cleanly');

# What stands in the way of the first attempt behind a lost stream may be a slot that is being lost: it is tried again,
# once. Here it is a plugin that cannot be loaded, which stays so.
my $library_path = $node->safe_psql('postgres', 'SHOW dynamic_library_path');
$consumer = start_consumer($node, %run, args => [ '--max-retry-delay', '200ms' ]);
wait_for_sink($node, $file, $consumer);
$walsender = $consumer->walsender;
set_conf($node, dynamic_library_path => '/nowhere');
$node->safe_psql('postgres', "SELECT pg_terminate_backend($walsender)");
is($consumer->wait_for_end, 1, 'an error that stays ends it');
my @refused = grep { /could not access file "cdc_plugin"/ } split(/\n/, $consumer->errors);
is(scalar(@refused), 2, 'at the second attempt') or diag($consumer->errors);
like($refused[0], qr/next attempt in/, 'the first is tried again');
set_conf($node, dynamic_library_path => $library_path);
consumer_ok($node, 'run', 'it goes on where it was', %run);
same_in_sqlite($node, $file, 'goes on', 'public.orders');

# --- at the beginning of a page of WAL --------------------------------------------------------------------------------

# Where a record ends 8 bytes behind a page's header, nobody must take the sink for being ahead of the source.
my $is_there = 0;
for my $attempt (1 .. 20) {
    my $header = q(SELECT (pg_current_wal_insert_lsn() - '0/0') % 8192);
    my $emit = sub { $node->safe_psql('postgres', "SELECT pg_logical_emit_message(true, 'fill', repeat('x', $_[0]))") };
    # The first one tells what a message takes beside its payload, if it lies within a page, with its commit.
    $emit->(10000 - $node->safe_psql('postgres', $header));
    my $before = $node->safe_psql('postgres', $header);
    $emit->(1000);
    my $rest = $node->safe_psql('postgres', $header) - $before - 1000;
    my $room = 8192 - $node->safe_psql('postgres', $header);
    next if $room < $rest + 100;
    $emit->($room - $rest + 8);
    $is_there = $node->safe_psql('postgres', $header) == 32;
    last if $is_there;
}
ok($is_there, 'a record ends behind the header of a page');
consumer_ok($node, 'run', 'the sink is there', %run);
consumer_ok($node, 'run', 'and goes on', %run);
same_in_sqlite($node, $file, 'there', 'public.orders');

# --- others -----------------------------------------------------------------------------------------------------------

my $other = scratch_file('other.db');
consumer_fails($node, 'run', 3, qr/exists, but the sink has no copy/, 'a slot without a copy', sink => "sqlite:$other",
    args => ['--until-caught-up']);
consumer_fails($node, 'run', 1, qr/belongs to slot "consumer"/, 'a sink of another slot', %run, slot => 'another');
$node->safe_psql('postgres', q(SELECT pg_create_logical_replication_slot('foreign_plugin', 'test_decoding')));
consumer_fails($node, 'run', 1, qr/belongs to the output plugin "test_decoding"/, 'a slot of another plugin',
    sink => "sqlite:$other", slot => 'foreign_plugin', args => [ '--until-caught-up', '--on-lost-slot', 'resnapshot' ]);
my $elsewhere = cdc_node('elsewhere');
$elsewhere->safe_psql('postgres', 'CREATE TABLE orders (id int PRIMARY KEY, note text)');
consumer_fails($elsewhere, 'run', 1, qr/another server/, 'a sink of another server', %again);
same_in_sqlite($node, $file, 'is left alone', 'public.orders');

is(consumer_ok($node, 'drop-slot', 'drop-slot', sink => undef) ne '', 1, 'which says what it did');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'consumer')), '0', 'the slot is gone');

done_testing();
