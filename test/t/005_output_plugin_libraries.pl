# Servers that have the setting output_plugin_libraries refuse a plugin that it does not list. cdc.preflight() says so,
# with the command that mends it, whatever the list looks like.
use strict;
use warnings;

use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('libraries', plugins => 0);
my $connection = $node->connstr('postgres');

sub preflight {
    my ($role) = @_;
    my $row = $node->safe_psql('postgres', ($role ? "SET ROLE $role;" : '') .
        q(SELECT json_agg(p) FROM cdc.preflight() AS p WHERE item = 'output_plugin_libraries'));
    my $found = JSON::PP::decode_json($row);
    is(scalar(@$found), 1, 'preflight has one row about the setting');
    return $found->[0];
}

if (!has_setting($node, 'output_plugin_libraries')) {
    my $row = preflight();
    is($row->{status}, 'ok', 'preflight has no objection on a server without the setting');
    is($row->{fix}, undef, 'and no command');
    like($row->{finding}, qr/no such setting/, 'and says why');
    create_slot($node, 'free');
    pass('the slot can be created');
  SKIP: {
        skip 'this server has no setting output_plugin_libraries, so there is nothing to mend', 1;
    }
    done_testing();
    exit;
}

sub setting { return $node->safe_psql('postgres', 'SHOW output_plugin_libraries') }

# The list as the server understands it.
sub entries {
    return $node->safe_psql('postgres', q{
        SELECT string_agg(btrim(entry, ' "'), '/')
        FROM regexp_split_to_table(current_setting('output_plugin_libraries'),
            ',(?=(?:[^"]*"[^"]*")*[^"]*$)') AS entry});
}

sub slot_error {
    my ($status, $out, $err) = $node->psql('postgres',
        q(SELECT pg_create_logical_replication_slot('probe', 'cdc_plugin')),
        on_error_stop => 1, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    $node->safe_psql('postgres', q(SELECT pg_drop_replication_slot('probe'))) if $status == 0;
    return $err;
}

# mend(WHAT, LIST, ENTRIES): with the setting at LIST, the command must lead to ENTRIES and a slot.
sub mend {
    my ($what, $list, $expected) = @_;
    if (defined $list) {
        $node->safe_psql('postgres', "ALTER SYSTEM SET output_plugin_libraries = $list");
        $node->reload;
        # A session learns of it at its next command; a new one has it when the postmaster has.
        wait_until('the setting is in force', sub { return slot_error() =~ /42501/ });
    }
    my $before = setting();
    like(slot_error(), qr/42501: library "cdc_plugin" may not be used as an output plugin/,
        "$what: the server refuses the plugin");
    my $row = preflight();
    is($row->{status}, 'error', "$what: preflight reports an error");
    like($row->{finding}, qr/\Q$before\E/, "$what: and the setting as it is");
    like($row->{fix}, qr/^ALTER SYSTEM SET output_plugin_libraries = .+; SELECT pg_reload_conf\(\);$/,
        "$what: and a command");
    note("$what: $before -> $row->{fix}");

    # As a user copies it, statement by statement.
    for my $statement (grep { /\S/ } split(/;/, $row->{fix})) {
        my ($status, $out, $err) = $node->psql('postgres', $statement);
        is($status, 0, "$what: psql runs \"$statement\"") or diag($err);
    }
    wait_until('the setting is in force', sub { return setting() ne $before });
    is(entries(), $expected, "$what: what was listed still is");
    is(preflight()->{status}, 'ok', "$what: preflight is content");
    is(slot_error(), '', "$what: the slot can be created");
    return;
}

mend('default', undef, 'pgoutput/test_decoding/cdc_plugin');
mend('other plugins', 'pgoutput, wal2json', 'pgoutput/wal2json/cdc_plugin');
mend('one plugin', 'test_decoding', 'test_decoding/cdc_plugin');
mend('names that need quotes', q('My-Plugin', pgoutput, "Other"), 'My-Plugin/pgoutput/Other/cdc_plugin');
mend('a name like ours', 'cdc_plugin2, pgoutput', 'cdc_plugin2/pgoutput/cdc_plugin');
mend('the list in one pair of quotes', q('pgoutput, test_decoding'), 'pgoutput/test_decoding/cdc_plugin');
mend('the list with ours in one pair of quotes', q('pgoutput, test_decoding, cdc_plugin'),
    'pgoutput/test_decoding/cdc_plugin');
mend('an empty list', q(''), 'cdc_plugin');

# The same mistake in the file, where the value of a list is always quoted once.
$node->safe_psql('postgres', 'ALTER SYSTEM RESET output_plugin_libraries');
$node->append_conf('postgresql.conf', q(output_plugin_libraries = '"pgoutput,cdc_plugin", wal2json'));
$node->restart;
mend('quotes within the file', undef, 'pgoutput/wal2json/cdc_plugin');

# The whole command at once, as psql reads it from standard input.
$node->safe_psql('postgres', 'ALTER SYSTEM SET output_plugin_libraries = pgoutput');
$node->reload;
wait_until('the setting is in force', sub { return slot_error() =~ /42501/ });
my $fix = preflight()->{fix};
my ($out, $err) = ('', '');
ok(IPC::Run::run([ 'psql', '-XAt', '-v', 'ON_ERROR_STOP=1', '-d', $connection ], '<', \$fix, '>', \$out, '2>', \$err),
    'psql runs the command as one line') or diag($err);
wait_until('the slot can be created', sub { return slot_error() eq '' });
pass('and the slot can be created');

# A role that may not see the setting learns what is wrong, and who can tell more.
$node->safe_psql('postgres', 'CREATE ROLE nobody_special; ALTER SYSTEM SET output_plugin_libraries = pgoutput');
$node->reload;
wait_until('the setting is in force', sub { return slot_error() =~ /42501/ });
my $row = preflight('nobody_special');
is($row->{status}, 'error', 'an ordinary role sees that the plugin is not listed');
like($row->{fix}, qr/as a superuser or a member of pg_monitor/, 'and whom to ask');
unlike($row->{finding}, qr/pgoutput/, 'but not the setting');
$node->safe_psql('postgres', 'GRANT pg_monitor TO nobody_special');
like(preflight('nobody_special')->{fix}, qr/^ALTER SYSTEM/, 'a member of pg_monitor sees the command');

# A slot from before, whose plugin is no longer listed, is refused but not lost.
$node->safe_psql('postgres', 'ALTER SYSTEM SET output_plugin_libraries = pgoutput, cdc_plugin');
$node->reload;
wait_until('the slot can be created', sub { return slot_error() eq '' });
create_slot($node, 'kept');
$node->safe_psql('postgres', 'CREATE TABLE t (a int); INSERT INTO t VALUES (1)');
$node->safe_psql('postgres', 'ALTER SYSTEM SET output_plugin_libraries = pgoutput');
$node->reload;
wait_until('the setting is in force', sub { return slot_error() =~ /42501/ });
my ($status, $stderr) = drain_fails($node, 'kept');
isnt($status, 0, 'a slot whose plugin was taken off the list cannot be read');
like($stderr, qr/library "cdc_plugin" may not be used as an output plugin/, 'for that reason');
$node->safe_psql('postgres', 'ALTER SYSTEM SET output_plugin_libraries = pgoutput, cdc_plugin');
$node->reload;
wait_until('the slot can be created', sub { return slot_error() eq '' });
is(scalar(changes(drain($node, 'kept'))), 1, 'listed again, it has lost nothing');

done_testing();
