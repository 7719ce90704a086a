# A headless Chromium, driven through Debian's chromedriver by the WebDriver protocol.
package Browser;

use strict;
use warnings;

use CdcTest;
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

# Starts both, with a profile of their own in FOLDER.
sub start {
    my ($class, $folder) = @_;
    my $port = PostgreSQL::Test::Cluster::get_free_port();
    my $log = scratch_file('chromedriver.log');
    # Its home, too, is where it may write.
    local $ENV{HOME} = $folder;
    my $pid = CdcTest::start_command($log, $log, 'chromedriver', "--port=$port");
    my $self = bless {
        pid => $pid, url => "http://127.0.0.1:$port", http => HTTP::Tiny->new(timeout => CdcTest::timeout()),
    }, $class;
    wait_until('chromedriver listens', sub { $self->{http}->get("$self->{url}/status")->{success} });
    # Without its sandbox, which needs privileges that containers do not give.
    my @args = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', "--user-data-dir=$folder/profile");
    my $session = $self->command(POST => '/session', {
        capabilities => { alwaysMatch => {
            browserName => 'chrome',
            'goog:chromeOptions' => { args => \@args },
            'goog:loggingPrefs' => { browser => 'ALL', performance => 'ALL' } } } });
    $self->{url} .= "/session/$session->{sessionId}";
    return $self;
}

sub command {
    my ($self, $method, $path, $body) = @_;
    my $response = $self->{http}->request($method, "$self->{url}$path",
        { $method eq 'POST' ? (content => JSON::PP->new->utf8->encode($body // {})) : () });
    die "browser: $path: $response->{status} $response->{content}\n" unless $response->{success};
    return decode_json($response->{content})->{value};
}

sub open_page { my ($self, $url) = @_; return $self->command(POST => '/url', { url => $url }) }

# The value of a JavaScript expression in the page.
sub value {
    my ($self, $expression) = @_;
    return $self->command(POST => '/execute/sync', { script => "return $expression", args => [] });
}

sub wait_for {
    my ($self, $expression, $what) = @_;
    return wait_until($what // "in the page: $expression", sub { $self->value($expression) });
}

# A command of the DevTools protocol.
sub devtools {
    my ($self, $command, %parameters) = @_;
    return $self->command(POST => '/goog/cdp/execute', { cmd => $command, params => \%parameters });
}

# What the window is like.
sub resize {
    my ($self, $width, $height) = @_;
    return $self->devtools('Emulation.setDeviceMetricsOverride',
        width => $width, height => $height, deviceScaleFactor => 1, mobile => $width < 600 ? JSON::PP::true : JSON::PP::false);
}

sub prefer {
    my ($self, %features) = @_;
    return $self->devtools('Emulation.setEmulatedMedia',
        features => [ map { { name => $_, value => $features{$_} } } sort keys %features ]);
}

# A key as a person presses it: a character, or Tab, Enter, Space.
sub press {
    my ($self, $key) = @_;
    my $code = { Tab => "\x{E004}", Enter => "\x{E007}", Space => ' ' }->{$key} // $key;
    return $self->command(POST => '/actions', { actions => [ { type => 'key', id => 'keys',
        actions => [ { type => 'keyDown', value => $code }, { type => 'keyUp', value => $code } ] } ] });
}

# Presses Tab until EXPRESSION holds; how often, or 0 if it never does.
sub tab_to {
    my ($self, $expression) = @_;
    for my $count (1 .. 100) {
        $self->press('Tab');
        return $count if $self->value($expression);
    }
    return 0;
}

# The lines of a log since the last call: browser (the console), or performance (the network, decoded).
sub log_lines {
    my ($self, $type) = @_;
    my @lines = @{ $self->command(POST => '/se/log', { type => $type }) };
    return map { $type eq 'browser' ? $_->{message} : decode_json($_->{message})->{message} } @lines;
}

# Into a file, as PNG: what the window shows.
sub screenshot {
    my ($self, $file) = @_;
    open(my $out, '>:raw', $file) or die "$file: $!";
    print $out decode_base64($self->command(GET => '/screenshot'));
    close($out) or die "$file: $!";
    return;
}

sub stop {
    my ($self) = @_;
    return if !defined $self->{pid};
    eval { $self->command(DELETE => '') };
    kill('TERM', $self->{pid});
    waitpid($self->{pid}, 0);
    $self->{pid} = undef;
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    $self->stop;
    return;
}

1;
