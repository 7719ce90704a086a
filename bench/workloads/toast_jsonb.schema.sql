-- A jsonb document of 8 to 20 kB in each row, compressed and stored out of line as PostgreSQL does by default.
CREATE TABLE toast_jsonb (id bigint PRIMARY KEY, revision integer NOT NULL, document jsonb NOT NULL);
ALTER TABLE toast_jsonb REPLICA IDENTITY FULL;

CREATE FUNCTION bench_document(i bigint, revision integer) RETURNS jsonb STABLE LANGUAGE sql AS $$
    SELECT jsonb_build_object('id', i, 'revision', revision, 'sections', (
        SELECT jsonb_agg(jsonb_build_object(
            'key', md5((i * 1000 + k)::text), 'title', 'Section ' || k || ' of "document" ' || i,
            'score', (hashint8extended(i, k) & 65535) / 100.0, 'open', k % 3 = 0,
            'tags', jsonb_build_array('alpha', 'größe', k)))
        FROM generate_series(1, 60 + (hashint8extended(i, 7) & 63)) k))
$$;

-- Work on the ids 1 to `rows`, in transactions of at most 500.
CREATE PROCEDURE bench_documents(op text, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR low IN 1 .. rows BY 500 LOOP
        CASE op
            WHEN 'insert' THEN
                INSERT INTO toast_jsonb
                    SELECT i, 0, bench_document(i, 0) FROM generate_series(low, least(low + 499, rows)) i;
            WHEN 'touch' THEN -- leaves the document alone: the new row has it as unchanged TOAST
                UPDATE toast_jsonb SET revision = revision + 1 WHERE id BETWEEN low AND least(low + 499, rows);
            WHEN 'rewrite' THEN
                UPDATE toast_jsonb SET revision = 2, document = bench_document(id, 2)
                    WHERE id BETWEEN low AND least(low + 499, rows);
        END CASE;
        COMMIT;
    END LOOP;
END
$$;
