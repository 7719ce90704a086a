# A consumer that is connected and frozen: the checkpointer ends its walsender and the slot is lost. The guard has said
# before who is to blame. And a burst larger than the cap, which no consumer is fast enough for.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guard_node('loss',
    conf => "max_slot_wal_keep_size = 16MB\nwal_sender_timeout = 0\ncdc_plugin.guard_history = 10000");
$node->safe_psql('postgres', 'CREATE TABLE t (body text)');
create_slot($node, 'frozen');

# So many MB of rows, which the walsender has to send.
sub write_rows {
    my ($megabytes) = @_;
    my $rows = $megabytes * 128;
    $node->safe_psql('postgres', "INSERT INTO t SELECT repeat('x', 7900) FROM generate_series(1, $rows)");
    return;
}

# --- frozen -----------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', 'ALTER TABLE t ALTER body SET STORAGE PLAIN');
my $receiver = receive($node, 'frozen');
my $walsender = $receiver->walsender;
$receiver->wait_for_confirmation;
next_samples($node);
is(slot_row($node, 'frozen', 'level, cause, active, active_pid'), "ok|none|t|$walsender", 'a consumer that keeps up');

$receiver->signal('STOP');
write_rows(3);
wait_in_server($node, q(cause = 'consumer_slow' FROM cdc.slot_history WHERE slot_name = 'frozen'
        ORDER BY sampled_at DESC LIMIT 1), 'the guard sees nothing');
is(slot_row($node, 'frozen', 'level, cause'), 'ok|consumer_slow',
    'frozen in the middle of a transaction, which the walsender has read whole: that is no idle database');
is(alert_count($node, 'frozen'), 0, 'a cause alone is no alert');
# The walsender stands still in a write to its socket, far from the end of WAL.
$node->poll_query_until('postgres', q{
    SELECT wait_event = 'WalSenderWriteData'
    FROM pg_stat_activity AS a JOIN pg_replication_slots AS s ON pid = active_pid})
  or die 'the walsender does not wait for its client';
is(slot_row($node, 'frozen', q(cause, also, active_pid, culprit_pid, advice ~ 'does not take what is sent to it')),
    "consumer_slow||$walsender||t", 'the consumer is blamed, and what is wrong with it is said');

my $rounds = 0;
while (slot_row($node, 'frozen', 'headroom_bytes > 0') eq 't') {
    die 'the cap is never reached' if ++$rounds > 20;
    write_rows(1);
    next_samples($node);
}
is(alerts($node, 'frozen'),
    "ok>notice consumer_slow\nnotice>warning consumer_slow\nwarning>critical consumer_slow",
    'each level is alerted with the cause, before anything is lost');
is(alerts($node, 'frozen', q(DISTINCT culprit_pid IS NULL AND also IS NULL, 1 AS alert)), 't|1',
    'and with nobody else to blame');
is(slot_row($node, 'frozen', 'wal_status, level, cause, active, active_pid'),
    "unreserved|critical|consumer_slow|t|$walsender", 'beyond the cap the walsender still holds the slot');

# The checkpointer waits until the walsender is gone, which has something to send still; so the client must go on first.
my $before = -s $node->logfile;
my $checkpoint = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'CHECKPOINT' ],
    '>', \my $out, '2>', \my $err);
wait_until('the walsender is terminated', sub {
    return slurp_file($node->logfile, $before) =~ /terminating process \d+ to release replication slot/;
});
like(slurp_file($node->logfile, $before), qr/terminating process $walsender to release replication slot "frozen"/,
    'the checkpointer ends the walsender');
next_samples($node);
is(slot_row($node, 'frozen', 'level, cause, active_pid'), "critical|consumer_slow|$walsender",
    'the guard goes on while the checkpointer waits for it');
$receiver->signal('CONT');
wait_for_level($node, 'frozen', 'lost', 'slot_lost');
ok($checkpoint->finish, 'the checkpoint ends') or diag($err);
is($node->safe_psql('postgres', 'SELECT wal_status, active FROM pg_replication_slots'), 'lost|f', 'the slot is lost');
is(slot_row($node, 'frozen', 'level, cause, active, active_pid, unconfirmed_bytes'), 'lost|slot_lost|f||',
    'cdc.slots says so');
is((split(/\n/, alerts($node, 'frozen')))[-1], 'critical>lost slot_lost', 'the loss is alerted');
is(log_count($node, logged('frozen', $_)), 1, "the log has level $_ once") for qw(notice warning critical lost);
isnt($receiver->wait_for_end, 0, 'the consumer notices');
# A walsender that is in the middle of a message cannot say anything.
like($receiver->errors,
    qr/terminating connection due to administrator command|server closed the connection unexpectedly/, 'but not why');
is(alert_count($node, 'frozen'), 4, 'nothing more was said');

# --- another slot in its place ----------------------------------------------------------------------------------------
# Among the server's slots a new one takes the place of one that was dropped, and the guard may not see it empty.

# Nobody reads it; it must not be blamed for that before it is looked at.
set_conf($node, 'cdc_plugin.guard_grace' => '5min');
between_samples($node, sub {
    $node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('frozen')));
    create_slot($node, 'heir');
});
is(slot_row($node, 'heir', 'level, cause'), 'ok|none', 'a slot in the place of a lost one starts anew');
is(alert_count($node, 'heir'), 0, 'and has nothing to be alerted of');
is((split(/\n/, alerts($node, 'frozen', 'message')))[-1], 'replication slot "frozen" is gone: it was dropped',
    'that the lost one is gone is alerted');
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('heir')));
set_conf($node, 'cdc_plugin.guard_grace' => '1s');

# --- a burst ----------------------------------------------------------------------------------------------------------
# More than the cap within one interval: nothing that is looked at from time to time can warn before such a slot is
# lost. So the guard must say beforehand that the cap is too small.

create_slot($node, 'burst');
$receiver = receive($node, 'burst');
$walsender = $receiver->walsender;
# Longer than the grace period, without a transaction: the slot's catalog_xmin is an id that nobody has yet.
wait_samples($node, 20);
is(slot_row($node, 'burst', 'level, cause, culprit_xid'), 'ok|none|', 'no burst so far, and nothing else is wrong');
set_conf($node, 'cdc_plugin.guard_grace' => '5min');
next_samples($node);
$receiver->signal('STOP');
between_samples($node, sub { fill_wal($node, 20 * 1024 * 1024) });
wait_for_level($node, 'burst', 'critical', 'cap_too_small');
is(slot_row($node, 'burst',
        q(cause, active_pid, peak_bytes > cap_bytes, culprit_pid, advice ~ '^Raise the cap: 2\d\.\d MB')),
    "cap_too_small|$walsender|t||t", 'the cap is blamed, not the consumer');
is(alerts($node, 'burst'), 'ok>critical cap_too_small', 'this is alerted, once and at the highest level');

$receiver->kill_hard;
$node->safe_psql('postgres', 'CHECKPOINT');
wait_for_level($node, 'burst', 'lost', 'slot_lost');
is(alerts($node, 'burst'), "ok>critical cap_too_small\ncritical>lost slot_lost", 'then it is lost');
like((split(/\n/, alerts($node, 'burst', 'detail')))[-1],
    qr/^Cause: slot_lost\. Up to 2\d\.\d MB of WAL came within one sampling interval\.$/, 'and the alert says what of');

# A burst that is over long before is a reason to raise the cap still: the next slot is told.
set_conf($node, 'cdc_plugin.guard_grace' => '1s');
create_slot($node, 'next');
$receiver = receive($node, 'next');
wait_for_level($node, 'next', 'notice', 'cap_too_small');
is(slot_row($node, 'next', 'level, cause'), 'notice|cap_too_small', 'a new slot with the same cap gets a notice');
is($receiver->stop, 0, 'pg_recvlogical ends cleanly');

done_testing();
