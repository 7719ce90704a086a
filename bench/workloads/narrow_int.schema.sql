-- Four integer columns: the cost per row, not per byte.
CREATE TABLE narrow_int (id integer PRIMARY KEY, a integer NOT NULL, b integer NOT NULL, c integer);
ALTER TABLE narrow_int REPLICA IDENTITY FULL;

-- Work on the ids 1 to `rows`, in transactions of at most 10,000.
CREATE PROCEDURE bench_narrow(op text, rows integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR low IN 1 .. rows BY 10000 LOOP
        CASE op
            WHEN 'insert' THEN
                INSERT INTO narrow_int
                    SELECT i, i * 7 % 1000, hashint4(i), CASE WHEN i % 8 > 0 THEN -i END
                    FROM generate_series(low, least(low + 9999, rows)) i;
            WHEN 'update' THEN
                UPDATE narrow_int SET a = a + 1 WHERE id BETWEEN low AND least(low + 9999, rows);
            WHEN 'delete' THEN
                DELETE FROM narrow_int WHERE id BETWEEN low AND least(low + 9999, rows);
        END CASE;
        COMMIT;
    END LOOP;
END
$$;
