# Databases in other encodings than UTF-8: everything arrives as UTF-8, and bytes that cannot become that do not stop
# the slot.
use strict;
use warnings;
use utf8;

use CdcTest;
use Encode qw(decode encode);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

# What psql sends and shows, except where a test says otherwise.
$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = cdc_node('encodings', extension => 0, conf => 'max_replication_slots = 30');

# SQL as characters; its result too.
sub sql {
    my ($database, $query) = @_;
    return decode('UTF-8', $node->safe_psql($database, encode('UTF-8', $query)));
}

# The words that each encoding can write. Names, labels and values are made of them.
my %words = (
    latin1 => [ LATIN1 => 'été', 'größe', 'ñandú', "caf\x{e9} \x{a3}\x{a0}\x{ff}", qq(q"uo'te\\ \x{fc}) ],
    eucjp => [ EUC_JP => '日本', '大きさ', '表示', "能登\x{ff0d}半島ソ表", 'ｶﾅ かな "漢字"' ],
    win1251 => [ WIN1251 => 'таблица', 'Размер', 'Привет', "Ёж \x{2116}\x{2014}\x{20ac}", '«кавычки» \' " \\' ],
    utf8 => [
        UTF8 => 'ταβλό', '尺寸', '🙂',
        "a\x{301} \x{1f469}\x{200d}\x{1f4bb} \x{10fffd}", "\x{feff}\x{fffd}\x{2028}\x{7f}" ],
);

sub literal {
    my ($text) = @_;
    $text =~ s/([\\'])/$1$1/g;
    return "E'$text'";
}

for my $database (sort keys %words) {
    my ($encoding, $table, $column, $label, $text, $odd) = @{ $words{$database} };
    $node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
    sql($database, 'CREATE EXTENSION cdc_plugin');
    sql($database, qq{
        CREATE SCHEMA "$label";
        CREATE TYPE "$label"."$table mood" AS ENUM ('$label', 'plain');
        CREATE DOMAIN "$label"."$column" AS text;
        CREATE TYPE "$label".pair AS ("$column" text, "$table" "$label"."$table mood");
        CREATE TABLE "$label"."$table" (
            id int PRIMARY KEY, "$column" text, mood "$label"."$table mood", moods "$label"."$table mood"\[\],
            names text\[\], fixed char(8), limited varchar(40), sys name, word "$label"."$column",
            doc json, docb jsonb, pair "$label".pair, found tsvector, span int4range, "dotted.$table,name" text);
        ALTER TABLE "$label"."$table" REPLICA IDENTITY FULL;
        CREATE TABLE plain (a text PRIMARY KEY);
    });
    create_slot($node, "${database}_$_", $database) for qw(all filter json sql late);

    # The message comes first: nothing was decoded before it, and no transaction is open when it is.
    sql($database, qq{
        SELECT pg_logical_emit_message(false, '$label', 'first');
        INSERT INTO "$label"."$table" VALUES (
            1, @{[literal($text)]}, '$label', ARRAY['plain', '$label', NULL]::"$label"."$table mood"\[\],
            ARRAY[@{[literal($odd)]}, NULL, '$table'], '$label', @{[literal($odd)]}, '$column', @{[literal($text)]},
            json_build_object('$column', @{[literal($odd)]}),
            jsonb_build_object('$column', @{[literal($text)]}, 'n', 1),
            ROW(@{[literal($text)]}, '$label'), '$label', '[1,5)', @{[literal($text x 300)]});
        UPDATE "$label"."$table" SET "$column" = @{[literal($odd)]};
        INSERT INTO plain VALUES ('$text');
        SELECT pg_logical_emit_message(true, '$label', 'bytes');
    });
    my $end = sql($database, 'SELECT pg_current_wal_lsn()');

    my @events = events(drain($node, "${database}_all", database => $database, endpos => $end));
    is_deeply([ @{ $events[0] }{qw(kind prefix content)} ], [ 'message', $label, 'first' ],
        "$database: a message outside of transactions");
    my ($definition) = grep { $_->{kind} eq 'relation' } @events;
    is($definition->{relation}, "$label.$table", "$database: names of schema and table");
    is_deeply([ @{ $definition->{columns} }[ 1, -1 ] ], [ $column, "dotted.$table,name" ],
        "$database: names of columns");
    is($definition->{types}[2], sql($database, qq(SELECT format_type('"$label"."$table mood"'::regtype, NULL))),
        "$database: names of types");

    my ($insert, $update, $plain, $message) = grep { exists $_->{id} } @events;
    my $row = $insert->{after};
    my $expected = {
        id => 1, $column => $text, mood => $label, moods => [ 'plain', $label, undef ],
        names => [ $odd, undef, $table ],
        fixed => $label . ' ' x (8 - length($label)), limited => $odd, sys => $column, word => $text,
        # As the server prints them.
        doc => sql($database, qq(SELECT doc::text FROM "$label"."$table")),
        docb => sql($database, qq(SELECT docb::text FROM "$label"."$table")),
        pair => { other => sql($database, qq(SELECT pair::text FROM "$label"."$table")) },
        found => { other => sql($database, qq(SELECT found::text FROM "$label"."$table")) },
        span => { other => '[1,5)' }, "dotted.$table,name" => $text x 300,
    };
    is_deeply($row, $expected, "$database: values of text, enum, name, domain, json, arrays and other types");
    like($expected->{pair}{other}, qr/\Q$label\E/, "$database: those of other types with text in them");
    is_deeply($update->{before}, $expected, "$database: the old row is the same");
    is_deeply($update->{after}, { %$expected, $column => $odd }, "$database: the new row too, TOASTed text filled in");
    is($plain->{after}{a}, $text, "$database: a short text");
    is($message->{prefix}, $label, "$database: a message's prefix");

    # In options, names are as in SQL. (psql's client encoding is pg_recvlogical's too.)
    my @found = changes(drain($node, "${database}_filter", database => $database, endpos => $end,
            options => { tables => encode('UTF-8', "$label.*"), message_prefixes => encode('UTF-8', $label) }));
    is(join(' ', map { $_->{kind} } @found), 'insert update message', "$database: filters by names");
    for my $pattern (substr($label, 0, 1) . "*.$table", '*.*' . substr($table, 1)) {
        my $count = sql($database, "SELECT count(*) FROM cdc.peek_changes('${database}_sql', NULL, NULL, 'tables', "
              . literal($pattern) . q{, 'messages', 'off')});
        is($count, 2, "$database: a pattern with non-ASCII characters");
    }
    is(sql($database, qq{
            SELECT count(*)
            FROM cdc.peek_changes('${database}_sql', NULL, NULL, 'exclude_tables', '$label.$table',
                'messages', 'off')}),
        1, "$database: exclude_tables");

    # JSON: pure ASCII, so that it is right in every encoding, and yet the same characters.
    my $file = drain($node, "${database}_json", database => $database, endpos => $end, options => { format => 'json' });
    my ($json) = grep { ($_->{op} // '') eq 'insert' } json_lines($file);
    is($json->{after}{$column}, $text, "$database: format=json, into a file");
    unlike(slurp_file($file), qr/[^\x00-\x7f]/, "$database: in ASCII") if $database ne 'utf8';
    my $in_server = qq{
        SELECT string_agg(data::jsonb->'after'->>'$column', '/')
        FROM pg_logical_slot_peek_changes('${database}_sql', NULL, NULL, 'format', 'json')
        WHERE data::jsonb->'after' ? '$column'};
    is(sql($database, $in_server), "$text/$odd", "$database: format=json, in the server");
    is(sql($database, qq(
            SELECT string_agg(record->'after'->>'$column', '/')
            FROM (SELECT string_agg(data, '') AS batch
                  FROM pg_logical_slot_peek_binary_changes('${database}_sql', NULL, NULL)) AS b,
                 cdc.decode(batch) AS record
            WHERE record->'after' ? '$column')),
        "$text/$odd", "$database: cdc.decode");

    my @peeked = split(/\n/, sql($database, qq{
        SELECT concat_ws('|', op, relation, after->>'$column', after->>'mood', after->'names'->>0,
            after->'docb'->>'$column')
        FROM cdc.peek_changes('${database}_sql') WHERE op IN ('insert', 'update') AND after ? 'id'}));
    my $regclass = sql($database, qq(SELECT '"$label"."$table"'::regclass));
    is_deeply(\@peeked, [
            join('|', 'insert', $regclass, $text, $label, $odd, $text),
            join('|', 'update', $regclass, $odd, $label, $odd, $text)
        ], "$database: cdc.peek_changes");
    is(sql($database, qq(SELECT details->>'prefix' FROM cdc.get_changes('${database}_sql') WHERE op = 'message')),
        "$label\n$label", "$database: cdc.get_changes");

    # A renamed label and column, decoded from the catalogs as they were.
    sql($database, qq{
        ALTER TYPE "$label"."$table mood" RENAME VALUE '$label' TO '$column';
        ALTER TABLE "$label"."$table" RENAME "$column" TO "$table";
        UPDATE "$label"."$table" SET "$table" = 'x';
    });
    my @late = grep { $_->{kind} eq 'update' } changes(drain($node, "${database}_late", database => $database));
    is($late[0]{after}{mood}, $label, "$database: the old label in the old change");
    is($late[1]{after}{mood}, $column, "$database: the new one in the new");
    is($late[1]{before}{$table}, $odd, "$database: under the new name of the column");
}

# --- SQL_ASCII: bytes without an encoding -----------------------------------------------------------------------------

$node->safe_psql('postgres', q(CREATE DATABASE sqlascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0));
{
    local $ENV{PGCLIENTENCODING} = 'SQL_ASCII';
    sql('sqlascii', 'CREATE EXTENSION cdc_plugin');
    sql('sqlascii', q{
        CREATE TYPE mood AS ENUM ('naïve', 'plain');
        CREATE TABLE "täble" (id int PRIMARY KEY, body text, mood mood, names text[], doc json, docb jsonb,
            found tsvector, vc varchar(10), c char(4));
        ALTER TABLE "täble" REPLICA IDENTITY FULL;
    });
    # A table whose name is not UTF-8 either, and a label.
    $node->safe_psql('sqlascii', qq{
        CREATE TYPE bad AS ENUM ('l\xe4bel');
        CREATE TABLE "t\xe4ble" (id int PRIMARY KEY, "c\xf6l" text, bad bad);
        ALTER TABLE "t\xe4ble" REPLICA IDENTITY FULL;
    });
    create_slot($node, $_, 'sqlascii') for qw(ascii ascii_json ascii_sql ascii_filter);
    sql('sqlascii', q{
        INSERT INTO "täble" VALUES (1, 'grün €', 'naïve', ARRAY['é'], '{"é": "ü"}', '{"é": "ü"}', 'wörd', 'ö', 'ö');
    });
    $node->safe_psql('sqlascii', qq{
        SELECT pg_logical_emit_message(false, E'pr\xe4fix', E'\xe4');
        INSERT INTO "t\xc3\xa4ble" VALUES (2, E'gr\xfcn', 'plain', ARRAY[E'\xe9', 'ok', E'\xed\xa0\x80'],
            E'{"k": "\xfc"}', E'{"k": "\xfc"}', E'w\xf6rd', E'\xff', E'\xc3');
        UPDATE "t\xc3\xa4ble" SET body = 'clean' WHERE id = 2;
        INSERT INTO "t\xe4ble" VALUES (3, 'x', E'l\xe4bel');
        SELECT pg_logical_emit_message(true, E'pr\xe4fix', E'\xe4');
        INSERT INTO "t\xc3\xa4ble" (id, body) VALUES (4, 'behind');
    });
    my $end = sql('sqlascii', 'SELECT pg_current_wal_lsn()');

    my @events = changes(drain($node, 'ascii', database => 'sqlascii', endpos => $end));
    my ($good, $bad, $update, $named, $message, $behind) = @events;
    is($good->{relation}, 'public.täble', 'SQL_ASCII: names that are UTF-8 arrive as they are');
    is_deeply($good->{after}, {
            id => 1, body => 'grün €', mood => 'naïve', names => ['é'], doc => '{"é": "ü"}', docb => '{"é": "ü"}',
            found => { other => q('wörd') }, vc => 'ö', c => sql('sqlascii', q(SELECT c FROM "täble" WHERE id = 1))
        }, 'SQL_ASCII: so do values');
    is_deeply($bad->{after}, {
            id => 2, body => { undecoded => '6772fc6e' }, mood => 'plain',
            names => [ { undecoded => 'e9' }, 'ok', { undecoded => 'eda080' } ],
            doc => { undecoded => unpack('H*', qq({"k": "\xfc"})) },
            docb => { undecoded => unpack('H*', qq({"k": "\xfc"})) },
            found => { undecoded => unpack('H*', "'w\xf6rd'") }, vc => { undecoded => 'ff' },
            c => { undecoded => 'c3202020' }
        }, 'SQL_ASCII: bytes that are not UTF-8 arrive as undecoded_text');
    is_deeply([ $update->{before}{body}, $update->{after}{body} ], [ { undecoded => '6772fc6e' }, 'clean' ],
        'SQL_ASCII: in old rows too');
    is($named->{relation}, 'public.t?ble', 'SQL_ASCII: in a name they become question marks');
    is_deeply($named->{after}, { id => 3, "c?l" => 'x', bad => { undecoded => unpack('H*', "l\xe4bel") } },
        'SQL_ASCII: labels keep them');
    is($message->{prefix}, 'pr?fix', 'SQL_ASCII: a prefix is a name');
    is($behind->{after}{body}, 'behind', 'SQL_ASCII: the slot goes on');

    my $file = drain($node, 'ascii_json', database => 'sqlascii', endpos => $end, options => { format => 'json' });
    is(scalar(grep { exists $_->{ordinal} } json_lines($file)), 6, 'SQL_ASCII: format=json is JSON');
    # jsonb refuses \u escapes above 7F in a database without an encoding.
    for my $case (
        [ 'format=json is jsonb in the server', 6, q{
            SELECT count(data::jsonb) FROM pg_logical_slot_peek_changes('ascii_sql', NULL, NULL, 'format', 'json')
            WHERE data LIKE '%ordinal%'} ],
        [ 'cdc.peek_changes', 'insert message insert update insert message insert',
            q(SELECT string_agg(op, ' ') FROM cdc.peek_changes('ascii_sql')) ],
        [ 'cdc.peek_changes shows bytes that are UTF-8', 'grün €',
            q(SELECT after->>'body' FROM cdc.peek_changes('ascii_sql', NULL, 1)) ]) {
        my ($what, $expected, $query) = @$case;
        my ($status, $out, $err) = $node->psql('sqlascii', $query);
        is(decode('UTF-8', $out), $expected, "SQL_ASCII: $what") or diag($err);
    }
    my @found = changes(drain($node, 'ascii_filter', database => 'sqlascii', endpos => $end,
            options => { tables => encode('UTF-8', 'public.tä*'), messages => 'off' }));
    is(join(' ', map { $_->{kind} } @found), 'insert insert update insert', 'SQL_ASCII: filters match bytes');
}
is($node->safe_psql('sqlascii', q(SELECT status FROM cdc.preflight() WHERE item = 'server_encoding')), 'warning',
    'preflight warns of such a database');

done_testing();
