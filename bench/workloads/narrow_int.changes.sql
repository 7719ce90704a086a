-- 1,000,000 row changes in transactions of 10,000.
SELECT (500000 * :scale)::integer AS inserts, (300000 * :scale)::integer AS updates,
       (200000 * :scale)::integer AS deletes \gset
CALL bench_narrow('insert', :inserts);
CALL bench_narrow('update', :updates);
CALL bench_narrow('delete', :deletes);
