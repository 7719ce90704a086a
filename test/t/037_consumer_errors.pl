# What bad input gets: one line that says what to do, an exit code, and a sink as it was.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('errors', conf => "max_replication_slots = 2");
$node->safe_psql('postgres', q{
    CREATE TABLE good (id int PRIMARY KEY);
    CREATE TABLE keyless (a int);
    CREATE UNLOGGED TABLE unlogged (a int PRIMARY KEY);
    CREATE ROLE reader LOGIN;
    CREATE ROLE stranger LOGIN REPLICATION;
    CREATE DATABASE bare;
});
my $count = 0;

# Each with a sink that must not have come into being.
sub refuses {
    my ($code, $message, $name, %how) = @_;
    my $file = scratch_file('sink.db');
    my $command = delete $how{command} // 'run';
    consumer_fails($node, $command, $code, $message, $name, sink => "sqlite:$file", slot => 'slot_' . ++$count, tables => 'public.good',
        args => ['--until-caught-up'], %how);
    my $tables = -s $file ? sqlite_rows($file, q(SELECT count(*) FROM sqlite_master WHERE name NOT LIKE '%cdc%')) : 0;
    is($tables, 0, "$name: nothing changed in the sink");
    is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '0', "$name: no slot is left");
    return;
}

my $host = $node->host;
my $port = $node->port;
refuses(1, qr/no-such-host|No such file|translate|connection/, 'a host that is not there', source => "host=/no-such-host port=$port");
refuses(2, qr/not a connection string/, 'a conninfo that is none', source => 'nonsense');
refuses(1, qr/database "nowhere" does not exist/, 'a database that is not there', source => "host=$host port=$port dbname=nowhere");
refuses(1, qr/role "nobody" does not exist/, 'a role that is not there', source => "host=$host port=$port dbname=postgres user=nobody");
refuses(1, qr/extension/, 'a database without the extension', source => "host=$host port=$port dbname=bare", hint => 'CREATE EXTENSION');
refuses(1, qr/REPLICATION|replication/, 'a role that may not replicate', source => "host=$host port=$port dbname=postgres user=reader", hint => 'REPLICATION');
refuses(1, qr/public\.good/, 'a role that may not read', source => "host=$host port=$port dbname=postgres user=stranger", hint => 'GRANT');
refuses(1, qr/public\.absent/, 'a table that is not there', tables => 'public.absent');
refuses(1, qr/public\.keyless/, 'a table without a usable replica identity', tables => 'public.good,public.keyless', hint => 'REPLICA IDENTITY');
refuses(1, qr/public\.unlogged/, 'an unlogged table', tables => 'public.unlogged');
refuses(2, qr/slot/, 'a slot name that none can have', slot => 'Not a slot');
refuses(2, qr/sink/, 'a sink of an unknown kind', sink => 'oracle:x');
refuses(1, qr/directory|open/, 'a sink in no folder', sink => 'sqlite:/nonexistent/sink.db');
refuses(2, qr/on-lost-slot|perhaps/, 'an unknown value', args => [ '--on-lost-slot', 'perhaps' ]);
refuses(2, qr/.+/, 'an unknown option', args => ['--no-such-option']);
refuses(2, qr/.+/, 'an init file that is not there', args => [ '--init-sql', '/nonexistent' ]);
my $text = scratch_file('text');
append_to_file($text, "this is no database\n" x 100);
refuses(1, qr/not a database|SQLite/, 'a sink that is another file', sink => "sqlite:$text");
is(slurp_file($text), "this is no database\n" x 100, 'which stays as it is');
my $lines = scratch_file('lines');
append_to_file($lines, qq({"mine": 1}\n));
refuses(1, qr/not written by this program/, 'a file of other lines', sink => "jsonl:$lines");
is(slurp_file($lines), qq({"mine": 1}\n), 'which stays as it is, too');

$node->safe_psql('postgres', q(SELECT pg_create_logical_replication_slot('one', 'test_decoding'), pg_create_logical_replication_slot('two', 'test_decoding')));
consumer_fails($node, 'run', 1, qr/slot/, 'no free slot', sink => 'sqlite:' . scratch_file('sink.db'), slot => 'three', tables => 'public.good',
    hint => 'max_replication_slots', args => ['--until-caught-up']);
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('one'), pg_drop_replication_slot('two')));

if (has_setting($node, 'output_plugin_libraries')) {
    $node->append_conf('postgresql.conf', q(output_plugin_libraries = 'pgoutput'));
    $node->restart;
    refuses(1, qr/not listed/, 'a server that refuses the plugin', hint => 'output_plugin_libraries');
    $node->append_conf('postgresql.conf', q(output_plugin_libraries = 'pgoutput, test_decoding, cdc_plugin'));
}
$node->append_conf('postgresql.conf', 'wal_level = replica');
$node->restart;
refuses(1, qr/wal_level/, 'a server without logical decoding', hint => 'wal_level');

like(consumer_ok($node, '--help', 'help', slot => undef, source => undef), qr/replay.*Exit codes/si, 'names commands and exit codes');
done_testing();
