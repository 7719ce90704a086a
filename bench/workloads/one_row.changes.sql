-- 100,000 transactions of one row.
SELECT (100000 * :scale)::bigint AS singles \gset
CALL bench_one_row(10000000, :singles);
