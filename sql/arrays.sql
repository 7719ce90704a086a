-- Arrays: of every kind of element, of every shape.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA arrays_test;
SET search_path = arrays_test;
CREATE TYPE mood AS ENUM ('sad', 'so, so', 'it''s "fine"', 'NULL', 'ça va');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN d_int AS integer;
CREATE DOMAIN d_numeric AS numeric(6, 2);
CREATE DOMAIN d_mood AS mood;
CREATE DOMAIN d_ints AS int[];
CREATE DOMAIN d_ints_2 AS d_ints;
CREATE DOMAIN d_pair AS pair;

CREATE TABLE arrays (
    id serial PRIMARY KEY,
    bools boolean[], int2s smallint[], int4s integer[], int8s bigint[], oids oid[], float4s real[], float8s float8[],
    numerics numeric[], numerics_typmod numeric(8, 3)[], texts text[], varchars varchar(5)[], bpchars char(4)[],
    names name[], chars "char"[], byteas bytea[], uuids uuid[], dates date[], times time[], timetzs timetz[],
    timestamps timestamp[], timestamptzs timestamptz[], intervals interval[], jsons json[], jsonbs jsonb[],
    moods mood[], d_array d_int[], d_numerics d_numeric[], d_moods d_mood[], d_ints d_ints, d_ints_2 d_ints_2,
    inets inet[], ranges int4range[], points point[], bits bit varying[], int2vector int2vector, oidvector oidvector
);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_arrays', 'cdc_plugin');

-- One row for each literal, with all columns that take it.
INSERT INTO arrays (bools, int2s, int4s, int8s, oids, float4s, float8s, numerics, texts, byteas, timetzs, jsonbs, moods,
        d_array, d_ints, d_ints_2, inets)
    VALUES ('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
           ('{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}',
            '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}');
INSERT INTO arrays (bools, int2s, int4s, int8s, oids, float4s, float8s) VALUES
    ('{t,f,NULL,t}', '{1,-1,0,32767,-32768}', '{2147483647,-2147483648}', '{9223372036854775807,-9223372036854775808}',
     '{0,4294967295}', '{1.5,NaN,Infinity,-Infinity,NULL}', '{0.1,NaN,Infinity,-Infinity,1e-300}');
INSERT INTO arrays (numerics, numerics_typmod, texts, varchars, bpchars, names, chars) VALUES
    ('{1,1.0,1.00,NaN,Infinity,-Infinity,0.0001,10000,NULL,-12345678901234567890.0987654321}', '{1,NaN,-1.0006}',
     ARRAY['', ' ', 'NULL', NULL, 'a"b', 'a\b', 'a,b', '{}', E'line\nline', '😀', repeat('x', 200)],
     '{abc,"d ",NULL}', '{a,abcd,"é"}', '{ab,"C d"}', '{a," ",NULL}');
INSERT INTO arrays (byteas, uuids, dates, times, timetzs, timestamps, timestamptzs, intervals) VALUES
    (ARRAY['\x', '\x00', NULL, '\xdeadbeef']::bytea[],
     '{00112233-4455-6677-8899-aabbccddeeff,NULL,ffffffff-ffff-ffff-ffff-ffffffffffff}',
     '{2024-02-29,infinity,-infinity,"0001-01-01 BC",5874897-12-31}', '{00:00,24:00,12:34:56.000001}',
     '{12:00+00,12:00-03:30,12:00+15:59:59}', '{"2024-02-29 01:02:03.4",infinity,-infinity,"0001-01-01 00:00:00 BC"}',
     '{"2024-02-29 01:02:03.4+05",infinity,-infinity,"294276-12-31 23:59:59.999999+00"}',
     '{"1 mon -1 day",-00:00:00.5,0,NULL}');
INSERT INTO arrays (jsons, jsonbs, moods, d_array, d_numerics, d_moods, d_ints, d_ints_2) VALUES
    (ARRAY['{"a": 1}', '[ 1,2 ]', NULL, 'null', '"x"', '1.50']::json[],
     ARRAY['{"a": 1}', '[ 1,2 ]', NULL, 'null', '"x"', '1.50', '{"b": {"c": [1, "d"]}}']::jsonb[],
     ARRAY['sad', 'so, so', 'it''s "fine"', 'NULL', NULL, 'ça va']::mood[], '{1,NULL,3}', '{1,2.345,NULL}',
     ARRAY['sad', NULL, 'NULL']::d_mood[], '{1,2}', '{{3,4},{5,NULL}}');
INSERT INTO arrays (inets, ranges, points, bits, int2vector, oidvector) VALUES
    ('{10.0.0.1/8,::1,NULL}', '{"[1,5)",empty,"(,)"}', '{"(1,2)","(-0.5,1e100)"}', '{101,"",1}',
     '1 2 -3', '1 4294967295');
-- Dimensions and lower bounds.
INSERT INTO arrays (int4s, texts, int2vector) VALUES
    ('{{1,2,3},{4,5,6}}', '{{a,NULL},{"",b}}', ''), ('{{{1},{2}},{{3},{4}},{{5},{6}}}', '{{{a}}}', '0'),
    ('{{{{{{1,2}}}}}}', '{{{{{{a},{b}}}}}}', NULL), ('[2:3]={7,8}', '[-5:-4][0:1]={{a,b},{c,d}}', NULL),
    ('[0:0]={9}', '[2147483646:2147483646]={x}', NULL);
-- Long ones: inline, compressed and out of line.
ALTER TABLE arrays ALTER int8s SET STORAGE external;
INSERT INTO arrays (int4s, int8s, numerics, texts, moods, jsonbs)
    SELECT array_agg(i), array_agg(i), array_agg(i / 8.0), array_agg(repeat(i::text, 50)),
           array_agg(CASE WHEN i % 3 = 0 THEN 'sad' END::mood), array_agg(jsonb_build_object('i', i))
    FROM generate_series(1, 3000) AS i;
INSERT INTO arrays (int4s) VALUES (array_fill(NULL::int, '{50,40}', '{3,-3}'));

CREATE VIEW changes AS SELECT (after->>'id')::int AS id, after FROM cdc.peek_changes('regress_arrays');
SELECT id, key, CASE WHEN length(value::text) < 200 THEN value::text
                     ELSE format('%s... (%s)', left(value::text, 40), length(value::text)) END AS value
    FROM changes, jsonb_each(after) WHERE key <> 'id' AND value <> 'null' ORDER BY id, key;

-- PostgreSQL says the same. (Only oid differs: numbers in the stream, but texts to to_jsonb().)
CREATE FUNCTION rows_now() RETURNS TABLE (id int, fields jsonb) LANGUAGE sql
    SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex'
    AS $$ SELECT id, to_jsonb(a) FROM arrays AS a $$;
SELECT id, key, left(streamed.value::text, 60) AS streamed, left(stored.value::text, 60) AS stored
    FROM (SELECT id, key, value FROM changes, jsonb_each(after)) AS streamed
    FULL JOIN (SELECT id, key, value FROM rows_now(), jsonb_each(fields)) AS stored USING (id, key)
    WHERE streamed.value::text IS DISTINCT FROM stored.value::text
    ORDER BY id, key;

-- The definition names the arrays' types.
SELECT c->>'name' AS name, c->>'type' AS type, c->>'type_name' AS type_name, (c->>'base_type_oid')::regtype AS base
    FROM pg_logical_slot_peek_binary_changes('regress_arrays', NULL, NULL, 'batch_bytes', '1'),
         cdc.decode(data) AS record, jsonb_array_elements(record->'columns') AS c;

SELECT pg_replication_slot_advance('regress_arrays', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- JSON has no lower bounds, the wire has: dimensions {2}, lower bounds {-1} in zigzag form, elements 7 and 8.
INSERT INTO arrays (int4s) VALUES ('[-1:0]={7,8}');
SELECT position('\x0a01021201011a02180e1a021810' IN data) > 0 AS found
    FROM pg_logical_slot_get_binary_changes('regress_arrays', NULL, NULL);
-- All 1 is usual and left out.
INSERT INTO arrays (int4s) VALUES ('{{7},{8}}');
SELECT position('\x0a0202011a02180e1a021810' IN data) > 0 AS found
    FROM pg_logical_slot_get_binary_changes('regress_arrays', NULL, NULL);

-- Elements without a form of their own are texts, and composites are not objects.
CREATE TABLE pairs (id int PRIMARY KEY, pairs pair[], d_pairs d_pair[]);
INSERT INTO pairs VALUES (1, ARRAY[(1, 'a'), (2, 'b c'), (NULL, NULL), NULL, (3, 'q"')]::pair[],
    ARRAY[(1, 'é')]::d_pair[]);
SELECT after FROM cdc.get_changes('regress_arrays');

-- Arrays whose elements are arrays.
CREATE TABLE nested (id int PRIMARY KEY, d_ints d_ints[], vectors int2vector[], oids oidvector[]);
INSERT INTO nested VALUES
    (1, ARRAY['{1,2}', '{}', NULL, '{{3},{4}}']::d_ints[], ARRAY['1 2', '3']::int2vector[],
     ARRAY['1', '2 3']::oidvector[]);
SELECT after->'d_ints' = to_jsonb(d_ints) AS d_ints, after->'vectors' = to_jsonb(vectors) AS vectors,
       after->'oids' AS oids
    FROM cdc.peek_changes('regress_arrays'), nested;
SELECT data::jsonb #>> '{after, d_ints}' AS d_ints
    FROM pg_logical_slot_get_changes('regress_arrays', NULL, NULL, 'format', 'json')
    WHERE data::jsonb->>'record' = 'change';

SET client_min_messages = warning;
DROP SCHEMA arrays_test CASCADE;
SELECT pg_drop_replication_slot('regress_arrays');
