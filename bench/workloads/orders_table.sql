-- The table of the order workloads, and the rows that fill it: each a function of its number, so that every run, on
-- every machine, decodes the same data.
CREATE TABLE orders (
    id          bigint PRIMARY KEY,
    customer_id integer NOT NULL,
    note        text,
    amount      numeric(12,2) NOT NULL,
    status      smallint NOT NULL,
    weight      double precision NOT NULL,
    created_at  timestamptz NOT NULL,
    product     varchar(40) NOT NULL,
    attributes  jsonb NOT NULL,
    paid        boolean NOT NULL,
    token       uuid NOT NULL
);
ALTER TABLE orders REPLICA IDENTITY FULL;

CREATE FUNCTION bench_hash(i bigint, salt bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS
    'SELECT hashint8extended(i, salt) & 9223372036854775807';

-- About 70 characters of prose on average; one in eight is missing.
CREATE FUNCTION bench_note(i bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
    SELECT CASE WHEN bench_hash(i, 1) % 8 > 0 THEN substr(
        'Leave the parcel with the neighbour at no. 14 if nobody opens; ring twice. Déjà livré une fois, the customer '
        'says "please call before you come". Deliver on weekdays after 17:00 only, the gate code is 4711#. Fragile: '
        'glass inside, do not stack. Invoice goes to the accounts department, not to the recipient. Replacement for a '
        'damaged item, see the earlier order; the old one has been collected and credited already, größere Kartons.',
        1 + (bench_hash(i, 2) % 280)::integer, 20 + (bench_hash(i, 3) % 100)::integer) END
$$;

CREATE FUNCTION bench_orders(first bigint, last bigint) RETURNS SETOF orders STABLE LANGUAGE sql AS $$
    SELECT i,
           (bench_hash(i, 4) % 200000)::integer,
           bench_note(i),
           (bench_hash(i, 5) % 10000000)::numeric(12,2) / 100,
           (bench_hash(i, 6) % 9)::smallint,
           (bench_hash(i, 7) % 50000) / 1000.0::double precision,
           timestamptz '2026-01-01 00:00:00+00' + (bench_hash(i, 8) % 15000000000000) * interval '1 microsecond',
           ('SKU-' || upper(substr(md5(i::text), 1, 6 + (bench_hash(i, 9) % 12)::integer)))::varchar(40),
           jsonb_build_object(
               'channel', (ARRAY['web', 'store', 'phone', 'partner'])[1 + bench_hash(i, 10) % 4],
               'items', bench_hash(i, 11) % 12,
               'gift', bench_hash(i, 12) % 10 = 0,
               'discount', (bench_hash(i, 13) % 300) / 10.0,
               'address', jsonb_build_object(
                   'city', (ARRAY['Lyon', 'Köln', 'Leeds', 'Porto'])[1 + bench_hash(i, 14) % 4],
                   'zip', (10000 + bench_hash(i, 15) % 90000)::text)),
           bench_hash(i, 16) % 3 > 0,
           md5(i::text)::uuid
    FROM generate_series(first, last) i
$$;

-- Mixed transactions of one row each: of ten, five insert, three update, two delete.
CREATE PROCEDURE bench_one_row(first bigint, transactions bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN first .. first + transactions - 1 LOOP
        CASE
            WHEN i % 10 < 5 THEN
                INSERT INTO orders SELECT * FROM bench_orders(i, i);
            WHEN i % 10 < 8 THEN
                UPDATE orders SET status = status + 1, paid = true, amount = amount + 4.99 WHERE id = i - 5;
            ELSE
                DELETE FROM orders WHERE id = i - 5;
        END CASE;
        COMMIT;
    END LOOP;
END
$$;
