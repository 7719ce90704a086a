# What the tests of cdc_consumer share: running it, waiting for it, and comparing its sinks with the source.
package CdcConsumer;

use strict;
use warnings;

use CdcTest;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  consumer consumer_ok consumer_fails start_consumer
  sqlite_rows sqlite_position wait_for_sink same_in_sqlite same_in_postgres add_workload change_rows
);

my $compare = "$CdcTest::top/test/t/lib/compare_sink.py";

sub program {
    my ($node) = @_;
    my $folder = $node->config_data('--bindir');
    return "$CdcTest::stage$folder/cdc_consumer";
}

# The command line of `cdc_consumer COMMAND` for a server.
#   slot, sink, tables => TEXT   the options of that name; those that are undef are left out
#   args => [ARG...]             further ones
sub command_line {
    my ($node, $command, %how) = @_;
    my %options = (source => $node->connstr($how{database} // 'postgres'), slot => 'consumer', %how);
    $options{tables} = 'public.*' if $command eq 'run' || $command eq 'resnapshot' and !exists $how{tables};
    my @words;
    for my $name (qw(source slot tables sink)) {
        push @words, "--$name", $options{$name} if defined $options{$name};
    }
    return (program($node), $command, @words, @{ $how{args} // [] });
}

# Runs it to its end: (exit code, standard output, standard error).
sub consumer {
    my ($node, $command, %how) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ command_line($node, $command, %how) ],
        '<', $how{input} // '/dev/null', '>', \$out, '2>', \$err,
        IPC::Run::timeout($how{timeout} // 2 * $PostgreSQL::Test::Utils::timeout_default));
    return ($? & 127 ? -($? & 127) : $? >> 8, $out, $err);
}

# The same, expected to succeed: its standard output.
sub consumer_ok {
    my ($node, $command, $name, %how) = @_;
    my ($exit, $out, $err) = consumer($node, $command, %how);
    is($exit, 0, $name) or diag($err);
    return $out;
}

# Expected to fail with an exit code, a one-line message like a pattern, and perhaps a hint like another.
sub consumer_fails {
    my ($node, $command, $code, $message, $name, %how) = @_;
    my ($exit, undef, $err) = consumer($node, $command, %how);
    is($exit, $code, "$name: exit code") or diag($err);
    my @lines = grep { /^cdc_consumer: / } split(/\n/, $err);
    is(scalar(@lines), 1, "$name: one line") or diag($err);
    like($lines[0] // '', $message, "$name: message");
    like($err, qr/^hint: .*$how{hint}/m, "$name: hint") if defined $how{hint};
    return;
}

# Starts `run` in the background: a CdcConsumer::Run.
sub start_consumer {
    my ($node, %how) = @_;
    my $log = scratch_file('consumer.log');
    my $out = scratch_file('consumer.out');
    append_to_file($log, '');    # there to be read before the process has opened it
    my $pid = CdcTest::start_command($out, $log, command_line($node, $how{command} // 'run', %how));
    return bless { pid => $pid, errors => $log, file => $out, node => $node, slot => $how{slot} // 'consumer' },
      'CdcConsumer::Run';
}

# --- sinks ------------------------------------------------------------------------------------------------------------

# Rows of a query on an SQLite file, as lines with | between columns.
sub sqlite_rows {
    my ($file, $query) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ CdcTest::python(), $compare, 'query', $file, $query ], '>', \$out, '2>', \$err)
      or die "query failed: $err\n";
    chomp $out;
    return $out;
}

# The position in a sink's state; undef if it has none yet.
sub sqlite_position {
    my ($file) = @_;
    return undef if !-s $file;
    my $position = eval { sqlite_rows($file, 'SELECT position FROM cdc_state') };
    return defined $position && $position ne '' ? $position : undef;
}

# Waits until a running consumer's sink has everything that is committed now. SINK is an SQLite file, or the node of a
# PostgreSQL sink.
sub wait_for_sink {
    my ($node, $sink, $consumer) = @_;
    # Something that is for the consumer, so that its position moves past all that came before.
    $node->safe_psql('postgres', "SELECT pg_logical_emit_message(true, 'cdc_plugin.heartbeat', 'wait')");
    my $end = current_lsn($node);
    wait_until("the sink is at $end", sub {
        die 'the consumer ended: ' . $consumer->errors . "\n" if $consumer && !$consumer->running;
        my $position = ref $sink
          ? $sink->safe_psql('postgres', "SELECT CASE WHEN to_regclass('cdc_consumer.state') IS NOT NULL THEN "
              . "(xpath('/row/p/text()', query_to_xml('SELECT max(position) AS p FROM cdc_consumer.state "
              . "WHERE phase = ''streaming''', false, true, '')))[1] END")
          : sqlite_position($sink);
        return defined $position && $position ne '' && at_or_behind($position, $end);
    });
    return;
}

sub at_or_behind {
    my ($left, $right) = map { my ($high, $low) = split(m{/}, $_); hex($high) * 2**32 + hex($low) } @_;
    return $left >= $right;
}

# Whether tables of the source, given as schema.name, have the same rows in the sink.
sub same_in_sqlite {
    my ($node, $file, $name, @tables) = @_;
    my ($out, $err) = ('', '');
    my $same = IPC::Run::run(
        [ CdcTest::python(), $compare, 'compare', $node->installed_command('psql'), $node->connstr('postgres'), $file, @tables ],
        '>', \$out, '2>', \$err);
    return ok($same, "$name: $out") || diag($out . $err);
}

sub same_in_postgres {
    my ($source, $sink, $name, @tables) = @_;
    my $same = 1;
    for my $table (@tables) {
        my $columns = $source->safe_psql('postgres', q{SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) }
                . "FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped");
        my ($left, $right) = map {
            $_->safe_psql('postgres', "SET extra_float_digits = 3; SET TimeZone = 'UTC';
                SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(r, E'\\n' ORDER BY r COLLATE \"C\")), '')
                FROM (SELECT ROW($columns)::text AS r FROM $table) AS t")
        } $source, $sink;
        $same = is($right, $left, "$name: $table") && $same;
    }
    return $same;
}

# --- a workload -------------------------------------------------------------------------------------------------------

# Tables of several shapes: a plain one, one without a primary key, one with a composite key, a partitioned one, one with
# large values and only its key in old rows.
sub add_workload {
    my ($node) = @_;
    $node->safe_psql('postgres', q{
        CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, amount numeric(12,2) NOT NULL, note text,
            paid boolean NOT NULL DEFAULT false, at timestamptz NOT NULL DEFAULT clock_timestamp(),
            token uuid NOT NULL DEFAULT gen_random_uuid(), tags text[], extra jsonb);
        ALTER TABLE orders REPLICA IDENTITY FULL;
        CREATE TABLE log (at timestamptz NOT NULL, line text, level int);
        ALTER TABLE log REPLICA IDENTITY FULL;
        CREATE TABLE stock (shop text, item int, pieces int NOT NULL, weight float8, PRIMARY KEY (shop, item));
        CREATE TABLE documents (id int PRIMARY KEY, title text, body text, raw bytea);
        ALTER TABLE documents ALTER body SET STORAGE EXTERNAL, ALTER raw SET STORAGE EXTERNAL;
        CREATE TABLE events (id int, day date, what text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
        CREATE SEQUENCE order_ids;
    });
    return qw(public.orders public.log public.stock public.documents public.events);
}

# One round of changes of all kinds, different for each seed.
sub change_rows {
    my ($node, $seed, %how) = @_;
    my $rows = $how{rows} // 20;
    $node->safe_psql('postgres', qq{
        SELECT setseed(1.0 / (1 + $seed));
        INSERT INTO orders (id, customer, amount, note, tags, extra)
            SELECT nextval('order_ids'), n % 7, n * 1.5, CASE WHEN n % 3 > 0 THEN 'Grüße ' || n END, ARRAY['a', NULL, n::text],
                   jsonb_build_object('n', n, 'seed', $seed) FROM generate_series(1, $rows) AS n;
        UPDATE orders SET amount = amount + 1, paid = NOT paid WHERE id % 3 = $seed % 3;
        DELETE FROM orders WHERE id % 11 = $seed % 11;
        INSERT INTO log SELECT clock_timestamp(), 'line ' || n / 2, n FROM generate_series(1, $rows) AS n;
        INSERT INTO log SELECT at, line, level FROM log WHERE level = 1 LIMIT 2;
        DELETE FROM log WHERE level % 5 = $seed % 5;
        UPDATE log SET line = NULL WHERE level % 7 = $seed % 7;
        INSERT INTO stock SELECT 'shop ' || n % 5, n + 1000 * $seed, n, n / 3.0 FROM generate_series(1, $rows) AS n;
        UPDATE stock SET item = item + 100000 WHERE item % 13 = 0 AND item < 100000;
        UPDATE stock SET pieces = pieces + 1 WHERE shop = 'shop ' || $seed % 5;
        INSERT INTO documents SELECT n + 1000 * $seed, 'title ' || n, repeat(md5(n::text), 200), decode(repeat('00ff', 2000), 'hex')
            FROM generate_series(1, 3) AS n;
        UPDATE documents SET title = title || '!' WHERE id % 2 = $seed % 2;
        UPDATE documents SET id = id + 500 WHERE id = 1000 * $seed + 2;
        INSERT INTO events SELECT n + 1000 * $seed, date '2026-01-01' + (n % 50), 'what' FROM generate_series(1, $rows) AS n;
        UPDATE events SET day = '2026-02-14' WHERE id = 1000 * $seed + 1;
        DELETE FROM events WHERE id % 4 = $seed % 4;
    });
    return;
}

# --- a running consumer -----------------------------------------------------------------------------------------------

package CdcConsumer::Run;

our @ISA = ('CdcTest::Receiver');

# A clean end: its exit code.
sub stop {
    my ($self) = @_;
    $self->signal('TERM');
    return $self->wait_for_end;
}

1;
