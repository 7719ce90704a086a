-- Transactions: whole, in the order of their commits, without what was rolled back; empty ones; batches; what the
-- functions consume.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE TABLE transactions_row (id int PRIMARY KEY, v text);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_transactions', 'cdc_plugin');
-- All records of the stream, with 1 batch or many.
CREATE FUNCTION records_now(VARIADIC options text[] DEFAULT '{}') RETURNS TABLE (n bigint, record jsonb)
    LANGUAGE sql AS $$
    SELECT n, record
    FROM (SELECT coalesce(string_agg(data, ''), '') AS data
          FROM pg_logical_slot_peek_binary_changes('regress_transactions', NULL, NULL, VARIADIC options)) AS d,
         cdc.decode(data) WITH ORDINALITY AS r (record, n)
$$;
PREPARE next AS
    SELECT pg_replication_slot_advance('regress_transactions', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- Subtransactions are part of their transaction; those rolled back are not there, and leave no gap.
BEGIN;
INSERT INTO transactions_row VALUES (1, 'a');
SAVEPOINT s1;
INSERT INTO transactions_row VALUES (2, 'gone');
SAVEPOINT s2;
INSERT INTO transactions_row VALUES (3, 'gone');
RELEASE s2;
ROLLBACK TO s1;
INSERT INTO transactions_row VALUES (2, 'b');
SAVEPOINT s3;
UPDATE transactions_row SET v = 'c' WHERE id = 2;
RELEASE s3;
SAVEPOINT s4;
DELETE FROM transactions_row;
ROLLBACK TO s4;
DO $$
BEGIN
    INSERT INTO transactions_row VALUES (4, 'd');
    BEGIN
        INSERT INTO transactions_row VALUES (5, 'gone');
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        INSERT INTO transactions_row VALUES (6, 'e');
    END;
END
$$;
COMMIT;
BEGIN;
INSERT INTO transactions_row VALUES (7, 'gone');
ROLLBACK;
INSERT INTO transactions_row VALUES (1, 'twice');
SELECT ordinal, op, before, after FROM cdc.peek_changes('regress_transactions');
SELECT record->>'record' AS record, record->>'ordinal' AS ordinal, record->>'record_count' AS record_count
    FROM records_now() ORDER BY n;
EXECUTE next;

-- Ids: that of the top-level transaction in 64 bits, the LSN of the commit for all that is in it.
BEGIN;
INSERT INTO transactions_row VALUES (11, 'a');
SAVEPOINT s;
INSERT INTO transactions_row VALUES (12, 'b');
RELEASE s;
SELECT pg_current_xact_id() AS xid \gset
COMMIT;
SELECT pg_current_wal_lsn() AS lsn \gset
INSERT INTO transactions_row VALUES (13, 'c');
SELECT after->>'id' AS id, ordinal, xid = :'xid' AS xid, xid > :'xid' AS later_xid, commit_lsn < :'lsn' AS before,
       commit_lsn > :'lsn' AS after
    FROM cdc.peek_changes('regress_transactions');
SELECT count(DISTINCT commit_lsn) AS commit_lsns FROM cdc.peek_changes('regress_transactions');
SELECT record->>'record' AS record, record->>'xid' = :'xid' AS xid,
       (record->>'commit_lsn')::pg_lsn < :'lsn' AS commit_lsn,
       (record->>'end_lsn')::pg_lsn > (record->>'commit_lsn')::pg_lsn AS end_after_commit,
       (record->>'commit_time')::timestamptz BETWEEN now() - interval '1 minute' AND now() AS commit_time
    FROM records_now() WHERE record->>'record' IN ('begin', 'commit') ORDER BY n;
EXECUTE next;

-- peek leaves what get takes. Limits: a number of records, after which the transaction is still taken whole; an LSN.
INSERT INTO transactions_row VALUES (21, 'a'), (22, 'b'), (23, 'c');
INSERT INTO transactions_row VALUES (24, 'd');
SELECT pg_current_wal_lsn() AS lsn \gset
INSERT INTO transactions_row VALUES (25, 'e');
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
SELECT string_agg(after->>'id', ' ') AS peek_1 FROM cdc.peek_changes('regress_transactions', NULL, 1);
SELECT string_agg(after->>'id', ' ') AS peek_7 FROM cdc.peek_changes('regress_transactions', NULL, 7);
SELECT string_agg(after->>'id', ' ') AS peek_lsn FROM cdc.peek_changes('regress_transactions', :'lsn');
SELECT string_agg(after->>'id', ' ') AS get_1 FROM cdc.get_changes('regress_transactions', NULL, 1);
SELECT string_agg(after->>'id', ' ') AS get_lsn FROM cdc.get_changes('regress_transactions', :'lsn', NULL);
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
SELECT string_agg(after->>'id', ' ') AS get FROM cdc.get_changes('regress_transactions');
SELECT string_agg(after->>'id', ' ') AS get FROM cdc.get_changes('regress_transactions');
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
-- The limit in records is the same with an own batch_bytes, but counts batches then.
INSERT INTO transactions_row VALUES (31, 'a');
INSERT INTO transactions_row VALUES (32, 'b');
INSERT INTO transactions_row VALUES (33, 'c');
SELECT string_agg(after->>'id', ' ') AS peek_2
    FROM cdc.peek_changes('regress_transactions', NULL, 2, 'batch_bytes', '1MB');
SELECT string_agg(after->>'id', ' ') AS peek_2
    FROM cdc.peek_changes('regress_transactions', NULL, 2, 'batch_bytes', '1');
-- Within a transaction, and in one that wrote something itself.
BEGIN;
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
ROLLBACK;
BEGIN READ ONLY;
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO transactions_row VALUES (34, 'not committed');
SELECT string_agg(after->>'id', ' ') AS peek FROM cdc.peek_changes('regress_transactions');
ROLLBACK;
-- Called twice in one statement, and in a subquery for each row.
SELECT count(*)
    FROM cdc.peek_changes('regress_transactions') AS a JOIN cdc.peek_changes('regress_transactions') AS b USING (commit_lsn);
SELECT i, (SELECT count(*) FROM cdc.peek_changes('regress_transactions', NULL, i)) FROM generate_series(1, 4) AS i;
-- By a cursor that goes back and forth.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT after->>'id' AS id FROM cdc.peek_changes('regress_transactions');
FETCH LAST c;
FETCH FIRST c;
FETCH 2 c;
COMMIT;
EXECUTE next;

-- Empty transactions: left out, unless they are asked for. ------------------------------------------------------------
BEGIN;
CREATE TABLE transactions_empty (id int);
SELECT pg_current_xact_id() AS ddl_xid \gset
COMMIT;
BEGIN;
INSERT INTO transactions_row VALUES (41, 'gone');
SELECT pg_current_xact_id() AS rolled_back_xid \gset
ROLLBACK;
BEGIN;
INSERT INTO transactions_row VALUES (42, 'filtered');
SELECT pg_current_xact_id() AS filtered_xid \gset
COMMIT;
SELECT CASE record->>'xid' WHEN :'ddl_xid' THEN 'ddl' WHEN :'filtered_xid' THEN 'filtered' END AS xid,
       record->>'record' AS record,
       record->>'record_count' AS record_count
    FROM records_now('tables', 'no.such') ORDER BY n;
SELECT CASE record->>'xid' WHEN :'ddl_xid' THEN 'ddl' WHEN :'filtered_xid' THEN 'filtered' END AS xid,
       record->>'record' AS record,
       record->>'record_count' AS record_count
    FROM records_now('tables', 'no.such', 'skip_empty_xacts', 'off')
    WHERE record->>'xid' IN (:'ddl_xid', :'rolled_back_xid', :'filtered_xid') ORDER BY n;
SELECT count(*) FROM cdc.peek_changes('regress_transactions', NULL, NULL, 'tables', 'no.such',
                                       'skip_empty_xacts', 'off');
EXECUTE next;

-- Batches: however large they are, the records are the same. ----------------------------------------------------------
INSERT INTO transactions_row SELECT i, repeat(i::text, i % 50) FROM generate_series(101, 1100) AS i;
BEGIN;
UPDATE transactions_row SET v = v || 'x' WHERE id > 600;
DELETE FROM transactions_row WHERE id > 1000;
COMMIT;
INSERT INTO transactions_row VALUES (2001, repeat('long', 50000));
CREATE TEMPORARY TABLE one_batch AS SELECT * FROM records_now('batch_bytes', '64MB');
SELECT record->>'record' AS record, count(*) FROM one_batch GROUP BY 1 ORDER BY 1;
SELECT bytes,
       (SELECT count(*)
        FROM (SELECT * FROM records_now('batch_bytes', bytes) EXCEPT ALL SELECT * FROM one_batch) AS d) AS others,
       (SELECT count(*) FROM records_now('batch_bytes', bytes)) - (SELECT count(*) FROM one_batch) AS more
    FROM (VALUES ('1'), ('2'), ('100'), ('1kB'), ('64kB'), ('1MB'), ('64MB')) AS v (bytes);
SELECT count(*) AS differ FROM (SELECT * FROM cdc.peek_changes('regress_transactions', NULL, NULL, 'batch_bytes', '1')
                                EXCEPT ALL SELECT * FROM cdc.peek_changes('regress_transactions')) AS d;
-- A transaction that does not fit in memory comes back from disk as it was.
SET logical_decoding_work_mem = '64kB';
SELECT count(*) AS differ
    FROM (SELECT * FROM records_now('batch_bytes', '64MB') EXCEPT ALL SELECT * FROM one_batch) AS d;
RESET logical_decoding_work_mem;
-- A batch ends with its transaction, or when it has grown beyond the limit; with a limit of 1, each record is one.
SELECT bytes, count(*) > 3 AS many, bool_and(length(data) >= bytes OR commits) AS full,
       bool_and(commits = (last = 'commit')) AS ended, max(records) = 1 AS single
    FROM (VALUES (1), (1000), (65536), (67108864)) AS v (bytes),
         pg_logical_slot_peek_binary_changes('regress_transactions', NULL, NULL, 'batch_bytes', bytes::text),
         LATERAL (SELECT count(*) AS records, bool_or(record->>'record' = 'commit') AS commits,
                         (array_agg(record->>'record' ORDER BY n DESC))[1] AS last
                  FROM cdc.decode(data) WITH ORDINALITY AS r (record, n)) AS b
    GROUP BY bytes ORDER BY bytes;

DROP TABLE transactions_row, transactions_empty;
DROP FUNCTION records_now;
SELECT pg_drop_replication_slot('regress_transactions');
