# pg_recvlogical -P cdc_plugin, as a user meets it: slot, stream into a file, protoc, JSON, wrong options.
use strict;
use warnings;
use utf8;

use CdcTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = cdc_node('recvlogical');
my $connection = $node->connstr('postgres');
$node->safe_psql('postgres', q{
    CREATE TABLE item (id bigint PRIMARY KEY, body text, blob bytea, price numeric(12,2), tags text[], doc jsonb);
    ALTER TABLE item REPLICA IDENTITY FULL;
});

# --- a slot, and a stream into a file while rows change ---------------------------------------------------------------

$node->command_ok([ 'pg_recvlogical', '-d', $connection, '-S', 'first', '--create-slot', '-P', 'cdc_plugin' ],
    'pg_recvlogical creates a slot');
is($node->safe_psql('postgres', q(SELECT plugin FROM pg_replication_slots WHERE slot_name = 'first')),
    'cdc_plugin', 'the slot belongs to the plugin');
create_slot($node, $_) for qw(json again wrong);

my $receiver = receive($node, 'first');
$receiver->walsender;

# 5 and 10 put the byte 0x0A, pg_recvlogical's newline, into the numbers: as a zigzag varint and as a length.
my @bodies = ('plain', "two\nlines", "\n", "\n\n\n", '', "tab\tquote\"back\\slash", "ümläut €\n",
    "ends with newline\n", "\r\n");
$node->safe_psql('postgres', sprintf(q{
    INSERT INTO item VALUES (%d, %s, '\x0a0d0a0a00ff', %d.50, ARRAY[E'a\nb', NULL, 'c'], '{"line": "a\nb"}')},
    $_ + 5, quote($bodies[$_]), $_)) for 0 .. $#bodies;
$node->safe_psql('postgres', q{
    BEGIN;
    UPDATE item SET price = price + 10, body = body || E'\n' WHERE id IN (5, 10);
    UPDATE item SET id = 1010 WHERE id = 10;
    DELETE FROM item WHERE id = 5;
    COMMIT;
    SELECT pg_logical_emit_message(false, 'note', E'outside\nof one');
    TRUNCATE item;
    SELECT pg_logical_emit_message(true, 'note', E'in\na transaction');
});
my $end = current_lsn($node);
$receiver->wait_for_confirmation($end);
is($receiver->stop, 0, 'pg_recvlogical ends cleanly');

sub quote {
    my ($text) = @_;
    $text =~ s/([\\'])/$1$1/g;
    return "E'$text'";
}

my @events = events($receiver->file);
my @changes = grep { exists $_->{id} } @events;
my @inserts = splice(@changes, 0, scalar(@bodies));
is_deeply([ map { $_->{after}{body} } @inserts ], \@bodies, 'texts with newlines arrive as they are');
is_deeply([ map { $_->{after}{id} } @inserts ], [ 5 .. 4 + @bodies ], 'so do numbers that are the byte of a newline');
is_deeply($inserts[1], {
        kind => 'insert', relation => 'public.item', before => undef, before_kind => undef,
        after => {
            id => 6, body => "two\nlines", blob => '\x0a0d0a0a00ff', price => '1.50', tags => [ "a\nb", undef, 'c' ],
            doc => '{"line": "a\nb"}'
        },
        map { $_ => $inserts[1]{$_} } qw(id lsn ordinal xid oid digest message)
    }, 'an insert, in full');
is($_->{ordinal}, 1, 'each insert is the first change of its transaction') for $inserts[0], $inserts[-1];

# Of the four row changes, by kind and key.
is_deeply([ map { [ $_->{kind}, $_->{before_kind}, $_->{before}{id}, $_->{after} && $_->{after}{id}, $_->{ordinal} ] }
          splice(@changes, 0, 4) ],
    [ [ 'update', 'full', 5, 5, 1 ], [ 'update', 'full', 10, 10, 2 ], [ 'update', 'full', 10, 1010, 3 ],
      [ 'delete', 'full', 5, undef, 4 ] ],
    'updates and deletes with full old rows, numbered in order');
my ($update) = grep { $_->{kind} eq 'update' } @events;
is_deeply($update->{before}, { %{ $inserts[0]{after} } }, 'the old row is the row that was inserted');
is_deeply($update->{after}, { %{ $inserts[0]{after} }, price => '10.50', body => "plain\n" },
    'the new row is the new one');
is_deeply([ map { [ @$_{qw(kind prefix content)} ] } @changes ],
    [ [ 'truncate', undef, undef ], [ 'message', 'note', "in\na transaction" ] ], 'a truncate and a message');
is_deeply([ map { $_->{content} } grep { $_->{kind} eq 'message' && !$_->{transactional} } @events ],
    [ "outside\nof one" ], 'a message outside of transactions');
is(scalar(grep { $_->{kind} eq 'relation' } @events), 1, 'one definition for one table');

# --- a second run appends to the file ---------------------------------------------------------------------------------

$node->safe_psql('postgres', 'INSERT INTO item (id) VALUES (77)');
drain($node, 'first', file => $receiver->file);
my @more = events($receiver->file);
is(scalar(@more), @events + 4, 'a second run of pg_recvlogical appends its records (and defines the table again)');

# --- the file as one protobuf message ---------------------------------------------------------------------------------

my $one_liner = sub {
    my ($file) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ 'sh', '-c',
        "(printf '\\n'; head -c -1 '$file') | "
          . "protoc --decode=cdc_plugin.v1.BatchFile -I'$CdcTest::proto' cdc_plugin/v1/change.proto" ],
        '>', \$out, '2>', \$err);
    return ($? >> 8, $out, $err);
};
my ($code, $text, $errors) = $one_liner->($receiver->file);
is($code, 0, 'the one-liner with protoc reads the file') or diag($errors);
is(scalar(() = $text =~ /^  records \{$/mg), scalar(@more), 'it shows every record');
like($text, qr/text: "two\\nlines"/, 'and the values');
unlike($text, qr/^\s+\d+: /m, 'and no field that the schema lacks');

# That it reads the same as the framing is meant: protoc's text, read back, against the file taken apart by length.
{
    local $ENV{CDC_PROTO} = CdcTest::generated();
    my $text_file = scratch_file('text');
    append_to_file($text_file, $text);
    my ($out, $err) = ('', '');
    my $same = IPC::Run::run([ python(), '-c', <<'PYTHON', $receiver->file, $text_file ], '>', \$out, '2>', \$err);
import os, sys
# In place of the current directory, where the module of that name is the server's.
sys.path[0] = os.environ["CDC_PROTO"]
from google.protobuf import text_format
from google.protobuf.internal.decoder import _DecodeVarint
from cdc_plugin.v1 import change_pb2 as pb
data = open(sys.argv[1], "rb").read()
apart, at = pb.BatchFile(), 0
while at < len(data):
    size, at = _DecodeVarint(data, at)
    apart.batches.append(pb.Batch.FromString(data[at:at + size]))
    at += size + 1
assert text_format.Parse(open(sys.argv[2], encoding="utf-8").read(), pb.BatchFile()) == apart
assert pb.BatchFile.FromString(b"\n" + data[:-1]) == apart
PYTHON
    ok($same, 'and nothing else than the batches of the file') or diag($err);
}

# --- JSON -------------------------------------------------------------------------------------------------------------

my $lines = drain($node, 'json', options => { format => 'json' }, endpos => $end);
my @json = json_lines($lines);
is(scalar(@json), scalar(@events), 'format=json: one line of valid JSON for each record');
my @json_inserts = grep { ($_->{op} // '') eq 'insert' } @json;
is_deeply([ map { $_->{after}{body} } @json_inserts ], \@bodies, 'with the same values');
is_deeply([ map { $_->{ordinal} } grep { exists $_->{ordinal} && !exists $_->{prefix} } @json ],
    [ map { $_->{ordinal} } grep { exists $_->{ordinal} && $_->{kind} ne 'message' } @events ],
    'and the same ordinals');

# --- wrong options ----------------------------------------------------------------------------------------------------

my @wrong = (
    [ [ 'framing=delimited', 'nonsense=1' ], qr/ERROR:  unrecognized output plugin option "nonsense"/,
        'an unknown option' ],
    [ [ 'framing=delimited', 'framing=delimited' ], qr/ERROR:  repeated output plugin option "framing"/,
        'a repeated option' ],
    [ [ 'format' ], qr/ERROR:  invalid value for output plugin option "format"/, 'an option without a value' ],
    [ [ 'format=' ], qr/ERROR:  invalid value for output plugin option "format": ""/, 'an empty value' ],
    [ [ 'format=xml' ], qr/ERROR:  invalid value for output plugin option "format": "xml"/, 'an unknown format' ],
    [ [ 'batch_bytes=0' ], qr/ERROR:  invalid value for output plugin option "batch_bytes": "0"/,
        'a value out of range' ],
    [ [ 'batch_bytes=64 kB' ], qr/ERROR:  invalid value for output plugin option "batch_bytes"/,
        'a value with a space' ],
    [ [ 'batch_bytes=99999999999999999999' ], qr/ERROR:  invalid value for output plugin option "batch_bytes"/,
        'a value that overflows' ],
    [ [ 'tables=item' ], qr/ERROR:  invalid value for output plugin option "tables": "item"/,
        'a table without a schema' ],
    [ [ 'tables=public.item\\' ], qr/ERROR:  invalid value for output plugin option "tables"/,
        'a pattern that ends with a backslash' ],
    [ [ 'tables=public.item,' ], qr/ERROR:  invalid value for output plugin option "tables"/,
        'a list that ends with a comma' ],
    [ [ 'actions=insert,upsert' ], qr/ERROR:  invalid value for output plugin option "actions"/, 'an unknown action' ],
    [ [ 'messages=perhaps' ], qr/ERROR:  invalid value for output plugin option "messages": "perhaps"/,
        'a Boolean that is none' ],
    [ [ 'origin=some' ], qr/ERROR:  invalid value for output plugin option "origin"/, 'an unknown origin' ],
    [ [ 'format=json', 'framing=delimited' ], qr/ERROR:  conflicting output plugin options/,
        'options that do not go together' ],
);
for my $case (@wrong) {
    my ($options, $error, $what) = @$case;
    my ($status, $stderr) = drain_fails($node, 'wrong', options => $options);
    isnt($status, 0, "$what: pg_recvlogical fails");
    like($stderr, $error, "$what: with the reason");
    like($stderr, qr/DETAIL:  \S.*\.$/m, "$what: and a detail");
    like($stderr, qr/HINT:  \S.*\.$/m, "$what: and a hint");
    wait_for_slot($node, 'wrong', 'NOT active');
    pass("$what: nobody holds the slot");
}
is_deeply([ map { $_->{digest} } changes(drain($node, 'wrong', endpos => $end)) ],
    [ map { $_->{digest} } grep { exists $_->{id} } @events ], 'after all these the slot gives all changes');

$node->command_ok([ 'pg_recvlogical', '-d', $connection, '-S', 'first', '--drop-slot' ],
    'pg_recvlogical drops the slot');

done_testing();
