# Tables that change their definition in mid-stream: the copy follows, or the consumer stops with a clear error.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('schema');
$node->safe_psql('postgres', q{
    CREATE TABLE orders (id int PRIMARY KEY, note varchar(10), price numeric(8,2), old int);
    ALTER TABLE orders REPLICA IDENTITY FULL;
    INSERT INTO orders SELECT n, 'note ' || n, n, n FROM generate_series(1, 20) AS n;
    CREATE TABLE parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
});
my $file = scratch_file('sink.db');
my %run = (sink => "sqlite:$file", args => ['--until-caught-up']);
my %anew = (sink => "sqlite:$file", args => [ '--until-caught-up', '--on-rewrite', 'resnapshot' ]);
my @tables = qw(public.orders public.parts);
consumer_ok($node, 'run', 'the first copy', %run);

my $id = 100;

# A change of definition, with rows before and behind it in one stream.
sub follows {
    my ($name, $ddl, $values) = @_;
    my $first = ++$id;
    my $second = ++$id;
    $node->safe_psql('postgres', $_) for "INSERT INTO orders (id) VALUES ($first)", $ddl, 'INSERT INTO orders ' . $values->($second);
    consumer_ok($node, 'run', $name, %run);
    same_in_sqlite($node, $file, $name, @tables);
    return;
}

follows('a column without default', 'ALTER TABLE orders ADD added text', sub { "(id, added) VALUES ($_[0], 'x')" });
follows('a column with a default', q(ALTER TABLE orders ADD flag boolean NOT NULL DEFAULT true, ADD at timestamptz DEFAULT '2026-01-02 03:04:05+00', ADD raw bytea DEFAULT '\x00ff', ADD list int[] DEFAULT '{1,2}'),
    sub { "(id, flag) VALUES ($_[0], false)" });
follows('a column that was dropped', 'ALTER TABLE orders DROP old', sub { "(id) VALUES ($_[0])" });
follows('a column that was renamed', 'ALTER TABLE orders RENAME note TO remark', sub { "(id, remark) VALUES ($_[0], 'r')" });
follows('one dropped and one added under its name', 'ALTER TABLE orders DROP added; ALTER TABLE orders ADD added int',
    sub { "(id, added) VALUES ($_[0], 7)" });
follows('a wider type', 'ALTER TABLE orders ALTER remark TYPE varchar(20)', sub { "(id, remark) VALUES ($_[0], 'more than ten')" });
follows('text', 'ALTER TABLE orders ALTER remark TYPE text', sub { "(id, remark) VALUES ($_[0], repeat('y', 100))" });
follows('NOT NULL and another identity', 'UPDATE orders SET price = 0 WHERE price IS NULL; ALTER TABLE orders ALTER price SET NOT NULL; ALTER TABLE orders REPLICA IDENTITY DEFAULT',
    sub { "(id, price) VALUES ($_[0], 1)" });
$node->safe_psql('postgres', q(CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
    INSERT INTO parts VALUES (1, '2026-01-15'), (2, '2026-02-15')));
consumer_ok($node, 'run', 'a partition that is new', %run);
same_in_sqlite($node, $file, 'a partition that is new', @tables);
$node->safe_psql('postgres', q(CREATE TABLE fresh (a int PRIMARY KEY); INSERT INTO fresh VALUES (1), (2)));
consumer_ok($node, 'run', 'a table that is new', %run);
same_in_sqlite($node, $file, 'a table that is new', @tables, 'public.fresh');
push @tables, 'public.fresh';

# --- what cannot be followed ------------------------------------------------------------------------------------------

my @obstacles = (
    [ 'a type that changes values', q(ALTER TABLE orders ALTER price TYPE numeric(10,4); INSERT INTO orders (id, price) VALUES (500, 1)), qr/type of its column "price"/ ],
    [ 'a default that differs by row', q(ALTER TABLE orders ADD token uuid DEFAULT gen_random_uuid(); INSERT INTO orders (id, price) VALUES (501, 1)), qr/new column "token"/ ],
    [ 'another key', q(ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (id, price); INSERT INTO orders (id, price) VALUES (502, 1)), qr/identify its rows/ ],
    [ 'another table under the name', q(DROP TABLE fresh; CREATE TABLE fresh (a int PRIMARY KEY); INSERT INTO fresh VALUES (7)), qr/another one has its name/ ],
    [ 'a partition with rows of its own', q(CREATE TABLE parts_3 (id int, day date, PRIMARY KEY (id, day)); INSERT INTO parts_3 VALUES (1, '2026-03-03');
        ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); INSERT INTO parts VALUES (2, '2026-03-04')), qr/was attached|became a partition/ ]);
for my $case (@obstacles) {
    my ($name, $sql, $message) = @$case;
    my $before = sqlite_rows($file, 'SELECT position FROM cdc_state');
    $node->safe_psql('postgres', $sql);
    consumer_fails($node, 'run', 4, $message, $name, %run, hint => 'resnapshot');
    consumer_ok($node, 'run', "$name: with a new copy", %anew);
    same_in_sqlite($node, $file, $name, @tables);
}
$node->safe_psql('postgres', q(ALTER TABLE orders REPLICA IDENTITY NOTHING; UPDATE orders SET remark = 'z' WHERE id = 5; DELETE FROM orders WHERE id = 5));
consumer_fails($node, 'run', 1, qr/orders/, 'rows that are not named', %run, hint => 'REPLICA IDENTITY FULL');

done_testing();
