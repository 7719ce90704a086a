-- 25,000 row changes in transactions of 500.
SELECT (10000 * :scale)::bigint AS inserts, (10000 * :scale)::bigint AS touches,
       (5000 * :scale)::bigint AS rewrites \gset
CALL bench_documents('insert', :inserts);
CALL bench_documents('touch', :touches);
CALL bench_documents('rewrite', :rewrites);
