# kill -9 of the consumer, a walsender, the source and the sink, and connections that break, at random moments while rows
# are written: at the end, nothing is lost and nothing is there twice.
use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = cdc_node('source', conf => "wal_sender_timeout = 5s\nlogical_decoding_work_mem = 64kB\nrestart_after_crash = on");
my $target = PostgreSQL::Test::Cluster->new('target');
$target->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$target->append_conf('postgresql.conf', 'shared_buffers = 32MB');
$target->start;
my @tables = add_workload($node);
change_rows($node, 1);
my $file = scratch_file('sink.db');
my %sqlite = (sink => "sqlite:$file", slot => 'to_sqlite');
my %postgres = (sink => 'postgres:' . $target->connstr('postgres'), slot => 'to_postgres');
# The sink that notices each missing and each doubled application: a counter that triggers keep.
my @options = ('--max-retry-delay', '500ms', '--group-time', '50ms', '--sync-interval', '200ms');
my %running;

sub start_both {
    for my $sink (\%sqlite, \%postgres) {
        my $known = $running{ $sink->{slot} };
        next if $known && $known->running;
        $running{ $sink->{slot} } = start_consumer($node, %$sink, args => \@options);
    }
    return;
}

my $seed = $ENV{CDC_TEST_SEED} // time();
note("seed $seed: set CDC_TEST_SEED to repeat");
srand($seed);

# SIGKILL of one process makes the server end all others, recover, and go on.
sub kill_walsender {
    my $checkpointer = q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer');
    my $before = $node->safe_psql('postgres', $checkpointer);
    # One that has ended by itself is not killed: then the next.
    wait_until('a walsender is killed, and the source has recovered', sub {
        my ($status, $now) = $node->psql('postgres', $checkpointer);
        return 0 if $status != 0 || $now eq '';
        return 1 if $now ne $before;
        start_both();
        my ($asked, $pid) = $node->psql('postgres', 'SELECT min(active_pid) FROM pg_replication_slots WHERE active');
        kill('KILL', $pid) if $asked == 0 && $pid ne '';
        return 0;
    });
    return;
}

my %victims = (
    consumer => sub {
        kill('KILL', $_->pid) for grep { $_->running } values %running;
    },
    walsender => \&kill_walsender,
    connection => sub {
        $node->safe_psql('postgres', 'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
    },
    source => sub {
        crash($node);
        start_behind_crash($node);
    },
    sink => sub {
        crash($target);
        start_behind_crash($target);
    });

start_both();
my $round = 1;
for my $pass (1 .. 4) {
    for my $victim (sort { rand() <=> 0.5 } sort keys %victims) {
        change_rows($node, ++$round, rows => 200);
        sleep(rand(0.6));
        change_rows($node, ++$round, rows => 50);
        $victims{$victim}->();
        start_both();
    }
}
change_rows($node, ++$round);
for my $sink (\%sqlite, \%postgres) {
    # One that was killed may be starting; one that gave up (a sink that was down at its start) is started again.
    wait_until("$sink->{slot} streams", sub {
        start_both();
        return $node->safe_psql('postgres',
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$sink->{slot}' AND active") eq '1';
    });
}
wait_for_sink($node, $file, $running{to_sqlite});
same_in_sqlite($node, $file, "after $round rounds", @tables);
wait_for_sink($node, $target, $running{to_postgres});
same_in_postgres($node, $target, "after $round rounds", grep { $_ ne 'public.events' } @tables);
is($target->safe_psql('postgres', 'SELECT id, day, what FROM events ORDER BY 1, 2'),
    $node->safe_psql('postgres', 'SELECT id, day, what FROM events ORDER BY 1, 2'), 'partitions, too');
is($running{$_}->stop, 0, "$_ ends cleanly") for sort keys %running;

done_testing();
