# cdc.runbook() as a person in trouble uses it: every command of every state is pasted as it is, in the order of the
# steps, and the trouble is over. For a lost slot that means a consumer's copy that equals the source row for row.
use strict;
use warnings;
use utf8;

use CdcGuard;
use CdcTest;
use Encode qw(encode);
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $node = guard_node('runbook', conf => <<'CONF');
cdc_plugin.guard_inactive_time = 0
max_prepared_transactions = 5
max_replication_slots = 20
CONF

# Names that need quotes, are not ASCII, and are as long as they may be.
my $odd = q(Zoë's "große" %s Datenbank 日本語 éééé);
my $quoted = '"' . ($odd =~ s/"/""/gr) . '"';

sub sql {
    my ($query, $database) = @_;
    return Encode::decode('UTF-8', $node->safe_psql(encode('UTF-8', $database // 'postgres'), encode('UTF-8', $query)));
}

sub slot { return sql("SELECT concat_ws(' ', $_[1]) FROM cdc.slots WHERE slot_name = '$_[0]'") }

sub wait_for_cause {
    my ($slot, $cause) = @_;
    wait_until("the cause of slot $slot is $cause", sub { slot($slot, 'cause') eq $cause });
    return;
}

# The steps: [ step, title, instruction, command or undef ].
sub runbook {
    my ($slot) = @_;
    my $rows = sql(
        "SELECT json_agg(json_build_array(step, title, instruction, command) ORDER BY step) FROM cdc.runbook('$slot')");
    my $steps = JSON::PP->new->decode($rows);
    is_deeply([ map { $_->[0] } @$steps ], [ 1 .. @$steps ], "$slot: steps are numbered in order");
    is(scalar(grep { ($_->[2] // '') eq '' } @$steps), 0, "$slot: each has an instruction");
    return @$steps;
}

# Pastes a command where the instruction says.
sub paste {
    my ($slot, $step, $database) = @_;
    my ($number, $title, undef, $command) = @$step;
    my $out = eval { sql($command, $database) };
    ok(defined $out, encode('UTF-8', "$slot: step $number, $title: $command")) or diag($@);
    return $out;
}

# Pastes all of them. What is to be done in another database says so.
sub paste_all {
    my ($slot) = @_;
    for my $step (runbook($slot)) {
        paste($slot, $step, $step->[2] =~ /^In database \Q$quoted\E/ ? $odd : 'postgres') if defined $step->[3];
    }
    return;
}

sub retained { return slot($_[0], 'retained_bytes') }

# --- a lost slot ------------------------------------------------------------------------------------------------------

# The consumer's copy is in the table target, and it applies what comes in the way of a consumer that may see a change
# twice.
sql(q{
    CREATE TABLE orders (id bigint PRIMARY KEY, customer text, total numeric(12,2), items jsonb);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    CREATE TABLE target (LIKE orders INCLUDING ALL);
});

sub consume {
    return sql(q{
        DO $$
        DECLARE
            change record;
        BEGIN
            FOR change IN SELECT * FROM cdc.get_changes('orders', NULL, NULL, 'tables', 'public.orders') LOOP
                DELETE FROM target WHERE id = (coalesce(change.before, change.after) ->> 'id')::bigint;
                IF change.after IS NOT NULL THEN
                    DELETE FROM target WHERE id = (change.after ->> 'id')::bigint;
                    INSERT INTO target SELECT * FROM jsonb_populate_record(NULL::target, change.after);
                END IF;
            END LOOP;
        END
        $$});
}

# Rows that are in one of the tables only.
sub differences {
    return sql(
        'SELECT count(*) FROM ((TABLE orders EXCEPT TABLE target) UNION ALL (TABLE target EXCEPT TABLE orders)) AS d');
}

create_slot($node, 'orders');
sql(q(SELECT pg_create_physical_replication_slot('standby', true)));
sql(q{
    INSERT INTO orders SELECT n, 'before ' || n, n / 7.0, jsonb_build_object('n', n) FROM generate_series(1, 100) AS n;
    INSERT INTO orders VALUES (101, 'Zoë', 1.00, NULL);
    UPDATE orders SET total = 0 WHERE id <= 10;
});
consume();
is(differences(), 0, 'lost: the consumer had all there was before');

# The gap: rows are deleted, changed and added that no slot tells of.
sql(q{ALTER SYSTEM SET max_slot_wal_keep_size = '2MB'});
sql(q{
    SELECT pg_reload_conf();
    DELETE FROM orders WHERE id BETWEEN 20 AND 39;
    UPDATE orders SET customer = 'in the gap' WHERE id BETWEEN 40 AND 49;
    INSERT INTO orders SELECT n, 'gap ' || n, 5, '[]' FROM generate_series(200, 249) AS n;
});
write_wal($node, 6);
wait_until('the guard has alerted', sub { sql(q(SELECT count(*) FROM cdc.alerts WHERE cause = 'consumer_down')) >= 2 });
sql('CHECKPOINT');
for my $slot (qw(orders standby)) {
    wait_until('the slot is lost', sub { slot($slot, 'level, cause, wal_status') eq 'lost slot_lost lost' });
    like(slot($slot, 'advice'), qr/cdc\.runbook\('$slot'\)/, "lost: $slot: the advice leads to the runbook");
}
cmp_ok(differences(), '>=', 80, 'lost: the consumer has not what happened since');

my @steps = runbook('orders');
is(scalar(@steps), 9, 'lost: nine steps');
like($steps[1][2], qr/Before the loss the guard said: consumer_down\./, 'lost: the cause of the loss is told');
for my $step (@steps) {
    my (undef, $title, undef, $command) = @$step;
    if ($command =~ /;$/) {
        my $out = paste('orders', $step);
        like($out, qr/consumer_down/, 'lost: the alerts tell how it came') if $step->[0] == 2;
        next;
    }
    # The consumer's steps are for the shell, if it is cdc_consumer; this one is another.
    my $verb = $title eq 'Copy the tables again' ? 'resnapshot' : 'run';
    is($command, "cdc_consumer $verb --config orders.conf", "lost: $title");
    next if $verb eq 'run';
    # What comes between the new slot and the copy comes twice: in the copy, and from the slot.
    sql(q{INSERT INTO orders VALUES (300, 'between', 3, '{}'); DELETE FROM orders WHERE id = 50});
    sql('BEGIN; TRUNCATE target; INSERT INTO target TABLE orders; COMMIT');
}
sql(q{
    INSERT INTO orders VALUES (400, 'after', 4, '{"a": [1, 2]}');
    UPDATE orders SET customer = 'after, too', items = NULL WHERE id IN (1, 40, 300);
    DELETE FROM orders WHERE id IN (2, 41, 200);
});
is(differences(), 10, 'lost: there is something to consume from the new slot');
consume();
is(differences(), 0, 'lost: the consumer\'s copy is the source, row for row');
is(sql('SELECT count(*) FROM target WHERE id BETWEEN 20 AND 39 OR id IN (2, 41, 50, 200)'), 0,
    'lost: without the rows that were deleted in the gap, or later');
wait_until('the slot is well', sub { slot('orders', 'level') eq 'ok' });
is(slot('orders', 'wal_status'), 'reserved', 'lost: the new slot is well');
# (Soon it would be one that nobody reads.)
set_conf($node, 'cdc_plugin.guard_grace' => '5min');
paste_all('standby');
is(slot('standby', 'level, cause'), 'ok none', 'lost: a physical slot is made again');
sql("SELECT pg_drop_replication_slot('$_')") for qw(orders standby);
set_conf($node, 'cdc_plugin.guard_grace' => '1s');

# --- a long transaction, in a database whose name is a trial ----------------------------------------------------------

sql("CREATE DATABASE $quoted TEMPLATE template0");
create_slot($node, 'held');
my $consumer = receive($node, 'held');
$consumer->walsender;

# A session with a transaction that has written.
sub open_transaction {
    my $session = session($node, encode('UTF-8', $odd));
    $session->query_safe(q(BEGIN; SELECT pg_logical_emit_message(true, 'fill', 'begun')));
    return $session;
}

# WAL that the consumer confirms and the transaction holds back.
sub wait_until_held {
    my ($cause) = @_;
    write_wal($node, 3);
    $consumer->wait_for_confirmation;
    wait_for_cause('held', $cause);
    cmp_ok(retained('held'), '>', 2 * 1048576, "$cause: WAL is held back");
    return;
}

sub wait_until_free {
    my ($cause) = @_;
    wait_until('the WAL is free', sub { retained('held') < 1048576 });
    wait_until('the cause is gone', sub { slot('held', 'cause') eq 'none' });
    pass("$cause: the commands free the WAL");
    return;
}

my $session = open_transaction();
my $culprit = $session->query_safe('SELECT pg_backend_pid()');
wait_until_held('long_transaction');
is(slot('held', 'culprit_pid, culprit_database'), "$culprit $odd", 'long_transaction: the culprit');
is(slot('held', 'advice') =~ s/transaction \d+/transaction N/r,
    qq(End transaction N of process $culprit in database "$odd": SELECT pg_terminate_backend($culprit);),
    'long_transaction: the advice');
like(sql(q(SELECT finding FROM cdc.diagnose('held') WHERE check_name = 'transaction')),
    qr/^process $culprit in database \Q$quoted\E holds/, 'long_transaction: the diagnosis');
paste_all('held');
wait_until_free('long_transaction');
eval { end_session($session) };

# --- prepared transactions, with gids that need quotes ----------------------------------------------------------------

for my $gid (q(it's "ü" \ 50%s), 'é' x 99) {
    my $literal = $gid =~ s/'/''/gr;
    sql("BEGIN; SELECT pg_logical_emit_message(true, 'fill', 'begun'); PREPARE TRANSACTION '$literal'", $odd);
    wait_until_held('prepared_transaction');
    is(slot('held', 'culprit_pid, culprit_gid, culprit_database'), "$gid $odd", 'prepared_transaction: the culprit');
    like(sql(q(SELECT advice FROM cdc.diagnose('held') WHERE check_name = 'prepared_transaction')),
        qr/^In database \Q$quoted\E: COMMIT PREPARED /, 'prepared_transaction: the diagnosis');
    paste_all('held');
    is(sql('SELECT count(*) FROM pg_prepared_xacts'), 0, 'prepared_transaction: is rolled back');
    wait_until_free('prepared_transaction');
}

# --- no fault, a transaction without WAL, a slow consumer, two causes at once -----------------------------------------

# No transaction runs: the slot's catalog_xmin is the next one's, which must not be taken for a culprit.
is(slot('held', 'catalog_age'), 0, 'none: catalog_xmin is that of a transaction to come');
wait_samples($node, 20);    # more than the grace period
is(slot('held', 'cause, culprit_xid'), 'none', 'none: no culprit');
paste_all('held');
is(scalar(() = runbook('held')), 2, 'none: nothing to recover');

$session = session($node, encode('UTF-8', $odd));
$session->query_safe('BEGIN; SELECT pg_current_xact_id()');
sql('CHECKPOINT');
$consumer->wait_for_confirmation;
wait_for_cause('held', 'catalog_bloat');
paste_all('held');
wait_for_cause('held', 'none');
pass('catalog_bloat: the transaction is ended');
eval { end_session($session) };

my $walsender = $consumer->walsender;
$consumer->signal('STOP');
write_wal($node, 3);
wait_for_cause('held', 'consumer_slow');
paste_all('held');
$consumer->signal('CONT');
$consumer->wait_for_end;
wait_until('the walsender has ended', sub {
    sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $walsender") == 0;
});
pass('consumer_slow: the connection is broken');

$consumer = receive($node, 'held');
sql('CHECKPOINT');
$consumer->wait_for_confirmation;
wait_until('the slot has moved on', sub { retained('held') < 1048576 });
$session = open_transaction();
write_wal($node, 2);
$consumer->wait_for_confirmation;
$consumer->kill_hard;
write_wal($node, 6);
wait_until('there are two causes', sub { slot('held', 'cause, also') eq 'consumer_down long_transaction' });
my @both = runbook('held');
is(join(', ', map { $_->[1] } @both),
    'Read the panel, Start the consumer, Wait or drop, Give it up, See the transaction, '
    . 'End it, Let the slot move on, See that it is over', 'two causes: both are treated');
paste_all('held');
is(sql(q(SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'held')), 0,
    'consumer_down: the slot is given up');
wait_until('no transaction is open', sub {
    sql('SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL') == 0;
});
pass('long_transaction: and ended');
eval { end_session($session) };

# --- an idle database, without the extension in it --------------------------------------------------------------------

create_slot($node, 'idle', encode('UTF-8', $odd));
$node->append_conf('postgresql.conf', 'wal_sender_timeout = 0');
$node->reload;
# A consumer that confirms events only.
my $file = scratch_file('idle');
my @command = (CdcTest::recvlogical_command($node, 'idle', $file, database => encode('UTF-8', $odd)), '-s', '0');
my $pid = fork() // die "fork: $!";
if ($pid == 0) {
    open(STDERR, '>', '/dev/null');
    { exec(@command) }
    POSIX::_exit(127);
}
wait_for_slot($node, 'idle', 'active');
write_wal($node, 3);
wait_for_cause('idle', 'idle_database');
paste_all('idle');
wait_until('the heartbeat arrives', sub { -s $file });
pass('idle_database: the heartbeat arrives');
is(sql('SHOW cdc_plugin.guard_heartbeat_interval'), '1min', 'idle_database: and more will');

# --- a cap that is too small ------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', q(cdc_plugin.guard_policies = 'small: cap=1MB'));
$node->reload;
create_slot($node, 'small');
$consumer = receive($node, 'small');
$consumer->wait_for_confirmation;
between_samples($node, sub { write_wal($node, 3) });
wait_for_cause('small', 'cap_too_small');
paste_all('small');
$consumer->stop;
kill('INT', $pid);
waitpid($pid, 0);

# --- databases that are not UTF-8 -------------------------------------------------------------------------------------

for my $encoding (qw(LATIN1 SQL_ASCII)) {
    my $database = lc($encoding) . '_db';
    sql("CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
    sql('CREATE EXTENSION cdc_plugin', $database);
    create_slot($node, "in_$database", $database);
    for my $query ('cdc.slots', 'cdc.slots_pretty', 'cdc.slot_history', 'cdc.alerts', 'cdc.check()',
        'cdc.guard_status()', "cdc.diagnose('in_$database')", "cdc.runbook('in_$database')",
        "cdc.runbook('idle')", "cdc.diagnose('idle')",
        'cdc.preflight()') {
        # Bytes as they are: the names are of a database in UTF-8.
        my ($status, undef, $error) = $node->psql($database, "SET client_encoding = SQL_ASCII; SELECT * FROM $query");
        is($status, 0, "$encoding: $query") or diag($error);
    }
    like(sql('SELECT cdc.heartbeat()', $database), qr{/}, "$encoding: cdc.heartbeat()");
    is(sql("SELECT database FROM cdc.slots WHERE slot_name = 'in_$database'", $database), $database,
        "$encoding: its slot");
}

done_testing();
