# Heartbeats: a consumer that confirms events only falls behind while other databases write, unless it gets events; in
# its own database, no more of them than needed, and in vain if nobody is there to confirm them.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = guard_node('heartbeat', conf => "cdc_plugin.guard_interval = 200ms\ncdc_plugin.guard_grace = 2s");
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(first second noise);
$node->safe_psql($_, 'CREATE EXTENSION cdc_plugin') for qw(first noise);
my $noise = session($node, 'noise');

sub ask { return $noise->query_safe($_[0]) }

sub interval {
    my ($value) = @_;
    set_conf($node, 'cdc_plugin.guard_heartbeat_interval' => $value);
    return;
}

# Heartbeats that a slot has for its consumer, without taking them.
sub heartbeats {
    my ($slot, $database) = @_;
    return $node->safe_psql($database, "SELECT count(*) FROM pg_logical_slot_peek_binary_changes('$slot', NULL, NULL, "
            . "'format', 'json', 'framing', 'none') WHERE position('cdc_plugin.heartbeat'::bytea IN data) > 0");
}

create_slot($node, 'a', 'first');
create_slot($node, 'b', 'second');
create_slot($node, 'watch_a', 'first');    # nobody reads these two: they show what was sent
create_slot($node, 'watch_b', 'second');
my %consumers = (
    a => receive_events_only($node, 'a', database => 'first'),
    b => receive_events_only($node, 'b', database => 'second'));
$_->walsender for values %consumers;
wait_for_state($noise, $_, sub { defined $_[0]{sampled_at} }, 'is watched') for qw(a b);

# --- without ----------------------------------------------------------------------------------------------------------

my $before = slot_state($noise, 'a');
is($before->{cause}, 'none', 'at first nothing is wrong');
write_noise($noise, 3);
wait_for_state($noise, $_, 'idle_database') for qw(a b);
is(slot_state($noise, 'a')->{confirmed_flush_lsn}, $before->{confirmed_flush_lsn},
    'the consumer has nothing to confirm, and does not');
is(slot_state($noise, 'a')->{heartbeat_at}, undef, 'there was no heartbeat');

# --- by hand ----------------------------------------------------------------------------------------------------------

my $lsn = $node->safe_psql('first', 'SELECT cdc.heartbeat()');
like($lsn, qr/^[0-9A-F]+\/[0-9A-F]+$/, 'cdc.heartbeat() returns where it is');
my $state = wait_for_state($noise, 'a', sub { $_[0]{unconfirmed_bytes} < 1 << 20 }, 'has moved');
is($state->{cause}, 'none', 'a heartbeat in the right database moves its slot');
$state = wait_for_state($noise, 'a', sub { defined $_[0]{heartbeat_echo} }, 'the echo');
ok(defined $state->{heartbeat_at}, 'when it was sent, and that it was confirmed, is in cdc.slots');
wait_for_state($noise, 'b', 'idle_database');
pass('it does nothing for another database');
is(heartbeats('watch_a', 'first'), 1, 'it is an event there');
is(heartbeats('watch_b', 'second'), 0, 'and none here');

# --- by the guard -----------------------------------------------------------------------------------------------------

interval('500ms');
$state = wait_for_state($noise, 'b', sub { $_[0]{unconfirmed_bytes} < 1 << 20 }, 'has moved');
is($state->{cause}, 'none', 'with an interval, the guard sends them');
write_noise($noise, 3);
for my $slot (qw(a b)) {
    $state = wait_for_state($noise, $slot, sub { $_[0]{unconfirmed_bytes} < 1 << 20 }, 'has moved');
    is($state->{cause}, 'none', "in both databases: slot $slot");
    $state = wait_for_state($noise, $slot, sub { defined $_[0]{heartbeat_echo} }, 'the echo');
    cmp_ok($state->{heartbeat_echo}, 'gt', '00:00:00', "slot $slot: its consumer has confirmed it");
}

for my $slot (qw(a b)) {
    wait_until("slot $slot: restart_lsn follows", sub {
        ask("SELECT pg_logical_emit_message(false, 'noise', repeat('x', 50000))");
        ask('CHECKPOINT');
        sleep(0.2);
        return slot_state($noise, $slot)->{retained_bytes} < 1 << 20;
    });
    pass("slot $slot: WAL is released");
}

# While WAL stands still there are none. All that may still come comes within two intervals, and has come when for so
# long there was nothing new.
my %sent;
wait_until('the last heartbeats are sent', sub {
    %sent = (watch_a => heartbeats('watch_a', 'first'), watch_b => heartbeats('watch_b', 'second'));
    sleep(1.5);
    return heartbeats('watch_a', 'first') == $sent{watch_a} && heartbeats('watch_b', 'second') == $sent{watch_b};
});
cmp_ok($sent{watch_a}, '>', 1, 'some were sent');
cmp_ok($sent{watch_b}, '>', 0, 'in both databases');
sleep(2.5);    # several intervals
is(heartbeats('watch_a', 'first'), $sent{watch_a}, 'but none while WAL stands still');
is(heartbeats('watch_b', 'second'), $sent{watch_b}, 'in neither database');
write_noise($noise, 1);
wait_until('there is another one', sub { heartbeats('watch_b', 'second') > $sent{watch_b} });
pass('and again when it moves');

# --- nobody there -----------------------------------------------------------------------------------------------------

$consumers{a}->kill_hard;
wait_for_slot($node, 'a', 'NOT active');
my $sent = heartbeats('watch_a', 'first');
write_noise($noise, 2);
wait_until('heartbeats go on', sub { heartbeats('watch_a', 'first') > $sent });
$state = wait_for_state($noise, 'a', 'consumer_down');
is($state->{culprit_pid}, undef, 'a consumer that is down is that in spite of heartbeats');
is($state->{heartbeat_echo}, undef, 'the last one is not confirmed');
$state = wait_for_state($noise, 'b', sub { $_[0]{unconfirmed_bytes} < 1 << 20 }, 'has moved');
is($state->{cause}, 'none', 'and the other database goes on');

# --- off again --------------------------------------------------------------------------------------------------------

interval('0');
# The guard reads it a moment later than sessions do.
next_samples($node);
write_noise($noise, 2);
wait_for_state($noise, 'b', 'idle_database');
pass('without heartbeats it falls behind again');

$_->kill_hard for values %consumers;
end_session($noise);
done_testing();
