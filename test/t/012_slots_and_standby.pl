# Several slots of one server, streamed at the same time under different options: each client gets what its options say,
# whatever happens to the others. From PostgreSQL 16 on, the same from a standby.
use strict;
use warnings;

use CdcTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('primary', conf => "max_replication_slots = 20\nmax_wal_senders = 20");
my $tables = q{
    CREATE TABLE a (id int PRIMARY KEY, body text);
    ALTER TABLE a REPLICA IDENTITY FULL;
    CREATE TABLE b (id int PRIMARY KEY, body text);
    CREATE SCHEMA s;
    CREATE TABLE s.a (id int PRIMARY KEY, body text);
};
$node->safe_psql('postgres', $tables);
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', $tables);

# name => [ options, which events of slot "all" it selects ]
my %slots = (
    all => [ { batch_bytes => '8kB' }, sub { 1 } ],
    tables => [ { tables => 'public.a' }, sub { ($_[0]{relation} // $_[0]{kind}) =~ /^(?:public\.a|message)$/ } ],
    excluded => [ { exclude_tables => 's.*', messages => 'off', batch_bytes => 1 },
        sub { ($_[0]{relation} // 's.') !~ /^s\./ } ],
    inserts => [ { actions => 'insert', message_prefixes => 'app.*', batch_bytes => '64MB' },
        sub { $_[0]{kind} eq 'insert' || $_[0]{kind} eq 'message' } ],
    nothing => [ { tables => 'no.where', messages => 'off' }, sub { 0 } ],
    json => [ { format => 'json' }, sub { 1 } ],
    killed => [ { actions => 'update,delete', messages => 'off' }, sub { $_[0]{kind} =~ /^(?:update|delete)$/ } ],
);
create_slot($node, $_) for sort keys %slots;
create_slot($node, 'elsewhere', 'second');

my %receivers = map { $_ => receive($node, $_, options => $slots{$_}[0]) } sort keys %slots;
$receivers{elsewhere} = receive($node, 'elsewhere', database => 'second');
$_->walsender for values %receivers;

sub start_writer {
    my ($database, $key) = @_;
    my $script = scratch_file('writer.sql');
    append_to_file($script, <<"SQL");
\\set id random(1, 300)
BEGIN;
INSERT INTO a VALUES (:id + $key, 'a') ON CONFLICT (id) DO UPDATE SET body = a.body || :id;
INSERT INTO b VALUES (:id + $key, 'b') ON CONFLICT (id) DO NOTHING;
UPDATE s.a SET body = 'new' WHERE id = :id + $key;
INSERT INTO s.a VALUES (:id + $key, 'sa') ON CONFLICT (id) DO NOTHING;
SELECT pg_logical_emit_message(true, 'app.' || :id, 'content');
DELETE FROM b WHERE id = :id + $key AND :id % 3 = 0;
COMMIT;
SQL
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        { exec('pgbench', '-n', '-t', 700, '-f', $script, $node->connstr($database)) }
        POSIX::_exit(127);
    }
    return $pid;
}
# Apart in their keys, so that they do not wait for each other.
my @writers = (start_writer('postgres', 0), start_writer('postgres', 1000), start_writer('second', 0));

# One of the clients is killed in the middle of it all; the others must not notice.
$receivers{killed}->wait_for_bytes(5000);
$receivers{killed}->kill_hard;
my $first_part = $receivers{killed}->file;
wait_for_slot($node, 'killed', 'NOT active');
$receivers{killed} = receive($node, 'killed', options => $slots{killed}[0]);

for my $pid (@writers) {
    waitpid($pid, 0);
    is($?, 0, 'a writer came to its end');
}
my $end = current_lsn($node);
for my $name (sort keys %receivers) {
    $receivers{$name}->wait_for_confirmation($end);
    is($receivers{$name}->stop, 0, "$name: pg_recvlogical was there until the end");
}

my @all = changes($receivers{all}->file, '--brief');
cmp_ok(scalar(@all), '>', 5000, 'enough was written');
my %digest = map { $_->{id} => $_->{digest} } @all;
for my $name (sort keys %slots) {
    next if $name eq 'json';
    my @expected = map { $_->{id} } grep { $slots{$name}[1]->($_) } @all;
    my @files = ($name eq 'killed' ? $first_part : (), $receivers{$name}->file);
    my %found = map { $_->{id} => $_->{digest} } map { changes($_, '--torn', '--brief') } @files;
    is(scalar(keys %found), scalar(@expected), "$name: as many events as its options say");
    is_deeply([ grep { ($found{$_} // '') ne $digest{$_} } @expected ], [], "$name: the same ones as without options");
}
is(-s $receivers{nothing}->file, 0, 'nothing: not a byte was sent');
is(summary($receivers{inserts}->file)->{messages}, summary($receivers{inserts}->file)->{kinds}{commit},
    'inserts: a message for each transaction, however large batches may be');
my @json = json_lines($receivers{json}->file);
is(scalar(grep { exists $_->{ordinal} } @json), scalar(@all), 'json: as many events, in lines of JSON');
my $summary = summary($receivers{elsewhere}->file);
is($summary->{kinds}{message}, 700, 'elsewhere: the events of its own database');

# --- a standby --------------------------------------------------------------------------------------------------------

SKIP: {
    skip 'logical decoding on a standby needs PostgreSQL 16', 5 if $node->pg_version < 16;

    $node->safe_psql('postgres', q(SELECT pg_create_physical_replication_slot('standby')));
    $node->backup('base');
    my $standby = PostgreSQL::Test::Cluster->new('standby');
    $standby->init_from_backup($node, 'base', has_streaming => 1);
    $standby->append_conf('postgresql.conf', "primary_slot_name = 'standby'\nhot_standby_feedback = on");
    $standby->start;
    $node->wait_for_replay_catchup($standby);

    # The slot waits for a record of running transactions, which the primary must write.
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        my $connection = $standby->connstr('postgres');
        { exec('pg_recvlogical', '-d', $connection, '-S', 'there', '--create-slot', '-P', 'cdc_plugin') }
        POSIX::_exit(127);
    }
    wait_until('the slot is created', sub {
        $node->safe_psql('postgres', 'SELECT pg_log_standby_snapshot()');
        return waitpid($pid, POSIX::WNOHANG()) == $pid;
    });
    is($?, 0, 'a slot on the standby');
    create_slot($node, 'here');
    $node->safe_psql('postgres', q{
        INSERT INTO a SELECT n, 'standby' FROM generate_series(5001, 6000) AS n;
        UPDATE a SET body = 'x' WHERE id > 5900;
        INSERT INTO b VALUES (9999, 'last');
    });
    my $lsn = current_lsn($node);
    $node->wait_for_replay_catchup($standby);
    my @there = changes(drain($standby, 'there', endpos => $lsn), '--brief');
    my @here = changes(drain($node, 'here', endpos => $lsn), '--brief');
    is(scalar(@here), 1101, 'the primary gives the changes');
    is_deeply([ map { "$_->{id} $_->{digest}" } @there ], [ map { "$_->{id} $_->{digest}" } @here ],
        'the standby gives the same, with the same ids and bytes');

    $standby->promote;
    $standby->safe_psql('postgres', q(INSERT INTO b VALUES (10000, 'promoted')));
    my @promoted = changes(drain($standby, 'there'));
    is(scalar(@promoted), 1, 'the slot survives promotion');
    is($promoted[0]{after}{body}, 'promoted', 'and gives what comes behind it');
}

done_testing();
