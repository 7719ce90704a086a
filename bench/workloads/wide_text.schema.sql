-- Twenty text columns of about 100 characters. The high toast_tuple_target keeps these rows of a little more than 2 kB
-- whole: no compression, no TOAST.
SELECT format('CREATE TABLE wide_text (id bigint PRIMARY KEY, %s) WITH (toast_tuple_target = 8160)',
              string_agg(format('t%s text NOT NULL', c), ', ' ORDER BY c))
    FROM generate_series(1, 20) c \gexec
ALTER TABLE wide_text REPLICA IDENTITY FULL;

CREATE FUNCTION bench_text(i bigint, c integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT substr(
        'The quick brown fox jumps over the lazy dog, again and again, until someone writes "enough!" into the margin; '
        'the quality of a sample text shows in its commas. Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter '
        'Deich. Portez ce vieux whisky au juge blond qui fume, said the note beside C:\temp\sample.txt on the desk, '
        'dated 2026-02-14, and it went on for another page in the same manner without ever coming to a point at all.',
        1 + (hashint8extended(i, c) & 255)::integer, 80 + (hashint8extended(i, c + 100) & 31)::integer)
$$;

-- Work on the ids first to last, in transactions of at most 1,000.
CREATE PROCEDURE bench_wide(op text, first bigint, last bigint) LANGUAGE plpgsql AS $$
DECLARE
    texts text := (SELECT string_agg(format('bench_text(i, %s)', c), ', ' ORDER BY c) FROM generate_series(1, 20) c);
BEGIN
    FOR low IN first .. last BY 1000 LOOP
        CASE op
            WHEN 'insert' THEN
                EXECUTE format('INSERT INTO wide_text SELECT i, %s FROM generate_series($1, $2) i', texts)
                    USING low, least(low + 999, last);
            WHEN 'update' THEN
                UPDATE wide_text SET t3 = t3 || '.', t17 = bench_text(id, 99)
                    WHERE id BETWEEN low AND least(low + 999, last);
            WHEN 'delete' THEN
                DELETE FROM wide_text WHERE id BETWEEN low AND least(low + 999, last);
        END CASE;
        COMMIT;
    END LOOP;
END
$$;
