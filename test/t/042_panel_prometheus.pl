# Prometheus scrapes cdc_panel, with the shipped alert rules as they are: they are silent while all is well, and fire
# during a real stall, when the slot is lost, and when the database goes away.
use strict;
use warnings;

use CdcGuard;
use CdcPanel;
use CdcTest;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rules = "$CdcTest::top/docs/alerts/cdc_plugin.rules.yml";
my ($out, $err) = ('', '');
ok(IPC::Run::run([ 'promtool', 'check', 'rules', $rules ], '>', \$out, '2>', \$err), 'promtool accepts the rules')
    or diag("$out$err");
like($out, qr/SUCCESS: \d+ rules found/, 'and finds them');

my $node = guard_node('prometheus', conf => 'max_slot_wal_keep_size = 32MB');
add_panel_role($node);
create_slot($node, 'orders');
my $panel = start_panel($node);

my $folder = scratch_file('prometheus');
mkdir $folder;
my ($target) = $panel->url =~ m{^http://(.*)$};
append_to_file("$folder/prometheus.yml", <<"YML");
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ['$rules']
scrape_configs:
  - job_name: cdc_panel
    static_configs: [{targets: ['$target']}]
YML
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $log = scratch_file('prometheus.log');
my $prometheus = CdcTest::start_command($log, $log, 'prometheus', "--config.file=$folder/prometheus.yml",
    "--storage.tsdb.path=$folder/data", "--web.listen-address=127.0.0.1:$port");
END {
    local $?;
    kill('TERM', $prometheus) && waitpid($prometheus, 0) if $prometheus;
}

sub ask {
    my ($path) = @_;
    my $response = HTTP::Tiny->new(timeout => CdcTest::timeout())->get("http://127.0.0.1:$port/api/v1/$path");
    return $response->{success} ? decode_json($response->{content})->{data} : undef;
}

# What an expression is now; undef if nothing.
sub query {
    my ($expression) = @_;
    my $data = ask('query?' . HTTP::Tiny->new->www_form_urlencode({ query => $expression })) or return undef;
    return $data->{result}[0] ? $data->{result}[0]{value}[1] : undef;
}

# Alerts by name; pending ones, too.
sub alerts_now {
    my $data = ask('alerts') or return {};
    return { map { $_->{labels}{alertname} => $_ } @{ $data->{alerts} } };
}

sub wait_for_alert {
    my ($name, $state) = @_;
    return wait_until("alert $name is $state", sub {
        my $alert = alerts_now()->{$name};
        return $alert && $alert->{state} eq $state ? $alert : undef;
    });
}

# --- all is well ------------------------------------------------------------------------------------------------------

eval {
    wait_until('Prometheus has scraped the panel', sub { (query('up{job="cdc_panel"}') // 0) == 1 });
    1;
} or die $@ . slurp_file($log);
# A scrape that took longer than its second has an error, and the next one has none.
wait_until('a scrape has no error', sub { ask('targets')->{activeTargets}[0]{lastError} eq '' });
wait_until('the slot is ok', sub { (query('cdc_slot_level{slot="orders",level="ok"}') // 0) == 1 });
pass('the slot is ok');
my $groups = ask('rules')->{groups};
is(scalar(grep { $_->{health} !~ /^(?:ok|unknown)$/ } map { @{ $_->{rules} } } @$groups), 0, 'all rules are well');
# The first evaluations may have come before the first scrape.
wait_until('no alert', sub { !%{ alerts_now() } });
pass('no alert while all is well');

# --- a stall ----------------------------------------------------------------------------------------------------------

write_wal($node, 24);
wait_for_level($node, 'orders', 'warning', 'consumer_down');
my $alert = wait_for_alert('CdcSlotWarning', 'firing');
is($alert->{labels}{slot}, 'orders', 'a warning for the slot');
is($alert->{labels}{severity}, 'warning', 'with its severity');
like($alert->{annotations}{summary}, qr/^Replication slot orders is at level warning$/, 'its summary');
like($alert->{annotations}{description},
    qr/^Cause: consumer_down\. WAL retained: 2\d\.\d+MiB; left before the cap: [\d.]+MiB\./,
    'cause and figures: ' . $alert->{annotations}{description});
like($alert->{annotations}{description}, qr/SELECT \* FROM cdc\.runbook\('orders'\);$/, 'and what to do');
write_wal($node, 5);
wait_for_level($node, 'orders', 'critical', 'consumer_down');
is(wait_for_alert('CdcSlotCritical', 'firing')->{labels}{severity}, 'critical', 'then critical');
wait_until('the warning is over', sub { !alerts_now()->{CdcSlotWarning} });
write_wal($node, 10);
$node->safe_psql('postgres', 'CHECKPOINT');
wait_for_level($node, 'orders', 'lost', 'slot_lost');
like(wait_for_alert('CdcSlotLost', 'firing')->{annotations}{description}, qr/cdc\.runbook\('orders'\)/, 'then lost');

# --- the database goes away -------------------------------------------------------------------------------------------

$node->stop;
$panel->wait_for_look(up => 0);
wait_for_alert('CdcDatabaseUnreachable', 'pending');
wait_until('what was seen last is still scraped',
    sub { (query('cdc_slot_level{slot="orders",level="lost"}') // 0) == 1 });
wait_for_alert('CdcDatabaseUnreachable', 'firing');
wait_for_alert('CdcSlotLost', 'firing');
pass('a database that is away ends no alert of a slot');
$node->start;
wait_until('the alert is over', sub { !alerts_now()->{CdcDatabaseUnreachable} });

# --- and the panel ----------------------------------------------------------------------------------------------------

is($panel->stop, 0, 'the panel ends');
wait_for_alert('CdcPanelDown', 'pending');
is((map { $_->{duration} } grep { $_->{name} eq 'CdcPanelDown' } map { @{ $_->{rules} } } @{ ask('rules')->{groups} })[0], 120,
    'which is an alert after two minutes');

done_testing();
