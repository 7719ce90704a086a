-- Types without a form of their own: what their output functions print, whatever the session's settings.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;

CREATE SCHEMA others_test;
-- Types from extensions, where the server has them.
SELECT count(*) FILTER (WHERE name = 'hstore') > 0 AS has_hstore,
       count(*) FILTER (WHERE name = 'citext') > 0 AS has_citext
    FROM pg_available_extensions \gset
\if :has_hstore
CREATE EXTENSION hstore SCHEMA others_test;
\endif
\if :has_citext
CREATE EXTENSION citext SCHEMA others_test;
\endif
RESET client_min_messages;
SET search_path = others_test;

CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE "Odd Type" AS (t timestamptz, d date, i interval, f float8, b bytea, m money, r regclass, p pair, e mood);
CREATE TYPE moodrange AS RANGE (subtype = mood);
CREATE TYPE floatrange AS RANGE (subtype = float8);
CREATE DOMAIN d_inet AS inet;
CREATE DOMAIN d_pair AS pair CHECK ((VALUE).a > 0);
CREATE DOMAIN d_pair_2 AS d_pair;

CREATE TABLE others (
    id int PRIMARY KEY,
    inet inet, cidr cidr, d_inet d_inet, macaddr macaddr, macaddr8 macaddr8, money money, bit bit(5), varbit varbit,
    int4range int4range, int8range int8range, numrange numrange, tsrange tsrange, tstzrange tstzrange,
    daterange daterange, moodrange moodrange, floatrange floatrange, int4multirange int4multirange,
    tstzmultirange tstzmultirange, point point, line line, lseg lseg, box box, path path, polygon polygon,
        circle circle,
    tsvector tsvector, tsquery tsquery, pg_lsn pg_lsn, xid xid, xid8 xid8, cid cid, tid tid, pg_snapshot pg_snapshot,
    regclass regclass, regtype regtype, regproc regproc, regprocedure regprocedure, regoper regoper,
    regoperator regoperator, regnamespace regnamespace, regconfig regconfig, jsonpath jsonpath, refcursor refcursor,
    xml xml
);
CREATE TABLE composites_row (x int, y text, z numeric);
CREATE TABLE composites (
    id int PRIMARY KEY, pair pair, odd "Odd Type", d_pair d_pair, d_pair_2 d_pair_2, "row" composites_row
);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_others', 'cdc_plugin');

INSERT INTO others VALUES (1);
INSERT INTO others VALUES (2,
    '10.1.2.3/8', '10.0.0.0/8', '::1', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '-1234567.89', B'10101', B'1',
    '[1,5)', '(,9223372036854775807)', '[1.50,2.0]', '["2024-01-02 03:04:05",)',
    '["2024-01-02 03:04:05.678+00","2024-01-03 00:00:00+05"]', '[2024-01-02,infinity)', '[sad,ok]', '[0.1,1e22)',
    '{[1,3),[5,7)}', '{["2024-01-02 03:04:05+00","2024-01-03 00:00:00+00"]}', '(1.1,-2)', '{1,2,3}', '[(0,0),(1,0.1)]',
    '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(2,0.3))', '<(0.1,0),2>',
    'a:1A fat:2 ''quo''''ted'':3', 'fat & (rat:ab | !''c d'':*)', '16/B374D848', '4294967295', '18446744073709551615',
    '42', '(4294967295,65535)', '10:20:10,14,15', 'others_test.others', 'others_test."Odd Type"', 'now', 'lower(text)',
    'pg_catalog.||/', '+(integer,integer)', 'others_test', 'english', '$.a[*] ? (@ > 1.50)', 'cursor "x"', NULL);
INSERT INTO others (id, inet, cidr, money, bit, varbit, int4range, tsrange, tstzrange, daterange, int4multirange, path,
        tsvector, tsquery, pg_lsn, tid, regclass, regtype, regproc) VALUES (3,
    '2001:db8::ff00:42:8329/64', '2001:db8::/32', '92233720368547758.07', B'00000', B'', 'empty', '(,)',
    '(-infinity,infinity]', '[0001-01-01 BC,5874897-01-01)', '{}', '((0,0),(1,1))', '', '', '0/0', '(0,1)', '-',
    'pg_catalog.int4', '-');
-- Long ones.
INSERT INTO others (id, varbit, tsvector, polygon, path)
    SELECT 4, repeat('10', 5000)::varbit, string_agg(i::text, ' ' ORDER BY i)::tsvector,
           ('(' || string_agg(format('(%s,%s)', i, i % 7), ',' ORDER BY i) || ')')::polygon,
           ('[' || string_agg(format('(%s,%s)', i, i % 7), ',' ORDER BY i) || ']')::path
    FROM generate_series(1, 2000) AS i;
-- xml, unless the server was built without it.
DO $$
BEGIN
    INSERT INTO others (id, xml) VALUES
        (5, '<?xml version="1.0" encoding="LATIN1" standalone="yes"?><a b="c">é &lt; <!-- x --></a>'),
        (6, 'only <b>content</b>');
EXCEPTION WHEN feature_not_supported THEN NULL;
END
$$;
INSERT INTO composites VALUES
    (1, (1, 'a'), NULL, (1, 'b c'), (2, ''), (1, 'y', 1.50)),
    (2, (NULL, NULL), ('2024-01-02 03:04:05.6+00', '2024-01-02', '1 day -02:03', 0.1, '\x00ff', '$1.50', 'pg_class',
                       (7, 'q"uo,te'), 'ok'), NULL, NULL, NULL),
    (3, NULL, (NULL, NULL, NULL, NULL, NULL, NULL, 'composites', NULL, NULL), NULL, NULL,
    (2, repeat('y', 5000), 'NaN'));

CREATE VIEW changes AS
    SELECT relation, (after->>'id')::int AS id, after FROM cdc.peek_changes('regress_others');
CREATE UNLOGGED TABLE streamed AS SELECT * FROM changes;
SELECT relation, id, key, CASE WHEN length(value::text) < 150 THEN value::text
                               ELSE format('%s... (%s)', left(value::text, 40), length(value::text)) END AS value
    FROM streamed, jsonb_each(after) WHERE key NOT IN ('id', 'xml') AND value <> 'null' ORDER BY relation, id, key;

-- What PostgreSQL prints under the same settings: no difference.
CREATE FUNCTION rows_now() RETURNS TABLE (relation text, id int, key text, value text) LANGUAGE sql
    SET TimeZone = 'UTC' SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres' SET extra_float_digits = 1
    SET bytea_output = 'hex' SET lc_monetary = 'C' SET search_path = 'pg_catalog' SET quote_all_identifiers = off
    AS $$
        SELECT 'others_test.others', id, key, value
            FROM others_test.others AS o, LATERAL jsonb_each_text(to_jsonb(o)) AS fields
    UNION ALL
        SELECT 'others_test.composites', id, key, value
            FROM others_test.composites,
                 LATERAL (VALUES ('id', id::text), ('pair', pair::text), ('odd', odd::text), ('d_pair', d_pair::text),
                                 ('d_pair_2', d_pair_2::text), ('row', "row"::text)) AS fields (key, value)
    $$;
SELECT relation, id, key, left(a.value, 60) AS streamed, left(b.value, 60) AS stored
    FROM (SELECT relation, id, key, value FROM streamed, jsonb_each_text(after)) AS a
    FULL JOIN rows_now() AS b USING (relation, id, key)
    WHERE a.value IS DISTINCT FROM b.value
    ORDER BY relation, id, key;

-- Settings of the session change nothing, and the session has its own back afterwards. --------------------------------
SET DateStyle = 'German';
SET TimeZone = 'Asia/Kolkata';
SET IntervalStyle = 'iso_8601';
SET extra_float_digits = -15;
SET bytea_output = 'escape';
SET quote_all_identifiers = on;
SET search_path = others_test, pg_catalog;
SELECT count(*) AS differ FROM (SELECT id, after FROM changes EXCEPT ALL SELECT id, after FROM streamed) AS d;
SELECT '2024-01-02 03:04:05+00'::timestamptz, '1 day 1 sec'::interval, '\x00ff'::bytea, 0.1::float8, 'others'::regclass;
SHOW search_path;
-- Neither do they in the middle of a transaction, nor those of a function.
BEGIN;
SET LOCAL TimeZone = 'America/St_Johns';
SET LOCAL DateStyle = 'SQL, DMY';
SELECT count(*) AS differ FROM (SELECT id, after FROM changes EXCEPT ALL SELECT id, after FROM streamed) AS d;
SELECT '2024-01-02 03:04:05+00'::timestamptz;
COMMIT;
CREATE FUNCTION others_test.changes_under_settings() RETURNS bigint LANGUAGE sql
    SET DateStyle = 'Postgres, MDY' SET IntervalStyle = 'sql_standard' SET TimeZone = 'Pacific/Kiritimati'
    SET search_path = 'pg_catalog, others_test'
    AS $$
        SELECT count(*)
        FROM (SELECT after FROM cdc.peek_changes('regress_others')
              EXCEPT ALL SELECT after FROM others_test.streamed) AS d
    $$;
SELECT changes_under_settings() AS differ;
SELECT '2024-01-02 03:04:05+00'::timestamptz, '1 day 1 sec'::interval;
-- With format=json too.
SELECT count(*) AS differ FROM (
    SELECT data::jsonb->'after' FROM pg_logical_slot_peek_changes('regress_others', NULL, NULL, 'format', 'json')
    WHERE data::jsonb->>'record' = 'change'
    EXCEPT ALL SELECT after FROM streamed) AS d;
RESET ALL;
SET client_min_messages = warning;
SET search_path = others_test;
SELECT pg_replication_slot_advance('regress_others', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- Types of extensions, as their output functions print them. ----------------------------------------------------------
CREATE FUNCTION extensions() RETURNS TABLE (type text, streamed text, equal boolean) LANGUAGE plpgsql AS $$
DECLARE
    literal record;
BEGIN
    FOR literal IN SELECT * FROM (VALUES ('hstore', '"a b"=>"1", c=>NULL'), ('citext', 'MiXed')) AS v (type, value)
        WHERE to_regtype(v.type) IS NOT NULL
    LOOP
        type := literal.type;
        EXECUTE format('SELECT t.after->>''v'', t.after->>''v'' = e.v::text
                        FROM cdc.peek_changes(''regress_others'', NULL, NULL, ''tables'', ''*.of_%s'') AS t,
                             of_%1$s AS e', literal.type) INTO streamed, equal;
        RETURN NEXT;
    END LOOP;
END
$$;
\if :has_hstore
CREATE TABLE of_hstore (v hstore);
INSERT INTO of_hstore VALUES ('"a b"=>"1", c=>NULL');
\endif
\if :has_citext
CREATE TABLE of_citext (v citext);
INSERT INTO of_citext VALUES ('MiXed');
\endif
SELECT type, streamed FROM extensions() WHERE NOT equal;

DROP SCHEMA others_test CASCADE;
SELECT pg_drop_replication_slot('regress_others');

SET client_min_messages = warning;
RESET search_path;
-- A type whose output is not valid in the server's encoding: bytes as text that nobody checked.
CREATE TYPE unchecked;
CREATE FUNCTION unchecked_in(cstring) RETURNS unchecked AS 'byteain' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION unchecked_out(unchecked) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
CREATE TYPE unchecked (INPUT = unchecked_in, OUTPUT = unchecked_out, LIKE = bytea);
CREATE TABLE unchecked_values (id int PRIMARY KEY, v unchecked);
ALTER TABLE unchecked_values REPLICA IDENTITY FULL;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_unchecked', 'cdc_plugin');
INSERT INTO unchecked_values VALUES (1, 'plain'), (2, '\xc3a9'), (3, '\xff41'), (4, '\x');
DELETE FROM unchecked_values WHERE id = 3;
SELECT op, before, after, details FROM cdc.peek_changes('regress_unchecked');
SELECT 'dropped' AS slot FROM pg_drop_replication_slot('regress_unchecked');
DROP TABLE unchecked_values;
DROP TYPE unchecked CASCADE;
