# The guard does not repeat itself: not while a slot swings round a threshold, not when settings are reloaded, not
# behind a restart or a crash. What is over is announced once.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $megabyte = 1024 * 1024;
my $grace = 4;
my $node = guard_node('hysteresis',
    conf => "max_slot_wal_keep_size = 31MB\ncdc_plugin.guard_interval = 50ms\ncdc_plugin.guard_grace = ${grace}s");

# A physical slot can be put to any position, so it retains what the test wants: 1 % of its cap is about 320 kB.
$node->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('swing', true)));

# Brings the slot to a share of its cap, either way.
sub use_percent {
    my ($percent) = @_;
    my $target = int($percent * 32 / 100 * $megabyte) + $megabyte / 8;
    my $retained = slot_row($node, 'swing', 'retained_bytes');
    if ($retained < $target) {
        fill_wal($node, $target - $retained);
    } else {
        $node->safe_psql('postgres',
            "SELECT pg_replication_slot_advance('swing', pg_current_wal_lsn() - $target)");
    }
    next_samples($node);
    return slot_row($node, 'swing', 'used_percent');
}

sub newest { return (split(/\n/, alerts($node, 'swing', q(previous_level || '>' || level))))[-1] // '' }

# --- round a threshold ------------------------------------------------------------------------------------------------

use_percent(44);
is(alert_count($node, 'swing'), 0, 'below the threshold there is nothing to say');
my (@low, @high);
for (1 .. 3) {
    push @high, use_percent(53);
    push @low, use_percent(48);
}
is(scalar(grep { $_ < 50 } @high) + scalar(grep { $_ >= 50 } @low), 0, "the slot swings round 50 %: @high, @low");
is(alerts($node, 'swing', q(previous_level || '>' || level)), 'ok>notice', 'one alert for all of that');
my $samples = 20 * ($grace + 1);
wait_samples($node, $samples);
is(alert_count($node, 'swing'), 1, 'just below the threshold the level is kept, however long');
is(slot_row($node, 'swing', 'level'), 'notice', 'by cdc.slots, too');

# Far below, but never for the grace period: for now one that no machine is too slow for.
set_conf($node, 'cdc_plugin.guard_grace' => '5min');
for (1 .. 2) {
    use_percent(20);
    use_percent(55);
}
is(alert_count($node, 'swing'), 1, 'nor is it lowered by a short rest');

my $low_at = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
use_percent(5);
is(slot_row($node, 'swing', 'level'), 'notice', 'the all-clear waits');
set_conf($node, 'cdc_plugin.guard_grace' => "${grace}s");
wait_for_level($node, 'swing', 'ok');
is(newest(), 'notice>ok', 'and comes');
is($node->safe_psql('postgres', "SELECT max(raised_at) - '$low_at' >= interval '$grace s' FROM cdc.alerts"), 't',
    'when the grace period is over');
wait_samples($node, $samples);
is(alert_count($node, 'swing'), 2, 'once');
is(log_count($node, logged('swing', $_)), 1, "the log has level $_ once") for qw(notice ok);

# --- reload -----------------------------------------------------------------------------------------------------------

use_percent(30);
is(slot_row($node, 'swing', 'level'), 'ok', 'at 30 % of the cap all is well');
set_conf($node, 'cdc_plugin.guard_notice_percent' => 25);
wait_for_level($node, 'swing', 'notice');
is(alert_count($node, 'swing'), 3, 'a lower threshold holds at once');
set_conf($node, 'cdc_plugin.guard_warning_percent' => 26, 'cdc_plugin.guard_critical_percent' => 28);
wait_for_level($node, 'swing', 'critical');
is(newest(), 'notice>critical', 'two levels at once');
is(alert_count($node, 'swing'), 4, 'are one alert');
set_conf($node, 'cdc_plugin.guard_interval' => '60ms', 'cdc_plugin.guard_inactive_time' => '1h');
set_conf($node, 'cdc_plugin.guard_interval' => '50ms', 'cdc_plugin.guard_critical_percent' => 27);
next_samples($node);
is(alert_count($node, 'swing'), 4, 'reloads that leave the level alone are not alerted');
set_conf($node, 'cdc_plugin.guard_critical_percent' => 85, 'cdc_plugin.guard_warning_percent' => 70);
wait_for_level($node, 'swing', 'notice');
is(newest(), 'critical>notice', 'higher thresholds lower the level');
is(alert_count($node, 'swing'), 5, 'in one step');

# --- off and on -------------------------------------------------------------------------------------------------------

my $status = 'SELECT samples FROM cdc.guard_status()';
my $stopped = pause_guard($node);
set_conf($node, 'cdc_plugin.guard_notice_percent' => 50);
fill_wal($node, 20 * $megabyte);
sleep(0.5);
is($node->safe_psql('postgres', $status), $stopped, 'off: no samples');
is($node->safe_psql('postgres', 'SELECT enabled, watching, worker_pid IS NOT NULL FROM cdc.guard_status()'), 'f|f|t',
    'the worker is there still');
is(alert_count($node, 'swing'), 5, 'and no alerts');
my ($out, $err) = ('', '');
$node->psql('postgres', q(SELECT level, time_to_cap IS NULL FROM cdc.slots), stdout => \$out, stderr => \$err);
is($out, 'critical|t', 'cdc.slots knows the level all the same');
like($err, qr/NOTICE:  the guard of cdc_plugin is turned off/, 'and says what is missing');
set_conf($node, 'cdc_plugin.guard_enabled' => 'on');
wait_for_level($node, 'swing', 'critical');
is($node->safe_psql('postgres', "SELECT samples > $stopped AND watching FROM cdc.guard_status()"), 't',
    'on: it samples');
is(newest(), 'notice>critical', 'and alerts what it finds');
is(alert_count($node, 'swing'), 6, 'once');

# --- restart ----------------------------------------------------------------------------------------------------------

# Alerts are kept in shared memory, so from here on the log has to count.
my %lines = map { $_ => log_count($node, logged('swing', $_)) } qw(notice warning critical ok);

sub lines { return join(' ', map { "$_=" . (log_count($node, logged('swing', $_)) - $lines{$_}) } sort keys %lines) }

for my $how (qw(fast crash)) {
    if ($how eq 'fast') {
        $node->restart;
    } else {
        crash($node);
        start_behind_crash($node);
    }
    wait_for_level($node, 'swing', 'critical');
    wait_in_server($node, "samples >= $samples FROM cdc.guard_status()", 'no samples');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM cdc.alerts'), 0,
        "$how: a level that holds is not alerted again");
    is(lines(), 'critical=0 notice=0 ok=0 warning=0', "$how: nor logged");
    is(slot_row($node, 'swing', 'level, cause'), 'critical|consumer_down', "$how: but known");
}

# What is over when the server comes back is announced.
# (What a physical slot was advanced to is on the disk with the next checkpoint.)
set_conf($node, 'cdc_plugin.guard_grace' => '5min');
$node->safe_psql('postgres', q{
    SELECT pg_replication_slot_advance('swing', pg_current_wal_lsn());
    CHECKPOINT;
});
crash($node);
start_behind_crash($node);
set_conf($node, 'cdc_plugin.guard_grace' => '1s');
wait_for_level($node, 'swing', 'ok');
is(alerts($node, 'swing', q(previous_level || '>' || level)), 'critical>ok', 'behind a crash comes the all-clear');
is(lines(), 'critical=0 notice=0 ok=1 warning=0', 'once');
$node->restart;
next_samples($node);
is($node->safe_psql('postgres', 'SELECT count(*) FROM cdc.alerts'), 0, 'and it is not repeated');
is(lines(), 'critical=0 notice=0 ok=1 warning=0', 'in the log neither');

# --- a logical slot and its consumer ----------------------------------------------------------------------------------

create_slot($node, 'drained');
fill_wal($node, 18 * $megabyte);
wait_for_level($node, 'drained', 'notice', 'consumer_down');
# restart_lsn moves on only with a record of running transactions that the consumer has confirmed.
# One that the server wrote by itself, before, can be in the way of the first.
wait_until('restart_lsn moves', sub {
    $node->safe_psql('postgres', 'CHECKPOINT');
    drain($node, 'drained');
    return slot_row($node, 'drained', 'retained_bytes') < $megabyte;
});
wait_for_level($node, 'drained', 'ok');
is(alerts($node, 'drained', q(previous_level || '>' || level)), "ok>notice\nnotice>ok",
    'a consumer that comes back gets the all-clear');
is(log_count($node, logged('drained', $_)), 1, "the log has level $_ once") for qw(notice ok);

done_testing();
