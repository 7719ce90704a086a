# A copy in another PostgreSQL that equals the source, through all kinds of changes, and when either server restarts.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('source');
my $target = PostgreSQL::Test::Cluster->new('target');
# With walsenders, so that it can be made to wait for a standby.
$target->init(allows_streaming => 1, extra => [ '-E', 'UTF8', '--locale=C' ]);
$target->append_conf('postgresql.conf', 'shared_buffers = 32MB');
$target->start;
my %sink = (sink => 'postgres:' . $target->connstr('postgres'));

my @tables = add_workload($node);
$node->safe_psql('postgres', q{
    CREATE TYPE mood AS ENUM ('sad', 'fine "quoted"');
    CREATE SCHEMA "Odd schema";
    CREATE TABLE "Odd schema"."Odd, table" ("Id" int PRIMARY KEY, "a ""b""" mood, c int[], d interval, e numeric,
        f time with time zone, g date, h timestamp, i bytea, j json, k inet, l real, m char(5), n xml, o point,
        p int4range, q text[][], r boolean, s oid);
    CREATE TABLE "Odd schema".keyless (a json, b point, c numeric, d text);
    ALTER TABLE "Odd schema".keyless REPLICA IDENTITY FULL;
});
my $odd = '"Odd schema"."Odd, table"';
push @tables, $odd, '"Odd schema".keyless';
my @rows = (
    q{(1, 'sad', '{1,NULL,3}', '1 mon 2 days 03:04:05.6', 12345678901234567890.0123456789, '12:00:00.5+05:30', 'infinity',
       '-infinity', '\x0001', '{"a": 1 }', '10.0.0.1/8', 'NaN', 'ab', '<a>1</a>', '(1,2)', '[1,5)', '{{a,b},{c,NULL}}', true, 7)},
    q{(2, 'fine "quoted"', '[0:1]={4,5}', '-1 year', 'NaN', '23:59:59-12', '4713-01-01 BC', '294276-12-31', '', 'null', '::1',
       '-Infinity', '', NULL, NULL, 'empty', '{}', false, 4294967295)},
    q{(3, NULL, NULL, NULL, -0.000010, NULL, NULL, '2026-01-01 00:00:00.000001', NULL, '[]', NULL, 1e-30, NULL, NULL, NULL, NULL,
       '{"a,b","c\"d","NULL"}', NULL, NULL)});
$node->safe_psql('postgres', "INSERT INTO $odd VALUES $_") for @rows[ 0, 1 ];
change_rows($node, $_) for 1 .. 2;

my %all = (%sink, tables => 'public.*,Odd schema.*');
consumer_ok($node, 'run', 'the first run copies the tables', %all, args => ['--until-caught-up']);
$target->safe_psql('postgres', 'SELECT 1');
same_in_postgres($node, $target, 'after the snapshot', grep { $_ ne 'public.events' } @tables);

sub same_now {
    my ($name) = @_;
    same_in_postgres($node, $target, $name, grep { $_ ne 'public.events' } @tables);
    my $query = 'SELECT id, day, what FROM events ORDER BY 1, 2';
    return is($target->safe_psql('postgres', $query), $node->safe_psql('postgres', $query), "$name: public.events");
}

my $consumer = start_consumer($node, %all);
$node->safe_psql('postgres', "INSERT INTO $odd VALUES $rows[2]");
$node->safe_psql('postgres', qq{
    UPDATE $odd SET c = '{9}', q = NULL WHERE "Id" = 1;
    UPDATE $odd SET "Id" = 20, k = '1.2.3.4' WHERE "Id" = 2;
    INSERT INTO "Odd schema".keyless VALUES ('{"a":1}', '(1,2)', 1.0, 'x'), ('{"a":1}', '(1,2)', 1.0, 'x'), (NULL, NULL, NULL, NULL),
        ('{"a":2}', NULL, 'NaN', '');
    DELETE FROM "Odd schema".keyless WHERE ctid = (SELECT min(ctid) FROM "Odd schema".keyless WHERE d = 'x');
    UPDATE "Odd schema".keyless SET d = 'was null' WHERE d IS NULL;
});
change_rows($node, $_) for 3 .. 6;
wait_for_sink($node, $target, $consumer);
same_now('after the stream');
$node->safe_psql('postgres', 'TRUNCATE stock, events_2; INSERT INTO stock VALUES (\'a\', 1, 1, \'NaN\')');
wait_for_sink($node, $target, $consumer);
same_now('after truncation');

# --- servers that go away ---------------------------------------------------------------------------------------------

for my $restarted ($target, $node) {
    my $noticed = () = $consumer->errors =~ /next attempt in/g;
    $restarted->stop('immediate');
    change_rows($node, 8) if $restarted == $target;    # a sink that nothing is written to is not missed
    wait_until('the consumer notices', sub {
        die $consumer->errors unless $consumer->running;
        return $noticed < (() = $consumer->errors =~ /next attempt in/g);
    });
    $restarted->start;
    change_rows($node, 10 + ($restarted == $node));
    wait_for_sink($node, $target, $consumer);
    same_now($restarted == $node ? 'when the source was restarted' : 'when the sink was restarted');
}
is($consumer->stop, 0, 'SIGTERM ends it cleanly');

# --- readers ----------------------------------------------------------------------------------------------------------

# While everything is copied anew, the old rows are there, and a view on them stays.
$target->safe_psql('postgres', 'CREATE VIEW totals AS SELECT customer, sum(amount) FROM orders GROUP BY customer');
$node->safe_psql('postgres', 'DELETE FROM orders WHERE id % 2 = 0');
consumer_ok($node, 'resnapshot', 'a new copy', %all);
same_now('after the new copy');
is($target->safe_psql('postgres', 'SELECT * FROM totals ORDER BY 1'),
    $node->safe_psql('postgres', 'SELECT customer, sum(amount) FROM orders GROUP BY customer ORDER BY 1'),
    'the view shows it');
change_rows($node, 20);
consumer_ok($node, 'run', 'the stream goes on behind it', %all, args => ['--until-caught-up']);
same_now('after that');

# A type that the old rows in the sink cannot be cast to.
$node->safe_psql('postgres', q{
    CREATE TABLE retyped (id text PRIMARY KEY, size text);
    INSERT INTO retyped VALUES ('a', 'large'), ('bb', 'small');
});
consumer_ok($node, 'run', 'a table of texts', %all, args => ['--until-caught-up']);
$node->safe_psql('postgres', 'ALTER TABLE retyped ALTER id TYPE int USING length(id), ALTER size TYPE int USING length(size)');
consumer_ok($node, 'resnapshot', 'a new copy of it as a table of numbers', %all);
same_in_postgres($node, $target, 'with other types', 'public.retyped');

# --- the answer to the COMMIT of a copy is lost -------------------------------------------------------------------------

# The new copy waits for a reader, and its COMMIT for a standby that does not exist: it is done, but nobody says so.
my $reader = $target->background_psql('postgres');
$reader->query_safe('BEGIN');
$reader->query_safe('SELECT count(*) FROM orders');
$node->safe_psql('postgres', 'ALTER TABLE orders ADD added int');
change_rows($node, 30);
$consumer = start_consumer($node, %all, command => 'resnapshot');
my $waiting = q(SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND wait_event);
$target->poll_query_until('postgres', "SELECT EXISTS ($waiting = 'relation')") or die 'the copy does not wait for the reader';
my $slot = $node->safe_psql('postgres', 'SELECT catalog_xmin, restart_lsn FROM pg_replication_slots');
$target->append_conf('postgresql.conf', "synchronous_standby_names = 'nobody'");
$target->reload;
# Commits wait as soon as the checkpointer has read it. Of a statement that commits, the time limit counts for that, too.
wait_until('commits wait', sub {
    $target->psql('postgres', q{SET statement_timeout = '500ms';
        DO $$BEGIN PERFORM pg_logical_emit_message(true, 'probe', ''); COMMIT; END$$}, stderr => \my $said);
    return $said =~ /wait for synchronous replication/;
});
$reader->query_safe('COMMIT');
$reader->quit;
$target->poll_query_until('postgres', "SELECT EXISTS ($waiting = 'SyncRep')") or die 'the copy is not committed';
$target->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$target->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM ($waiting = 'SyncRep') AS w");
$target->poll_query_until('postgres', "SELECT NOT EXISTS ($waiting = 'SyncRep')") or die 'it waits on';
$target->reload;
isnt($consumer->wait_for_end, 0, 'the consumer does not know how it ended');
is($node->safe_psql('postgres', 'SELECT catalog_xmin, restart_lsn FROM pg_replication_slots'), $slot, 'the slot is kept');
consumer_ok($node, 'run', 'the next run goes on, without another copy', %all, args => ['--until-caught-up']);
same_now('after the answer was lost');

# --- sinks that cannot be ---------------------------------------------------------------------------------------------

consumer_fails($node, 'run', 1, qr/source|itself/, 'a database cannot be copied into itself',
    sink => 'postgres:' . $node->connstr('postgres') . ' application_name=sink', slot => 'itself', args => ['--until-caught-up']);
$target->safe_psql('postgres', 'CREATE DATABASE taken');
$target->safe_psql('taken', 'CREATE TABLE orders (mine int); INSERT INTO orders VALUES (1)');
consumer_fails($node, 'run', 1, qr/orders/, 'a table of somebody else stays as it is',
    sink => 'postgres:' . $target->connstr('taken'), slot => 'taken', args => ['--until-caught-up']);
is($target->safe_psql('taken', 'SELECT mine FROM orders'), '1', 'with its rows');
is($node->safe_psql('postgres', q(SELECT string_agg(slot_name, ',') FROM pg_replication_slots)), 'consumer',
    'and no slot is left behind');

done_testing();
