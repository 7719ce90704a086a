# LISTEN cdc_alerts hears each alert as JSON, in one database; and whatever goes wrong with that, the guard goes on to
# sample, to log, and to keep its alerts.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use Encode qw(decode);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guard_node('notify', conf => <<'CONF');
cdc_plugin.guard_interval = 200ms
cdc_plugin.guard_notify_database = 'listening'
max_prepared_transactions = 5
CONF
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(listening noise);
$node->safe_psql('noise', 'CREATE EXTENSION cdc_plugin');
$node->safe_psql('postgres', 'CREATE TABLE t (id int)');
my ($noise, $listener, $elsewhere) = map { session($node, $_) } qw(noise listening postgres);
$_->query_safe('LISTEN cdc_alerts') for $listener, $elsewhere;

sub ask { return $noise->query_safe($_[0]) }

# What a session heard since it was asked last: payloads. psql prints notifications behind a query's result.
sub heard {
    my ($session) = @_;
    my $output = $session->query('SELECT 1');
    return map { /^Asynchronous notification "cdc_alerts" with payload "(.*)" received/ ? $1 : () }
      split(/\n/, $output);
}

sub settings {
    my (%values) = @_;
    return set_conf($node, map { ("cdc_plugin.$_" => $values{$_}) } keys %values);
}

sub last_alert { return ask('SELECT coalesce(max(alert), 0) FROM cdc.alerts') }

# Waits for an alert behind one, and returns it.
sub next_alert {
    my ($number, $condition) = @_;
    my $json = wait_until('there is an alert', sub {
        return ask("SELECT to_json(a) FROM cdc.alerts AS a WHERE alert > $number AND " . ($condition // 'true')
                . ' ORDER BY alert LIMIT 1');
    });
    return decode_json($json);
}

# A change of the slot's level, made by changing its own cap.
my $raised = 0;

sub raise_alert {
    my $last = last_alert();
    settings(guard_policies => ++$raised % 2 ? 'dead: cap=1MB' : 'dead: cap=1TB');
    return next_alert($last);
}

sub samples { return ask('SELECT samples FROM cdc.guard_status()') }

sub sampling_goes_on {
    my ($name) = @_;
    my $samples = samples();
    wait_until("samples are taken: $name", sub { samples() > $samples + 3 });
    return pass("$name: sampling goes on");
}

# --- what is in it ----------------------------------------------------------------------------------------------------

# A slot without a consumer, at its own cap; and one with a consumer that a prepared transaction holds back.
create_slot($node, $_) for qw(dead live);
my $consumer = receive($node, 'live');
$consumer->walsender;
write_noise($noise, 2);
my $alert = raise_alert();
my @messages;
wait_until('the listener hears of it', sub { push @messages, heard($listener); return @messages > 0 });
is(scalar(@messages), 1, 'one message for one alert');
my $message = decode_json($messages[0]);
is_deeply([ sort keys %$message ], [ sort qw(number raised_at kind slot_name level previous_level cause also message
            detail hint retained_bytes headroom_bytes seconds_to_cap culprit_pid culprit_gid culprit_database) ],
    'with these members');
is_deeply([ @$message{qw(number kind slot_name level previous_level cause also culprit_pid culprit_gid)} ],
    [ $alert->{alert}, 'level', 'dead', 'critical', 'ok', 'consumer_down', undef, undef, undef ],
    'which say what happened');
is($message->{$_}, $alert->{$_}, "$_ is that of cdc.alerts")
  for qw(message detail hint retained_bytes headroom_bytes culprit_database);
is(ask("SELECT '$message->{raised_at}'::timestamptz = raised_at FROM cdc.alerts WHERE alert = $message->{number}"), 't',
    'raised_at, too');
cmp_ok($message->{retained_bytes}, '>', 1 << 20, 'the numbers are the slot\'s');
cmp_ok($message->{headroom_bytes}, '<', 0, 'which is beyond its cap');
like(slurp_file($node->logfile), qr/WARNING:  \Q$message->{message}\E/, 'and the server log has the message');
is_deeply([ heard($elsewhere) ], [], 'nobody hears it in another database');
wait_until('it is marked as sent', sub { ask("SELECT notified FROM cdc.alerts WHERE alert = $alert->{alert}") eq 't' });

{
    my $gid = q{a "gid" with 'quotes' and \\ ä};
    (my $quoted = $gid) =~ s/'/''/g;
    $node->safe_psql('postgres', "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '$quoted'");
    write_noise($noise, 2);
    wait_until('the transaction is found', sub {
        ask("SELECT cause FROM cdc.slots WHERE slot_name = 'live'") eq 'prepared_transaction';
    });
    my $last = last_alert();
    settings(guard_policies => 'live: cap=1MB; dead: cap=1MB');
    my $known = next_alert($last, q(slot_name = 'live'));
    my $found = wait_until('the listener hears of it', sub {
        my ($one) = grep { $_->{slot_name} eq 'live' } map { decode_json($_) } heard($listener);
        return $one;
    });
    is_deeply([ @$found{qw(level cause culprit_pid culprit_gid culprit_database)} ],
        [ 'critical', 'prepared_transaction', undef, decode('UTF-8', $gid), 'postgres' ],
        'a prepared transaction is named');
    is(ask("SELECT culprit_gid FROM cdc.alerts WHERE alert = $known->{alert}"), $gid, 'in cdc.alerts, too');
    $node->safe_psql('postgres', "ROLLBACK PREPARED '$quoted'");
    settings(guard_policies => 'dead: cap=1MB');
    wait_until('it is over', sub {
        ask('CHECKPOINT');
        grep { $_->{slot_name} eq 'live' && $_->{level} eq 'ok' } map { decode_json($_) } heard($listener);
    });
    pass('the all-clear is heard as well');
}

# --- a database that is not there -------------------------------------------------------------------------------------

my $log = -s $node->logfile;
settings(guard_notify_database => 'not there');
$alert = raise_alert();
wait_until('the log says so', sub {
    slurp_file($node->logfile, $log) =~ /database "not there" does not exist/;
});
pass('a wrong database is in the server log');
sampling_goes_on('a wrong database');
my $second = raise_alert();
is(ask("SELECT bool_or(notified) FROM cdc.alerts WHERE alert >= $alert->{alert}"), 'f', 'what nobody heard is kept');
settings(guard_notify_database => 'listening');
my %heard;
wait_until('the listener hears of both', sub {
    $heard{ decode_json($_)->{number} }++ for heard($listener);
    return $heard{ $second->{alert} };
});
is_deeply(\%heard, { $alert->{alert} => 1, $second->{alert} => 1 }, 'when it is mended, the alerts come, once each');

# --- none -------------------------------------------------------------------------------------------------------------

settings(guard_notify_database => '');
$alert = raise_alert();
wait_until('the alert is done with', sub {
    ask("SELECT notified FROM cdc.alerts WHERE alert = $alert->{alert}") eq 't';
});
settings(guard_notify_database => 'listening');
$second = raise_alert();
%heard = ();
wait_until('the listener hears of the next one', sub {
    $heard{ decode_json($_)->{number} }++ for heard($listener);
    return $heard{ $second->{alert} };
});
is_deeply(\%heard, { $second->{alert} => 1 }, 'with an empty name nobody is told, then or later');

# --- no workers -------------------------------------------------------------------------------------------------------

# The one that there is is the guard's. It remembers the levels of before the restart: those of its own samples, which
# cdc.slots can be ahead of.
settings(guard_policies => '');
wait_for_level($node, $_, 'ok') for qw(dead live);
end_session($listener, $elsewhere, $noise);
$consumer->kill_hard;
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_logical_replication_workers = 0");
$node->restart;
$noise = session($node, 'noise');
wait_until('the guard is there', sub { ask('SELECT watching FROM cdc.guard_status()') eq 't' });
$raised = 0;
$alert = raise_alert();
is($alert->{level}, 'critical', 'without a worker for notifications there are alerts');
sampling_goes_on('no worker for notifications');
$log = slurp_file($node->logfile);
like($log, qr/WARNING:  \Q$alert->{message}\E/, 'they are in the server log');
my $complaints = () = $log =~ /gets no background worker for its helper "notify"/g;
is($complaints, 1, 'which says once that there is none');

end_session($noise);
done_testing();
