# A slot must not stand still because its client wants nothing of what is written, and a client must not be taken for
# dead because it is sent nothing for long.
use strict;
use warnings;

use CdcTest;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = cdc_node('progress', conf => "logical_decoding_work_mem = 64kB\nautovacuum = off");
$node->safe_psql('postgres', 'CREATE TABLE wanted (a int); CREATE TABLE other (a int, body text)');
create_slot($node, $_) for qw(idle pairs beat late slow);
my %filter = (tables => 'public.wanted');

sub set_timeout { return set_conf($node, wal_sender_timeout => "$_[0]ms") }

# More than the socket's buffers hold, so that a walsender has to wait for its client.
sub write_much {
    $node->safe_psql('postgres',
        'INSERT INTO other SELECT n, repeat(md5(n::text), 10) FROM generate_series(1, 30000) AS n');
    return;
}

# --- nothing matches --------------------------------------------------------------------------------------------------

my $idle = receive($node, 'idle', options => \%filter);
$idle->walsender;
for my $round (1 .. 3) {
    my $before = $node->safe_psql('postgres',
        q(SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'idle'));
    $node->safe_psql('postgres', 'INSERT INTO other SELECT n FROM generate_series(1, 100) AS n');
    my $end = current_lsn($node);
    $idle->wait_for_confirmation($end);
    isnt($before, $end, "round $round: the confirmed position follows writes that the filter drops");
}
is(-s $idle->file, 0, 'though nothing was sent');
$node->safe_psql('postgres', 'INSERT INTO wanted VALUES (1)');
$idle->wait_for_confirmation;
is($idle->stop, 0, 'pg_recvlogical ends cleanly');
my @events = events($idle->file);
is(join(' ', map { $_->{kind} } @events), 'begin relation insert commit', 'what matches is sent');
# The restart position needs a snapshot of running transactions to move on.
$node->safe_psql('postgres', 'CHECKPOINT; INSERT INTO other VALUES (0)');
my $restart = $node->safe_psql('postgres', q(SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'idle'));
drain($node, 'idle', options => \%filter);
wait_for_slot($node, 'idle', "restart_lsn > '$restart'");
pass('the WAL that such a slot keeps is released');

# --- skip_empty_xacts -------------------------------------------------------------------------------------------------

my %kinds;
$kinds{ $_->{kind} }++ for events(drain($node, 'pairs', options => { %filter, skip_empty_xacts => 'off' }));
is($kinds{begin}, $kinds{commit}, 'skip_empty_xacts=off: transactions are begun and committed');
cmp_ok($kinds{begin}, '>=', 5, 'those without a wanted change too');
is($kinds{insert}, 1, 'which they do not gain by it');

# --- heartbeats -------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', q{
    SELECT pg_logical_emit_message(true, 'cdc_plugin.heartbeat', 'beat');
    SELECT pg_logical_emit_message(true, 'somebody', 'else');
});
my %nothing = (%filter, actions => 'delete', messages => 'off', message_prefixes => 'none');
is(join(' ', map { "$_->{prefix}:$_->{content}" } changes(drain($node, 'beat', options => \%nothing))),
    'cdc_plugin.heartbeat:beat', 'a heartbeat passes every filter');

# --- a long transaction of which nothing is wanted --------------------------------------------------------------------

$node->safe_psql('postgres', q{
    BEGIN;
    INSERT INTO other SELECT n, 'filtered' FROM generate_series(1, 3600000) AS n;
    COMMIT;
    INSERT INTO wanted VALUES (2);
});
my $end = current_lsn($node);
$node->safe_psql('postgres', q(SELECT pg_copy_logical_replication_slot('late', 'first')));

# A sixth of the time that decoding takes on this machine, in milliseconds: so it lasts for several timeouts, and a
# client that gets little of the processor still has the time to answer.
sub timeout_of { return max(500, int($_[0] / 6 * 1000)) }

my $began = time();
drain($node, 'first', options => \%filter, endpos => $end);
my $decoding = time() - $began;
my $timeout = timeout_of($decoding);
note(sprintf('%.1f s to decode, wal_sender_timeout %d ms', $decoding, $timeout));
set_timeout($timeout);

# A client that sends its position each second, and one that speaks only when it is asked to: only the second shows
# whether the server asks in the middle of the transaction.
for my $case ([ talkative => 1 ], [ silent => 0 ]) {
    my ($slot, $interval) = @$case;
    my ($took, $file, $log);
    for my $attempt (1 .. 5) {
        $node->safe_psql('postgres', "SELECT pg_copy_logical_replication_slot('late', '${slot}_$attempt')");
        my $start = time();
        $log = -s $node->logfile;
        $file = drain($node, "${slot}_$attempt", options => \%filter, endpos => $end, args => [ '-s', $interval ]);
        $took = time() - $start;
        $node->safe_psql('postgres', "SELECT pg_drop_replication_slot('${slot}_$attempt')");
        note(sprintf('%.1f s, wal_sender_timeout %d ms', $took, $timeout));
        last if $took > 2 * $timeout / 1000;
        # The machine has become faster.
        $timeout = timeout_of($took);
        set_timeout($timeout);
    }
    cmp_ok($took, '>', 2 * $timeout / 1000, "$slot client: decoding took longer than twice wal_sender_timeout");
    is(join(' ', map { $_->{after}{a} } grep { $_->{kind} eq 'insert' } changes($file)), '1 2',
        "$slot client: it was there until the end");
    unlike(slurp_file($node->logfile, $log), qr/replication timeout/, "$slot client: no timeout");
}

# --- a client that does not read --------------------------------------------------------------------------------------

set_timeout(60000);
$node->safe_psql('postgres', q(SELECT pg_replication_slot_advance('slow', pg_current_wal_lsn())));
my $slow = receive($node, 'slow');
my $walsender = $slow->walsender;
$slow->signal('STOP');
write_much();
write_much();
$node->poll_query_until('postgres',
    "SELECT wait_event = 'WalSenderWriteData' FROM pg_stat_activity WHERE pid = $walsender")
  or die 'the walsender does not wait for its client';
sleep(2);
is($slow->walsender, $walsender, 'the walsender waits for a client that has stopped reading');
$slow->signal('CONT');
$slow->wait_for_confirmation;
is($slow->walsender, $walsender, 'and goes on with it');
is($slow->stop, 0, 'pg_recvlogical ends cleanly');
my $summary = summary($slow->file);
is($summary->{kinds}{insert}, 60000, 'with everything');

# One that never reads again is given up; the slot is free for the next, who gets it all.
set_timeout(3000);
my $dead = receive($node, 'slow');
$dead->walsender;
$dead->signal('STOP');
write_much();
wait_for_slot($node, 'slow', 'NOT active');
pass('a client that stays silent is given up');
$dead->kill_hard;
set_timeout(60000);
is(summary(drain($node, 'slow'))->{kinds}{insert}, 30000, 'and the next client gets what it missed');

done_testing();
