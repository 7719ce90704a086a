-- cdc.decode() of bytes that are no batch, or not quite one: an error that says where and why, or a valid result; never
-- a crash.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA decode_test;
SET search_path = decode_test;
\t on
\pset format unaligned

-- Protobuf by hand: numbers, and fields of the three wire types.
CREATE FUNCTION varint(number numeric) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    result bytea := '';
BEGIN
    LOOP
        result := result || set_byte('\x00', 0, (number % 128)::int + CASE WHEN number >= 128 THEN 128 ELSE 0 END);
        number := div(number, 128);
        EXIT WHEN number = 0;
    END LOOP;
    RETURN result;
END
$$;
CREATE FUNCTION number(field int, number numeric) RETURNS bytea LANGUAGE sql IMMUTABLE
    AS $$ SELECT varint(field * 8) || varint(number) $$;
CREATE FUNCTION bytes(field int, VARIADIC contents bytea[] DEFAULT '{}') RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT varint(field * 8 + 2) || varint(length(c)) || c
    FROM (SELECT coalesce(string_agg(content, '' ORDER BY n), '') AS c
          FROM unnest(contents) WITH ORDINALITY AS u (content, n)) AS joined
$$;
-- A relation 7 with a column for each name; an insert into it, with these values.
CREATE FUNCTION relation(VARIADIC columns text[] DEFAULT '{}') RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT bytes(1, bytes(3, number(1, 7), bytes(2, 'schema'), bytes(3, 'table'),
                          coalesce(string_agg(bytes(5, bytes(1, convert_to(name, 'UTF8'))), '' ORDER BY n), '')))
    FROM unnest(columns) WITH ORDINALITY AS u (name, n)
$$;
CREATE FUNCTION insert(VARIADIC contents bytea[] DEFAULT '{}') RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT bytes(1, bytes(4, number(1, 1), number(2, 1), number(3, 7),
                          coalesce(string_agg(bytes(6, value), '' ORDER BY n), '')))
    FROM unnest(contents) WITH ORDINALITY AS u (value, n)
$$;
CREATE FUNCTION after(VARIADIC contents bytea[] DEFAULT '{}') RETURNS SETOF jsonb LANGUAGE sql IMMUTABLE
    AS $$ SELECT record->'after' FROM cdc.decode(insert(VARIADIC contents)) AS record $$;

-- What is valid. ------------------------------------------------------------------------------------------------------
SELECT cdc.decode('');
SELECT cdc.decode(NULL);
SELECT cdc.decode(relation('a', 'b') || insert(number(3, 2), bytes(6, 'text')) || insert(number(1, 1), number(2, 1)));
-- Without its definition, a row is an array.
SELECT cdc.decode(insert(number(3, 2), bytes(6, 'text')));
-- The newest definition counts, whatever batch it came in.
SELECT cdc.decode(relation('a') || insert(number(3, 2)) || relation('b') || insert(number(3, 2)))->'after';
-- Of a field that is there twice, the last counts; of fields that are not known, none.
SELECT cdc.decode(bytes(1, bytes(4, number(1, 1), number(1, 3), number(2, 5), number(2, 6), number(99, 1),
                                 bytes(98, 'x'), '\xfd04aabbccdd'::bytea, '\xf9040011223344556677'::bytea)));
SELECT cdc.decode(bytes(1, bytes(4, number(1, 1)), bytes(1, number(1, 5), '\x190000000000000000'::bytea)));
-- Values at their edges.
SELECT after(number(3, 18446744073709551615), number(3, 18446744073709551614), number(16, 4294967295), number(2, 2));
SELECT after('\x21ffffffffffffff7f', '\x21000000000000f0ff', '\x210000000000000080', '\x2d0100807f', '\x2dffff7f7f');
SELECT after('\x41ffffffffffffff7f', '\x410000000000000080', '\x49ffffffffffffff7f', '\x490000000000000080',
             number(10, 4294967295), number(10, 4294967294));
SELECT after(number(17, 86400000000), bytes(18), bytes(18, number(1, 1), number(2, 4294967295)),
             bytes(18, number(1, 1), number(2, 4294967294)), bytes(19),
             bytes(19, number(1, 4294967295), number(2, 4294967295), number(3, 18446744073709551615)),
             bytes(19, number(1, 4294967294), number(2, 4294967294), number(3, 18446744073709551614)));
SELECT after(bytes(7, '-0'), bytes(7, '0.000'), bytes(7, convert_to(repeat('9', 1000), 'UTF8')), bytes(7, 'NaN'),
       bytes(7, '-Infinity'));
SELECT after(number(20, 1), number(20, 2), number(21, 18446744073709551615), bytes(22, '\xff00'), bytes(13), bytes(6));
SELECT after(bytes(14), bytes(14, bytes(1, '\x0102'), bytes(3, number(3, 2)), bytes(3, number(1, 1))),
             bytes(14, bytes(1, '\x010101010101'), bytes(3, number(3, 2))));

-- What is nested too deep to be read as JSON stays text.
SELECT jsonb_typeof(value), length(value #>> '{}')
    FROM after(bytes(12, convert_to(repeat('[', 100000), 'UTF8'))), jsonb_array_elements(after) AS value;

-- What is not. --------------------------------------------------------------------------------------------------------
CREATE TEMPORARY TABLE wrong (id serial, what text, batch bytea);
INSERT INTO wrong (what, batch) VALUES
    ('a newline', '\x0a'), ('a NUL', '\x00'), ('text', 'no batch at all'), ('JSON', '{"record": "begin"}'),
    ('another message', '\x089601'), ('and another', bytes(2, 'testing')), ('a framed batch', varint(8) || insert()),
    ('a record that is empty', bytes(1)), ('a record of a kind to come', bytes(1, bytes(7))),
    ('a record that is a number', number(1, 5)), ('a kind that is a number', bytes(1, number(4, 5))),
    ('a group', '\x0b0c'), ('the end of a group', '\x0c'), ('wire type 6', '\x0e'), ('wire type 7', '\x0f'),
    ('field 0', '\x0200'), ('a tag without end', '\xffffffffffffffffffff01'), ('a tag of 2^35', '\x8280808080010a'),
    ('a length without end', '\x0affffffffffffffffffff01'), ('a length of 2^64 - 1', '\x0affffffffffffffffff01'),
    ('a length of 2^63', '\x0a80808080808080808001'), ('a length of 2^31', '\x0a8080808008'),
    ('a length of 1 and nothing', '\x0a01'), ('more inside than outside', '\x0a022203'),
    ('a change without a kind', bytes(1, bytes(4))), ('a change of kind 0', bytes(1, bytes(4, number(1, 0)))),
    ('a change of kind 5', bytes(1, bytes(4, number(1, 5)))),
    ('an old row of kind 3', bytes(1, bytes(4, number(1, 1), number(4, 3)))),
    ('an ordinal that is text', bytes(1, bytes(4, number(1, 1), bytes(2, 'x')))),
    ('an operation that is text', bytes(1, bytes(4, bytes(1, 'x')))),
    ('a value that is a number', bytes(1, bytes(4, number(1, 1), number(6, 1)))),
    ('a value without a kind', insert('')), ('a value of a kind to come', insert(number(23, 1))),
    ('absent for reason 0', insert(number(1, 0))), ('absent for reason 4', insert(number(1, 4))),
    ('absent because of text', insert(bytes(1, 'x'))),
    ('an integer of the wrong type', insert(bytes(3, 'x'))), ('a float of the wrong type', insert(number(4, 1))),
    ('text of the wrong type', insert(number(6, 1))), ('text that is not UTF-8', insert(bytes(6, '\x61c3'))),
    ('text with a NUL', insert(bytes(6, '\x6100'))), ('a surrogate', insert(bytes(6, '\xeda080'))),
    ('an overlong form', insert(bytes(6, '\xc080'))), ('beyond Unicode', insert(bytes(6, '\xf4908080'))),
    ('no numeric', insert(bytes(7))), ('numeric 1e5', insert(bytes(7, '1e5'))), ('numeric 01', insert(bytes(7, '01'))),
    ('numeric 1.', insert(bytes(7, '1.'))), ('numeric .5', insert(bytes(7, '.5'))),
    ('numeric nan', insert(bytes(7, 'nan'))),
    ('numeric + 1', insert(bytes(7, '+1'))), ('numeric with a NUL', insert(bytes(7, '\x3100'))),
    ('a uuid of 15 bytes', insert(bytes(11, '\x000102030405060708090a0b0c0d0e'))), ('no uuid', insert(bytes(11))),
    ('no JSON', insert(bytes(12))), ('half JSON', insert(bytes(12, '{"a":'))),
    ('more than JSON', insert(bytes(12, '{} {}'))),
    ('JSON with a control character', insert(bytes(12, '\x220a22'))),
    ('JSON that is not UTF-8', insert(bytes(12, '\x22ff22'))),
    ('a date out of range', insert(number(10, 4294967296))), ('a time after the last', insert(number(17, 86400000001))),
    ('a time of 2^63', insert(number(17, 9223372036854775808))),
    ('a zoned time after the last', insert(bytes(18, number(1, 86400000001)))),
    ('a zone out of range', insert(bytes(18, number(2, 4294967296)))),
    ('months out of range', insert(bytes(19, number(1, 4294967296)))),
    ('days out of range', insert(bytes(19, number(2, 4294967297)))),
    ('infinity 0', insert(number(20, 0))), ('infinity 3', insert(number(20, 3))),
    ('too large by text', insert(bytes(21, 'x'))),
    ('an array of elements without dimensions', insert(bytes(14, bytes(3, number(3, 1))))),
    ('an array of dimensions without elements', insert(bytes(14, bytes(1, '\x02')))),
    ('an array with a dimension of 0', insert(bytes(14, bytes(1, '\x00')))),
    ('an array of 7 dimensions', insert(bytes(14, bytes(1, '\x01010101010101'), bytes(3, number(3, 1))))),
    ('an array of 2^128 elements',
     insert(bytes(14, bytes(1, varint(4294967295), varint(4294967295), varint(4294967295), varint(4294967295))))),
    ('an array with a dimension of 2^32', insert(bytes(14, bytes(1, varint(4294967296))))),
    ('an array with half a dimension', insert(bytes(14, bytes(1, '\x80')))),
    ('an array with an element of text', insert(bytes(14, bytes(1, '\x01'), number(3, 1)))),
    ('an array with an element that is empty', insert(bytes(14, bytes(1, '\x01'), bytes(3)))),
    ('more values than columns', relation('a') || insert(number(3, 1), number(3, 1))),
    ('fewer values than columns', relation('a', 'b') || insert(number(3, 1))),
    ('values for no column', relation() || insert(number(3, 1))),
    ('a changed column that is not there',
     relation('a') || bytes(1, bytes(4, number(1, 2), number(3, 7), bytes(6, number(3, 1)),
         bytes(7, bytes(1, '\x01'))))),
    ('changed columns without end',
     relation('a') || bytes(1, bytes(4, number(1, 2), number(3, 7), bytes(6, number(3, 1)),
         bytes(7, bytes(1, '\x80'))))),
    ('a name that is not UTF-8', bytes(1, bytes(3, number(1, 7), bytes(2, '\xff')))),
    ('a column that is not UTF-8', bytes(1, bytes(3, number(1, 7), bytes(5, bytes(1, '\xff'))))),
    ('a column that is a number', bytes(1, bytes(3, number(1, 7), number(5, 1)))),
    ('a relation that is text', bytes(1, bytes(3, bytes(1, 'x')))),
    ('a fingerprint of the wrong type', bytes(1, bytes(3, number(6, 1)))),
    ('a beginning at no time', bytes(1, bytes(1, number(3, 1)))),
    ('a beginning by text', bytes(1, bytes(1, bytes(1, 'x')))),
    ('an origin that is a number', bytes(1, bytes(1, number(4, 1)))),
    ('an end at no time', bytes(1, bytes(2, bytes(4, 'x')))),
    ('a truncate of text', bytes(1, bytes(5, number(2, 7)))),
    ('a truncate without end', bytes(1, bytes(5, bytes(2, '\x80')))),
    ('a message for nobody', bytes(1, bytes(6, number(4, 1)))),
    ('a message for others', bytes(1, bytes(6, bytes(4, '\xff')))),
    ('a message of a number', bytes(1, bytes(6, number(5, 1))));
-- One in full; where and why the others are wrong; all of them are errors of one kind.
SELECT cdc.decode(insert(number(3, 1)) || '\x0a01');
CREATE FUNCTION why(batch bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    state text;
    detail text;
BEGIN
    PERFORM cdc.decode(batch);
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
    RETURN state || ' ' || detail;
END
$$;
SELECT what, why(batch) FROM wrong ORDER BY id;

-- A batch with records and values of all kinds, cut off at each byte. -------------------------------------------------
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE many (
    id int PRIMARY KEY, b boolean, o oid, f4 real, f8 float8, n numeric, t text, m mood, by bytea, u uuid, d date,
    ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, j json, jb jsonb, l int[], ll numeric[], a inet
);
ALTER TABLE many REPLICA IDENTITY FULL;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_decode', 'cdc_plugin');
BEGIN;
INSERT INTO many VALUES (1, true, 2, 3.5, 4.5, 5.50, 'six', 'ok', '\x08', '00112233-4455-6677-8899-aabbccddeeff',
    '2024-02-29', '12:34:56.7', '12:34:56.7+02', '2024-02-29 12:34:56', 'infinity', '1 mon -2 days 03:04', '{"a": [1]}',
    '{"a": [1, "b"]}', '{{1,2},{3,NULL}}', '[0:1]={1.0,NaN}', '::1');
SELECT pg_logical_emit_message(true, 'prefix', 'content') IS NOT NULL AS emitted;
UPDATE many SET t = 'new';
DELETE FROM many;
TRUNCATE many CASCADE;
COMMIT;
CREATE TEMPORARY TABLE good AS
    SELECT string_agg(data, '') AS batch
    FROM pg_logical_slot_get_binary_changes('regress_decode', NULL, NULL, 'changed_columns', 'on');
SELECT record->>'record' AS record, record->>'op' AS op FROM good, cdc.decode(batch) AS record;

CREATE FUNCTION outcome(batch bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT coalesce(string_agg(record::text, E'\n' ORDER BY n), '')
            FROM cdc.decode(batch) WITH ORDINALITY AS r (record, n));
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;
-- Each cut gives an error, or as many of the first records as are whole.
SELECT count(*) FILTER (WHERE outcome = '22P03') > 100 AS errors,
       count(*) FILTER (WHERE outcome <> '22P03' AND starts_with(whole, outcome)) AS first_records,
       count(*) FILTER (WHERE outcome <> '22P03' AND NOT starts_with(whole, outcome)) AS others
    FROM good, outcome(batch) AS whole, generate_series(0, length(batch)) AS cut,
         outcome(substring(batch FROM 1 FOR cut)) AS outcome;
-- Cut off at the start; each byte changed in two ways, left out, put in twice; bytes without any sense: the one
-- error, or records.
SELECT what, count(*) FILTER (WHERE outcome = '22P03') > 100 AS errors,
       count(*) FILTER (WHERE outcome ~ '^[0-9A-Z]{5}$' AND outcome <> '22P03') AS others
    FROM (
        SELECT 'start' AS what, substring(batch FROM i) AS changed FROM good, generate_series(1, length(batch) + 1) AS i
    UNION ALL
        SELECT 'changed', set_byte(batch, i, get_byte(batch, i) # mask)
        FROM good, generate_series(0, length(batch) - 1) AS i, unnest('{1,128}'::int[]) AS mask
    UNION ALL
        SELECT 'left out', overlay(batch PLACING '' FROM i FOR 1) FROM good, generate_series(1, length(batch)) AS i
    UNION ALL
        SELECT 'twice', overlay(batch PLACING substring(batch FROM i FOR 1) FROM i FOR 0)
        FROM good, generate_series(1, length(batch)) AS i
    UNION ALL
        SELECT 'no sense', substring(sha512(convert_to(i::text, 'UTF8')) FROM 1 FOR i % 65)
            FROM generate_series(1, 1000) AS i
    ) AS v, outcome(changed) AS outcome
    GROUP BY what ORDER BY what;

-- Batches put together are a batch. A file of pg_recvlogical is none; framed batches neither.
SELECT outcome(batch || batch || batch) = concat_ws(E'\n', outcome(batch), outcome(batch), outcome(batch)) FROM good;
SELECT outcome(batch || '\x0a'), outcome(varint(length(batch)) || batch) FROM good;

-- What another plugin says.
SET client_min_messages = warning;
SELECT pg_drop_replication_slot('regress_decode');
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_decode', 'pgoutput');
CREATE PUBLICATION decode_all FOR TABLE many;
INSERT INTO many (id) VALUES (1);
SELECT DISTINCT outcome(data)
    FROM pg_logical_slot_get_binary_changes('regress_decode', NULL, NULL, 'proto_version', '1',
                                             'publication_names', 'decode_all');

DROP SCHEMA decode_test CASCADE;
DROP PUBLICATION decode_all;
SELECT pg_drop_replication_slot('regress_decode');
