# What the guard names as the cause of retained WAL, and whom it blames: each cause by itself, two at once, and above
# all what looks like a cause and is none. A transaction is in the way of all slots; a consumer only of its own.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $grace = 6;    # seconds
# A limit for walsenders would end the frozen client's.
my $node = guard_node('causes', conf => <<"CONF");
cdc_plugin.guard_interval = 200ms
cdc_plugin.guard_grace = ${grace}s
cdc_plugin.guard_history = 64
max_prepared_transactions = 5
max_replication_slots = 15
max_wal_senders = 15
wal_sender_timeout = 10min
CONF
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(noise other quiet);
$node->safe_psql($_, 'CREATE TABLE t (id int)') for qw(postgres other quiet);
$node->safe_psql('noise', 'CREATE EXTENSION cdc_plugin');

# All questions and all unrelated WAL come from a database that no slot belongs to.
my $noise = session($node, 'noise');

sub ask { return $noise->query_safe($_[0]) }

# What is blamed, as one line: cause, second cause, process, prepared transaction, database.
sub blamed {
    my ($state) = @_;
    return join(' ', map { $_ // '-' } @$state{qw(cause also culprit_pid culprit_gid culprit_database)});
}
my $nobody = 'none - - - -';

# Waits for the cause; then all that is blamed must be as said.
sub blames {
    my ($slot, $expected, $name) = @_;
    my ($cause, $also) = split(/ /, $expected);
    my $fits = sub { $_[0]{cause} eq $cause && ($_[0]{also} // '-') eq $also };
    my $state = wait_for_state($noise, $slot, $fits, $expected);
    is(blamed($state), $expected, "$name: slot $slot");
    return $state;
}

# The causes of all of the guard's samples of a slot since a time, and maybe before another.
sub sampled_causes {
    my ($slot, $since, $until) = @_;
    my $until_when = defined $until ? "AND sampled_at < $until" : '';
    return ask("SELECT coalesce(string_agg(DISTINCT cause, ' ' ORDER BY cause), 'no sample') FROM cdc.slot_history "
            . "WHERE slot_name = '$slot' AND sampled_at > '$since' $until_when");
}

sub sampled_since {
    my ($slot, $since) = @_;
    return ask("SELECT count(*) FROM cdc.slot_history WHERE slot_name = '$slot' AND sampled_at > '$since'");
}

sub now { return ask('SELECT clock_timestamp()') }

# For two graces of further WAL, no sample of the slots may have another cause than the one said.
sub stays {
    my ($cause, $slots, $name) = @_;
    my $since = now();
    my $end = time() + 2 * $grace;
    my (%blamed, $count);
    while (time() < $end) {
        write_noise($noise, 1) if $count++ % 2 == 0;
        ask('CHECKPOINT');
        $blamed{$_}{ blamed(slot_state($noise, $_)) }++ for @$slots;
        sleep(0.8);
    }
    for my $slot (@$slots) {
        is(sampled_causes($slot, $since), $cause, "$name: all samples of slot $slot");
        is(join(', ', sort keys %{ $blamed{$slot} }), $nobody, "$name: nobody is blamed for slot $slot")
          if $cause eq 'none';
    }
    return;
}

# A session with a transaction: BEGIN and what follows. Returns the session and its process id.
sub open_transaction {
    my ($database, @statements) = @_;
    my $session = session($node, $database);
    my $pid = $session->query_safe('SELECT pg_backend_pid()');
    $session->query_safe($_) for 'BEGIN', @statements;
    return ($session, $pid);
}

sub end_transaction {
    my ($session) = @_;
    $session->query_safe('ROLLBACK');
    end_session($session);
    return;
}

create_slot($node, $_) for qw(live neighbour);
my %consumers = map { $_ => receive($node, $_) } qw(live neighbour);
my @both = qw(live neighbour);
wait_for_state($noise, $_, sub { $_[0]{active} && blamed($_[0]) eq $nobody && defined $_[0]{sampled_at} },
    'healthy') for @both;

# --- what holds nothing back ------------------------------------------------------------------------------------------

{
    my ($snapshot) = open_transaction('postgres', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
        'SELECT count(*) FROM t');
    my ($idle) = open_transaction('other', 'SELECT count(*) FROM t');
    stays('none', \@both, 'a snapshot and an idle transaction, without transaction ids');
    end_transaction($_) for $snapshot, $idle;
}

{
    my ($session, $pid) = open_transaction('postgres', 'SELECT pg_current_xact_id()');
    my $since = now();
    write_noise($noise, 3);
    my $expected = "catalog_bloat - $pid - postgres";
    my $state = blames('live', $expected, 'a transaction with an id that wrote nothing');
    is($state->{level}, 'ok', 'it is no reason for an alert');
    cmp_ok($state->{retained_bytes}, '<', 3 << 20, 'it holds no WAL back');
    like($state->{advice}, qr/\b$pid\b/, 'the advice names it');
    blames('neighbour', $expected, 'a transaction with an id that wrote nothing');
    stays('catalog_bloat', \@both, 'a transaction with an id that wrote nothing');

    # WAL comes all at once after a time without: until the next record of running transactions, restart_lsn is far
    # behind, and has not moved for long. From the end of the grace period on the transaction may be blamed for that.
    wait_until('restart_lsn has not moved for longer than the grace period', sub {
        my ($seconds) = ask("SELECT extract(epoch FROM max(sampled_at) - min(sampled_at)) "
            . "FROM cdc.slot_history WHERE slot_name = 'live' GROUP BY restart_lsn ORDER BY restart_lsn DESC LIMIT 1");
        return $seconds > $grace + 1;
    });
    my $burst = now();
    write_noise($noise, 3);
    $consumers{$_}->wait_for_confirmation for @both;
    my $confirmed = now();
    wait_until('samples are taken', sub { sampled_since('live', $confirmed) > 2 });
    # It has not moved since the last sample before.
    my $until = "(SELECT max(sampled_at) FROM cdc.slot_history WHERE slot_name = 'live' AND sampled_at <= '$burst')"
      . " + interval '$grace s'";
    for my $slot (@both) {
        like(sampled_causes($slot, $since, $until), qr/^catalog_bloat(?: none)?$/, "slot $slot: and never for WAL");
    }
    end_transaction($session);
    blames($_, $nobody, 'after it') for @both;
}

# --- transactions -----------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', q{
    CREATE ROLE monitor LOGIN;
    GRANT pg_monitor TO monitor;
    CREATE ROLE reader LOGIN;
    GRANT USAGE ON SCHEMA cdc TO monitor, reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA cdc TO reader;
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cdc TO reader;
});

sub holder_seen_by {
    my ($role) = @_;
    return decode_json($node->safe_psql('postgres',
        q{SELECT evidence->'oldest' FROM cdc.diagnose('live') WHERE check_name = 'transaction'},
        extra_params => [ '-U', $role ]));
}

for my $database (qw(postgres other)) {
    my ($session, $pid) = open_transaction($database, 'INSERT INTO t VALUES (4711)');
    write_noise($noise, 4);
    my $name = "a transaction that wrote, in database $database";
    my $state = blames('live', "long_transaction - $pid - $database", $name);
    cmp_ok($state->{retained_bytes}, '>', 4 << 20, "$name: it holds WAL back");
    cmp_ok($state->{unconfirmed_bytes}, '<', 1 << 20, "$name: which the consumer has confirmed");
    like($state->{advice}, qr/pg_terminate_backend\($pid\)/, "$name: the advice names it");
    blames('neighbour', "long_transaction - $pid - $database", $name);
    if ($database eq 'postgres') {
        my $seen = holder_seen_by('monitor');
        is($seen->{pid}, $pid, 'cdc.diagnose() names the process to a member of pg_monitor');
        like($seen->{query}, qr/4711/, 'and its query');
        $seen = holder_seen_by('reader');
        is($seen->{pid}, $pid, 'to another role that may call it, the process');
        unlike($seen->{query} // '', qr/4711|INSERT/, 'but not the query');
    }
    end_transaction($session);
    blames($_, $nobody, "after $name") for @both;
}

{
    my $gid = q{it's "prepared"};
    (my $quoted = $gid) =~ s/'/''/g;
    wait_for_state($noise, 'live', sub { $_[0]{retained_bytes} < 1 << 20 }, 'retains little');
    # Levels only once the cause is known, so that the alerts have it.
    set_conf($node, 'cdc_plugin.guard_policies' => 'live: cap=20MB');
    my $last = ask('SELECT coalesce(max(alert), 0) FROM cdc.alerts');
    $node->safe_psql('other', "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '$quoted'");
    write_noise($noise, 3);
    my $state = blames('live', "prepared_transaction - - $gid other", 'a prepared transaction');
    blames('neighbour', "prepared_transaction - - $gid other", 'a prepared transaction');
    write_noise($noise, 9);
    my $alert = wait_until('the alert has the name of the prepared transaction', sub {
        my $json = ask("SELECT to_json(a) FROM cdc.alerts AS a WHERE alert > $last AND slot_name = 'live' "
                . 'AND culprit_gid IS NOT NULL ORDER BY alert LIMIT 1');
        return $json eq '' ? undef : decode_json($json);
    });
    is(blamed($alert), "prepared_transaction - - $gid other", 'its alert');
    is("$alert->{previous_level} $alert->{level}", 'ok notice', 'of the first level that was reached');
    my $check = decode_json(ask("SELECT to_json(d) FROM cdc.diagnose('live') AS d "
            . "WHERE check_name = 'prepared_transaction'"));
    is($check->{status}, 'problem', 'cdc.diagnose() says so');
    is($check->{evidence}{oldest}{gid}, $gid, 'and names it');
    like($check->{advice}, qr/ROLLBACK PREPARED '\Q$quoted\E';/, 'and how to end it');
    is(ask("SELECT string_agg(check_name, ' ') FROM cdc.diagnose('live') WHERE status = 'problem'"),
        'prepared_transaction', 'and has no other problem');
    $node->safe_psql('other', "ROLLBACK PREPARED '$quoted'");
    blames($_, $nobody, 'after the prepared transaction') for @both;
}

# --- a cap that is too small ------------------------------------------------------------------------------------------

{
    set_conf($node, 'cdc_plugin.guard_policies' => 'live: cap=4MB');
    my $since = now();
    between_samples($node, sub { write_noise($noise, 24) });
    my $state = blames('live', 'cap_too_small - - - -', 'more WAL in an interval than the cap');
    cmp_ok($state->{peak_bytes}, '>=', $state->{cap_bytes}, 'such a burst was seen');
    isnt($state->{level}, 'ok', 'that is worth an alert');
    is(sampled_causes('neighbour', $since), 'none', 'a slot with a cap that is large enough has no fault');
    # The burst is forgotten when its sample is.
    blames('live', $nobody, 'when no such burst is remembered any more');
    set_conf($node, 'cdc_plugin.guard_policies' => '');
}

# --- consumers --------------------------------------------------------------------------------------------------------

{
    create_slot($node, $_) for qw(down slow silent);
    create_slot($node, 'quiet', 'quiet');
    my %of = map { $_ => receive($node, $_) } qw(down slow);
    $of{silent} = receive_events_only($node, 'silent', never => 1);
    $of{quiet} = receive_events_only($node, 'quiet', database => 'quiet');
    $_->walsender for values %of;
    my $event = $node->safe_psql('quiet', 'INSERT INTO t VALUES (1) RETURNING pg_current_wal_insert_lsn()');
    $of{quiet}->wait_for_confirmation($event);
    $of{$_}->wait_for_confirmation for qw(down slow);
    blames($_, $nobody, 'consumers at work') for qw(down slow silent quiet);

    my $since = now();
    $of{down}->kill_hard;
    $of{slow}->signal('STOP');
    # An event that the walsenders send, after the guard has seen what was confirmed.
    my $stopped = now();
    wait_until('samples are taken', sub { sampled_since('slow', $stopped) > 1 });
    $node->safe_psql('postgres', 'INSERT INTO t VALUES (1)');
    $of{silent}->wait_for_bytes(1);
    blames('down', 'consumer_down - - - -', 'a consumer that is gone, and has left little unread');
    is(sampled_causes('slow', $since), 'none', 'a frozen consumer is nobody\'s business while it holds little back');

    write_noise($noise, 3);
    my $state = blames('down', 'consumer_down - - - -', 'a consumer that is gone');
    ok(!$state->{active} && defined $state->{inactive_since}, 'since when is said');
    $state = blames('slow', 'consumer_slow - - - -', 'a frozen consumer');
    ok($state->{active}, 'its slot is active');
    blames('silent', 'consumer_slow - - - -', 'a consumer that takes events and does not confirm them');
    $state = blames('quiet', 'idle_database - - - -', 'a consumer that had no event to confirm');
    cmp_ok($state->{sent_lsn}, 'gt', $state->{confirmed_flush_lsn}, 'it was sent everything');
    is(ask("SELECT string_agg(check_name, ' ') FROM cdc.diagnose('quiet') WHERE status = 'problem'"),
        'progress heartbeat', 'cdc.diagnose() has a heartbeat to offer');
    unlike(sampled_causes('quiet', $since), qr/consumer/, 'the consumer of the quiet database was never blamed');
    unlike(sampled_causes($_, $since), qr/idle/, "and never the database of slot $_") for qw(slow silent);
    is(sampled_causes($_, $since), 'none', "meanwhile slot $_ has no fault") for @both;

    $of{down} = receive($node, 'down');
    $of{slow}->signal('CONT');
    $of{silent}->kill_hard;
    wait_for_slot($node, 'silent', 'NOT active');
    $of{silent} = receive($node, 'silent');
    $node->safe_psql('quiet', 'INSERT INTO t VALUES (2)');
    blames($_, $nobody, 'when it is mended') for qw(down slow silent quiet);
    $_->kill_hard for values %of;
    wait_for_slot($node, $_, 'NOT active') for keys %of;
    ask("SELECT pg_drop_replication_slot('$_')") for qw(down slow silent);
    $node->safe_psql('quiet', "SELECT pg_drop_replication_slot('quiet')");
}

# --- two causes at once -----------------------------------------------------------------------------------------------

{
    my ($session, $pid) = open_transaction('other', 'INSERT INTO t VALUES (1)');
    write_noise($noise, 5);
    blames($_, "long_transaction - $pid - other", 'first a transaction') for @both;
    $consumers{live}->wait_for_confirmation;
    $consumers{live}->kill_hard;
    wait_for_slot($node, 'live', 'NOT active');
    write_noise($noise, 2);
    blames('live', "long_transaction consumer_down $pid - other", 'then without a consumer, too');
    write_noise($noise, 6);
    blames('live', "consumer_down long_transaction $pid - other", 'which in the end holds more back');
    is(ask("SELECT string_agg(check_name, ' ') FROM cdc.diagnose('live') WHERE status = 'problem'"),
        'consumer transaction', 'cdc.diagnose() says both');
    blames('neighbour', "long_transaction - $pid - other", 'a slot with a consumer has the transaction only');
    $consumers{live} = receive($node, 'live');
    blames('live', "long_transaction - $pid - other", 'with a consumer again');
    end_transaction($session);
    blames($_, $nobody, 'and when the transaction has ended') for @both;
}

# --- loss -------------------------------------------------------------------------------------------------------------

{
    create_slot($node, 'doomed');
    my $since = now();
    # The others must not be lost with it.
    my $others_move_on = sub {
        my $end = ask('SELECT pg_current_wal_lsn()');
        for my $slot (@both) {
            wait_for_state($noise, $slot, sub { ask("SELECT '$_[0]{restart_lsn}'::pg_lsn >= '$end'") eq 't' },
                'moves on');
        }
    };
    $others_move_on->();
    set_conf($node, max_slot_wal_keep_size => '8MB');
    for (1 .. 2) {
        write_noise($noise, 5);
        $others_move_on->();
    }
    my $state = blames('doomed', 'slot_lost - - - -', 'a slot that lost its WAL');
    is("$state->{level} $state->{wal_status}", 'lost lost', 'is at level lost');
    unlike(sampled_causes($_, $since), qr/slot_lost|consumer|transaction/, "slot $_ is not blamed for it") for @both;
    ask("SELECT pg_drop_replication_slot('doomed')");
    is(ask('SELECT count(*) FROM cdc.slots'), 2, 'and it is gone when it is dropped');
}

$_->kill_hard for values %consumers;
end_session($noise);
done_testing();
