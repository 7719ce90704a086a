# What the TAP tests share: servers that see the extension, pg_recvlogical, and what came out of it.
package CdcTest;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  cdc_node has_setting set_conf crash start_behind_crash
  session end_session create_slot current_lsn wait_until wait_for_slot
  drain drain_fails receive receive_events_only read_part
  events changes summary replay rows journal
  scratch_file slurp_lines json_lines python
);

# The tests run in scripts/tap, or in anything that sets the same environment.
our $top = $ENV{CDC_TOP} // '.';
our $stage = $ENV{CDC_STAGE} // '';

our $proto = "$top/proto";
my $reader = "$top/test/t/lib/read_stream.py";
my ($scratch, $scratch_count);

sub timeout { return $PostgreSQL::Test::Utils::timeout_default }

# --- servers ----------------------------------------------------------------------------------------------------------

# Whether this server knows a setting.
sub has_setting {
    my ($node, $name) = @_;
    my ($out, $err) = ('', '');
    return IPC::Run::run([ $node->installed_command('postgres'), '-D', $node->data_dir, '-C', $name ],
        '>', \$out, '2>', \$err);
}

# cdc_node(NAME, OPTION => VALUE...): a running server with the extension in database postgres.
#   conf => TEXT       further settings
#   level => LEVEL     wal_level, if not logical
#   plugins => 0       leave output_plugin_libraries alone
#   extension => 0     do not create the extension
#   init => [ARG...]   further arguments for initdb
sub cdc_node {
    my ($name, %options) = @_;
    my $level = $options{level} // 'logical';
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(
        allows_streaming => $level eq 'logical' ? 'logical' : $level eq 'replica' ? 'physical' : 0,
        extra => [ '-E', 'UTF8', '--locale=C', @{ $options{init} // [] } ]);
    my @conf = ('log_statement = none', 'shared_buffers = 32MB', 'max_connections = 30', 'max_wal_size = 1GB');
    if ($stage ne '') {
        my ($library, $share) = map { my $path = $node->config_data($_); $path } '--pkglibdir', '--sharedir';
        push @conf, "dynamic_library_path = '$stage$library:\$libdir'";
        if (has_setting($node, 'extension_control_path')) {    # 18 and later
            push @conf, "extension_control_path = '$stage$share:\$system'";
        } elsif (has_setting($node, 'extension_destdir')) {    # Debian's packages up to 17
            push @conf, "extension_destdir = '$stage'";
        } else {
            BAIL_OUT('this server loads extensions from its own directories only: install it there, unset CDC_STAGE');
        }
    }
    $node->append_conf('postgresql.conf', join("\n", @conf, $options{conf} // ''));
    # A server that has not the setting would refuse to start with it.
    if (($options{plugins} // 1) && has_setting($node, 'output_plugin_libraries')) {
        $node->append_conf('postgresql.conf', q(output_plugin_libraries = 'pgoutput, test_decoding, cdc_plugin'));
    }
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION cdc_plugin') if $options{extension} // 1;
    return $node;
}

# Changes settings of a running server, and waits until sessions have them. The guard is told after the server, so what
# a session sees may still be news to it: see next_samples().
sub set_conf {
    my ($node, %settings) = @_;
    $node->append_conf('postgresql.conf', "$_ = '$settings{$_}'") for sort keys %settings;
    my $loaded = $node->safe_psql('postgres', 'SELECT pg_conf_load_time()');
    $node->reload;
    $node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$loaded'") or die 'the settings are not loaded';
    return;
}

# Kills the server as a crash of the machine would, but for the files, and waits until all its processes are gone.
sub crash {
    my ($node) = @_;
    my $pid = $node->safe_psql('postgres', q{SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)});
    $node->kill9;
    wait_until('the killed server is gone', sub { return !kill(0, $pid) });
    return;
}

# Starts a server that crashed: its last processes may still hold the shared memory for a moment.
sub start_behind_crash {
    my ($node) = @_;
    wait_until('the killed server can be started again', sub {
        return $node->start(fail_ok => 1) || $node->stop('fast', fail_ok => 1) && 0;
    });
    return;
}

# --- waiting ----------------------------------------------------------------------------------------------------------

# wait_until(WHAT, CODE[, SECONDS]): polls until CODE returns true, and returns that; dies when it takes too long.
sub wait_until {
    my ($what, $code, $seconds) = @_;
    my $deadline = time() + ($seconds // timeout());
    while (1) {
        my $result = $code->();
        return $result if $result;
        die "timed out waiting until $what\n" if time() > $deadline;
        sleep(0.02);
    }
}

# The end of what is committed. (A message outside of transactions may be written a moment later than it is sent.)
sub current_lsn {
    my ($node) = @_;
    return $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
}

# Waits until a condition on the slot's row in pg_replication_slots holds.
sub wait_for_slot {
    my ($node, $slot, $condition) = @_;
    $node->poll_query_until('postgres', "SELECT $condition FROM pg_replication_slots WHERE slot_name = '$slot'")
      or die "timed out waiting for slot $slot: $condition\n";
    return;
}

# --- sessions ---------------------------------------------------------------------------------------------------------

# A psql that stays. Its time limit is for each query, not for all of its life, and an error does not end it.
sub session {
    my ($node, $database) = @_;
    my $session = $node->background_psql($database // 'postgres', on_error_stop => 0);
    $session->set_query_timer_restart;
    return $session;
}

# For the end, too, the time counts from here and not from the last query.
sub end_session {
    for my $session (@_) {
        $session->{timeout}->start;
        $session->quit;
    }
    return;
}

# --- slots and pg_recvlogical -----------------------------------------------------------------------------------------

sub create_slot {
    my ($node, $slot, $database) = @_;
    $node->safe_psql($database // 'postgres', "SELECT pg_create_logical_replication_slot('$slot', 'cdc_plugin')");
    return;
}

sub scratch_file {
    my ($name) = @_;
    $scratch //= PostgreSQL::Test::Utils::tempdir();
    return sprintf('%s/%03d_%s', $scratch, ++$scratch_count, $name // 'stream');
}

# The command that streams a slot into a file.
#   options => {NAME => VALUE...} or [NAME=VALUE...]   for the plugin; framing=delimited if they name neither format
#                                                      nor framing
#   args => [ARG...]                                   for pg_recvlogical
sub recvlogical_command {
    my ($node, $slot, $file, %how) = @_;
    my $given = $how{options} // {};
    my @options = ref $given eq 'ARRAY' ? @$given : map { "$_=$given->{$_}" } sort keys %$given;
    unshift @options, 'framing=delimited' unless grep { /^(?:format|framing)\b/ } @options;
    return (
        $node->installed_command('pg_recvlogical'), '-S', $slot, '-d', $node->connstr($how{database} // 'postgres'),
        '--start', '--no-loop', '-f', $file, (map { ('-o', $_) } @options), @{ $how{args} // [] });
}

# Streams up to the current end of WAL (or endpos), and confirms it. Returns the file.
sub drain {
    my ($node, $slot, %how) = @_;
    my $file = $how{file} // scratch_file($slot);
    my $end = $how{endpos} // current_lsn($node);
    my @command = recvlogical_command($node, $slot, $file, %how);
    my ($out, $err) = ('', '');
    # Nothing here has to survive the machine: no fsync.
    my $done = IPC::Run::run([ @command, '--endpos', $end, '-F', '0' ],
        '>', \$out, '2>', \$err, IPC::Run::timeout($how{timeout} // timeout()));
    die "pg_recvlogical failed (status $?): $err\n" unless $done;
    return $file;
}

# The same, where it is to fail: (exit code, standard error).
sub drain_fails {
    my ($node, $slot, %how) = @_;
    my @command = recvlogical_command($node, $slot, scratch_file($slot), %how);
    my ($out, $err) = ('', '');
    IPC::Run::run([ @command, '--endpos', current_lsn($node) ], '>', \$out, '2>', \$err, IPC::Run::timeout(timeout()));
    return ($? >> 8, $err);
}

# Streams until it is told to stop: a CdcTest::Receiver.
sub receive {
    my ($node, $slot, %how) = @_;
    my $file = $how{file} // scratch_file($slot);
    my $errors = scratch_file("$slot.errors");
    my @command = (recvlogical_command($node, $slot, $file, %how), '-s', '1', '-F', '1');
    my $pid = start_command('/dev/null', $errors, @command);
    return bless { file => $file, errors => $errors, node => $node, slot => $slot, pid => $pid }, 'CdcTest::Receiver';
}

# The same with a client that confirms events only, never the positions of keepalives; and none at all with
# never => 1. Its file has a line for each message: LSN and size.
sub receive_events_only {
    my ($node, $slot, %how) = @_;
    my $file = scratch_file($slot);
    my $errors = scratch_file("$slot.errors");
    my $pid = start_command($file, $errors, python(), "$top/test/t/lib/EventsOnly.py", $node->host, $node->port,
        scalar(getpwuid($>)), $how{database} // 'postgres', $slot, $how{never} ? 'never' : ());
    return bless { file => $file, errors => $errors, node => $node, slot => $slot, pid => $pid }, 'CdcTest::Receiver';
}

sub start_command {
    my ($out, $errors, @command) = @_;
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open(STDOUT, '>', $out);
        open(STDERR, '>', $errors);
        { exec(@command) }
        POSIX::_exit(127);
    }
    return $pid;
}

# Streams through a pipe that is not read any further once it has given BYTES bytes; these are put into a file. The
# client and behind it the walsender then stand still in mid-stream. CODE is called with the client's process id, and
# ends one of them; the client is gone when read_part() returns, with the file.
sub read_part {
    my ($node, $slot, $bytes, $code, %how) = @_;
    my $file = scratch_file($slot);
    my @command = recvlogical_command($node, $slot, '-', %how);
    my $pid = open(my $pipe, '-|', @command) // die "could not run pg_recvlogical: $!";
    binmode($pipe);
    open(my $out, '>:raw', $file) or die "$file: $!";
    my $deadline = time() + timeout();
    for (my $got = 0; $got < $bytes;) {
        my $ready = '';
        vec($ready, fileno($pipe), 1) = 1;
        die "pg_recvlogical sends nothing\n" unless select($ready, undef, undef, $deadline - time()) > 0;
        my $count = sysread($pipe, my $data, $bytes - $got) // die "read: $!";
        die "pg_recvlogical ended after $got of $bytes bytes\n" if $count == 0;
        print $out $data;
        $got += $count;
    }
    close($out) or die "$file: $!";
    $code->($pid);
    close($pipe);    # ends the client by SIGPIPE, if it runs still; waits for it
    return $file;
}

# --- what came out ----------------------------------------------------------------------------------------------------

# Runs the reader on files: its lines, decoded. OPTIONS are its own, as words.
sub reader {
    my ($command, $files, @options) = @_;
    local $ENV{CDC_PROTO} = generated();
    my ($out, $err) = ('', '');
    IPC::Run::run([ python(), $reader, $command, @options, ref $files ? @$files : $files ], '>', \$out, '2>', \$err)
      or die "the stream is wrong: $err\n";
    return map { decode_json($_) } split(/\n/, $out);
}

# All records, as hashes.
sub events { return reader('events', @_) }

# Those of rows, truncates and messages only.
sub changes {
    return grep { exists $_->{id} } events(@_);
}

sub summary {
    my @lines = reader('summary', @_);
    return wantarray ? @lines : $lines[0];
}

# How several deliveries of one slot compare.
sub replay { return (reader('replay', @_))[0] }

# What is left of a relation when the changes of all files are applied in order.
sub rows {
    my ($files, $relation, $key, @options) = @_;
    return reader('rows', $files, '--relation', $relation, '--key', $key, @options);
}

# How the changes of a file compare with what the journal table says of them.
sub journal {
    my ($file, $relation) = @_;
    return (reader('journal', $file, '--relation', $relation))[0];
}

sub slurp_lines {
    my ($file) = @_;
    return split(/\n/, slurp_file($file));
}

# A file of JSON lines, each decoded; dies if one is not JSON.
sub json_lines { return map { decode_json($_) } slurp_lines($_[0]) }

my ($python, $generated);

# A Python that has protobuf; a python3 in front on the path need not be the one that Debian's package is for.
sub python {
    return $python if defined $python;
    for my $candidate ('python3', '/usr/bin/python3') {
        my ($out, $err) = ('', '');
        my $works = eval {
            IPC::Run::run([ $candidate, '-c', 'import google.protobuf' ], '>', \$out, '2>', \$err);
        };
        return $python = $candidate if $works;
    }
    BAIL_OUT('no python3 with the module google.protobuf: install python3-protobuf');
}

# The directory with the module that protoc generates.
sub generated {
    if (!defined $generated) {
        my $folder = PostgreSQL::Test::Utils::tempdir();
        PostgreSQL::Test::Utils::system_or_bail('protoc', "-I$proto", "--python_out=$folder",
            'cdc_plugin/v1/change.proto');
        $generated = $folder;
    }
    return $generated;
}

# --- a running pg_recvlogical -----------------------------------------------------------------------------------------

package CdcTest::Receiver;

sub file { return $_[0]{file} }
sub pid { return $_[0]{pid} }
sub errors { return PostgreSQL::Test::Utils::slurp_file($_[0]{errors}) }
sub signal { my ($self, $name) = @_; return kill($name, $self->{pid}) }

sub running {
    my ($self) = @_;
    $self->{status} = $? if !defined $self->{status} && waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid};
    return !defined $self->{status};
}

# Waits until the file has so many bytes.
sub wait_for_bytes {
    my ($self, $bytes) = @_;
    CdcTest::wait_until("pg_recvlogical has written $bytes bytes", sub {
        my $running = $self->running;
        return 1 if (-s $self->{file} // 0) >= $bytes;
        die 'pg_recvlogical ended: ' . $self->errors . "\n" unless $running;
        return 0;
    });
    return;
}

# Waits until the slot's confirmed position is at or behind LSN (default: the current end of WAL).
sub wait_for_confirmation {
    my ($self, $lsn) = @_;
    $lsn //= CdcTest::current_lsn($self->{node});
    CdcTest::wait_for_slot($self->{node}, $self->{slot}, "confirmed_flush_lsn >= '$lsn'");
    return;
}

# The walsender's process id.
sub walsender {
    my ($self) = @_;
    return CdcTest::wait_until("slot $self->{slot} is active", sub {
        return $self->{node}->safe_psql('postgres',
            "SELECT active_pid FROM pg_replication_slots WHERE slot_name = '$self->{slot}' AND active");
    });
}

# Waits for the end of the process: its exit code, or -SIGNAL.
sub wait_for_end {
    my ($self) = @_;
    CdcTest::wait_until('pg_recvlogical ends', sub { return !$self->running });
    return $self->{status} & 127 ? -($self->{status} & 127) : $self->{status} >> 8;
}

# A clean end, as Ctrl-C: what was received is confirmed.
sub stop {
    my ($self) = @_;
    $self->signal('INT');
    return $self->wait_for_end;
}

# No end that it could notice.
sub kill_hard {
    my ($self) = @_;
    $self->signal('KILL');
    return $self->wait_for_end;
}

sub DESTROY {
    my ($self) = @_;
    return if defined $self->{status};
    local ($?, $@);
    kill('KILL', $self->{pid});
    waitpid($self->{pid}, 0);
    return;
}

1;
