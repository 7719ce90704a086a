# What the tests of interrupted copies share: sinks of two kinds, and copies that are interrupted when all but the table
# `small` is copied.
package CdcResume;

use strict;
use warnings;

use CdcConsumer;
use CdcTest;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(resume_between sink_of ranges slots interrupt complete change_sink lose);

my ($node, $target, @tables);
my $lock = 'BEGIN; LOCK TABLE small IN ACCESS EXCLUSIVE MODE';
my @small_parts = ('--snapshot-chunk', '64kB', '--snapshot-jobs', '2');

# The source, the server of PostgreSQL sinks, and the tables that same() compares. They must have one named `small`, with
# a key and smaller than others with a key: so it comes last.
sub resume_between { ($node, $target, @tables) = @_; return }

my %kinds = (
    sqlite => sub {
        my ($name) = @_;
        my $file = scratch_file("$name.db");
        my $query = sub { -s $file ? sqlite_rows($file, $_[0]) : '' };
        return {
            run => { sink => "sqlite:$file", slot => $name, args => \@small_parts },
            file => $file,
            query => $query,
            copied => 'cdc_copied',
            state => 'cdc_state',
            same => sub { same_in_sqlite($node, $file, $_[0], @tables) },
            leftovers => sub { $query->(q(SELECT count(*) FROM sqlite_master WHERE name LIKE 'cdc\_new%' ESCAPE '\')) },
        };
    },
    postgres => sub {
        my ($name) = @_;
        $target->safe_psql('postgres', "CREATE DATABASE $name");
        my $query = sub { $target->safe_psql($name, $_[0]) };
        return {
            run => { sink => 'postgres:' . $target->connstr($name), slot => $name, args => \@small_parts },
            query => $query,
            copied => 'cdc_consumer.copied',
            state => 'cdc_consumer.state',
            same => sub {
                my ($what) = @_;
                for my $table (@tables) {
                    my $columns = $node->safe_psql('postgres', q{SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) }
                            . "FROM pg_attribute WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped");
                    my $digest = "SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(r, E'\\n' ORDER BY r COLLATE \"C\")), '')
                        FROM (SELECT ROW($columns)::text AS r FROM $table) AS t";
                    is($query->($digest), $node->safe_psql('postgres', $digest), "$what: $table");
                }
            },
            leftovers => sub { $query->(q(SELECT count(*) FROM pg_class WHERE relname LIKE 'cdc\_new%' AND relkind = 'r')) },
        };
    });

# A sink of KIND (sqlite, postgres), and a slot of that name: run (for consumer() and others), query(SQL), same(TEXT),
# leftovers(), and the names of its tables `copied` and `state`.
sub sink_of {
    my ($kind, $name) = @_;
    return $kinds{$kind}->($name);
}

sub ranges {
    my ($sink) = @_;
    my $ranges = eval { $sink->{query}->("SELECT count(*) FROM $sink->{copied}") };
    return $ranges || 0;
}

sub slots {
    my ($sink) = @_;
    return $node->safe_psql('postgres', "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$sink->{run}{slot}'");
}

# Runs it until all but `small` is copied, for which it waits; then it is killed. What has been noted by then is all the
# others.
#   run => {...}         for start_consumer(), beside the sink's own
#   meanwhile => CODE    is called with the consumer while it waits
#   goes_on => 1         it is not killed
#   again => 1           it goes on with a copy that was interrupted, and has its slot
sub interrupt {
    my ($sink, %how) = @_;
    my $start = sub { return start_consumer($node, %{ $sink->{run} }, %{ $how{run} // {} }) };
    my ($consumer, $session);
    if ($how{again}) {
        $session = lock_small();
        $consumer = $start->();
    } else {
        $consumer = stop_behind_slot($sink, $start);
        $session = lock_small();
        $consumer->signal('CONT');
    }
    $session = let_pass($consumer, $session);
    # The other connection has no more to do.
    my $goes_on = q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT cdc.snapshot%'
        AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock')};
    $node->poll_query_until('postgres', $goes_on, 'f') or die 'the other does not end';
    $how{meanwhile}->($consumer) if $how{meanwhile};
    $consumer->kill_hard unless $how{goes_on};
    eval { $session->query_safe('ROLLBACK'); $session->quit };    # the server may have gone
    return $consumer;
}

# Starts a consumer that makes a slot, and stops it (SIGSTOP) when the slot is there: until then, the slot would wait for
# the transaction that locks the table. Another transaction, for which it waits, gives the time to stop it.
sub stop_behind_slot {
    my ($sink, $start) = @_;
    my $open = $node->background_psql('postgres');
    my ($pid) = $open->query_safe('BEGIN; SELECT pg_current_xact_id() IS NULL; SELECT pg_backend_pid()') =~ /(\d+)/;
    my $consumer = $start->();
    wait_until('the slot waits', sub {
        die $consumer->errors if !$consumer->running;
        return $node->safe_psql('postgres', qq{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'
            AND query LIKE 'CREATE_REPLICATION_SLOT%' AND $pid = ANY (pg_blocking_pids(pid))});
    });
    $consumer->signal('STOP');
    $open->query_safe('COMMIT');
    $open->quit;
    wait_until('the slot is made', sub {
        # What it reads must be flushed, which the WAL writer may leave for later.
        $node->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'flush', '')});
        return $node->safe_psql('postgres', "SELECT confirmed_flush_lsn FROM pg_replication_slots
            WHERE slot_name = '$sink->{run}{slot}'");
    });
    return $consumer;
}

sub lock_small {
    my $session = $node->background_psql('postgres');
    $session->query_safe($lock);
    return $session;
}

# What needs the table before its copy does is let pass, with another lock lined up behind it: the session that has locked
# the table in the end.
sub let_pass {
    my ($consumer, $session) = @_;
    while (waiting($consumer) !~ /^COPY/) {
        my $next = $node->background_psql('postgres');
        $next->query_until(qr/asks/, "\\echo asks\n$lock;\n");
        $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'small'::regclass
            AND mode = 'AccessExclusiveLock' AND NOT granted}) or die 'the next lock is not asked for';
        $session->query_safe('ROLLBACK');
        $session->quit;
        $next->query_safe('SELECT 1');    # it has the lock
        $session = $next;
    }
    return $session;
}

# The statement of the consumer's that waits for the table.
sub waiting {
    my ($consumer) = @_;
    my $query = '';
    wait_until('the consumer waits for the table', sub {
        die $consumer->errors if !$consumer->running;
        $query = $node->safe_psql('postgres', q{SELECT query FROM pg_stat_activity JOIN pg_locks USING (pid)
            WHERE relation = 'small'::regclass AND mode = 'AccessShareLock' AND NOT granted});
        return $query ne '';
    });
    return $query;
}

# The next run completes it, from the parts that it has: what it says in its log.
sub complete {
    my ($sink, $name, %how) = @_;
    my (undef, undef, $log) = consumer($node, $how{command} // 'run', %{ $sink->{run} },
        args => [ @small_parts, @{ $how{args} // ['--until-caught-up'] } ]);
    return $log;
}

# Something else than the consumer changes the sink.
sub change_sink {
    my ($sink, $sql) = @_;
    return $sink->{query}->($sql) unless exists $sink->{file};
    IPC::Run::run([ CdcTest::python(), '-c', 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()',
            $sink->{file}, $sql ]) or die 'the statement failed';
    return;
}

# Parts that were copied, as if they had not been.
sub lose {
    my ($sink, $table, $which) = @_;
    my $id = $node->safe_psql('postgres', "SELECT '$table'::regclass::oid");
    change_sink($sink, "DELETE FROM $sink->{copied} WHERE relation_id = $id AND $which");
    return;
}

1;
