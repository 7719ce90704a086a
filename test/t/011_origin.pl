# Replication origins: what came from another server is marked, and left out with origin=none, without any effect on the
# ids of the rest.
use strict;
use warnings;

use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('origin', conf => 'track_commit_timestamp = on');
$node->safe_psql('postgres', q{
    CREATE TABLE t (id int PRIMARY KEY, body text);
    SELECT pg_replication_origin_create('upstream');
    SELECT pg_replication_origin_create('another one');
});
create_slot($node, $_) for qw(any none both);

$node->safe_psql('postgres', q{
    INSERT INTO t VALUES (1, 'local');
    SELECT pg_replication_origin_session_setup('upstream');
    BEGIN;
    SELECT pg_replication_origin_xact_setup('0/ABCDEF01', '2020-02-02 02:02:02+00');
    INSERT INTO t VALUES (2, 'replicated');
    UPDATE t SET body = 'replicated, changed' WHERE id = 2;
    SELECT pg_logical_emit_message(true, 'note', 'replicated');
    COMMIT;
    -- Without a position and a commit time of its own, too.
    SELECT pg_replication_origin_xact_reset();
    INSERT INTO t VALUES (3, 'replicated, from no known position');
    SELECT pg_logical_emit_message(false, 'note', 'replicated, outside of transactions');
    TRUNCATE t;
    SELECT pg_replication_origin_session_reset();
    INSERT INTO t VALUES (4, 'local again');
    SELECT pg_logical_emit_message(true, 'note', 'local');
    SELECT pg_logical_emit_message(false, 'note', 'local, outside of transactions');
    -- A transaction of which only a part was replicated: each change has an origin of its own.
    BEGIN;
    INSERT INTO t VALUES (5, 'mixed: local');
    SELECT pg_replication_origin_session_setup('another one');
    INSERT INTO t VALUES (6, 'mixed: replicated');
    INSERT INTO t VALUES (7, 'mixed: replicated');
    SELECT pg_replication_origin_session_reset();
    INSERT INTO t VALUES (8, 'mixed: local');
    COMMIT;
    SELECT pg_replication_origin_session_setup('another one');
    INSERT INTO t VALUES (9, 'from another one');
    SELECT pg_replication_origin_session_reset();
    INSERT INTO t VALUES (10, 'local at last');
});

my @all = events(drain($node, 'any'));
my @any = grep { exists $_->{id} } @all;
my @none = events(drain($node, 'none', options => { origin => 'none' }));
my @kept = grep { exists $_->{id} } @none;

sub shown { return map { $_->{after} ? "$_->{after}{id} $_->{after}{body}" : $_->{content} // $_->{kind} } @_ }

is_deeply([ shown(@any) ], [
        '1 local', '2 replicated', '2 replicated, changed', 'replicated', '3 replicated, from no known position',
        'truncate',
        '4 local again', 'local', '5 mixed: local', '6 mixed: replicated', '7 mixed: replicated', '8 mixed: local',
        '9 from another one', '10 local at last'
    ], 'origin=any, the default: everything');
is_deeply([ shown(@kept) ],
    [ '1 local', '4 local again', 'local', '5 mixed: local', '8 mixed: local', '10 local at last' ],
    'origin=none: what was written here');
my %digest = map { $_->{id} => $_->{digest} } @any;
is_deeply([ grep { ($digest{ $_->{id} } // '') ne $_->{digest} } @kept ], [],
    'with the ids and bytes that it has without the option');
is_deeply([ map { $_->{ordinal} } grep { $_->{after} && $_->{after}{body} =~ /mixed/ } @kept ], [ 1, 4 ],
    'what is left out is counted');

my @outside = map { $_->{content} } grep { $_->{kind} eq 'message' && !exists $_->{id} } @all;
is_deeply(\@outside, [ 'replicated, outside of transactions', 'local, outside of transactions' ],
    'origin=any: messages outside of transactions');
is_deeply([ map { $_->{content} } grep { $_->{kind} eq 'message' && !exists $_->{id} } @none ],
    [ 'local, outside of transactions' ],
    'origin=none: those from here');

# Begin.origin is that of the transaction.
my @begins = map { $_->{origin} } grep { $_->{kind} eq 'begin' } @all;
my $origin = sub { return { name => $_[0], lsn => $_[1] } };
is_deeply($begins[0], undef, 'a transaction that began here has no origin');
is_deeply($begins[1], $origin->('upstream', '0/ABCDEF01'), 'a replicated one has its origin and its position there');
is_deeply($begins[2], $origin->('upstream', '0/0'), 'or 0/0 if that is unknown');
is_deeply($begins[-2], $origin->('another one', '0/0'), 'the name is that of the origin');
is_deeply([ grep { $_->{origin} } @none ], [], 'origin=none: no transaction has an origin');
is(scalar(grep { $_->{kind} eq 'begin' } @none), 5, 'origin=none: and those without a change are left out');

# JSON says the same.
my @json = map { JSON::PP::decode_json($_) } split(/\n/,
    $node->safe_psql('postgres', q(
        SELECT data FROM pg_logical_slot_peek_changes('both', NULL, NULL, 'format', 'json')
        WHERE data LIKE '%upstream%')));
is(scalar(@json), 3, 'format=json names the origin');

# Catalogs are read as of the transaction: an origin that was dropped since still has its name in what is decoded later.
$node->safe_psql('postgres', q(SELECT pg_replication_origin_drop('upstream')));
my @late = events(drain($node, 'both'));
is_deeply([ map { $_->{origin} } grep { $_->{kind} eq 'begin' } @late ], \@begins,
    'origins that were dropped since are named all the same');

done_testing();
