# What the tests of the slot guard share: servers that preload it, with segments so small that a slot's cap is soon
# reached, and what it has seen and said.
package CdcGuard;

use strict;
use warnings;

use CdcTest;
use Exporter 'import';
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  guard_node next_samples wait_samples pause_guard between_samples fill_wal write_wal write_noise
  wait_in_server slot_row slot_state wait_for_level wait_for_state alerts alert_count log_count logged
);

# guard_node(NAME, OPTION => VALUE...): as cdc_node(), with the guard, segments of 1 MB and no WAL but the test's own.
sub guard_node {
    my ($name, %options) = @_;
    my $conf = join("\n",
        q(shared_preload_libraries = 'cdc_plugin'),
        'cdc_plugin.guard_interval = 100ms',
        'cdc_plugin.guard_grace = 1s',
        q(cdc_plugin.guard_time_left = ''),
        'autovacuum = off',
        'checkpoint_timeout = 1h',
        'log_checkpoints = on',
        delete $options{conf} // '');
    return cdc_node($name, %options, conf => $conf, init => [ '--wal-segsize', '1', @{ $options{init} // [] } ]);
}

# Waits until a sample that was begun after this call is through, with its alerts: the one that runs now does not count,
# and alerts come after the sample that they are of.
sub next_samples { return wait_samples($_[0], 3) }

# Waits until the guard has taken so many samples more.
sub wait_samples {
    my ($node, $count) = @_;
    wait_in_server($node, "samples >= before + $count FROM cdc.guard_status()", 'the guard takes no samples');
    return;
}

# Polls in the server, because a session for each look would take longer than most samples do. Knows the number of
# samples as `before`.
sub wait_in_server {
    my ($node, $condition, $otherwise) = @_;
    my $seconds = $PostgreSQL::Test::Utils::timeout_default;
    $node->safe_psql('postgres', qq{
        DO \$\$
        DECLARE
            before bigint := (SELECT samples FROM cdc.guard_status());
            last_at timestamptz := clock_timestamp() + interval '$seconds s';
        BEGIN
            WHILE (SELECT $condition) IS NOT TRUE LOOP
                IF clock_timestamp() > last_at THEN
                    RAISE '$otherwise';
                END IF;
                PERFORM pg_sleep(0.01);
            END LOOP;
        END
        \$\$});
    return;
}

# Turns the guard off, and waits until it takes no samples: it reads the setting a moment later than sessions do, and
# never while it samples. Returns how many it has taken.
sub pause_guard {
    my ($node) = @_;
    set_conf($node, 'cdc_plugin.guard_enabled' => 'off');
    my $query = 'SELECT samples FROM cdc.guard_status()';
    return wait_until('samples stop', sub {
        my $samples = $node->safe_psql('postgres', $query);
        sleep(2);
        return $node->safe_psql('postgres', $query) == $samples ? $samples : 0;
    });
}

# Runs CODE so that all the WAL that it writes comes within one sampling interval, however slow the machine is. What the
# guard sees of WAL in an interval counts only if it took no longer than two, so the first one behind it is a long one.
sub between_samples {
    my ($node, $code) = @_;
    my $interval = $node->safe_psql('postgres', 'SHOW cdc_plugin.guard_interval');
    my $samples = pause_guard($node);
    $code->();
    set_conf($node, 'cdc_plugin.guard_interval' => '2min', 'cdc_plugin.guard_enabled' => 'on');
    wait_in_server($node, "samples > $samples FROM cdc.guard_status()", 'no sample');
    set_conf($node, 'cdc_plugin.guard_interval' => $interval);
    next_samples($node);
    return;
}

# So many bytes of WAL that no transaction holds, written when this returns.
sub fill_wal {
    my ($node, $bytes) = @_;
    # A commit is not acknowledged before its WAL is written, a message outside of transactions is.
    $node->safe_psql('postgres', "SELECT pg_logical_emit_message(false, 'fill', repeat('x', $bytes));
        SELECT pg_logical_emit_message(true, 'fill', '')");
    return;
}

# Megabytes of WAL that no transaction holds, in many messages, which each consumer of the database is sent.
sub write_wal {
    my ($node, $megabytes) = @_;
    # As in fill_wal().
    $node->safe_psql('postgres', "SELECT count(pg_logical_emit_message(false, 'fill', repeat('x', 104857)))
        FROM generate_series(1, 10 * $megabytes);
        SELECT pg_logical_emit_message(true, 'fill', '')");
    return;
}

# Megabytes of WAL without a transaction id, from a session; for no consumer, if that is in a database without slots.
sub write_noise {
    my ($session, $megabytes) = @_;
    $session->query_safe("SELECT count(pg_logical_emit_message(false, 'noise', repeat('x', 1 << 20))) "
            . "FROM generate_series(1, $megabytes)");
    return;
}

# Columns of a slot's row in cdc.slots, with | between them.
sub slot_row {
    my ($node, $slot, $columns) = @_;
    return $node->safe_psql('postgres', "SELECT $columns FROM cdc.slots WHERE slot_name = '$slot'");
}

# The whole row as a hash, read in a session.
sub slot_state {
    my ($session, $slot) = @_;
    return decode_json($session->query_safe("SELECT to_json(s) FROM cdc.slots AS s WHERE slot_name = '$slot'"));
}

# Waits until that is as CONDITION (a code reference, or a cause) says. restart_lsn moves with checkpoints only, so
# there are some. Returns the row.
sub wait_for_state {
    my ($session, $slot, $condition, $what) = @_;
    my $fits = ref $condition ? $condition : sub { $_[0]{cause} eq $condition };
    my ($state, $next) = (undef, time() + 1);
    my $found = eval {
        wait_until("slot $slot: " . ($what // "cause $condition"), sub {
            if (time() > $next) {
                $session->query_safe('CHECKPOINT');
                $next = time() + 1;
            }
            $state = slot_state($session, $slot);
            return $fits->($state);
        });
    };
    return $state if $found;
    diag(explain($state));
    die $@;
}

# Waits until the guard itself has recorded a level for a slot, and maybe a cause.
sub wait_for_level {
    my ($node, $slot, $level, $cause) = @_;
    my $and = defined $cause ? "AND cause = '$cause'" : '';
    wait_in_server($node, "level = '$level' $and FROM cdc.slot_history WHERE slot_name = '$slot'
        ORDER BY sampled_at DESC LIMIT 1", "slot $slot does not get to level $level");
    next_samples($node);
    return;
}

# A slot's alerts in their order, of one kind or of all: what is asked for of each.
sub alerts {
    my ($node, $slot, $columns, $kind) = @_;
    $columns //= q(previous_level || '>' || level || ' ' || cause);
    my $and = defined $kind ? "AND kind = '$kind'" : '';
    return $node->safe_psql('postgres',
        "SELECT $columns FROM cdc.alerts WHERE slot_name = '$slot' $and ORDER BY alert");
}

sub alert_count {
    my ($node, $slot) = @_;
    return $node->safe_psql('postgres', "SELECT count(*) FROM cdc.alerts WHERE slot_name = '$slot'");
}

# How often the server's log has a pattern.
sub log_count {
    my ($node, $pattern) = @_;
    return scalar(() = slurp_file($node->logfile) =~ /$pattern/g);
}

# What the guard logs at a slot's level. Sessions have their name in front of the severity, the guard has none.
sub logged {
    my ($slot, $level) = @_;
    my $severity = $level =~ /^(?:notice|ok)$/ ? 'NOTICE' : 'WARNING';
    my $what = $level eq 'lost' ? 'is lost' : $level eq 'ok' ? 'is out of danger' : "is at level $level";
    return qr/\[\d+\] $severity:  replication slot "$slot" $what\b/;
}

1;
