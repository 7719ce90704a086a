# Values of more than 100 MB arrive whole; what cannot fit into the 1 GB that a message may have is left out by name and
# size, and the slot goes on. What compresses well is used, so that large rows need little WAL and disk; decoding still
# handles each byte.
use strict;
use warnings;

use CdcTest;
use Digest::MD5 qw(md5_hex);
use PostgreSQL::Test::Utils;
use Test::More;

my $meminfo = -r '/proc/meminfo' ? slurp_file('/proc/meminfo') : '';
if ($meminfo =~ /^MemAvailable:\s+(\d+) kB/m && $1 < 8 * 1024 * 1024) {
    plan skip_all => 'needs 8 GB of free memory';
}

my $node = cdc_node('large', conf => "max_wal_size = 4GB\nautovacuum = off\nwal_sender_timeout = 0");
$node->safe_psql('postgres', q{
    CREATE TABLE doc (id int PRIMARY KEY, body text, blob bytea, data jsonb, other text);
    ALTER TABLE doc REPLICA IDENTITY FULL;
    -- Uncompressed, as random bytes would be.
    ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
    CREATE TABLE wide (id int PRIMARY KEY, a text, b text, c bytea, d text, e text, small text, n int);
    ALTER TABLE wide REPLICA IDENTITY FULL;
});
my $mb = 1024 * 1024;
my @long = ('--long', 1000);

# Values as the reader shows them: size and MD5.
sub digest {
    my ($bytes) = @_;
    return $node->safe_psql('postgres',
        "SELECT json_build_object('bytes', length(v), 'md5', md5(v)) FROM (SELECT $bytes AS v) AS s");
}
sub same {
    my ($value, $bytes, $what) = @_;
    is_deeply($value, JSON::PP::decode_json(digest($bytes)), $what);
    return;
}

# --- large values -----------------------------------------------------------------------------------------------------

create_slot($node, $_) for qw(values limited);
$node->safe_psql('postgres', q{
    INSERT INTO doc (id, body) VALUES (1, repeat(md5('1'), 3400000));
    INSERT INTO doc (id, blob) SELECT 2, convert_to(repeat(E'bytea \n', 20000000), 'UTF8');
    INSERT INTO doc (id, data) VALUES (3, ('[' || repeat('{"key": [1.50, "text", null]}, ', 1600000) || '1]')::jsonb);
    INSERT INTO doc (id, data) VALUES (4, jsonb_build_array(repeat(E'a "long" text\n', 4000000)));
    INSERT INTO doc (id, body, other) VALUES (5, 'small', repeat('ü', 1000));
});
my $end = current_lsn($node);
my $file = drain($node, 'values', endpos => $end);
my ($text, $bytea, $jsonb, $string, $small) = changes($file, @long);
same($text->{after}{body}, 'convert_to((SELECT body FROM doc WHERE id = 1), \'UTF8\')', 'text of 100 MB is intact');
cmp_ok($text->{after}{body}{bytes}, '>', 100 * $mb, 'and as large as that');
same($bytea->{after}{blob}, '(SELECT blob FROM doc WHERE id = 2)', 'bytea of 130 MB is intact');
same($jsonb->{after}{data}, 'convert_to((SELECT data::text FROM doc WHERE id = 3), \'UTF8\')',
    'jsonb of many members is intact');
cmp_ok($jsonb->{after}{data}{bytes}, '>', 45 * $mb, 'and as large as 45 MB');
same($string->{after}{data}, 'convert_to((SELECT data::text FROM doc WHERE id = 4), \'UTF8\')',
    'so is one with a long string');
is($small->{after}{body}, 'small', 'what follows is small again');

# max_value_bytes: a limit per value, of its own size.
my @limited = changes(drain($node, 'limited', endpos => $end, options => { max_value_bytes => '2000' }), @long);
is($limited[0]{after}{body}{too_large_bytes}, $text->{after}{body}{bytes}, 'max_value_bytes: the size of a text');
is($limited[1]{after}{blob}{too_large_bytes}, 140000000, 'max_value_bytes: and of a bytea');
cmp_ok($limited[2]{after}{data}{too_large_bytes}, '>', 30 * $mb, 'max_value_bytes: and of a jsonb, as it is stored');
is($limited[2]{after}{id}, 3, 'max_value_bytes: smaller values are there');
is($limited[4]{after}{other}{bytes}, 2000, 'max_value_bytes: what is exactly that large too');

# --- rows that pass 1 GB ----------------------------------------------------------------------------------------------

unlink($file);
my $reserve = 66 * $mb;    # kept free of values in a message
my $compression = $node->safe_psql('postgres',
    q(SELECT CASE WHEN 'lz4' = ANY (enumvals) THEN 'lz4' ELSE 'pglz' END
      FROM pg_settings WHERE name = 'default_toast_compression'));
$node->safe_psql('postgres', qq{
    SET default_toast_compression = $compression;
    INSERT INTO wide VALUES (1, repeat('a', 250 * $mb), repeat('b', 250 * $mb),
        convert_to(repeat('c', 250 * $mb), 'UTF8'), repeat('d', 250 * $mb), 'e', 'small', 0);
    INSERT INTO wide (id, small) VALUES (2, 'goes on');
});
create_slot($node, $_) for qw(wide sql);
# Leaves the large values alone: the new row is to take them from the old one, which doubles it.
$node->safe_psql('postgres', 'UPDATE wide SET n = 1 WHERE id = 1; UPDATE wide SET n = 2 WHERE id = 2');

my $got = scratch_file('wide');
is(eval { drain($node, 'wide', file => $got, options => { changed_columns => 'on' }); 'the end' } // $@, 'the end',
    'the slot goes on to the end');
cmp_ok(-s $got, '<', 1024 * $mb, 'no message is larger than it may be');
cmp_ok(-s $got, '>', 1024 * $mb - $reserve - 250 * $mb, 'though the largest is no smaller than it must');
my ($update, $next) = changes($got, '--torn', @long);
unlink($got);

my $large = sub { my ($letter) = @_; return { bytes => 250 * $mb, md5 => md5_hex($letter x (250 * $mb)) } };
is_deeply($update->{before}, {
        id => 1, a => $large->('a'), b => $large->('b'), c => $large->('c'), d => { too_large_bytes => 250 * $mb },
        e => 'e', small => 'small', n => 0
    }, 'three large values of the old row fit; the fourth has its size; all else is there');
is_deeply([ @{ $update->{after} // {} }{qw(id e small n)} ], [ 1, 'e', 'small', 1 ],
    'what is small in the new row is there');
# A value for which there is no room may be marked as unchanged or as too large: both are true.
sub size_of {
    my ($value) = @_;
    return 0 unless ref $value;
    return $value->{bytes} // $value->{too_large_bytes} // ($value->{absent} eq 'unchanged_toast' ? 250 * $mb : 0);
}
my @sizes = map { size_of($_) } @{ $update->{after} // {} }{qw(a b c d)};
is_deeply(\@sizes, [ (250 * $mb) x 4 ], 'its large values are there, or marked') or diag(explain($update->{after}));
is_deeply($update->{changed}, ['n'], 'the column that changed is known all the same');
is($next->{after}{small}, 'goes on', 'what follows is there');

# The same through SQL: the first transaction, as one message and as rows.
is($node->safe_psql('postgres', q(
        SELECT count(*) FROM pg_logical_slot_peek_binary_changes('sql', NULL, 1)
        WHERE length(data) > 700 * 1024 * 1024)), 1,
    'a message that large can be had through SQL');
is($node->safe_psql('postgres', q{
        SELECT string_agg(op || ' ' || (after->>'small'), ', ')
        FROM cdc.peek_changes('sql', NULL, NULL, 'max_value_bytes', '1MB')}),
    'update small, update goes on', 'cdc.peek_changes shows such rows with max_value_bytes');
like($node->safe_psql('postgres', q{SELECT details FROM cdc.peek_changes('sql', NULL, 1, 'max_value_bytes', '1MB')}),
    qr/"d": 262144000/,
    'with the sizes');
# In JSON the room is smaller, since a byte can become six.
is($node->safe_psql('postgres', q{
        SELECT count(*) FROM pg_logical_slot_get_changes('sql', NULL, NULL, 'format', 'json')
        WHERE left(data, 1000) LIKE '%"op":"%'}), 2,
    'format=json goes on to the end too');

done_testing();
