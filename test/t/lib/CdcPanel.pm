# What the tests of cdc_panel share: starting it, and asking it by HTTP.
package CdcPanel;

use strict;
use warnings;

use CdcTest;
use Exporter 'import';
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(add_panel_role panel_command panel_fails start_panel);

# Everything that is asked is on this machine.
delete @ENV{qw(http_proxy HTTP_PROXY all_proxy ALL_PROXY)};

# The one that the documentation gives.
sub add_panel_role {
    my ($node) = @_;
    my ($command) = slurp_file("$CdcTest::top/docs/panel.md") =~ /^(CREATE ROLE cdc_panel .*;)$/m
      or die 'docs/panel.md has no CREATE ROLE';
    $node->safe_psql('postgres', $command);
    return;
}

# panel_command(NODE, OPTION => VALUE...)
#   source => CONNINFO   if it is not NODE's, as the role of add_panel_role(); undef: none
#   args => [ARG...]     in place of a free port and short times
sub panel_command {
    my ($node, %how) = @_;
    my $source = exists $how{source} ? $how{source} : $node->connstr('postgres') . ' user=cdc_panel';
    my $folder = $node->config_data('--bindir');
    return (
        "$CdcTest::stage$folder/cdc_panel", (defined $source ? ('--source', $source) : ()),
        @{ $how{args} // [qw(--listen 127.0.0.1:0 --interval 200ms --history 1min)] });
}

# Expected to end at once, with an exit code, a one-line message like a pattern, and a hint like another.
sub panel_fails {
    my ($node, $code, $message, $hint, $name, %how) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ panel_command($node, %how) ], '>', \$out, '2>', \$err, IPC::Run::timeout(CdcTest::timeout()));
    is($? >> 8, $code, "$name: exit code") or diag($err);
    my @lines = grep { /^cdc_panel: / } split(/\n/, $err);
    is(scalar(@lines), 1, "$name: one line") or diag($err);
    like($lines[0] // '', $message, "$name: message");
    like($err, qr/^hint: .*$hint/m, "$name: hint");
    return;
}

# Starts it in the background, and waits until it listens: a CdcPanel::Run.
sub start_panel {
    my ($node, %how) = @_;
    my $log = scratch_file('panel.log');
    append_to_file($log, '');
    my $pid = CdcTest::start_command('/dev/null', $log, panel_command($node, %how));
    my $panel = bless { pid => $pid, errors => $log, node => $node }, 'CdcPanel::Run';
    $panel->{url} = wait_until('the panel listens', sub {
        die 'the panel ended: ' . $panel->errors . "\n" unless $panel->running;
        return $panel->errors =~ m{panel at (http://\S+)/$}m ? $1 : undef;
    });
    return $panel;
}

# --- a running panel --------------------------------------------------------------------------------------------------

package CdcPanel::Run;

our @ISA = ('CdcTest::Receiver');

sub url { return $_[0]{url} }

# The whole response, as HTTP::Tiny has it.
sub request {
    my ($self, $path, %headers) = @_;
    return HTTP::Tiny->new(timeout => CdcTest::timeout())->get("$self->{url}$path", { headers => \%headers });
}

sub get {
    my ($self, $path) = @_;
    my $response = $self->request($path);
    die "$path: status $response->{status}: $response->{content}\n" unless $response->{success};
    return $response->{content};
}

sub json {
    my ($self, $path) = @_;
    return JSON::PP::decode_json($self->get($path // '/api/slots'));
}

# A slot as the page gets it; undef if there is none.
sub slot {
    my ($self, $name) = @_;
    my $data = $self->json->{data} or return undef;
    return (grep { $_->{slot_name} eq $name } @{ $data->{slots} })[0];
}

# Metrics by name with labels: NAME{label="value",...}.
sub metrics {
    my ($self) = @_;
    my %found = map { /^([^# ].*) (\S+)$/ ? ($1 => $2) : () } split(/\n/, $self->get('/metrics'));
    return \%found;
}

# Waits until the server has been looked at again (or, with up => 0, until it does not answer).
sub wait_for_look {
    my ($self, %how) = @_;
    my $up = $how{up} // 1;
    my $before = $self->metrics->{cdc_panel_looks_total};
    return CdcTest::wait_until('the panel has looked', sub {
        my $metrics = $self->metrics;
        # Two, because one may have been under way.
        return $metrics->{cdc_panel_looks_total} >= $before + 2 && $metrics->{cdc_panel_up} == $up ? $metrics : undef;
    });
}

# A clean end: its exit code.
sub stop {
    my ($self) = @_;
    $self->signal('TERM');
    return $self->wait_for_end;
}

1;
