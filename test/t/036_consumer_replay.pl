# Recorded streams: applied once, however often and from wherever they are replayed.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('replay');
my @tables = add_workload($node);
create_slot($node, 'recorded');
change_rows($node, $_) for 1 .. 3;
$node->safe_psql('postgres', q(SELECT pg_copy_logical_replication_slot('recorded', 'again')));
my $recording = drain($node, 'recorded', options => { tables => 'public.*' });
my $file = scratch_file('sink.db');
my %sink = (sink => "sqlite:$file", slot => undef, source => undef);

my $said = consumer_ok($node, 'replay', 'a recorded file', %sink, args => [$recording]);
like($said, qr/^[1-9]\d* transactions applied \([1-9]\d* changes\), 0 already in the sink$/m, 'which is counted');
same_in_sqlite($node, $file, 'a recorded file', @tables);
my $before = sqlite_rows($file, 'SELECT * FROM orders ORDER BY id') . sqlite_rows($file, 'SELECT * FROM log');
like(consumer_ok($node, 'replay', 'the same again', %sink, args => [$recording]),
    qr/^0 transactions applied \(0 changes\), [1-9]\d* already in the sink$/m, 'it is in the sink');
is(sqlite_rows($file, 'SELECT * FROM orders ORDER BY id') . sqlite_rows($file, 'SELECT * FROM log'), $before, 'nothing changed');

# A second recording of the same changes with more behind them, as another delivery would be.
change_rows($node, 4);
my $longer = drain($node, 'again', options => { tables => 'public.*', batch_bytes => 1 });
consumer_ok($node, 'replay', 'a longer delivery of the same', %sink, args => [$longer]);
same_in_sqlite($node, $file, 'a longer delivery', @tables);

# Every suffix that starts with a transaction changes nothing.
my @batches = do {
    my $bytes = slurp_file($longer);
    my @found;
    for (my $at = 0; $at < length($bytes);) {
        my ($size, $shift, $start) = (0, 0, $at);
        while (1) {
            my $byte = ord(substr($bytes, $at++, 1));
            $size |= ($byte & 0x7f) << $shift;
            $shift += 7;
            last if $byte < 0x80;
        }
        $at += $size + 1;
        push @found, substr($bytes, $start, $at - $start);
    }
    @found;
};
cmp_ok(scalar(@batches), '>', 100, 'there are many batches');
# With batch_bytes=1 a begin record starts a batch: tag 0x0A (records), length, tag 0x0A (begin).
my @starts = grep { my $body = $batches[$_]; $body =~ s/^[\x80-\xff]*[\x00-\x7f]//s; $body =~ /^\x0a[\x80-\xff]*[\x00-\x7f]\x0a/s } 0 .. $#batches;
$before = sqlite_rows($file, 'SELECT * FROM orders ORDER BY id') . sqlite_rows($file, 'SELECT * FROM stock ORDER BY 1, 2');
for my $start (@starts[ 1, int(@starts / 2), -1 ]) {
    my $suffix = scratch_file('suffix');
    append_to_file($suffix, join('', @batches[ $start .. $#batches ]));
    my ($exit, undef, $errors) = consumer($node, 'replay', %sink, args => [$suffix]);
    is($exit, 0, "the suffix from batch $start") or diag($errors);
}
is(sqlite_rows($file, 'SELECT * FROM orders ORDER BY id') . sqlite_rows($file, 'SELECT * FROM stock ORDER BY 1, 2'), $before,
    'suffixes change nothing');

# --- damaged files ----------------------------------------------------------------------------------------------------

my $whole = slurp_file($longer);
my %damage = (
    'a file that is cut off' => substr($whole, 0, length($whole) - 7),
    'a file that ends within a transaction' => join('', @batches[ 0 .. $starts[1] - 2 ]),
    'a file of something else' => "PGDMP\x01\x0e\x00 this is no stream\n" x 10,
    'a length that is not true' => "\xff\xff\xff\xff\x03" . $whole,
    'changed bytes' => do { my $copy = $whole; substr($copy, length($copy) / 2, 40) = "\xff" x 40; $copy },
    'an endless length' => "\xff" x 20,
);
for my $case (sort keys %damage) {
    my $damaged = scratch_file('damaged');
    append_to_file($damaged, $damage{$case});
    my $fresh = scratch_file('fresh.db');
    consumer_fails($node, 'replay', 1, qr/damaged at byte \d+/, $case, sink => "sqlite:$fresh", slot => undef, source => undef,
        args => [$damaged]);
    is(-s $fresh ? sqlite_rows($fresh, q(SELECT count(*) FROM sqlite_master WHERE name IN ('orders', 'log', 'stock'))) : 0, 0,
        "$case: nothing changed in the sink");
}
consumer_fails($node, 'replay', 1, qr/cannot open/, 'a file that is not there', %sink, args => ['/nonexistent']);

# From a pipe, and as JSON lines.
my $lines = scratch_file('lines');
consumer_ok($node, 'replay', 'from standard input', sink => "jsonl:$lines", slot => undef, source => undef, input => $recording, args => ['-']);
my @lines = json_lines($lines);
is(scalar(grep { $_->{record} eq 'commit' } @lines), scalar(grep { $_->{kind} eq 'commit' } events($recording)), 'JSON lines have each transaction');
is($lines[-1]{record}, 'state', 'and the position behind them');

done_testing();
