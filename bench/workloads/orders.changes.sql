-- 500,000 row changes in three bulk transactions, then 100,000 transactions of one row.
SELECT (250000 * :scale)::bigint AS inserts, (150000 * :scale)::bigint AS updates, (100000 * :scale)::bigint AS deletes,
       (100000 * :scale)::bigint AS singles \gset
INSERT INTO orders SELECT * FROM bench_orders(1, :inserts);
UPDATE orders SET status = status + 1, paid = NOT paid, amount = amount * 1.07,
                  attributes = jsonb_set(attributes, '{gift}', 'true')
    WHERE id <= :updates;
DELETE FROM orders WHERE id > :inserts - :deletes;
CALL bench_one_row(10000000, :singles);
