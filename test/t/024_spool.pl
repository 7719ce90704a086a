# Large transactions are decoded before their end. What comes out is, byte for byte, what comes out when they fit in
# memory: under DDL, TRUNCATE, TOAST, messages, origins, and subtransactions and transactions that are rolled back, while
# they run, and also when everything lies in the past.
use strict;
use warnings;

use CdcTest;
use JSON::PP qw(encode_json);
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 4;
my $seed = $ENV{CDC_TEST_SEED} // int(rand(1_000_000));
note("CDC_TEST_SEED=$seed makes the same choices, though not the same interleaving");
my $node = cdc_node('spool', conf => "logical_decoding_work_mem = 64kB\nautovacuum = off\nfsync = off\nmax_connections = 40"
      . "\nclient_min_messages = warning\nmax_replication_slots = 30\nmax_wal_senders = 20\ndeadlock_timeout = 100ms");
if ($node->pg_version >= 16) {
    plan(skip_all => 'from 16 on, changes of transactions in progress are not taken: see kStreamsSafely in callbacks.cpp');
}
$node->safe_psql('postgres', q{
    CREATE TABLE shared (id bigint PRIMARY KEY, n int, body text);
    ALTER TABLE shared REPLICA IDENTITY FULL;
    CREATE TABLE hidden (id bigint, body text);
    CREATE TYPE mood AS ENUM ('calm', 'busy');
    SELECT pg_replication_origin_create('elsewhere');
    CREATE SEQUENCE made;
});
for my $client (0 .. $clients - 1) {
    my $identity = $client % 2 ? 'FULL' : 'DEFAULT';
    $node->safe_psql('postgres', qq{
        CREATE TABLE own_$client (id bigserial PRIMARY KEY, body text, m mood DEFAULT 'calm', tags text[], d date);
        ALTER TABLE own_$client REPLICA IDENTITY $identity, ALTER body SET STORAGE EXTERNAL;
        CREATE TABLE parts_$client (id int, at int) PARTITION BY RANGE (at);
        CREATE TABLE parts_${client}_a PARTITION OF parts_$client FOR VALUES FROM (0) TO (50);
        CREATE TABLE parts_${client}_b PARTITION OF parts_$client FOR VALUES FROM (50) TO (100);
    });
}

# One step of a transaction; further ones in a subtransaction of it, which may be rolled back, alone or with those above.
$node->safe_psql('postgres', q{
    CREATE FUNCTION step(client int, depth int) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        own text := 'own_' || client;
        dice int := floor(random() * 15);
        key bigint := client * 1000000 + floor(random() * 300);
        made text;
    BEGIN
        IF dice <= 1 THEN
            INSERT INTO shared SELECT key + g, g, repeat('x', 40) || g
                FROM generate_series(1, 60) AS g ON CONFLICT (id) DO UPDATE SET n = shared.n + 1;
        ELSIF dice = 2 THEN
            UPDATE shared SET n = n + 1, body = body || '.' WHERE id BETWEEN key AND key + 80;
        ELSIF dice = 3 THEN
            DELETE FROM shared WHERE id BETWEEN key AND key + 20;
        ELSIF dice = 4 THEN
            EXECUTE format('INSERT INTO %I (body, tags, d) SELECT repeat(md5(random()::text), 100), ARRAY[g::text, NULL],
                            ''infinity'' FROM generate_series(1, 8) AS g', own);
        ELSIF dice = 5 THEN
            EXECUTE format('UPDATE %I SET m = ''busy'', d = ''2020-02-02'' WHERE id %% 3 = %s', own, key % 3);
        ELSIF dice = 6 THEN
            EXECUTE format('ALTER TABLE %I ADD COLUMN IF NOT EXISTS extra int DEFAULT %s', own, key % 1000);
            EXECUTE format('INSERT INTO %I (body) SELECT ''with it'' FROM generate_series(1, 20)', own);
        ELSIF dice = 7 THEN
            EXECUTE format('ALTER TABLE %I DROP COLUMN IF EXISTS extra', own);
            EXECUTE format('INSERT INTO %I (body) SELECT ''without it'' FROM generate_series(1, 20)', own);
        ELSIF dice = 8 AND random() < 0.3 THEN
            EXECUTE format('TRUNCATE %I', own);
        ELSIF dice = 9 THEN
            PERFORM pg_logical_emit_message(true, 'note', 'by ' || client || ' ' || repeat('m', (random() * 300)::int))
                FROM generate_series(1, 5);
            PERFORM pg_logical_emit_message(false, 'note', 'outside, by ' || client);
            PERFORM pg_logical_emit_message(true, 'cdc_plugin.heartbeat', 'beat');
        ELSIF dice = 10 THEN
            made := 'made_' || nextval('made');
            EXECUTE format('CREATE TABLE %I (id int, body text)', made);
            EXECUTE format('INSERT INTO %I SELECT g, ''new'' FROM generate_series(1, 150) AS g', made);
            EXECUTE format('ALTER TABLE %I RENAME body TO text', made);
            EXECUTE format('INSERT INTO %I VALUES (0, ''renamed'')', made);
            IF random() < 0.5 THEN
                EXECUTE format('DROP TABLE %I', made);
            END IF;
        ELSIF dice = 11 THEN
            INSERT INTO hidden SELECT g, repeat('h', 60) FROM generate_series(1, 80) AS g;
        ELSIF dice = 12 THEN
            EXECUTE format('INSERT INTO parts_%s SELECT g, g %% 100 FROM generate_series(1, 60) AS g', client);
            EXECUTE format('UPDATE parts_%s SET at = (at + 50) %% 100 WHERE id < 10', client);
        ELSIF depth < 4 THEN
            BEGIN
                FOR i IN 1 .. 3 LOOP
                    PERFORM step(client, depth + 1);
                END LOOP;
                IF random() < 0.4 THEN
                    RAISE 'back';
                END IF;
            EXCEPTION WHEN raise_exception THEN
                IF random() < 0.3 AND depth > 0 THEN
                    RAISE 'back further';
                END IF;
            END;
        END IF;
    END $$;
});
my $script = scratch_file('work.sql');
append_to_file($script, q{
    \set steps random(1, 25)
    \set fate random(1, 5)
    \set seed random(0, 1000000)
    SELECT setseed(:seed / 1000000.0);
    BEGIN;
    SELECT CASE WHEN :client_id = 1 AND NOT pg_replication_origin_session_is_setup()
                THEN pg_replication_origin_session_setup('elsewhere') END;
    SELECT step(:client_id, 0) FROM generate_series(1, :steps);
    SELECT pg_sleep(random() / 100);
    SELECT step(:client_id, 0) FROM generate_series(1, :steps);
    \if :fate = 1
        ROLLBACK;
    \else
        COMMIT;
    \endif
});

# In pairs: one of each is read while the transactions run, the other is read with all of it in memory.
my %options = (
    plain => {},
    few => { origin => 'none', actions => 'insert,delete', exclude_tables => 'public.hidden, public.own_0',
        batch_bytes => 100, message_prefixes => 'not there' },
    all => { skip_empty_xacts => 'off', changed_columns => 'on', origin => 'none', max_value_bytes => 1000,
        batch_bytes => '1MB' });
for my $name (sort keys %options) {
    create_slot($node, "${name}_$_") for qw(live past memory);
}
my %live = map { $_ => receive($node, "${_}_live", options => $options{$_}) } sort keys %options;
my $ran = run_log([ $node->installed_command('pgbench'), '-n', '--random-seed', $seed, '-c', $clients, '-j', 2, '-t', 60, '-f', $script,
        $node->connstr('postgres') ]);
ok($ran, 'the transactions run');
die 'there is nothing to compare' if !$ran;
# A commit, so that a message outside of transactions before it is written, too.
$node->safe_psql('postgres', q(INSERT INTO shared VALUES (-1, 0, 'the end')));
my $end = current_lsn($node);

sub with_memory {
    my ($memory, $slot, $options) = @_;
    local $ENV{PGOPTIONS} = "-c logical_decoding_work_mem=$memory";
    return drain($node, $slot, options => $options, endpos => $end);
}

sub same {
    my ($file, $expected, $what) = @_;
    return if ok(slurp_file($file) eq slurp_file($expected), $what);
    my @got = events($file);
    my @expected = events($expected);
    my $at = 0;
    ++$at while $at < @got && $at < @expected && $got[$at]{digest} eq $expected[$at]{digest};
    my $shown = sub { return join("\n", map { substr(defined $_ ? encode_json($_) : 'none', 0, 400) } @_) };
    diag("event $at:\n" . $shown->(@got[$at .. $at + 2]) . "\ninstead of:\n" . $shown->(@expected[$at .. $at + 2]));
    return;
}

for my $name (sort keys %options) {
    $live{$name}->wait_for_confirmation($end);
    is($live{$name}->stop, 0, "$name: the live stream ends cleanly");
    my $memory = with_memory('2GB', "${name}_memory", $options{$name});
    my $past = with_memory('64kB', "${name}_past", $options{$name});
    my $summary = summary($memory);
    note("$name: " . join(', ', map { "$_ $summary->{kinds}{$_}" } sort keys %{ $summary->{kinds} }));
    cmp_ok($summary->{kinds}{insert}, '>', 1000, "$name: there are changes");
    same($live{$name}->file, $memory, "$name: read while the transactions ran, it is the same");
    same($past, $memory, "$name: and read afterwards");
    my %counts = map {
        my $slot = "${name}_$_";
        $node->poll_query_until('postgres', "SELECT total_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '$slot'");
        $_ => $node->safe_psql('postgres',
            "SELECT stream_count, spill_count FROM pg_stat_replication_slots WHERE slot_name = '$slot'")
    } qw(live past memory);
    note("$name: " . join(', ', map { "$_ $counts{$_}" } sort keys %counts));
    is($counts{memory}, '0|0', "$name: what it is compared with was in memory");
    cmp_ok((split(/\|/, $counts{$_}))[0], '>', 50, "$name: $_ was decoded before the transactions' ends") for qw(live past);
}
is_deeply([ glob($node->data_dir . '/pg_replslot/*/xid-*') ], [], 'no file is left');

# A message of one subtransaction and the change of another that follows it in the WAL have the same LSN, and the server
# hands over either first. Here it is always the message; also if many rows come from one WAL record, and if what comes
# first is rolled back.
create_slot($node, $_) for qw(tie_memory tie_past);
$node->safe_psql('postgres', q{SELECT pg_create_logical_replication_slot('tie_server', 'test_decoding')});
$node->safe_psql('postgres', q{
    CREATE TABLE tie (n int, body text);
    DO $$
    BEGIN
        FOR i IN 1 .. 400 LOOP
            BEGIN
                PERFORM pg_logical_emit_message(true, 'tie', i::text);
                IF i % 4 = 2 THEN
                    BEGIN
                        INSERT INTO tie VALUES (i, 'below');
                        RAISE 'back' ;
                    EXCEPTION WHEN raise_exception THEN
                    END;
                END IF;
            EXCEPTION WHEN division_by_zero THEN
            END;
            IF i % 4 = 0 THEN
                BEGIN
                    INSERT INTO tie VALUES (i, 'in another one');
                EXCEPTION WHEN division_by_zero THEN
                END;
            ELSIF i % 4 = 1 THEN
                INSERT INTO tie SELECT i, repeat('m', 200);
            ELSE
                INSERT INTO tie VALUES (i, 'above');
            END IF;
        END LOOP;
    END $$;
});
$end = current_lsn($node);
my @ties = map { [ events(with_memory($_->[0], "tie_$_->[1]", {})) ] } [ '2GB', 'memory' ], [ '64kB', 'past' ];
my $order = sub { return join(' ', map { $_->{kind} eq 'message' ? "m$_->{content}" : $_->{after} ? "i$_->{after}{n}" : () } @_) };
my $expected = join(' ', map { ("m$_", "i$_") } 1 .. 400);
is($order->(@{ $ties[0] }), $expected, 'each message is in front of the change that follows it');
is($order->(@{ $ties[1] }), $expected, 'in a transaction that is spooled, too');
is_deeply([ map { $_->{digest} } @{ $ties[1] } ], [ map { $_->{digest} } @{ $ties[0] } ], 'with the same ids');
my $server = $node->safe_psql('postgres', q{
    SELECT string_agg(coalesce('m' || substring(data FROM 'content:(\d+)'), 'i' || substring(data FROM 'n\[integer\]:(\d+)')), ' ')
    FROM pg_logical_slot_get_changes('tie_server', NULL, NULL)});
note(substr($server, 0, 100));
isnt($server, $expected, 'which is not the order that the server gives');

# In the stream's own words: what a SQL function gives with little memory and with much.
sub same_in_sql {
    my ($slot, $memory, $what) = @_;
    my $query = sub {
        return $node->safe_psql('postgres', qq{
            SET logical_decoding_work_mem = '$_[0]';
            SELECT count(*), md5(string_agg(data, '' ORDER BY number)), sum(length(data))
            FROM (SELECT data, row_number() OVER () AS number
                  FROM pg_logical_slot_peek_binary_changes('$slot', NULL, NULL)) AS peeked});
    };
    is($query->($memory), $query->('2GB'), $what);
    return;
}

# Messages in front of changes of relations that the stream has described already.
$node->safe_psql('postgres', q{
    DO $$ BEGIN FOR i IN 0 .. 19 LOOP EXECUTE format('CREATE TABLE many_%s (n int, body text)', i); END LOOP; END $$});
create_slot($node, 'described');
$node->safe_psql('postgres', q{
    DO $$ BEGIN FOR i IN 0 .. 19 LOOP EXECUTE format('INSERT INTO many_%s VALUES (-1)', i); END LOOP; END $$});
$node->safe_psql('postgres', q{
    DO $$
    BEGIN
        FOR i IN 1 .. 1500 LOOP
            BEGIN
                PERFORM pg_logical_emit_message(true, 'tie', i::text);
            EXCEPTION WHEN division_by_zero THEN
            END;
            BEGIN
                EXECUTE format('INSERT INTO many_%s VALUES (%s, ''another'')', i % 20, i);
            EXCEPTION WHEN division_by_zero THEN
            END;
        END LOOP;
    END $$});
same_in_sql('described', '64kB', 'no message is lost with a definition that the stream has');
is($node->safe_psql('postgres', q(
        SET logical_decoding_work_mem = '64kB';
        SELECT count(*) FROM cdc.peek_changes('described') WHERE op = 'message')), 1500, 'not one');

# Rows of one WAL record, in batches of any size.
create_slot($node, 'copied');
$node->safe_psql('postgres', q{
    CREATE TABLE copied (n int, body text);
    COPY copied FROM PROGRAM 'for n in $(seq 5000); do echo "$n	some text"; done'});
for my $bytes (1, 500, 65536) {
    is($node->safe_psql('postgres', qq{
            SET logical_decoding_work_mem = '64kB';
            SELECT count(*), sum(length(data)) FROM pg_logical_slot_peek_binary_changes('copied', NULL, NULL, 'batch_bytes', '$bytes')}),
        $node->safe_psql('postgres', qq{
            SET logical_decoding_work_mem = '2GB';
            SELECT count(*), sum(length(data)) FROM pg_logical_slot_peek_binary_changes('copied', NULL, NULL, 'batch_bytes', '$bytes')}),
        "COPY in batches of $bytes bytes");
}
is($node->safe_psql('postgres', q{
        SELECT count(*) FROM pg_logical_slot_peek_binary_changes('copied', NULL, NULL, 'batch_bytes', '1')}), 5003,
    'batch_bytes=1: each row of a COPY is a message');

# Subtransactions that the server does not say were rolled back: those that it had itself written to disk in part.
create_slot($node, 'serialized');
$node->safe_psql('postgres', q{
    CREATE TABLE big (id int PRIMARY KEY, body text, n int);
    ALTER TABLE big ALTER body SET STORAGE EXTERNAL});
$node->safe_psql('postgres', q{
    BEGIN;
    INSERT INTO big VALUES (1, repeat('abcdefghij', 1000000), 0);
    SAVEPOINT x;
    INSERT INTO big VALUES (2, repeat('abcdefghij', 1000000), 1);
    ROLLBACK TO x;
    UPDATE big SET n = 6;
    COMMIT});
is($node->safe_psql('postgres', q{
        SET logical_decoding_work_mem = '64kB';
        SELECT string_agg(concat(ordinal, ' ', op, ' ', after->>'n'), ', ' ORDER BY ordinal) FROM cdc.peek_changes('serialized')}),
    '1 insert 0, 2 update 6', 'a subtransaction with a large value that is rolled back leaves nothing');
same_in_sql('serialized', '64kB', 'and else it is the same');

# A position in the middle of a transaction.
create_slot($node, 'advanced');
my $open = session($node);
$open->query_safe(q{BEGIN; INSERT INTO copied VALUES (1, 'first'); SAVEPOINT a;
    INSERT INTO copied SELECT g, 'rolled back' FROM generate_series(1, 20000) AS g});
$node->safe_psql('postgres', q{INSERT INTO tie VALUES (0, 'between')});
$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('advanced', pg_current_wal_lsn())});
$open->query_safe(q{INSERT INTO copied SELECT g, 'rolled back, too' FROM generate_series(1, 300) AS g; ROLLBACK TO a;
    INSERT INTO copied SELECT g, 'kept' FROM generate_series(1, 10) AS g; COMMIT});
end_session($open);
is($node->safe_psql('postgres', q{
        SET logical_decoding_work_mem = '64kB';
        SELECT string_agg(DISTINCT after->>'body', ', '), count(*), max(ordinal) FROM cdc.peek_changes('advanced')}),
    'first, kept|11|11', 'nor does one that was read in part before');
same_in_sql('advanced', '64kB', 'and else it is the same');

# Thousands of them.
create_slot($node, 'thousands');
$node->safe_psql('postgres', q{
    DO $$
    BEGIN
        FOR i IN 1 .. 3000 LOOP
            BEGIN
                INSERT INTO tie VALUES (i, 'in a subtransaction');
                IF i % 3 <> 0 THEN
                    RAISE 'back';
                END IF;
            EXCEPTION WHEN raise_exception THEN
            END;
        END LOOP;
    END $$});
same_in_sql('thousands', '64kB', 'thousands of subtransactions, most of which are rolled back');
is($node->safe_psql('postgres', q{
        SET logical_decoding_work_mem = '64kB';
        SELECT count(*), max(ordinal) FROM cdc.peek_changes('thousands')}), '1000|1000', 'give what is left of them');

# SQL functions go the same way, inside of a transaction.
create_slot($node, 'sql');
$node->safe_psql('postgres', q{INSERT INTO shared SELECT g, 0, repeat('s', 100) FROM generate_series(10000000, 10002000) AS g});
my $count = q{SELECT count(*) || ' ' || count(DISTINCT ordinal) FROM cdc.peek_changes('sql')};
is($node->safe_psql('postgres', $count), '2001 2001', 'through a SQL function');

# A server that dies in the middle leaves a file, which goes when it starts.
my $session = session($node);
$session->query_safe(q{BEGIN});
create_slot($node, 'killed');
my $receiver = receive($node, 'killed');
$receiver->walsender;
$session->query_safe(q{INSERT INTO shared SELECT g, 0, repeat('k', 100) FROM generate_series(20000000, 20005000) AS g});
my $files = sub { return scalar(my @files = glob($node->data_dir . '/pg_replslot/killed/xid-*-cdc_plugin.spill')) };
wait_until('the open transaction is spooled', sub { return $files->() == 1 });
crash($node);
$receiver->wait_for_end;
is($files->(), 1, 'a killed server leaves the spool');
start_behind_crash($node);
is($files->(), 0, 'which is gone when it has started');
is(summary(drain($node, 'killed'))->{kinds}{insert} // 0, 0, 'as its transaction is');
$session->{run}->kill_kill;

done_testing();
