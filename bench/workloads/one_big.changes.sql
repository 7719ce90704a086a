-- One transaction of 1,000,000 row changes.
SELECT (600000 * :scale)::bigint AS inserts, (250000 * :scale)::bigint AS updates,
       (150000 * :scale)::bigint AS deletes \gset
BEGIN;
INSERT INTO orders SELECT * FROM bench_orders(1, :inserts);
UPDATE orders SET status = status + 1, paid = NOT paid, amount = amount * 1.07 WHERE id <= :updates;
DELETE FROM orders WHERE id > :inserts - :deletes;
COMMIT;
