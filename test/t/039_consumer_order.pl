# Changes of one key come in their order, also over two related tables; but a reader of the sink may meet a row before
# the row that it refers to only if transactions did so. An example consumer of JSON lines that joins two tables without
# assuming any order between their transactions.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('order');
$node->safe_psql('postgres', q{
    CREATE TABLE orders (id int PRIMARY KEY, state int NOT NULL);
    CREATE TABLE items (id int PRIMARY KEY, order_id int NOT NULL, version int NOT NULL);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    ALTER TABLE items REPLICA IDENTITY FULL;
});
my $lines = scratch_file('lines');
my %run = (sink => "jsonl:$lines", args => ['--until-caught-up']);
consumer_ok($node, 'run', 'the first copy', %run);

# Writers that touch both tables, in both orders.
my $script = scratch_file('writer.sql');
append_to_file($script, <<'SQL');
\set id random(1, 200)
BEGIN;
INSERT INTO orders VALUES (:id, 1) ON CONFLICT (id) DO UPDATE SET state = orders.state + 1;
COMMIT;
BEGIN;
INSERT INTO items VALUES (:id, :id, 1) ON CONFLICT (id) DO UPDATE SET version = items.version + 1;
COMMIT;
BEGIN;
DELETE FROM items WHERE id = 1 + :id % 17;
DELETE FROM orders WHERE id = 1 + :id % 13;
COMMIT;
SQL
$node->command_ok([ $node->installed_command('pgbench'), '-n', '-c', '4', '-t', '150', '-f', $script, $node->connstr('postgres') ],
    'four writers');
consumer_ok($node, 'run', 'what they wrote', %run);

my (%state, $broken, $changes);
for my $event (json_lines($lines)) {
    next unless $event->{record} eq 'change';
    my $key = "$event->{table} " . ($event->{after} // $event->{before})->{id};
    my $previous = $state{$key};
    my $counter = $event->{table} eq 'orders' ? 'state' : 'version';
    ++$changes;
    # Each old row is the new row of the change before.
    ++$broken if $event->{op} eq 'insert' ? defined $previous : !defined $previous || $event->{before}{$counter} != $previous;
    $state{$key} = $event->{op} eq 'delete' ? undef : $event->{after}{$counter};
}
cmp_ok($changes, '>', 500, 'there are many changes');
is($broken // 0, 0, 'each continues the one before of its key');

my ($out, $err) = ('', '');
IPC::Run::run([ CdcTest::python(), "$CdcTest::top/docs/examples/join_tables.py", $lines ], '>', \$out, '2>', \$err) or die $err;
is($out, $node->safe_psql('postgres', q(SELECT o.id, o.state, i.version FROM orders AS o JOIN items AS i ON i.order_id = o.id ORDER BY 1), extra_params => [ '-F', "\t" ]) . "\n",
    'the example joins the tables as the source does');

done_testing();
