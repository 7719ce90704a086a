# cdc_panel over HTTP: what it serves is what the server says, also while consumer, server or its own session are gone;
# hostile names stay text; and the work at the server does not grow with those who ask.
use strict;
use warnings;

use CdcGuard;
use CdcPanel;
use CdcTest;
use HTTP::Tiny;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = guard_node('panel', conf => "max_slot_wal_keep_size = 32MB\nmax_prepared_transactions = 5");
add_panel_role($node);
my $panel = start_panel($node);
my $sessions = q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'cdc_panel' AND backend_type = 'client backend'};

# What a request gets that has this in its Host header, which HTTP::Tiny does not let one set.
sub status_under_name {
    my ($name) = @_;
    my ($port) = $panel->url =~ /:(\d+)/;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) // die "connect: $@";
    print $socket "GET /api/slots HTTP/1.1\r\nHost: $name\r\nConnection: close\r\n\r\n";
    return (<$socket> =~ m{^HTTP/1\.1 (\d+)})[0];
}

# --- a quiet server ---------------------------------------------------------------------------------------------------

my $page = $panel->request('/');
is($page->{status}, 200, 'the page is served');
cmp_ok(length($page->{content}), '<', 100_000, 'it has less than 100 kB: ' . length($page->{content}) . ' bytes');
my ($nonce) = $page->{headers}{'content-security-policy'} =~ /script-src 'nonce-([0-9a-f]{32})'/;
like($page->{content}, qr/<script nonce="$nonce">/, 'its script has the nonce of the policy');
like($page->{content}, qr/<style nonce="$nonce">/, 'and so has its style');
like($page->{headers}{'content-security-policy'}, qr/^default-src 'none'; connect-src 'self';/,
    'nothing else may be loaded');
isnt($nonce, ($panel->get('/') =~ /nonce="([0-9a-f]+)"/)[0], 'each response has its own');
is($panel->get('/healthz'), "ok\n", '/healthz');
my $seen = $panel->json;
ok($seen->{panel}{up}, 'the server is up');
is_deeply($seen->{data}{slots}, [], 'there are no slots');
is_deeply($seen->{data}{alerts}, [], 'and no alerts');
ok($seen->{data}{server}{watching}, 'the guard watches');
cmp_ok(length($panel->request('/', Range => 'bytes=' . join(',', ('0-') x 500))->{content}), '<',
    100_000, 'a request for many ranges does not multiply it');
is($panel->request('/nothing')->{status}, 404, 'another path is not found');
is(HTTP::Tiny->new->post($panel->url, { content => 'x' })->{success}, '', 'nothing can be posted');
is(status_under_name('evil.example:8080'), 421, 'another name is not ours');
is(status_under_name('localhost:8080'), 200, 'localhost is');
is(status_under_name('[::1]:8080'), 200, 'and so are numbers');
is($node->safe_psql('postgres', $sessions), 1, 'it has one session');

# --- a stall ----------------------------------------------------------------------------------------------------------

create_slot($node, 'stalled');
write_wal($node, 24);
wait_for_level($node, 'stalled', 'warning', 'consumer_down');
$panel->wait_for_look;
my $slot = $panel->slot('stalled');
is("$slot->{level} $slot->{cause} $slot->{active}", 'warning consumer_down 0', 'level and cause');
my $columns = 'advice, retained_bytes, unconfirmed_bytes, cap_bytes, headroom_bytes, used_percent, cap_source';
# The server writes a little WAL of its own now and then, perhaps between the two looks.
wait_until('figures and advice are the server\'s', sub {
    $slot = $panel->slot('stalled');
    return join('|', @$slot{ split(/, /, $columns) }) eq slot_row($node, 'stalled', $columns);
});
pass('figures and advice are the server\'s');
is(scalar(@{ $slot->{history} }), 60, 'the history has its points');
is((sort { $b <=> $a } grep { defined } @{ $slot->{history} })[0], $slot->{retained_bytes},
    'and what is retained is the highest');
my $alert = $panel->json->{data}{alerts}[0];
is("$alert->{slot_name} $alert->{level}", 'stalled warning', 'the alert is there');
my $metrics = wait_until('page and metrics tell of the same look', sub {
    my $found = $panel->metrics;
    $slot = $panel->slot('stalled');
    return $slot->{retained_bytes} == $found->{'cdc_slot_retained_bytes{slot="stalled"}'} && $found;
});
is($metrics->{'cdc_slot_level{slot="stalled",level="warning"}'}, 1, 'the metric of the level');
is($metrics->{'cdc_slot_level{slot="stalled",level="ok"}'}, 0, 'and those of others');
is($metrics->{'cdc_slot_cause{slot="stalled",cause="consumer_down"}'}, 1, 'the metric of the cause');
is($metrics->{'cdc_slot_headroom_bytes{slot="stalled"}'}, $slot->{headroom_bytes}, 'headroom');
is($metrics->{cdc_panel_up}, 1, 'cdc_panel_up');

# Its steps tell how long the headroom lasts, which the guard may learn between the two, and how much room the disk has,
# which anybody else on it changes.
sub without_what_moves {
    my @steps = @_;
    for my $step (@steps) {
        $step->{instruction} =~ s/(?:How long it lasts is not known|At the present rate it lasts for another [\d:]+)\.$//;
        $step->{instruction} =~ s/\(\d+ \w+ free\)/(free)/;
    }
    return \@steps;
}
is_deeply(without_what_moves(@{ $panel->json('/api/runbook?slot=stalled') }),
    without_what_moves(@{ decode_json($node->safe_psql('postgres', q{SELECT json_agg(r) FROM cdc.runbook('stalled') AS r})) }),
    'the runbook is the server\'s');
is($panel->request(q{/api/runbook?slot=x'%3b%20DROP%20TABLE%20t--})->{status}, 404, 'a slot that is not there');
is($panel->request('/api/runbook')->{status}, 404, 'no slot at all');

# --- in a terminal ----------------------------------------------------------------------------------------------------

my $long = 'a_slot_with_a_name_as_long_as_the_server_allows_it_to_be_12345678';
$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot(left('$long', 63), true)");
my ($screen, $problems) = ('', '');
my $psql = IPC::Run::start([ $node->installed_command('psql'), '-X', '-d',
    $node->connstr('postgres') . ' user=cdc_panel' ],
    '<', \"SELECT * FROM cdc.slots_brief \\watch 0.1\n", '>', \$screen, '2>', \$problems, IPC::Run::timeout(CdcTest::timeout()));
$psql->pump until $screen =~ /(?:\(2 rows\).*){3}/s;
$psql->kill_kill;
is((grep { length > 100 } split(/\n/, $screen)), 0, 'cdc.slots_brief under \watch has lines of at most 100 columns');
like($screen, qr/^ stalled +\| warning \| consumer_down \| 2\d MB +\| \d+ [kM]B +\| 7\d% /m, 'one for a slot in trouble');
like($screen, qr/^ a_slot_with_a_name_a~ \| /m, 'and one for a slot with a long name') or diag($screen);
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot(left('$long', 63))");
$panel->wait_for_look;

# --- the server goes away ---------------------------------------------------------------------------------------------

$node->stop('fast');
$metrics = $panel->wait_for_look(up => 0);
is($metrics->{'cdc_slot_level{slot="stalled",level="warning"}'}, 1, 'while the server is away, what was seen last is there');
cmp_ok($metrics->{cdc_panel_failures_total}, '>', 0, 'and failures are counted');
my $age = $metrics->{cdc_panel_data_age_seconds};
wait_until('it gets older', sub { $panel->metrics->{cdc_panel_data_age_seconds} > $age });
$seen = $panel->json;
ok(!$seen->{panel}{up}, 'the page is told');
like($seen->{panel}{error}, qr/connection|No such file/, 'and why: ' . $seen->{panel}{error});
is($seen->{data}{slots}[0]{slot_name}, 'stalled', 'the slots are still there');
is($panel->request('/')->{status}, 200, 'so is the page');
is($panel->request('/api/runbook?slot=stalled')->{status}, 503, 'a runbook must come from the server');
is($panel->get('/healthz'), "ok\n", 'the panel itself is well');
$node->start;
$panel->wait_for_look;
my @before = grep { defined } @{ $slot->{history} };
my @after = grep { defined } @{ $panel->slot('stalled')->{history} };
cmp_ok(scalar(@after), '>=', scalar(@before), 'the history goes on over the restart');
crash($node);
$panel->wait_for_look(up => 0);
start_behind_crash($node);
$panel->wait_for_look;
pass('it goes on behind a crash');
my $failures = $panel->metrics->{cdc_panel_failures_total};
$node->safe_psql('postgres', $sessions =~ s/count\(\*\)/pg_terminate_backend(pid)/r);
wait_until('the lost session is noticed', sub { $panel->metrics->{cdc_panel_failures_total} > $failures });
$panel->wait_for_look;
is($node->safe_psql('postgres', $sessions), 1, 'and replaced by another');

my $seen_pid = $node->safe_psql('postgres', $sessions =~ s/count\(\*\)/pid/r);
my @hung = ($seen_pid, (split(/\n/, slurp_file($node->data_dir . '/postmaster.pid')))[0]);
kill STOP => @hung;
like(eval { $panel->wait_for_look(up => 0); $panel->json->{panel}{error} } // $@, qr/does not answer|timeout expired/,
    'a server that hangs counts as away');
is($panel->request('/api/runbook?slot=stalled')->{status}, 503, 'and nobody waits for it');
kill CONT => @hung;
$panel->wait_for_look;
isnt($node->safe_psql('postgres', $sessions =~ s/count\(\*\)/pid/r), $seen_pid, 'its session is replaced');

# --- hostile text -----------------------------------------------------------------------------------------------------

my $gid = q{<img src=x onerror="alert(1)">'"\\ } . "\xc3\xa9";
my $database = q{<script>"db"\\'};
(my $quoted = $gid) =~ s/'/''/g;
$node->safe_psql('postgres', 'CREATE DATABASE "' . ($database =~ s/"/""/gr) . '"');
$node->safe_psql('postgres', 'CREATE TABLE t (a int)');
create_slot($node, 'held');
$node->safe_psql($database, q{SELECT pg_create_logical_replication_slot('elsewhere', 'test_decoding')});
$node->safe_psql('postgres', "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '$quoted'");
write_wal($node, 4);
$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('held', pg_current_wal_lsn())});
my $held = wait_until('the prepared transaction is blamed', sub {
    my $row = $panel->slot('held');
    return $row && $row->{cause} eq 'prepared_transaction' && $row;
});
utf8::decode(my $characters = $gid);
is($held->{culprit_gid}, $characters, 'a hostile gid comes through as it is');
like($held->{advice}, qr/ROLLBACK PREPARED/, 'in the advice, too: ' . $held->{advice} =~ s/[^ -~]/?/gr);
is($panel->slot('elsewhere')->{database}, $database, 'so does the name of a database');
like($panel->get('/metrics'), qr/^cdc_slot_info\{slot="elsewhere",.*database="<script>\\"db\\"\\\\'",/m,
    'and is escaped in a label');
$node->safe_psql('postgres', "ROLLBACK PREPARED '$quoted'");

# The server refuses to convert such an id for a client with UTF-8.
$node->safe_psql('postgres', q{CREATE DATABASE bytes ENCODING SQL_ASCII LOCALE 'C' TEMPLATE template0});
$node->safe_psql('bytes', 'CREATE EXTENSION cdc_plugin; CREATE TABLE t (a int)');
my $other = start_panel($node, source => $node->connstr('bytes') . ' user=cdc_panel');
$node->safe_psql('bytes', q{BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION E'odd \xff'});
write_wal($node, 4);
$node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('held', pg_current_wal_lsn())});
wait_until("$_->{what}: an id that is no text hides nothing", sub {
    return ($_->{panel}->slot('held')->{culprit_gid} // '') eq 'odd ?';
}) for { what => 'UTF8', panel => $panel }, { what => 'SQL_ASCII', panel => $other };
is($other->stop, 0, 'that one ends');
$node->safe_psql('bytes', q{ROLLBACK PREPARED E'odd \xff'});

# --- many who ask -----------------------------------------------------------------------------------------------------

is($panel->stop, 0, 'SIGTERM ends it with exit code 0');
$panel = start_panel($node, args => [qw(--listen 127.0.0.1:0 --interval 10min)]);
# The first one asks the server, for which others wait a second and no longer.
$panel->get('/api/runbook?slot=stalled');
my @children;
for (1 .. 8) {
    my $child = fork() // die "fork: $!";
    if ($child == 0) {
        my $ok = eval {
            $panel->get($_ % 2 ? '/api/slots' : '/api/runbook?slot=stalled') for 1 .. 25;
            1;
        };
        POSIX::_exit($ok ? 0 : 1);
    }
    push @children, $child;
}
my $failed = 0;
for (@children) { waitpid($_, 0); $failed += $? != 0 }
is($failed, 0, '200 requests at a time of eight are answered');
is($panel->metrics->{cdc_panel_looks_total}, 1, 'from one look at the server');

# --- what is refused --------------------------------------------------------------------------------------------------

my $source = $node->connstr('postgres') . ' user=cdc_panel';
my ($taken) = $panel->url =~ /:(\d+)$/;
my $host = $node->host;
my $port = $node->port;
$node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN; CREATE DATABASE bare; CREATE DATABASE old');
$node->safe_psql('old', q{CREATE EXTENSION cdc_plugin VERSION '0.1'});
my @listen = qw(--listen 127.0.0.1:0);
panel_fails($node, 2, qr/--source is missing/, '--help', 'no source', source => undef);
panel_fails($node, 2, qr/not a connection string/, 'host=db', 'a source that is none', source => 'nonsense');
panel_fails($node, 2, qr/the host contains '@'/, '%40', 'a password with an @ in a URI',
    source => 'postgresql://cdc_panel:secret@end@db/postgres');
panel_fails($node, 2, qr/other machines can reach 0\.0\.0\.0/, '--allow-remote', 'all interfaces',
    args => [qw(--listen 0.0.0.0:0)]);
panel_fails($node, 2, qr/other machines can reach 127\.example/, '--allow-remote', 'a name like a number',
    args => [qw(--listen 127.example:0)]);
panel_fails($node, 2, qr/is not ADDRESS:PORT/, '127\.0\.0\.1', 'no port', args => [qw(--listen localhost)]);
panel_fails($node, 2, qr/out of range/, '65535', 'a port that is none', args => [qw(--listen 127.0.0.1:99999)]);
panel_fails($node, 2, qr/out of range/, '100ms to 10min', 'an interval that is too short',
    args => [ @listen, qw(--interval 1ms) ]);
panel_fails($node, 2, qr/'soon' is not a time/, '10s', 'a time that is none', args => [ @listen, qw(--history soon) ]);
panel_fails($node, 2, qr/--refresh/, '--help', 'an unknown option', args => [qw(--refresh 5s)]);
panel_fails($node, 1, qr/cannot listen on 127\.0\.0\.1, port $taken/, 'in use', 'a port in use',
    args => [ '--listen', "127.0.0.1:$taken" ]);
panel_fails($node, 1, qr/permission denied/, 'GRANT pg_monitor', 'a role without rights',
    source => "host=$host port=$port dbname=postgres user=stranger");
panel_fails($node, 1, qr/does not exist/, 'CREATE EXTENSION', 'a database without the extension',
    source => "host=$host port=$port dbname=bare user=cdc_panel");
panel_fails($node, 1, qr/does not exist/, 'ALTER EXTENSION cdc_plugin UPDATE', 'the extension before there was a guard',
    source => "host=$host port=$port dbname=old user=cdc_panel");
panel_fails($node, 1, qr/database "nowhere" does not exist/, 'dbname', 'a database that is not there',
    source => "host=$host port=$port dbname=nowhere user=cdc_panel");
panel_fails($node, 1, qr/role "nobody" does not exist/, 'user', 'a role that is not there',
    source => "host=$host port=$port dbname=postgres user=nobody");
is($panel->stop, 0, 'the other one works on, and ends');

# --- a server that comes later ----------------------------------------------------------------------------------------

$node->stop;
$panel = start_panel($node);
is($panel->metrics->{cdc_panel_up}, 0, 'it starts without its server');
is($panel->json->{data}, undef, 'with nothing to show');
is($panel->request('/')->{status}, 200, 'but the page');
$node->start;
wait_until('the server is found', sub { $panel->metrics->{cdc_panel_up} });
ok($panel->slot('stalled'), 'and finds it when it is there');
is($panel->stop, 0, 'it ends');
$node->stop;

# --- many slots -------------------------------------------------------------------------------------------------------

my $many = guard_node('many', conf => 'max_replication_slots = 110');
add_panel_role($many);
$many->safe_psql('postgres',
    q{SELECT count(pg_create_physical_replication_slot('slot_' || n, true)) FROM generate_series(1, 100) AS n});
$panel = start_panel($many);
wait_until('the guard has a history of them', sub {
    return $many->safe_psql('postgres', 'SELECT count(*) FROM cdc.slot_history') > 10_000;
});
my @looks = map { 1000 * $panel->wait_for_look->{cdc_panel_look_seconds} } 1 .. 7;
is(scalar(@{ $panel->json->{data}{slots} }), 100, '100 slots are shown');
note(sprintf('a look at 100 slots took %s ms; the page gets %d bytes of JSON',
    join(' ', map { sprintf('%.1f', $_) } sort { $a <=> $b } @looks), length($panel->get('/api/slots'))));
is($panel->stop, 0, 'it ends');

done_testing();
