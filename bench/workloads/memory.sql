-- What scripts/bench memory runs while the plugins stream: a table that changes without growing, and tables that come
-- and go.
\ir orders_table.sql

-- Transactions first to last, each of `rows` changes: half of them inserts, the other half deletes of what the
-- transaction before it inserted. The very first only inserts.
CREATE PROCEDURE bench_stream(first integer, last integer, rows bigint) LANGUAGE plpgsql AS $$
DECLARE
    half bigint := rows / 2;
BEGIN
    FOR t IN first .. last LOOP
        INSERT INTO orders SELECT * FROM bench_orders(t * half + 1, (t + 1) * half);
        DELETE FROM orders WHERE id <= t * half;
        COMMIT;
    END LOOP;
END
$$;

-- Relations first to last: each is created, filled, altered, changed and dropped, in a transaction per step.
CREATE PROCEDURE bench_relations(first integer, last integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR r IN first .. last LOOP
        EXECUTE format('CREATE TABLE bench_rel_%s (id integer PRIMARY KEY, name text, amount numeric(12,2))', r);
        EXECUTE format('ALTER TABLE bench_rel_%s REPLICA IDENTITY FULL', r);
        COMMIT;
        EXECUTE format('INSERT INTO bench_rel_%s VALUES (1, ''one'', 1.00)', r);
        COMMIT;
        EXECUTE format('ALTER TABLE bench_rel_%s ADD COLUMN added jsonb', r);
        COMMIT;
        EXECUTE format('UPDATE bench_rel_%s SET added = ''{"step": 2}''', r);
        COMMIT;
        EXECUTE format('DROP TABLE bench_rel_%s', r);
        COMMIT;
    END LOOP;
END
$$;
