# A server that was not set up for logical decoding: what cdc.preflight() tells to do is what makes it work.
use strict;
use warnings;

use CdcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

# Rows of preflight by item; where an item has several rows, the last.
sub preflight {
    my ($node) = @_;
    my $rows = decode_json($node->safe_psql('postgres', 'SELECT json_agg(p) FROM cdc.preflight() AS p'));
    return map { $_->{item} => $_ } @$rows;
}

sub slot_result {
    my ($node) = @_;
    my ($status, $out, $err) =
      $node->psql('postgres', q(SELECT slot_name FROM pg_create_logical_replication_slot('s', 'cdc_plugin')));
    return $status == 0 ? $out : $err;
}

# Runs the commands of all errors, as a user would paste them into psql, and restarts.
sub follow_advice {
    my ($node, $what) = @_;
    my %found = preflight($node);
    for my $item (sort keys %found) {
        next if $found{$item}{status} ne 'error';
        my ($status, $out, $err) = $node->psql('postgres', $found{$item}{fix}, on_error_stop => 1);
        is($status, 0, "$what: psql runs the command for $item: $found{$item}{fix}") or diag($err);
    }
    $node->restart;
    return;
}

# --- wal_level = replica, PostgreSQL's default ------------------------------------------------------------------------

my $node = cdc_node('replica', level => 'replica');
like(slot_result($node), qr/logical decoding requires "?wal_level"? >= "?logical/,
    'wal_level = replica: the server makes no slot');
my %found = preflight($node);
is($found{wal_level}{status}, 'error', 'preflight reports an error');
is($found{wal_level}{finding}, 'wal_level is replica', 'and what is wrong');
is_deeply([ grep { $found{$_}{status} eq 'error' } sort keys %found ], ['wal_level'], 'and no other error');
follow_advice($node, 'replica');
%found = preflight($node);
is($found{wal_level}{status}, 'ok', 'behind the restart preflight is content');
is($found{wal_level}{fix}, undef, 'and has no command');
is(slot_result($node), 's', 'and the slot can be created');
$node->safe_psql('postgres', 'CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)');
is(scalar(changes(drain($node, 's'))), 1, 'and gives the changes');
$node->stop;

# --- wal_level = minimal, no walsenders, no slots ---------------------------------------------------------------------

my $bare = cdc_node('bare', level => 'minimal', conf => "max_replication_slots = 0\nmax_wal_senders = 0");
like(slot_result($bare), qr/ERROR/, 'wal_level = minimal: the server makes no slot');
%found = preflight($bare);
is_deeply([ grep { $found{$_}{status} eq 'error' } sort keys %found ],
    [ 'max_replication_slots', 'max_wal_senders', 'wal_level' ], 'preflight reports all three errors at once');
follow_advice($bare, 'minimal');
%found = preflight($bare);
is_deeply([ grep { $found{$_}{status} eq 'error' } sort keys %found ], [], 'behind one restart preflight is content');
is(slot_result($bare), 's', 'and the slot can be created');
$bare->safe_psql('postgres', 'CREATE TABLE t (a int PRIMARY KEY); INSERT INTO t VALUES (1)');
is(scalar(changes(drain($bare, 's'))), 1, 'and pg_recvlogical gets the changes');

# --- used up ----------------------------------------------------------------------------------------------------------

my $slots = $bare->safe_psql('postgres', 'SHOW max_replication_slots');
create_slot($bare, "more_$_") for 2 .. $slots;
%found = preflight($bare);
is($found{max_replication_slots}{status}, 'error', 'preflight sees that no slot is free');
is($found{max_replication_slots}{finding}, "$slots of $slots replication slots are in use", 'and counts them');
follow_advice($bare, 'used up');
is_deeply([ grep { $_->{status} eq 'error' } values %{ { preflight($bare) } } ], [],
    'behind the restart there is room again');
create_slot($bare, 'one_more');
pass('for one more slot');

# --- tables -----------------------------------------------------------------------------------------------------------

$bare->safe_psql('postgres', q{
    CREATE TABLE "No Key" (a int);
    CREATE TABLE nothing (a int PRIMARY KEY);
    ALTER TABLE nothing REPLICA IDENTITY NOTHING;
    CREATE UNLOGGED TABLE unlogged (a int);
});
my $fixes = $bare->safe_psql('postgres',
    q(SELECT fix FROM cdc.preflight() WHERE item = 'replica_identity' ORDER BY fix));
is($fixes, qq(ALTER TABLE public."No Key" REPLICA IDENTITY FULL;\nALTER TABLE public.nothing REPLICA IDENTITY FULL;),
    'preflight names the tables whose updates would not say which row they hit');
$bare->safe_psql('postgres', $fixes);
is($bare->safe_psql('postgres', q(SELECT count(*) FROM cdc.preflight() WHERE item = 'replica_identity')), 0,
    'and its commands mend that');

done_testing();
