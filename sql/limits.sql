-- Values that cannot be printed, or only with care: none of them may raise an ERROR, which would stop the slot for ever.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;
SELECT 'created' AS slot FROM pg_create_logical_replication_slot('regress_limits', 'cdc_plugin');
CREATE SCHEMA limits_test;
SET search_path = limits_test;

-- An output function that runs into the allocation limit: 9,000 numbers of 131,000 digits, stored in little space.
CREATE TYPE numbers AS (list numeric[]);
CREATE TABLE printed (id int, v numbers);
INSERT INTO printed SELECT 1, ROW(array_agg('1e131000'::numeric))::numbers FROM generate_series(1, 9000);
INSERT INTO printed VALUES (2, ROW('{1}')::numbers);
-- jsonb that nests deeply.
CREATE TABLE deep (j jsonb);
INSERT INTO deep VALUES ((repeat('[', 5000) || repeat(']', 5000))::jsonb);
-- Many elements that go through an output function.
CREATE TABLE chars (c "char"[]);
INSERT INTO chars VALUES (array_fill('x'::"char", ARRAY[100000]));
-- Arrays that are empty, though with a dimension of length 0.
CREATE TABLE vectors (v int2vector);
INSERT INTO vectors VALUES ('');

SELECT op, relation, length(after::text) AS size, details - 'lsn' AS details
    FROM cdc.peek_changes('regress_limits') ORDER BY commit_lsn;
SELECT sum(length(data)) > 200000 AS json
    FROM pg_logical_slot_peek_changes('regress_limits', NULL, NULL, 'format', 'json');
SELECT (after->>'j')::jsonb = (SELECT j FROM deep) AS deep FROM cdc.peek_changes('regress_limits') WHERE after ? 'j';

SET client_min_messages = warning;
DROP SCHEMA limits_test CASCADE;
SELECT pg_drop_replication_slot('regress_limits');
