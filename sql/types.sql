-- Types with a form of their own, at their edges: what the stream says about a row is what PostgreSQL itself says.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA types_test;
SET search_path = types_test;
CREATE TYPE mood AS ENUM ('sad', 'so-so', 'it''s "fine"', 'ça va', '');
CREATE DOMAIN d_bool AS boolean;
CREATE DOMAIN d_int AS integer CHECK (VALUE <> 13);
CREATE DOMAIN d_int_2 AS d_int;
CREATE DOMAIN d_numeric AS numeric(20, 5);
CREATE DOMAIN d_text AS text COLLATE "C";
CREATE DOMAIN d_char AS char(5);
CREATE DOMAIN d_bytea AS bytea;
CREATE DOMAIN d_uuid AS uuid;
CREATE DOMAIN d_date AS date;
CREATE DOMAIN d_timestamptz AS timestamptz(3);
CREATE DOMAIN d_interval AS interval;
CREATE DOMAIN d_jsonb AS jsonb;
CREATE DOMAIN d_mood AS mood;
CREATE DOMAIN d_mood_2 AS d_mood;

-- Small and large types in turn, so that padding lies in many places.
CREATE TABLE scalars (
    id smallint PRIMARY KEY,
    bool boolean,
    int8 bigint,
    int2 smallint,
    float8 double precision,
    text text,
    int4 integer,
    float4 real,
    "char" "char",
    oid oid,
    numeric numeric,
    numeric_typmod numeric(12, 3),
    name name,
    varchar varchar(20),
    bpchar char(6),
    bytea bytea,
    uuid uuid,
    date date,
    "time" time,
    timetz timetz,
    timestamp timestamp,
    timestamptz timestamptz,
    interval interval,
    json json,
    jsonb jsonb,
    mood mood,
    d_bool d_bool,
    d_int d_int,
    d_int_2 d_int_2,
    d_numeric d_numeric,
    d_text d_text,
    d_char d_char,
    d_bytea d_bytea,
    d_uuid d_uuid,
    d_date d_date,
    d_timestamptz d_timestamptz,
    d_interval d_interval,
    d_jsonb d_jsonb,
    d_mood d_mood,
    d_mood_2 d_mood_2
);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_types', 'cdc_plugin');

-- All NULL but for the key; plain values; the lower edges; the upper edges.
INSERT INTO scalars (id) VALUES (1);
INSERT INTO scalars VALUES (2, true, 1, 2, 3.5, 'four', 5, 6.5, 'c', 7, 8.90, 9.1, 'a name', 'some text', 'abc',
    '\x00ff', '00112233-4455-6677-8899-aabbccddeeff', '2024-02-29', '12:34:56.789', '12:34:56.789+02',
    '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+02', '1 year 2 mons 3 days 04:05:06.7', '{"a": 1}',
    '{"a": 1}', 'sad', true, 1, 2, 3.4, 'five', 'six', '\x07', '00000000-0000-0000-0000-000000000008', '2009-10-11',
    '2012-01-02 03:04:05.6789', '1 day', '[]', 'so-so', 'so-so');
INSERT INTO scalars VALUES (-32768, false, -9223372036854775808, -32768, '-Infinity', '', -2147483648, '-Infinity', '',
    0, '-Infinity', -999999999.999, '', '', '', '', '00000000-0000-0000-0000-000000000000', '4713-01-01 BC', '00:00',
    '00:00+15:59:59', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', '-178000000 years', '0', '{}', '', false,
    -2147483648, -2147483648, -999999999999999.99999, '', '', '', '00000000-0000-0000-0000-000000000000', '-infinity',
    '-infinity', '-2147483648 days', 'null', 'ça va', '');
INSERT INTO scalars VALUES (32767, true, 9223372036854775807, 32767, 'Infinity', repeat('é', 300), 2147483647,
    'Infinity', 'z', 4294967295, 'Infinity', 999999999.999, repeat('n', 63), repeat('ü', 20), 'xxxxxx',
    (SELECT string_agg(set_byte('\x00', 0, i), '' ORDER BY i) FROM generate_series(0, 255) AS i),
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '5874897-12-31', '24:00', '24:00-15:59:59',
    '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '178000000 years',
    ('{"long": "' || repeat('j', 200) || '"}')::json, ('{"long": "' || repeat('j', 200) || '"}')::jsonb, 
    'it''s "fine"', true, 2147483647, 2147483647, 999999999999999.99999, repeat('t', 200), 'ééééé', '\xff',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', 'infinity', 'infinity', '2147483647 days', '"x"', 'it''s "fine"', 'ça va');

-- The rest, a column at a time.
CREATE PROCEDURE add(first_id int, column_name name, VARIADIC literals text[]) LANGUAGE plpgsql AS $$
DECLARE
    literal text;
BEGIN
    FOREACH literal IN ARRAY literals LOOP
        EXECUTE format('INSERT INTO scalars (id, %I) VALUES (%s, %L)', column_name, first_id, literal);
        first_id := first_id + 1;
    END LOOP;
END
$$;
CALL add(100, 'float8', 'NaN', '0', '-0', '1e-323', '2.2250738585072014e-308', '1.7976931348623157e308', '0.1', '1e21',
         '1e22', '123456.789', '0.30000000000000004', '-1e-7');
CALL add(150, 'float4', 'NaN', '0', '-0', '1e-45', '1.17549435e-38', '3.4028235e38', '0.1', '1e10', '16777217',
         '-1e-7');
CALL add(200, 'numeric', 'NaN', '0', '0.00', '-0.000', '1', '-1', '10', '10000', '9999', '99990000', '100000000',
         '1.10', '1.100000', '0.1', '0.0001', '0.00001', '0.000012340', '-0.1',
         '12345678901234567890.12345678901234567890', '1e20', '-1e-20', '1e-9', '123.4500', '00123.45', '1000000000000000000000000.0000000000000000000000001');
CALL add(250, 'numeric_typmod', 'NaN', '0', '1.5', '-1.2345');
CALL add(300, 'text', 'a''b"c\d', E'line\nline\r\n\ttab\b\f', E'\u0001\u001f\u007f', '😀 Ω 中文 é', ' spaces ', 'null',
         '\N', '{}', repeat('123456', 21), repeat('1234567', 18) || '8');  -- of 126 and 127 bytes
CALL add(350, 'bpchar', ' a', 'a b', '😀');
CALL add(360, 'name', 'Mixed "Case"', 'ü');
CALL add(370, 'varchar', 'trailing  ', '  ');
CALL add(380, 'char', ' ', '"', 'é');
CALL add(390, 'bytea', '\x0a', '\x5c78', '\x27225c');
CALL add(400, 'date', '2000-01-01', '1999-12-31', '1970-01-01', '0001-01-01', '0001-12-31 BC', '0044-03-15 BC',
         '1900-02-28', '1900-03-01', '2000-02-29', '9999-12-31', '10000-01-01', 'infinity', '-infinity',
         '4714-11-24 BC');
CALL add(450, 'time', '23:59:59.999999', '00:00:00.000001', '12:00:00.1', '12:00:00.10', '23:59:60');
CALL add(460, 'timetz', '23:59:59.999999+00', '12:00+05:30', '12:00-03:30', '12:00+05:53:28', '12:00-00:01',
         '12:00-00:00:01', '00:00:00.5-12');
CALL add(500, 'timestamp', '2000-01-01 00:00:00', '1999-12-31 23:59:59.999999', '1970-01-01', '0001-01-01',
         '0001-12-31 23:59:59.5 BC', '10000-01-01', 'infinity', '-infinity', '4714-11-24 00:00:00 BC',
         '2024-06-30 23:59:60');
CALL add(550, 'timestamptz', '2000-01-01 00:00:00+00', '1999-12-31 23:59:59.999999+00', '1970-01-01 00:00:00-00',
         '0001-12-31 23:59:59.5+00 BC', '10000-01-01 00:00:00+14', 'infinity', '-infinity',
         '4714-11-24 00:00:00+00 BC', '1883-11-18 12:00:00-04:56:02', '2024-03-31 02:30:00+01');
CALL add(600, 'interval', '0', '1 mon', '-1 mon', '1 year', '13 mons', '-13 mons', '1 day', '-1 day', '24:00', '-24:00',
         '00:00:00.000001', '-00:00:00.000001', '1 mon -1 day', '-1 mon +1 day', '-1 mon -1 day +00:00:01',
         '1 year -1 mon 1 day -00:00:01', '-1 days +02:03:00', '1 day -02:03:04.5', '2147483647 mons',
         '-2147483648 mons', '2562047788:00:54.775807', '-2562047788:00:54.775807', '1 mon 00:00:00', '100:00:00');
CALL add(650, 'json', ' { "b" : 1 ,  "a":[ 1 ,2 ], "b":2 } ', 'null', '"x"', '[]', E'{\n  "a":\t1\n}', '1.10', '1E2',
         '-0', '-0.0', '1e-2', '"\u00e9\ud83d\ude00 é😀"', '"\/\b\f\n\r\t\"\\"', '{"": ""}', '[[[[[[[[[[]]]]]]]]]]',
         'true', '[null]',
         '12345678901234567890123456789.0');
CALL add(700, 'jsonb', ' { "b" : 1 ,  "a":[ 1 ,2 ], "b":2 } ', 'null', '"x"', '[]', '1.10', '1E2', '-0', '1e-2',
         '"\u00e9\ud83d\ude00 é😀"', '"\/\b\f\n\r\t\"\\\u0001\u001f\u007f"', '{"": ""}', '[[[[[[[[[[]]]]]]]]]]',
         'true', 'false',
         '[null, true, false, 1.50, "x", {}, [], {"a": {"b": [{"c": null}]}}]', '{"aa": 1, "b": 2, "c": {"z": -1e-10}}',
         '"' || repeat('0123456\"', 20) || '"', '[0.1, "a", 2, "bc", 3.25, "def", 4, "ghij", -5]',
         '123456789012345678901234567890.000');

-- Values large enough for what lies behind the first offset in a jsonb, and for compression.
INSERT INTO scalars (id, text, bytea, numeric, json, jsonb) SELECT 800,
    string_agg(i::text, ' ' ORDER BY i), convert_to(string_agg(i::text, ' ' ORDER BY i), 'UTF8'),
    ('1' || repeat('0', 131071) || '.' || repeat('1', 16383))::numeric,
    json_agg(i ORDER BY i), jsonb_object_agg(i, ARRAY[i, i * 2] ORDER BY i)
    FROM generate_series(1, 2000) AS i;

-- The stream's own words. ---------------------------------------------------------------------------------------------
CREATE VIEW changes AS
    SELECT (after->>'id')::smallint AS id, op, after, details FROM cdc.peek_changes('regress_types');
SELECT count(*), count(*) FILTER (WHERE op = 'insert' AND details IS NULL) AS inserts FROM changes;
SELECT id, key, CASE WHEN length(value::text) < 80 THEN value::text
                     ELSE format('%s... (%s)', left(value::text, 40), length(value::text)) END AS value
    FROM changes, jsonb_each(after) WHERE key <> 'id' AND value <> 'null' ORDER BY id, key;

-- Which columns and types the definition has.
SELECT c->>'name' AS name, c->>'type' AS type, (c->>'type_modifier')::int AS modifier,
       c->>'type_schema' AS type_schema, c->>'type_name' AS type_name, (c->>'base_type_oid')::regtype AS base,
       c->>'nullable' AS nullable
    FROM pg_logical_slot_peek_binary_changes('regress_types', NULL, NULL, 'batch_bytes', '1'),
         cdc.decode(data) AS record, jsonb_array_elements(record->'columns') AS c;

-- PostgreSQL's. Texts are compared, because 1.0 and 1.00 are equal as jsonb. Only oid differs: a number in the stream,
-- but text to to_jsonb(). ---------------------------------------------------------------------------------------------
SELECT current_setting('server_version_num')::int >= 170000 AS intervals_may_be_infinite \gset
\if :intervals_may_be_infinite
CALL add(640, 'interval', 'infinity', '-infinity');
\endif
-- In jsonb, strings of many lengths with something to escape at each place, and numbers of many lengths.
INSERT INTO scalars (id, jsonb) SELECT 801,
    jsonb_agg(overlay(left(repeat('abcdefgh', 3), size) placing c from at for 1))
    FROM unnest(ARRAY['"', E'\\', E'\n', E'\x01', ' ', E'\x7f', 'é', '€', '😀']) AS c, generate_series(0, 20) AS size,
         generate_series(1, size) AS at;
INSERT INTO scalars (id, jsonb, numeric) SELECT 802 + i, jsonb_build_array(n, -n, trunc(n), n * 1e30, n / 1e20), n
    FROM generate_series(1, 40) AS i, round((left(repeat('1234567890', 4), i) || '.0012345')::numeric, i % 7) AS n;
CREATE FUNCTION rows_now() RETURNS TABLE (id smallint, fields jsonb) LANGUAGE sql
    SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
    AS $$ SELECT id, to_jsonb(s) FROM scalars AS s $$;
SELECT id, key, left(streamed.value::text, 60) AS streamed, left(stored.value::text, 60) AS stored
    FROM (SELECT id, key, value FROM changes, jsonb_each(after)) AS streamed
    FULL JOIN (SELECT id, key, value FROM rows_now(), jsonb_each(fields)) AS stored USING (id, key)
    WHERE streamed.value::text IS DISTINCT FROM stored.value::text
    ORDER BY id, key;

-- Nor do the session's settings make a difference.
CREATE UNLOGGED TABLE streamed AS SELECT id, after::text FROM changes;
SET DateStyle = 'German';
SET TimeZone = 'Asia/Kolkata';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SELECT count(*) AS differ FROM (SELECT id, after::text FROM changes EXCEPT ALL SELECT * FROM streamed) AS d;
SELECT '2024-01-02 03:04:05+00'::timestamptz, '1 day 1 sec'::interval, '\x00ff'::bytea, 0.1::float4;
RESET DateStyle;
RESET TimeZone;
RESET IntervalStyle;
RESET extra_float_digits;
RESET bytea_output;

-- The values come back as they were. (Floats of many digits too, which PostgreSQL rounds where it prints them.)
CALL add(120, 'float8', '1180591620717411303424', '-9007199254740993', '1e16', '123456789012345678', '1.7e15');
CALL add(160, 'float4', '1099511627776', '-16777216', '3e10');
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE
        (after->>'float8')::float8 IS NOT DISTINCT FROM float8
        AND (after->>'float4')::float4 IS NOT DISTINCT FROM float4
        AND (after->>'numeric')::numeric::text IS NOT DISTINCT FROM numeric::text
        AND (after->>'oid')::oid IS NOT DISTINCT FROM oid
        AND (after->>'date')::date IS NOT DISTINCT FROM date
        AND (after->>'time')::time IS NOT DISTINCT FROM "time"
        AND (after->>'timetz')::timetz IS NOT DISTINCT FROM timetz
        AND (after->>'timestamp')::timestamp IS NOT DISTINCT FROM "timestamp"
        AND (after->>'timestamptz')::timestamptz IS NOT DISTINCT FROM timestamptz
        AND (after->>'interval')::interval::text IS NOT DISTINCT FROM "interval"::text
        AND (after->>'bytea')::bytea IS NOT DISTINCT FROM bytea
        AND (after->>'uuid')::uuid IS NOT DISTINCT FROM uuid
        AND (after->>'text') IS NOT DISTINCT FROM text
        AND (after->>'mood')::mood IS NOT DISTINCT FROM mood
        AND (after->'jsonb') IS NOT DISTINCT FROM coalesce(jsonb, 'null')) - count(*) AS differ
    FROM changes JOIN scalars USING (id);

-- A transaction that does not fit in memory comes back from disk as it was.
BEGIN;
DELETE FROM scalars WHERE id = 32767;
UPDATE scalars SET bool = NOT bool, id = -id WHERE id <> -32768;
COMMIT;
CREATE UNLOGGED TABLE through_memory AS
    SELECT op, before, after FROM cdc.peek_changes('regress_types') WHERE op <> 'insert';
SET logical_decoding_work_mem = '64kB';
SELECT count(*) AS differ
    FROM (SELECT op, before, after FROM cdc.peek_changes('regress_types') WHERE op <> 'insert'
          EXCEPT ALL SELECT * FROM through_memory) AS d;
RESET logical_decoding_work_mem;
SELECT count(*) AS differ
    FROM through_memory
    FULL JOIN (SELECT * FROM rows_now() WHERE id <> -32768) AS stored ON stored.id = (after->>'id')::int
    WHERE op = 'update' AND after - '{id,oid,float4,float8,text,bytea,numeric,json,jsonb}'::text[]
                            IS DISTINCT FROM fields - '{id,oid,float4,float8,text,bytea,numeric,json,jsonb}'::text[];

SELECT pg_replication_slot_advance('regress_types', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- json that jsonb cannot hold comes as text: NUL, halves of surrogate pairs, numbers out of range, and what is nested
-- too deep. -----------------------------------------------------------------------------------------------------------
CREATE TABLE texts (id int PRIMARY KEY, json json);
INSERT INTO texts VALUES
    (1, '"\u0000"'), (2, '{"a": "x\u0000y"}'), (3, '"\ud83d"'), (4, '"\ude00"'), (5, '"\ud83d\ud83d"'),
    (6, '"\ude00\ud83d"'),
    (7, '{"\ud83d": 1}'), (8, '"\ud83d x"'), (9, '"\\u0000"'), (10, '1e131072'), (11, '1e-16384');
SELECT after->>'id' AS id, jsonb_typeof(after->'json') AS type, after->>'json' AS json
    FROM cdc.get_changes('regress_types');
INSERT INTO texts VALUES
    (12, ('0.' || repeat('0', 16384) || '1')::json), (13, ('1' || repeat('0', 140000))::json),
    (14, ('1' || repeat('0', 131070) || 'e999')::json), (15, ('0.' || repeat('0', 16380) || 'e-999')::json),
    (16, (repeat('[', 500) || repeat(']', 500))::json),
    (17, (repeat('{"a":', 5000) || '1' || repeat('}', 5000))::json);
SET max_stack_depth = '6MB';
INSERT INTO texts VALUES (18, (repeat('[', 7000) || repeat(']', 7000))::json);
RESET max_stack_depth;
SELECT after->>'id' AS id, jsonb_typeof(after->'json') AS type, after->>'json' = json::text AS same, length(json::text)
    FROM cdc.peek_changes('regress_types') JOIN texts ON id = (after->>'id')::int
    ORDER BY texts.id;
-- With format=json too.
SELECT data::jsonb #>> '{after, id}' AS id, data::jsonb #>> '{after, json}' = json::text AS same
    FROM pg_logical_slot_get_changes('regress_types', NULL, NULL, 'format', 'json')
    JOIN texts ON id = (data::jsonb #>> '{after, id}')::int
    ORDER BY texts.id;

SET client_min_messages = warning;
DROP SCHEMA types_test CASCADE;
SELECT pg_drop_replication_slot('regress_types');
