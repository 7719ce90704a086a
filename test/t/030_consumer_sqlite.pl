# The consumer's main job: a copy in SQLite that equals the source, and views on top of it that stay fresh.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('sqlite', conf => 'max_prepared_transactions = 2');
my @tables = add_workload($node);
change_rows($node, $_) for 1 .. 3;
my $file = scratch_file('sink.db');
my %sink = (sink => "sqlite:$file");

# --- snapshot, then stream --------------------------------------------------------------------------------------------

consumer_ok($node, 'run', 'the first run copies the tables', %sink, args => ['--until-caught-up']);
same_in_sqlite($node, $file, 'after the snapshot', @tables);
is($node->safe_psql('postgres', 'SELECT active, plugin FROM pg_replication_slots'), 'f|cdc_plugin', 'the slot is there');
change_rows($node, $_) for 4 .. 6;
consumer_ok($node, 'run', 'the second run goes on from there', %sink, args => ['--until-caught-up']);
same_in_sqlite($node, $file, 'after the stream', @tables);
consumer_ok($node, 'run', 'a third one has nothing to do', %sink, args => ['--until-caught-up']);
same_in_sqlite($node, $file, 'and changes nothing', @tables);

# --- while it runs ----------------------------------------------------------------------------------------------------

my $consumer = start_consumer($node, %sink);
for my $round (7 .. 10) {
    change_rows($node, $round);
    wait_for_sink($node, $file, $consumer);
    same_in_sqlite($node, $file, "round $round", @tables);
}
$node->safe_psql('postgres', 'TRUNCATE log, stock; INSERT INTO stock VALUES (\'new\', 1, 1, NULL); TRUNCATE events_1');
wait_for_sink($node, $file, $consumer);
same_in_sqlite($node, $file, 'after truncation', @tables);
is(sqlite_rows($file, 'SELECT count(*) FROM events') + 0, $node->safe_psql('postgres', 'SELECT count(*) FROM events_2'),
    'of one partition only');
$node->safe_psql('postgres', q{
    BEGIN; INSERT INTO stock VALUES ('rolled back', 1, 1, 1); ROLLBACK;
    BEGIN; SAVEPOINT s; INSERT INTO stock VALUES ('lost', 1, 1, 1); ROLLBACK TO s;
        INSERT INTO stock VALUES ('kept', 1, 1, 'NaN'), ('large', 2, 2, 'Infinity'); COMMIT;
    BEGIN; UPDATE stock SET item = 5 WHERE shop = 'new'; UPDATE stock SET shop = 'newer' WHERE shop = 'new';
        INSERT INTO stock VALUES ('new', 1, 7, 1.5); COMMIT;
    BEGIN; INSERT INTO stock VALUES ('prepared', 1, 1, 1); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p';
});
wait_for_sink($node, $file, $consumer);
same_in_sqlite($node, $file, 'after rollbacks and changed keys', @tables);
consumer_fails($node, 'run', 1, qr/another process feeds SQLite file/, 'a second consumer of the sink', %sink, args => ['--until-caught-up']);
# The same slot, from a copy of the file.
my $twin = scratch_file('twin.db');
IPC::Run::run([ CdcTest::python(), '-c', 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("VACUUM INTO ?", (sys.argv[2],))', $file, $twin ])
  or die 'the file cannot be copied';
my $walsender = $consumer->walsender;
consumer_fails($node, 'run', 1, qr/^cdc_consumer: replication slot "consumer" is in use by process $walsender/, 'a second consumer of the slot',
    sink => "sqlite:$twin", args => ['--until-caught-up']);
is($consumer->stop, 0, 'SIGTERM ends it cleanly');
same_in_sqlite($node, $file, 'at its end', @tables);

# --- views ------------------------------------------------------------------------------------------------------------

my $init = scratch_file('init.sql');
append_to_file($init, <<'SQL');
CREATE VIEW per_customer AS SELECT customer, count(*) AS orders, sum(amount) AS amount FROM orders GROUP BY customer;
CREATE VIRTUAL TABLE search USING fts5(note, content='orders', content_rowid='id');
INSERT INTO search(search) VALUES ('rebuild');
CREATE TRIGGER orders_insert AFTER INSERT ON orders BEGIN
    INSERT INTO search(rowid, note) VALUES (new.id, new.note);
END;
CREATE TRIGGER orders_delete AFTER DELETE ON orders BEGIN
    INSERT INTO search(search, rowid, note) VALUES ('delete', old.id, old.note);
END;
CREATE TRIGGER orders_update AFTER UPDATE ON orders BEGIN
    INSERT INTO search(search, rowid, note) VALUES ('delete', old.id, old.note);
    INSERT INTO search(rowid, note) VALUES (new.id, new.note);
END;
SQL
my $viewed = scratch_file('viewed.db');
$consumer = start_consumer($node, sink => "sqlite:$viewed", slot => 'viewed', tables => 'public.orders',
    args => [ '--init-sql', $init ]);
wait_for_sink($node, $viewed, $consumer);
for my $round (1 .. 2) {
    change_rows($node, 10 + $round);
    $node->safe_psql('postgres', "INSERT INTO orders (id, customer, amount, note) VALUES (-$round, 3, 1, 'needle')");
    wait_for_sink($node, $viewed, $consumer);
    is(sqlite_rows($viewed, q(SELECT count(*) FROM search WHERE search MATCH 'needle')), $round,
        'the search index follows');
    is(sqlite_rows($viewed, 'SELECT customer, orders FROM per_customer ORDER BY customer'),
        $node->safe_psql('postgres', 'SELECT customer, count(*) FROM orders GROUP BY customer ORDER BY customer'),
        'and so does a view');
}
$node->safe_psql('postgres', q(DELETE FROM orders WHERE note = 'needle'));
wait_for_sink($node, $viewed, $consumer);
is(sqlite_rows($viewed, q(SELECT count(*) FROM search WHERE search MATCH 'needle')), '0', 'what is deleted is not found');
is($consumer->stop, 0, 'SIGTERM ends it cleanly');
consumer_ok($node, 'run', 'views do not stand in the way of another run', sink => "sqlite:$viewed", slot => 'viewed',
    tables => 'public.orders', args => [ '--init-sql', $init, '--until-caught-up' ]);
consumer_ok($node, 'resnapshot', 'nor of a new copy', sink => "sqlite:$viewed", slot => 'viewed',
    tables => 'public.orders', args => [ '--init-sql', $init ]);
same_in_sqlite($node, $viewed, 'with the views', 'public.orders');
is(sqlite_rows($viewed, q(SELECT count(*) FROM search WHERE search MATCH 'Grüße')),
    $node->safe_psql('postgres', q(SELECT count(*) FROM orders WHERE note LIKE 'Grüße%')), 'whose triggers saw it');

done_testing();
