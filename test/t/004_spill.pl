# A transaction of a million changes, much of it in subtransactions, that does not fit in logical_decoding_work_mem:
# everything arrives, and the walsender stays small.
use strict;
use warnings;

use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('spill', conf => "logical_decoding_work_mem = 256kB\nautovacuum = off");
$node->safe_psql('postgres', q{
    -- One type of each way to encode: as it stands, from its parts, by its output function.
    CREATE TABLE fact (id int, sub int, amount numeric(10,2), body text, span int4range DEFAULT '[1,9)');
    ALTER TABLE fact REPLICA IDENTITY FULL;
});
create_slot($node, $_) for qw(spill narrow);
my $spill_files = sub {
    my @files = glob($node->data_dir . '/pg_replslot/spill/xid-*');
    return scalar(@files);
};

# 550,000 inserts by the transaction itself, then 300 subtransactions of 1,000, of which each third is rolled back, with
# a level below in each tenth; 200,000 updates, 50,000 deletes.
$node->safe_psql('postgres', q{
    DO $$
    BEGIN
        INSERT INTO fact SELECT n, 0, n / 100.0, 'row ' || n FROM generate_series(1, 550000) AS n;
        FOR s IN 1 .. 300 LOOP
            BEGIN
                INSERT INTO fact SELECT n, s, n, 'sub' FROM generate_series(1, 990) AS n;
                BEGIN
                    INSERT INTO fact SELECT n, s, n, 'below' FROM generate_series(991, 1000) AS n;
                    IF s % 10 = 0 THEN
                        RAISE 'back';
                    END IF;
                EXCEPTION WHEN raise_exception THEN
                    INSERT INTO fact SELECT n, s, n, 'again' FROM generate_series(991, 1000) AS n;
                END;
                IF s % 3 = 0 THEN
                    RAISE 'back';
                END IF;
            EXCEPTION WHEN raise_exception THEN
            END;
        END LOOP;
        UPDATE fact SET amount = -amount WHERE sub = 0 AND id <= 200000;
        DELETE FROM fact WHERE sub = 0 AND id > 500000;
    END $$;
});
my %expected = (
    begin => 1, commit => 1, relation => 1, insert => 550000 + 200 * 1000, update => 200000, delete => 50000);
is($node->safe_psql('postgres', 'SELECT count(*) FROM fact'), 700000, 'the transaction did what it should');

# Peak of a process's resident memory in kB, from the kernel.
sub peak {
    my ($pid) = @_;
    my $status = eval { slurp_file("/proc/$pid/status") } // return 0;
    return $status =~ /^VmHWM:\s+(\d+) kB/m ? $1 : 0;
}

sub stream {
    my ($slot, %options) = @_;
    my $receiver = receive($node, $slot, options => \%options);
    my $walsender = $receiver->walsender;
    my ($peak, $spilled) = (0, 0);
    my $end = current_lsn($node);
    wait_until('all is confirmed', sub {
        my $now = peak($walsender);
        $peak = $now if $now > $peak;
        $spilled = 1 if $slot eq 'spill' && !$spilled && $spill_files->() > 0;
        return $node->safe_psql('postgres',
            "SELECT confirmed_flush_lsn >= '$end' FROM pg_replication_slots WHERE slot_name = '$slot'") eq 't';
    });
    is($receiver->stop, 0, "$slot: pg_recvlogical ends cleanly");
    return ($receiver->file, $peak, $spilled);
}

my ($file, $peak, $spilled) = stream('spill');
my $summary = summary($file);
is_deeply($summary->{kinds}, \%expected, 'all changes arrive, those that were rolled back do not');
is($summary->{largest_transaction}, 1000000, 'a million in one transaction');
is($summary->{gaps}, 0, 'numbered from 1 to 1,000,000');
ok($spilled, 'the walsender had spilled records to pg_replslot');
is($spill_files->(), 0, 'nothing of that is left');
# Up to 15, the plugin is handed all of it before the commit; later servers write it to disk themselves.
my ($counted, $other) = $node->pg_version < 16 ? qw(stream spill) : qw(spill stream);
$node->poll_query_until('postgres',
    "SELECT ${counted}_txns > 0 AND ${counted}_count > 10 AND ${counted}_bytes > 0
     FROM pg_stat_replication_slots WHERE slot_name = 'spill'")
  or die "nothing is counted under $counted";
is($node->safe_psql('postgres', "SELECT ${other}_txns FROM pg_stat_replication_slots WHERE slot_name = 'spill'"), 0,
    "the server counts it under $counted only");

SKIP: {
    skip 'no /proc to read the memory from', 4 if !$peak;
    note("peak memory of the walsender: $peak kB");
    # 32 MB of it are shared buffers.
    cmp_ok($peak, '<', 120 * 1024, 'the walsender stayed below 120 MB');
    # Many small messages, and many changes that are filtered.
    my ($narrow, $narrow_peak) = stream('narrow', batch_bytes => 1, actions => 'delete');
    note("with single records: $narrow_peak kB");
    cmp_ok($narrow_peak, '<', 120 * 1024, 'and so it does with a message for each change');
    is(summary($narrow)->{kinds}{delete}, $expected{delete}, 'which are all deletes');
}

done_testing();
