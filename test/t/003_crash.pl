# Crashes while a client streams and others write: the walsender or the whole server is killed, several times. What the
# client has seen at the end is each committed row, and what it saw twice was the same.
use strict;
use warnings;

use CdcTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = 6;
my $node = cdc_node('crash', conf => "restart_after_crash = on\nwal_writer_delay = 10ms\nlog_min_messages = fatal");
$node->safe_psql('postgres', q{
    CREATE TABLE account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, round int, owner text, amount int);
    ALTER TABLE account REPLICA IDENTITY FULL;
});
create_slot($node, 'crash');
$node->safe_psql('postgres',
    q(INSERT INTO account (round, owner, amount) SELECT 0, 'owner ' || n, n FROM generate_series(1, 100) AS n));

my $script = scratch_file('writer.sql');
append_to_file($script, <<'SQL');
\set id random(1, 100)
\set rows random(1, 20)
BEGIN;
INSERT INTO account (round, owner, amount) SELECT :round, 'owner ' || n, n FROM generate_series(1, :rows) AS n;
UPDATE account SET amount = amount + 1 WHERE id = :id;
SAVEPOINT s;
DELETE FROM account WHERE id % 100 = :id AND id > 100;
ROLLBACK TO s;
DELETE FROM account WHERE id IN (SELECT id FROM account WHERE id > 100 ORDER BY id DESC LIMIT 3);
COMMIT;
SQL

sub start_writers {
    my ($round) = @_;
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        # Ends with the connection, when the server is killed.
        { exec('pgbench', '-n', '-c', 3, '-T', 60, '-R', 300, '-D', "round=$round", '-f', $script,
            $node->connstr('postgres')) }
        POSIX::_exit(127);
    }
    return $pid;
}

my @files;
my %ended;
for my $round (1 .. $rounds) {
    my $receiver = receive($node, 'crash', options => { batch_bytes => $round % 2 ? '64kB' : '1kB' });
    push @files, $receiver->file;
    my $walsender = $receiver->walsender;
    my $writers = start_writers($round);
    $node->poll_query_until('postgres', "SELECT count(*) > 300 FROM account WHERE round = $round") or die 'no writes';
    $receiver->wait_for_bytes(30_000);
    # Half of the rounds end before anything is confirmed.
    $receiver->wait_for_confirmation if $round % 2 == 0;
    if ($round % 3 == 1) {
        kill('KILL', $walsender);
        $ended{walsender}++;
    } elsif ($round % 3 == 2) {
        crash($node);
        $ended{server}++;
    } else {
        # The client is as far behind as can be when the server goes.
        $receiver->signal('STOP');
        crash($node);
        $receiver->signal('CONT');
        $ended{server}++;
    }
    isnt($receiver->wait_for_end, 0, "round $round: the client notices");
    waitpid($writers, 0);
    start_behind_crash($node) if $round % 3 != 1;
    $node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die 'the server does not come back';
}
wait_for_slot($node, 'crash', 'NOT active');
push @files, drain($node, 'crash');
is_deeply(\%ended, { walsender => 2, server => 4 }, 'walsender and server were killed');

my $replay = replay(\@files, '--torn');
is($replay->{conflicts}, 0, 'what came twice has the same bytes') or diag(join(' ', @{ $replay->{first_conflicts} }));
cmp_ok($replay->{repeated}, '>', 0, 'some came twice');
is($replay->{unfinished}, 0, 'each transaction that was begun came whole at last');
is($replay->{miscounted}, 0, 'and as many events as its commit counts');
note("$replay->{transactions} transactions, $replay->{events} events, $replay->{repeated} repeated");

# The events, each id once and in the order of the ids, lead to the table: none is missing, none is too many.
is(join("\n", map { join('|', @$_{qw(id round owner amount)}) } rows(\@files, 'public.account', 'id', '--torn')),
    $node->safe_psql('postgres', 'SELECT id, round, owner, amount FROM account ORDER BY id'),
    'the changes lead to the rows that the table has');
is($node->safe_psql('postgres', 'SELECT count(DISTINCT round) FROM account'), $rounds + 1, 'each round left rows');

is(scalar(events(drain($node, 'crash'))), 0, 'what was confirmed does not come again');

done_testing();
