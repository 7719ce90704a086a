# What the tests of the slot guard share: servers that preload it, with segments so small that a slot's cap is soon
# reached, and what it has seen and said.
package CdcGuard;

use strict;
use warnings;

use CdcTest;
use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  guard_node set_conf next_samples pause_guard between_samples fill_wal
  wait_in_server slot_row wait_for_level alerts alert_count log_count logged
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

# Changes settings of a running server, and waits until sessions and the guard have them.
sub set_conf {
    my ($node, %settings) = @_;
    $node->append_conf('postgresql.conf', "$_ = '$settings{$_}'") for sort keys %settings;
    # The guard is told after the server, so what a session sees may still be news to it: see next_samples().
    my $loaded = $node->safe_psql('postgres', 'SELECT pg_conf_load_time()');
    $node->reload;
    $node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$loaded'") or die 'the settings are not loaded';
    return;
}

# Waits until a sample that was begun after this call is through, with its alerts: the one that runs now does not count,
# and alerts come after the sample that they are of.
sub next_samples {
    my ($node) = @_;
    wait_in_server($node, 'samples >= before + 3 FROM cdc.guard_status()', 'the guard takes no samples');
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
    set_conf($node, 'cdc_plugin.guard_interval' => '15s', 'cdc_plugin.guard_enabled' => 'on');
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

# Columns of a slot's row in cdc.slots, with | between them.
sub slot_row {
    my ($node, $slot, $columns) = @_;
    return $node->safe_psql('postgres', "SELECT $columns FROM cdc.slots WHERE slot_name = '$slot'");
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

# A slot's alerts in their order: what is asked for of each.
sub alerts {
    my ($node, $slot, $columns) = @_;
    $columns //= q(previous_level || '>' || level || ' ' || cause);
    return $node->safe_psql('postgres', "SELECT $columns FROM cdc.alerts WHERE slot_name = '$slot' ORDER BY alert");
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
