-- 100,000 row changes in transactions of 1,000.
SELECT (50000 * :scale)::bigint AS inserts, (30000 * :scale)::bigint AS updates,
       (20000 * :scale)::bigint AS deletes \gset
CALL bench_wide('insert', 1, :inserts);
CALL bench_wide('update', 1, :updates);
CALL bench_wide('delete', 1, :deletes);
