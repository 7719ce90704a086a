# Policies of single slots: a cap of their own gives levels, and at the cap the consumer is terminated or the slot is
# dropped; never the wrong one, never without a reason in the log and in cdc.alerts, and nothing at all by default.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guard_node('policies', conf => <<'CONF');
cdc_plugin.guard_grace = 10s
cdc_plugin.guard_inactive_time = 0
max_replication_slots = 20
wal_sender_timeout = 0
CONF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub set_policies { return set_conf($node, 'cdc_plugin.guard_policies' => $_[0]) }

sub wait_for_action {
    my ($slot, $pattern) = @_;
    return wait_until("there is an action for slot $slot: $pattern",
        sub { my $said = alerts($node, $slot, 'message', 'action'); $said =~ $pattern ? $said : '' });
}

sub exists_slot { return sql("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$_[0]'") }

# --- nothing by default -----------------------------------------------------------------------------------------------

create_slot($node, $_) for qw(bystander forgotten);
write_wal($node, 6);
wait_samples($node, 5);
is(slot_row($node, 'forgotten', 'level, cause, cap_source'), 'ok|consumer_down|disk',
    'without a policy: no cap but the disk');
is(slot_row($node, 'forgotten', 'policy_action'), '', 'without a policy: no action');
is(sql('SELECT count(*) FROM cdc.alerts'), 0, 'without a policy: no alert');

# --- a cap of its own gives levels ------------------------------------------------------------------------------------

create_slot($node, 'levels');
set_policies('forgotten: cap=100GB; levels: cap=10MB; level*: cap=1MB at_cap=drop');
wait_samples($node, 3);
is(slot_row($node, 'levels', 'level, cap_source, cap_bytes, policy_action'), 'ok|policy|10485760|warn',
    'the first policy that fits is the slot\'s');
is(slot_row($node, 'forgotten', 'level, policy_action'), 'ok|warn',
    'a policy with a cap out of reach changes no level');
is(slot_row($node, 'bystander', 'level, cap_source'), 'ok|disk', 'a slot without a policy has none');
for my $step ([ 6, 'notice' ], [ 2, 'warning' ], [ 1, 'critical' ], [ 3, 'critical' ]) {
    my ($mb, $level) = @$step;
    write_wal($node, $mb);
    wait_samples($node, 3);
    is(slot_row($node, 'levels', 'level, cause, cap_source'), "$level|consumer_down|policy",
        "level $level by the slot's own cap");
}
is(slot_row($node, 'levels', 'headroom_bytes = cap_bytes - retained_bytes, headroom_bytes < 0, used_percent'),
    't|t|100', 'headroom counts from the slot\'s own cap');
is(alerts($node, 'levels', 'level', 'level'), "notice\nwarning\ncritical", 'each level once');
is(alerts($node, 'levels', 'cap_bytes', 'level'), join("\n", (10485760) x 3), 'alerts have that cap');
is(sql(q(SELECT count(*) FROM cdc.alerts WHERE kind = 'action')), 0, 'at_cap=warn: nothing is done');
is(exists_slot('levels'), 1, 'at_cap=warn: the slot is still there');

# --- terminate --------------------------------------------------------------------------------------------------------

set_policies('frozen: cap=4MB at_cap=terminate; nobody: cap=4MB at_cap=terminate');
create_slot($node, $_) for qw(frozen nobody);

# Holds restart_lsn where it is, so that the slot stays over its cap whatever the consumer confirms.
my $holder = session($node);
$holder->query_safe(q(BEGIN; SELECT pg_logical_emit_message(true, 'fill', 'begun')));

my $consumer = receive($node, 'frozen');
my $first = $consumer->walsender;
write_wal($node, 2);
$consumer->wait_for_confirmation;
wait_samples($node, 3);
is(alerts($node, 'frozen', 'message', 'action'), '', 'terminate: not below the cap');
$consumer->signal('STOP');
write_wal($node, 6);
my $terminated = qr/terminated process $first, which reads replication slot "frozen"/;
like(wait_for_action('frozen', qr/./), qr/\A$terminated$/m, 'terminate: a frozen consumer is');
like(alerts($node, 'frozen', q(concat_ws(' ', level, cap_bytes, retained_bytes >= cap_bytes)), 'action'),
    qr/\Acritical 4194304 t$/m, 'terminate: an alert of kind action');
like(alerts($node, 'frozen', 'detail', 'action'),
    qr/\AReplication slot "frozen" retains \S+ MB of WAL, and its policy in .* has a cap of 4\.0 MB\. Cause: \w+\.$/m,
    'terminate: with its reason');
# The process may hang in telling the client of its end, until it is terminated once more.
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $first") or die;
ok($node->log_contains(qr/WARNING:  $terminated/), 'terminate: in the log');
$consumer->signal('CONT');
isnt($consumer->wait_for_end, 0, 'terminate: the consumer noticed');

sub actions { return scalar(() = alerts($node, 'frozen', 'message', 'action') =~ /^terminated/mg) }

my $actions = actions();

# It comes back when the grace period is over, and needs a second before it confirms anything.
wait_samples($node, 110);
is(actions(), $actions, 'terminate: nothing to do while nobody reads the slot');
$consumer = receive($node, 'frozen');
my $second = $consumer->walsender;
$consumer->wait_for_confirmation;
wait_samples($node, 110);
ok($consumer->running, 'terminate: a consumer that has come back and catches up is left alone');
is(actions(), $actions, 'terminate: and nothing is said of it');
is(slot_row($node, 'frozen', 'retained_bytes >= cap_bytes, active_pid'), "t|$second",
    'although the slot is over its cap still');

$consumer->signal('STOP');
write_wal($node, 6);
like(wait_for_action('frozen', qr/process $second,/), qr/^terminated process $first,.*\nterminated process $second,/m,
    'terminate: one that made progress and then stands still is terminated, too');
$consumer->signal('CONT');
$consumer->wait_for_end;
end_session($holder);
is(slot_row($node, 'nobody', 'retained_bytes >= cap_bytes, active'), 't|f',
    'terminate: a slot without a consumer over its cap');
is(alerts($node, 'nobody', 'message', 'action'), '', 'is left alone');

# --- drop -------------------------------------------------------------------------------------------------------------

create_slot($node, $_) for qw(drop_gone drop_small drop_read drop_later);
sql(q(SELECT pg_create_physical_replication_slot('drop_physical', true)));
my $owner = session($node);
$owner->query_safe(q(SELECT pg_create_logical_replication_slot('drop_temporary', 'cdc_plugin', true)));
$consumer = receive($node, 'drop_read');
$consumer->walsender;
$consumer->signal('STOP');
set_policies('drop_small: cap=100MB at_cap=drop; drop_later: cap=4MB; drop_*: cap=4MB at_cap=drop');
is(slot_row($node, 'drop_gone', 'policy_action'), 'drop', 'drop: the policy is shown');
write_wal($node, 6);
$node->poll_query_until('postgres',
    q(SELECT count(*) = 0 FROM pg_replication_slots WHERE slot_name = 'drop_gone')) or die;
is(wait_for_action('drop_gone', qr/./), 'dropped replication slot "drop_gone"', 'drop: an alert of kind action');
like(alerts($node, 'drop_gone', 'detail', 'action'),
    qr/^It had no consumer and retained \S+ MB of WAL; its policy .* 4\.0 MB\.$/,
    'drop: with its reason');
ok($node->log_contains(qr/WARNING:  dropped replication slot "drop_gone"/), 'drop: in the log');
my %why = (read => 'active', temporary => 'temporary', physical => 'not logical');
for my $name (sort keys %why) {
    is(wait_for_action("drop_$name", qr/./),
        qq(replication slot "drop_$name" is not dropped, because it is $why{$name}),
        "drop: not one that is $why{$name}");
    ok($node->log_contains(qr/WARNING:  replication slot "drop_$name" is not dropped/),
        "drop: $why{$name}: in the log");
}
wait_samples($node, 50);
for my $name (sort keys %why) {
    is(exists_slot("drop_$name"), 1, "drop: $why{$name}: it is there");
    is(scalar(() = alerts($node, "drop_$name", 'message', 'action') =~ /^replication/mg), 1,
        "drop: $why{$name}: said once");
}
is(exists_slot('drop_small') . alerts($node, 'drop_small', 'message', 'action'), '1', 'drop: not one below its cap');
is(exists_slot('drop_later') . alerts($node, 'drop_later', 'message', 'action'), '1',
    'drop: not one whose policy is to warn');

# What was active is dropped when it is not any more.
$consumer->kill_hard;
$node->poll_query_until('postgres',
    q(SELECT count(*) = 0 FROM pg_replication_slots WHERE slot_name = 'drop_read')) or die;
wait_for_action('drop_read', qr/^dropped replication slot "drop_read"$/m);
pass('drop: the slot of a consumer that has ended');

# Several at once, none of them waits for the next grace period.
create_slot($node, $_) for map { "many_$_" } 1 .. 5;
write_wal($node, 6);
$node->append_conf('postgresql.conf', q(cdc_plugin.guard_grace = 1h));
set_policies('drop_later: cap=5MB at_cap=drop; many_*: cap=4MB at_cap=drop; drop_*: cap=100GB at_cap=drop');
$node->poll_query_until('postgres',
    q(SELECT count(*) = 0 FROM pg_replication_slots WHERE slot_name LIKE 'many_%' OR slot_name = 'drop_later')) or die;
wait_for_action("many_$_", qr/^dropped/) for 1 .. 5;
wait_for_action('drop_later', qr/^dropped/);
pass('drop: as soon as a reload brings the policy, and without grace from one slot to the next');

end_session($owner);
# Its process ends a moment later than the session.
$node->poll_query_until('postgres', q(SELECT NOT EXISTS (SELECT FROM pg_replication_slots WHERE temporary))) or die;
is(sql(q(SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots)),
    'bystander drop_physical drop_small forgotten frozen levels nobody', 'all others are there');
is(sql(q(SELECT count(*) FROM cdc.alerts WHERE kind = 'action' AND slot_name IN ('bystander', 'forgotten', 'levels'))),
    0, 'and nothing was done to the first ones');

done_testing();
