-- What the old row holds under each replica identity.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE SCHEMA identity_test;
SET search_path = identity_test;
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_identity', 'cdc_plugin');

-- DEFAULT: the primary key, when it changes or the row goes.
CREATE TABLE by_default (a int, b text, c int, PRIMARY KEY (c, a));
-- INDEX: the columns of a unique index.
CREATE TABLE by_index (a int PRIMARY KEY, b text NOT NULL, c int NOT NULL, UNIQUE (b, c));
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_b_c_key;
-- FULL: everything.
CREATE TABLE by_full (a int PRIMARY KEY, b text, c int);
ALTER TABLE by_full REPLICA IDENTITY FULL;
CREATE TABLE by_full_without_key (a int, b text, c int);
ALTER TABLE by_full_without_key REPLICA IDENTITY FULL;
-- NOTHING.
CREATE TABLE by_nothing (a int PRIMARY KEY, b text, c int);
ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
-- DEFAULT without a primary key.
CREATE TABLE by_no_key (a int, b text, c int);
-- INDEX whose index is gone.
CREATE TABLE by_lost_index (a int PRIMARY KEY, b text NOT NULL, c int);
CREATE UNIQUE INDEX lost_index ON by_lost_index (b);
ALTER TABLE by_lost_index REPLICA IDENTITY USING INDEX lost_index;
DROP INDEX lost_index;
-- A primary key that is deferrable is none for replication.
CREATE TABLE by_deferrable (a int PRIMARY KEY DEFERRABLE, b text, c int);

PREPARE changes AS
    SELECT ordinal, split_part(relation, '.', 2) AS relation, op, before, after, details
    FROM cdc.get_changes('regress_identity', NULL, NULL, 'changed_columns', 'on');

-- A row comes, keeps its key, has its key changed, has another column changed with a NULL in it, goes.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{by_default,by_index,by_full,by_full_without_key,by_nothing,by_no_key,by_lost_index,
                            by_deferrable}'::text[] LOOP
        EXECUTE format('INSERT INTO %I VALUES (1, ''x'', 10)', name);
        EXECUTE format('UPDATE %I SET a = a', name);
    END LOOP;
END
$$;
EXECUTE changes;

UPDATE by_default SET b = 'y';
UPDATE by_default SET b = NULL, c = 11;
UPDATE by_default SET c = 12 WHERE c = 11;
DELETE FROM by_default;
EXECUTE changes;

UPDATE by_index SET a = 2;
UPDATE by_index SET b = 'y';
UPDATE by_index SET a = 3, c = 11;
DELETE FROM by_index;
EXECUTE changes;

UPDATE by_full SET b = 'y', c = NULL;
UPDATE by_full SET a = 2;
UPDATE by_full SET b = 'y';
DELETE FROM by_full;
EXECUTE changes;

UPDATE by_full_without_key SET b = NULL;
UPDATE by_full_without_key SET a = 2, b = '';
DELETE FROM by_full_without_key;
EXECUTE changes;

-- Who writes updates and deletes without identity into a table that no publication has is not stopped; the old row is
-- not there, and details say nothing of it.
UPDATE by_nothing SET b = 'y';
UPDATE by_nothing SET a = 2;
DELETE FROM by_nothing;
UPDATE by_no_key SET b = 'y';
UPDATE by_no_key SET a = 2;
DELETE FROM by_no_key;
UPDATE by_lost_index SET b = 'y';
UPDATE by_lost_index SET a = 2;
DELETE FROM by_lost_index;
UPDATE by_deferrable SET b = 'y';
UPDATE by_deferrable SET a = 2;
DELETE FROM by_deferrable;
EXECUTE changes;

-- The definition says what the old row will hold.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{by_default,by_index,by_full,by_full_without_key,by_nothing,by_no_key,by_lost_index,
                            by_deferrable}'::text[] LOOP
        EXECUTE format('INSERT INTO %I VALUES (1, ''x'', 10)', name);
    END LOOP;
END
$$;
SELECT record->>'table' AS "table", record->>'replica_identity' AS identity,
       string_agg(c->>'name', ',' ORDER BY n) FILTER (WHERE (c->>'in_replica_identity')::boolean) AS identity_columns,
       string_agg(c->>'name', ',' ORDER BY c->>'primary_key_position') FILTER (WHERE c ? 'primary_key_position') AS key,
       string_agg(c->>'name', ',' ORDER BY n) FILTER (WHERE (c->>'nullable')::boolean) AS nullable
    FROM pg_logical_slot_get_binary_changes('regress_identity', NULL, NULL), cdc.decode(data) AS record,
         jsonb_array_elements(record->'columns') WITH ORDINALITY AS columns (c, n)
    WHERE record->>'record' = 'relation'
    GROUP BY record ORDER BY 1;

-- It changes with the table: from here on, what the new identity keeps.
ALTER TABLE by_default REPLICA IDENTITY FULL;
UPDATE by_default SET b = 'full';
ALTER TABLE by_default REPLICA IDENTITY NOTHING;
UPDATE by_default SET c = 20;
ALTER TABLE by_default REPLICA IDENTITY DEFAULT;
UPDATE by_default SET c = 21;
ALTER TABLE by_default DROP CONSTRAINT by_default_pkey;
UPDATE by_default SET c = 22;
ALTER TABLE by_default ADD PRIMARY KEY (b);
UPDATE by_default SET b = 'key';
EXECUTE changes;

-- In one transaction too.
BEGIN;
UPDATE by_default SET b = 'one';
ALTER TABLE by_default REPLICA IDENTITY FULL;
UPDATE by_default SET b = 'two';
ALTER TABLE by_default REPLICA IDENTITY NOTHING;
UPDATE by_default SET b = 'three';
COMMIT;
EXECUTE changes;

SET client_min_messages = warning;
DROP SCHEMA identity_test CASCADE;
SELECT pg_drop_replication_slot('regress_identity');
