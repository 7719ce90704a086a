# A stream that is cut off in the middle of a large transaction, by the client's or the server's end, comes again with
# the same ids and the same bytes, whole, and not once more when it has been confirmed.
use strict;
use warnings;

use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('restart', conf => 'restart_after_crash = on');
$node->safe_psql('postgres', q{
    CREATE TABLE big (id int PRIMARY KEY, body text);
    ALTER TABLE big REPLICA IDENTITY FULL;
    CREATE TABLE other (id int PRIMARY KEY, body text);
    CREATE TABLE gone (id int);
});
create_slot($node, 'main');

# One transaction with all kinds of changes, parts of it rolled back; small ones round it.
$node->safe_psql('postgres', q{
    INSERT INTO other VALUES (1, 'before');
    INSERT INTO gone VALUES (1);
    BEGIN;
    INSERT INTO big SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 8000) AS n;
    SELECT pg_logical_emit_message(true, 'half', 'way');
    SAVEPOINT a;
    INSERT INTO other SELECT n, 'rolled back' FROM generate_series(100, 200) AS n;
    ROLLBACK TO a;
    INSERT INTO other SELECT n, 'kept' FROM generate_series(100, 1100) AS n;
    SAVEPOINT b;
    UPDATE big SET body = 'updated ' || id WHERE id % 8 = 0;
    RELEASE b;
    TRUNCATE gone;
    ALTER TABLE other ADD COLUMN more int DEFAULT 7;
    UPDATE other SET body = NULL WHERE id % 10 = 0;
    DELETE FROM big WHERE id % 9 = 0;
    COMMIT;
    INSERT INTO other VALUES (2, 'behind');
});
my $in_transaction = 8000 + 1 + 1001 + 1000 + 1 + 101 + 888;
my $end = current_lsn($node);
$node->safe_psql('postgres', "SELECT pg_copy_logical_replication_slot('main', '$_')")
  for qw(tables excluded actions values_off empty tiny quiet changed);
# In batches so small that the transaction comes in thousands of them.
my %small = (batch_bytes => '1kB');

# --- cut off ----------------------------------------------------------------------------------------------------------

my @parts;
push @parts, read_part($node, 'main', 3_000_000, sub { kill('KILL', $_[0]) }, options => \%small);
wait_for_slot($node, 'main', 'NOT active');
pass('the client was killed in mid-stream');

$node->restart;
push @parts, read_part($node, 'main', 5_000_000, sub {
    my $walsender = $node->safe_psql('postgres',
        q(SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'main'));
    kill('KILL', $walsender);
    # A crash of one process restarts the whole server.
    $node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'no restart';
    wait_for_slot($node, 'main', 'NOT active');
}, options => \%small);
pass('the walsender was killed in mid-stream, behind a restart');

push @parts, read_part($node, 'main', 4_000_000, sub { $node->stop('immediate') }, options => \%small);
$node->start;
pass('the server was shut down the immediate way in mid-stream');

push @parts, read_part($node, 'main', 2_000_000, sub { kill('INT', $_[0]) }, options => \%small);
wait_for_slot($node, 'main', 'NOT active');
pass('the client was interrupted in mid-stream, which confirms what it can');

$node->restart;
my $whole = drain($node, 'main', options => \%small);
my $again = drain($node, 'main', options => \%small);

# --- compared ---------------------------------------------------------------------------------------------------------

# Values are compared by digest.
my @brief = ('--brief');
my @torn = ('--torn');
my $summary = summary($whole);
is($summary->{largest_transaction}, $in_transaction, 'the whole stream holds each change of the large transaction');
is($summary->{gaps}, 0, 'with ordinals from 1 on without a gap');
cmp_ok($summary->{messages}, '>', 1000, 'in many batches');
is($summary->{torn} || $summary->{unfinished}, JSON::PP::false, 'and is complete');
is((grep { $_->{id} == 2 } rows($whole, 'public.other', 'id'))[0]{body}, 'behind', 'up to the last transaction');

my $replay = replay([ @parts, $whole ], @torn);
is($replay->{conflicts}, 0, 'what came twice has the same bytes') or diag(join(' ', @{ $replay->{first_conflicts} }));
my @seen = map { $_->{events} } @{ $replay->{files} };
cmp_ok($seen[$_], '>', 1000, "part $_ held a part of the large transaction") for 0 .. $#parts;
ok($replay->{files}[$_]{unfinished}, "part $_ ends within it") for 0 .. $#parts;
is($replay->{files}[-1]{new} + $replay->{files}[0]{new} + $replay->{files}[1]{new}, $replay->{events},
    'the second part went further than the first, and the others found nothing that those and the whole have not');
is($replay->{miscounted}, 0, 'each commit counts the events that came');
is(scalar(events($again)), 0, 'what was confirmed does not come again');

# --- under other options ----------------------------------------------------------------------------------------------

my %digest = map { $_->{id} => $_->{digest} } changes($whole);
$digest{ $_->{id} } //= $_->{digest} for map { changes($_, @torn, @brief) } @parts;

# The parts that were interrupted may have confirmed the first transactions; the copies have confirmed nothing.
my $all = drain($node, 'tiny', options => { batch_bytes => 1 }, endpos => $end);
my @all = changes($all, @brief);
$digest{ $_->{id} } //= $_->{digest} for @all;
is(scalar(@all), $in_transaction + 3, 'a copy of the slot gives everything from its start');
my $kinds = summary($all)->{kinds};
my $records = 0;
$records += $_ for values %$kinds;
is(summary($all)->{messages}, $records, 'batch_bytes=1: each record is a message');

sub same_events {
    my ($what, $slot, $options, $expected) = @_;
    my @found = changes(drain($node, $slot, options => $options, endpos => $end), @brief);
    my @wanted = grep { $expected->($_) } @all;
    cmp_ok(scalar(@wanted), '>', 0, "$what: selects something");
    is(join(' ', map { $_->{id} } @found), join(' ', map { $_->{id} } @wanted), "$what: the ids are those without it");
    is_deeply([ grep { $_->{digest} ne $digest{ $_->{id} } } @found ], [], "$what: and the bytes")
        unless $options->{changed_columns};
    return @found;
}
my $of = sub { my ($event, $name) = @_; return ($event->{relation} // '') eq $name };
same_events('tables', 'tables', { tables => 'public.oth*', messages => 'off' }, sub { $of->($_[0], 'public.other') });
same_events('exclude_tables', 'excluded', { exclude_tables => 'public.big' },
    sub { !$of->($_[0], 'public.big') });
same_events('actions', 'actions', { actions => 'delete,truncate' },
    sub { $_[0]{kind} =~ /^(?:delete|truncate|message)$/ });
same_events('messages', 'quiet', { messages => 'off', batch_bytes => '1MB' }, sub { $_[0]{kind} ne 'message' });
same_events('skip_empty_xacts', 'empty', { tables => 'public.gone', skip_empty_xacts => 'off' },
    sub { $of->($_[0], 'public.gone') || $_[0]{kind} =~ /^(?:truncate|message)$/ });
my @changed = same_events('changed_columns', 'changed',
    { changed_columns => 'on', actions => 'update', messages => 'off' }, sub { $_[0]{kind} eq 'update' });
is_deeply([ grep { $_->{relation} eq 'public.big' && "@{ $_->{changed} }" ne 'body' } @changed ], [],
    'changed_columns names the column that changed');
is_deeply([ grep { $_->{relation} eq 'public.other' && exists $_->{changed} } @changed ], [],
    'and nothing where the old row is not full');

done_testing();
