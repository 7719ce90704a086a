# What the guard predicts: the time until a slot's cap is reached and until the disk is full, against what then happens,
# with WAL at a constant rate. And that it says nothing where nothing can be known.
#
# The disk needs a small file system of its own: CDC_SMALL_FS names an empty, writable directory that is one, of up to
# 512 MB, which the test fills (scripts/test mounts one). Without it, that part is skipped.
use strict;
use warnings;

use CdcGuard;
use CdcTest;
use IO::Handle;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Time::Local qw(timegm);

my $megabyte = 1024 * 1024;
my $kilobytes = 160;    # ten times in a second
my $window = 3.5;       # seconds: what a rate is taken from, and a little more

# Writes so much every 100 ms, on schedule, until it is stopped or the server is gone.
sub start_writer {
    my ($node) = @_;
    my @command = ('psql', '-X', '-q', '-o', '/dev/null', '-d', $node->connstr('postgres'));
    my $pid = fork() // die "fork: $!";
    return $pid if $pid;
    $SIG{PIPE} = sub { POSIX::_exit(0) };
    open(STDERR, '>', '/dev/null');
    open(my $psql, '|-', @command) or POSIX::_exit(127);
    $psql->autoflush(1);
    my $content = $kilobytes * 1024;
    my $next = time();
    while (1) {
        print $psql "SELECT pg_logical_emit_message(false, 'rate', repeat('x', $content));\n";
        $next += 0.1;
        my $wait = $next - time();
        sleep($wait) if $wait > 0;
    }
}

sub stop_writer {
    my ($pid) = @_;
    kill('TERM', $pid);
    waitpid($pid, 0);
    return;
}

# Looks at a slot again and again until CODE says that it is enough, or the server is gone: the looks, as hashes. `left`
# is what is left of what `column` predicts the end of.
sub watch {
    my ($node, $slot, $left, $prediction, $enough) = @_;
    my @looks;
    my $deadline = time() + 120;
    while (time() < $deadline) {
        my ($out, $err) = ('', '');
        my $status = $node->psql('postgres', qq{
            SELECT extract(epoch FROM clock_timestamp()), $left, extract(epoch FROM $prediction), level, cap_source,
                   (SELECT samples FROM cdc.guard_status()), pg_current_wal_insert_lsn() - '0/0'
            FROM cdc.slots WHERE slot_name = '$slot'}, stdout => \$out, stderr => \$err);
        last if $status != 0;
        my %look;
        @look{qw(at left predicted level source samples wal)} = split(/\|/, $out, -1);
        push @looks, \%look;
        last if $enough->(\%look);
        sleep(0.05);
    }
    return @looks;
}

# Whether WAL came at the writer's rate, but for a tenth, while the rate behind a look was taken: on a busy machine
# the writer stands still at times and then catches up.
sub at_constant_rate {
    my ($look, @looks) = @_;
    my ($from) = grep { $_->{at} <= $look->{at} - $window } reverse @looks;
    return 0 if !$from;
    my $expected = ($look->{at} - $from->{at}) * 10 * $kilobytes * 1024;
    return abs($look->{wal} - $from->{wal} - $expected) <= $expected / 10;
}

# Compares predictions with the moment of the end: where WAL came at a constant rate, none may be off by more than 20 %.
# The first ones see a rate that the silence before is part of; the last ones are not much farther away than the looks
# are from each other. SLACK is by how many seconds the end itself can miss the moment that is to be foreseen.
sub compare {
    my ($what, $began, $end, $slack, @looks) = @_;
    my @there = grep { $_->{predicted} ne '' && $_->{at} > $began + 4 && $end - $_->{at} > 3 } @looks;
    my @judged = grep { at_constant_rate($_, @looks) } @there;
    my @off;
    my ($worst, %horizon) = (0);
    for my $look (@judged) {
        my $actual = $end - $look->{at};
        my $error = (abs($look->{predicted} - $actual) - $slack) / $actual;
        push @off, sprintf('%.1f s predicted, %.1f s actual', $look->{predicted}, $actual) if $error > 0.2;
        $worst = $error if $error > $worst;
        $horizon{ int($actual / 3) }++;
    }
    note(sprintf('%s: %d predictions of %d, the worst was off by %.1f %%',
        $what, scalar(@judged), scalar(@there), 100 * $worst));
    cmp_ok(scalar(keys %horizon), '>=', 3, "$what: predictions at several horizons");
    is(join("\n", @off), '', "$what: none is off by more than 20 %");
    is(scalar(grep { $_->{predicted} ne '' && $_->{predicted} !~ /^\d+(?:\.\d+)?$/ } @looks), 0,
        "$what: none is negative or infinite");
    return;
}

# --- the cap ----------------------------------------------------------------------------------------------------------

# Sixteen samples make a rate: three seconds.
my $node = guard_node('cap', conf => "max_slot_wal_keep_size = 28MB\ncdc_plugin.guard_interval = 200ms");
create_slot($node, 'stalled');
# The server writes a little behind its start; let that leave the window.
wait_samples($node, 20);
is(slot_row($node, 'stalled', 'wal_bytes_per_s < 1000, time_to_cap IS NULL, time_to_disk_full IS NULL'), 't|t|t',
    'without WAL nothing is predicted');

my $began = time();
my $writer = start_writer($node);
my @looks = watch($node, 'stalled', 'headroom_bytes', 'time_to_cap', sub { $_[0]{left} <= 0 });
stop_writer($writer);
my ($before, $behind) = @looks[ -2, -1 ];
cmp_ok($behind->{left}, '<=', 0, 'the cap was reached');
# Between the two looks round it.
my $end = $before->{at} + ($behind->{at} - $before->{at}) * $before->{left} / ($before->{left} - $behind->{left});
compare('cap', $began, $end, 0, @looks);
is($behind->{predicted} + 0, 0, 'at the cap no time is left');

# The writer has stopped, so the rate's window empties, and a new slot has its cap before it.
$node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('stalled')));
create_slot($node, 'burst');
wait_samples($node, 20);
my %predicted;
for my $burst (1 .. 4) {
    between_samples($node, sub { fill_wal($node, 4 * $megabyte) });
    # As long as the burst is in the window, which the pause before it makes longer, and until it has left it.
    my $last = $node->safe_psql('postgres', 'SELECT samples FROM cdc.guard_status()') + 18;
    for my $look (watch($node, 'burst', 'wal_bytes_per_s', 'time_to_cap', sub { $_[0]{samples} >= $last })) {
        # Not the few bytes that the server itself writes now and then, whose rate may well be a steady one.
        next if $look->{left} < $megabyte / 10;
        ++$predicted{seen};
        ++$predicted{said} if $look->{predicted} ne '';
    }
}
cmp_ok($predicted{seen}, '>=', 4, 'bursts show in the rate');
is($predicted{said} // 0, 0, 'but single bursts predict nothing');
$node->stop;

# --- the disk ---------------------------------------------------------------------------------------------------------

SKIP: {
    my $small = $ENV{CDC_SMALL_FS} // '';
    skip('CDC_SMALL_FS names no small file system', 1) if $small eq '';
    my ($size) = split(/\n/, `stat -f -c '%S %b' '$small'`);
    my ($block, $blocks) = split(/ /, $size // '0 0');
    skip("$small is not on a small file system of its own", 1)
      if !-w $small || $block * $blocks > 512 * $megabyte || (stat($small))[0] == (stat("$small/.."))[0];
    opendir(my $folder, $small) or die "$small: $!";
    skip("$small is not empty", 1) if grep { !/^\.\.?$|^lost\+found$/ } readdir($folder);

    # No cap but the disk's. The ballast leaves 40 MB, and the room to recover in when it is taken away.
    my $disk = guard_node('disk', init => [ '--waldir', "$small/pg_wal" ],
        conf => "cdc_plugin.guard_interval = 200ms\nlog_timezone = 'UTC'");
    create_slot($disk, 'disk');
    my $free = $disk->safe_psql('postgres', 'SELECT disk_free_bytes FROM cdc.guard_status()');
    my $ballast = int($free / $megabyte) - 40;
    system_or_bail('dd', 'if=/dev/zero', "of=$small/ballast", 'bs=1M', "count=$ballast", 'status=none');
    wait_samples($disk, 20);
    is(slot_row($disk, 'disk', 'level, cap_source, headroom_bytes = disk_free_bytes, time_to_disk_full IS NULL'),
        'ok|disk|t|t', 'without a cap the disk is the limit');

    my $began = time();
    my $writer = start_writer($disk);
    my @looks = watch($disk, 'disk', 'disk_free_bytes', 'time_to_disk_full', sub { 0 });
    stop_writer($writer);
    my $log = slurp_file($disk->logfile);
    like($log, qr/PANIC: .*No space left on device/, 'the server failed, because the disk was full');
    # The look that failed may have taken long.
    my ($year, $month, $day, $hour, $minute, $second, $fraction) =
      $log =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)(\.\d+) UTC .*PANIC: /m;
    my $end = timegm($second, $minute, $hour, $day, $month - 1, $year) + $fraction;
    # Space is taken by whole segments, each a while before WAL comes into it.
    compare('disk', $began, $end, $megabyte / ($kilobytes * 1024 * 10), @looks);
    is(join(' ', sort keys %{ { map { $_->{source} => 1 } @looks } }), 'disk', 'the disk was the limit all the time');
    my %line = map { $_ => logged('disk', $_) } qw(notice warning critical);
    like($log, qr/$line{notice}.*$line{warning}.*$line{critical}.*PANIC: /s, 'all levels were alerted before');
    is(log_count($disk, $line{$_}), 1, "level $_ once") for qw(notice warning critical);
    like($log, qr/$line{critical}.*\n.*DETAIL:  Cause: consumer_down\..*The disk has \S+ MB left/, 'with what is left');
    is($looks[-1]{level}, 'critical', 'so did cdc.slots');

    # Room again: the server comes back, the slot has lost nothing, and the guard repeats nothing.
    unlink("$small/ballast") or die "$small/ballast: $!";
    $disk->stop('immediate', fail_ok => 1);
    start_behind_crash($disk);
    wait_for_level($disk, 'disk', 'ok', 'consumer_down');
    is(alerts($disk, 'disk'), 'critical>ok consumer_down', 'with room on the disk, the all-clear');
    is(log_count($disk, logged('disk', 'critical')), 1, 'and no level a second time');
    is($disk->safe_psql('postgres', q(SELECT wal_status <> 'lost' FROM pg_replication_slots)), 't',
        'the slot is there');
    $disk->safe_psql('postgres', q(SELECT pg_drop_replication_slot('disk')));
    $disk->stop;
    # For the next run.
    PostgreSQL::Test::Utils::system_log('rm', '-rf', "$small/pg_wal");
    ok(!-e "$small/pg_wal", 'the file system is empty again');
}

done_testing();
