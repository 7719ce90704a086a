# A transaction of a million rows in bounded memory, keepalives answered meanwhile; and a sink whose disk is full.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = cdc_node('large', conf => "wal_sender_timeout = 10s\nautovacuum = off\nmax_wal_size = 4GB");
$node->safe_psql('postgres', 'CREATE TABLE rows (id int PRIMARY KEY, body text)');
my $file = scratch_file('sink.db');
my %run = (sink => "sqlite:$file");
my $consumer = start_consumer($node, %run);
wait_for_sink($node, $file, $consumer);
my $log = -s $node->logfile;
$node->safe_psql('postgres', q(INSERT INTO rows SELECT n, 'row number ' || n FROM generate_series(1, 1000000) AS n));
is(sqlite_rows($file, 'SELECT count(*) FROM rows'), '0', 'a transaction is not there in part');
wait_for_sink($node, $file, $consumer);
is(sqlite_rows($file, 'SELECT count(*), min(id), max(id), sum(id) FROM rows'), '1000000|1|1000000|500000500000', 'a million rows came');
my ($peak) = slurp_file('/proc/' . $consumer->pid . '/status') =~ /^VmHWM:\s+(\d+) kB/m;
note("$peak kB");
cmp_ok($peak, '<', 200 * 1024, 'in bounded memory');
unlike(slurp_file($node->logfile, $log), qr/terminating walsender/, 'and the server never took it for dead');

# Stopped in the middle of a large transaction, it ends soon and loses nothing.
$node->safe_psql('postgres', q(UPDATE rows SET body = 'changed'));
sleep(1);
is($consumer->stop, 0, 'SIGTERM within a transaction');
consumer_ok($node, 'run', 'the next run has it', %run, args => ['--until-caught-up']);
is(sqlite_rows($file, q(SELECT count(*) FROM rows WHERE body = 'changed')), '1000000', 'whole');

SKIP: {
    skip 'no small file system: see scripts/test', 5 if !$ENV{CDC_SMALL_FS};
    $node->safe_psql('postgres', 'TRUNCATE rows; CREATE TABLE few (id int PRIMARY KEY)');
    my $small = "$ENV{CDC_SMALL_FS}/sink.db";
    my %small = (sink => "sqlite:$small", slot => 'small', args => ['--until-caught-up']);
    consumer_ok($node, 'run', 'a copy on a small disk', %small);
    $node->safe_psql('postgres', q(INSERT INTO few VALUES (1); INSERT INTO rows SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, 300000) AS n));
    consumer_fails($node, 'run', 1, qr/no space left/, 'the disk of the sink is full', %small);
    is(sqlite_rows($small, 'SELECT count(*) FROM rows'), '0', 'the sink is as it was');
    $node->safe_psql('postgres', 'DELETE FROM rows');
    # Room is made: the retained stream is smaller than the rows were.
    $node->safe_psql('postgres', 'INSERT INTO few VALUES (2)');
    consumer_fails($node, 'run', 1, qr/no space left/, 'it is still', %small);
    unlink glob("$small*");
}

done_testing();
