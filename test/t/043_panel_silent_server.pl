# What lets cdc_panel in and then says nothing, as a pooler before a server that hangs does: it counts as away, the page
# is served, and the panel ends when it is told to.
use strict;
use warnings;

use CdcPanel;
use CdcTest;
use IO::Socket::INET;
use Test::More;

my $node = cdc_node('unasked');
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0) // die "listen: $@";
my $child = fork() // die "fork: $!";
if ($child == 0) {
    my @clients;
    while (my $client = $silent->accept) {
        $client->read(my $length, 4);
        $client->read(my $startup, unpack('N', $length) - 4);
        # AuthenticationOk, and ReadyForQuery outside of a transaction.
        $client->syswrite(pack('a N N', 'R', 8, 0) . pack('a N a', 'Z', 5, 'I'));
        push(@clients, $client);
    }
    exit(0);
}

my $source = 'host=127.0.0.1 port=' . $silent->sockport . ' user=nobody sslmode=disable gssencmode=disable';
my $panel = start_panel($node, source => $source);
is($panel->metrics->{cdc_panel_up}, 0, 'the server counts as away');
like($panel->json->{panel}{error}, qr/does not answer/, 'and the page says why');
$panel->wait_for_look(up => 0);
is($panel->stop, 0, 'the panel ends');

done_testing();

END {
    local $?;
    if ($child) {
        kill('KILL', $child);
        waitpid($child, 0);
    }
}
