# A slot that nobody reads, one WAL segment at a time up to its cap and beyond: the guard's figures are the server's own
# at each step, each level is alerted once, in order and before the checkpoint that loses the slot.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

# A checkpoint of its own comes after 19 segments; the test has one at the 16th, so that the next would come behind the
# cap's end. max_wal_size below the cap shows the status "extended", too.
my $cap = 32;
my $node = guard_node('ladder',
    conf => "cdc_plugin.guard_interval = 40ms\ncdc_plugin.guard_grace = 5min\nmax_slot_wal_keep_size = ${cap}MB\n"
      . "max_wal_size = 20MB\ncheckpoint_completion_target = 0");
my $unread = qr/replication slot "ladder"/;
is($node->safe_psql('postgres', 'SHOW log_min_messages'), 'warning', 'the server logs no NOTICE by default');

# What cdc.check() raises to its session, and returns.
sub check {
    my ($out, $err) = ('', '');
    $node->psql('postgres', 'SELECT slot_name, level, cause FROM cdc.check()', stdout => \$out, stderr => \$err,
        on_error_die => 1);
    return ($out, $err);
}

$node->safe_psql('postgres', 'CHECKPOINT');
create_slot($node, 'ladder');
next_samples($node);
is(slot_row($node, 'ladder', 'level, cause, active, cap_source, advice'),
    'ok|none|f|max_slot_wal_keep_size|Nothing to do.', 'a new slot is well');
is(join('', check()), '', 'cdc.check() has nothing to say');

# --- up to the cap ----------------------------------------------------------------------------------------------------

my @percent = (50 => 'notice', 70 => 'warning', 85 => 'critical');
my (@differs, @wrong_level, @wrong_alerts, %status, @seen);
my ($steps, $checkpoints) = (0, 0);
for my $step (1 .. $cap + 2) {
    $steps = $step;
    if ($step == 16) {
        $node->safe_psql('postgres', 'CHECKPOINT');
        ++$checkpoints;
    }
    $node->safe_psql('postgres', "SELECT pg_logical_emit_message(true, 'step', '$step'); SELECT pg_switch_wal();
        SELECT pg_logical_emit_message(true, 'step', 'first in its segment')");
    next_samples($node);
    # The server itself may write a record between the two looks, but not each time.
    my ($same, $row);
    for (1 .. 3) {
        $row = $node->safe_psql('postgres', q{
            SELECT s.headroom_bytes = p.safe_wal_size AND s.wal_status = p.wal_status
                   AND s.restart_lsn = p.restart_lsn AND s.cap_bytes = 32 * 1024 * 1024,
                   s.headroom_bytes, p.safe_wal_size, s.wal_status, p.wal_status, s.retained_bytes, s.level,
                   s.used_percent, s.cause
            FROM cdc.slots AS s JOIN pg_replication_slots AS p USING (slot_name) WHERE slot_name = 'ladder'});
        last if $row =~ /^t/;
    }
    my (undef, $headroom, $safe, undef, $status, $retained, $level, $used, $cause) = split(/\|/, $row);
    push @differs, "$step: $row" unless $row =~ /^t/;
    push @seen, $status unless $status{$status}++;

    # From the server's own figures, what the level must be.
    my $percent = int(100 * $retained / ($retained + ($safe > 0 ? $safe : 0)));
    my $expected = 'ok';
    my $count = 0;
    for (my $i = 0; $i < @percent; $i += 2) {
        ($expected, $count) = ($percent[ $i + 1 ], $count + 1) if $percent >= $percent[$i];
    }
    push @wrong_level, "$step: $row"
      if $level ne $expected || $used != $percent || $cause ne 'consumer_down' && $step > 1;
    my $alerts = alert_count($node, 'ladder');
    push @wrong_alerts, "$step: $alerts instead of $count" if $alerts != $count;

    if ($expected ne 'ok' && $alerts == $count && !$status{"check $expected"}++) {
        my ($out, $err) = check();
        my $raised = $expected eq 'notice' ? 'NOTICE' : 'WARNING';
        is($out, "ladder|$expected|consumer_down", "cdc.check() returns the slot at level $expected");
        like($err, qr/$raised:  $unread is at level $expected: .*, $used % of its cap/, "and raises a $raised");
        like($err, qr/DETAIL:  Cause: consumer_down\.\nHINT:  Start the consumer again.*'ladder'/,
            'with cause and advice');
    }
    last if $safe < 0;
}
is(join("\n", @differs), '', 'headroom and status are the server\'s at each step');
is(join("\n", @wrong_level), '', 'so is the share of the cap, and the level follows from it');
is(join("\n", @wrong_alerts), '', 'there is one alert for each level reached, when it is reached');
is("@seen", 'reserved extended unreserved', 'the slot went through each status');
cmp_ok($steps, '>=', $cap, "it took $steps segments");
is($checkpoints, 1, 'with a checkpoint in between');

is(alerts($node, 'ladder'),
    "ok>notice consumer_down\nnotice>warning consumer_down\nwarning>critical consumer_down",
    'each level once, in order');
is(alerts($node, 'ladder', q(kind || ' ' || cap_bytes || coalesce(culprit_pid::text, ''))),
    join("\n", ('level 33554432') x 3), 'without a culprit');
is($node->safe_psql('postgres', q{
    SELECT bool_and(headroom_bytes > 0) AND bool_and(retained_bytes > 0)
    FROM cdc.alerts WHERE slot_name = 'ladder'}), 't', 'and each while there was room left');
my %line = map { $_ => logged('ladder', $_) } qw(notice warning critical lost);
is(log_count($node, $line{$_}), 1, "the log has level $_ once") for qw(notice warning critical);
is(log_count($node, $line{lost}), 0, 'nothing is lost yet');
is(log_count($node, qr/checkpoint starting: wal/), 0, 'no checkpoint came by itself');
is(slot_row($node, 'ladder', 'wal_status, headroom_bytes < 0, level, used_percent'), 'unreserved|t|critical|100',
    'beyond the cap the slot still exists');

# --- the loss ---------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', 'CHECKPOINT');
wait_for_level($node, 'ladder', 'lost', 'slot_lost');
next_samples($node);
is($node->safe_psql('postgres', q(SELECT wal_status, safe_wal_size IS NULL FROM pg_replication_slots)), 'lost|t',
    'the checkpoint loses the slot');
is(slot_row($node, 'ladder',
        'level, cause, wal_status, active, retained_bytes, headroom_bytes, cap_source, time_to_cap, used_percent'),
    'lost|slot_lost|lost|f|||none||', 'cdc.slots says so, and has no figures for it');
is((split(/\n/, alerts($node, 'ladder')))[-1], 'critical>lost slot_lost', 'the loss is alerted');
is(alert_count($node, 'ladder'), 4, 'once');
is(log_count($node, $line{lost}), 1, 'and logged once');
my $log = slurp_file($node->logfile);
like($log, qr/$line{notice}.*$line{warning}.*$line{critical}.*checkpoint starting.*$line{lost}/s,
    'in the log, all levels come before the checkpoint, and the loss behind its start');
# The checkpointer says so after it has done it: the guard may be faster.
like($log, qr/$line{critical}.*checkpoint starting.*invalidating/s, 'which has the server\'s own message');
like($log, qr/$line{lost}\n.*DETAIL:  Cause: slot_lost\..*\n.*HINT:  .*cdc\.runbook\('ladder'\)/,
    'with the way to recover');
my ($out, $err) = check();
is($out, 'ladder|lost|slot_lost', 'cdc.check() returns it');
like($err, qr/WARNING:  $unread is lost\nDETAIL:  Cause: slot_lost/, 'and raises a WARNING');

# --- another slot of the same name ------------------------------------------------------------------------------------

$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('ladder')));
next_samples($node);
is(slot_row($node, 'ladder', 'count(*)'), 0, 'a slot that is dropped is gone');
create_slot($node, 'ladder');
wait_for_level($node, 'ladder', 'ok', 'none');
is(slot_row($node, 'ladder', 'level, cause, wal_status'), 'ok|none|reserved', 'the new one is well');
is((split(/\n/, alerts($node, 'ladder', 'message')))[-1], 'replication slot "ladder" is gone: it was dropped',
    'the end of the lost one is alerted');
is(alert_count($node, 'ladder'), 5, 'and of the new one there is nothing to say');

# The same faster than the guard looks: it must not blame the new slot for what the old one did.
fill_wal($node, 29 * 1024 * 1024);
wait_for_level($node, 'ladder', 'critical');
fill_wal($node, 8 * 1024 * 1024);
$node->safe_psql('postgres', 'CHECKPOINT');
wait_for_level($node, 'ladder', 'lost');
$node->safe_psql('postgres', q{
    SELECT pg_drop_replication_slot('ladder');
    SELECT pg_create_logical_replication_slot('ladder', 'cdc_plugin');
});
is(slot_row($node, 'ladder', 'level, wal_status'), 'ok|reserved', 'a slot that is replaced at once is well at once');
next_samples($node);
is($node->safe_psql('postgres', q{
    SELECT level, cause FROM cdc.slot_history WHERE slot_name = 'ladder' ORDER BY sampled_at DESC LIMIT 1}), 'ok|none',
    'for the guard, too');

done_testing();
