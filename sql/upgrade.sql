-- An extension of an older version works with the new library, and is brought up to what a new one has.
SET client_min_messages = warning;
CREATE DATABASE regress_upgrade;
CREATE DATABASE regress_new;
SELECT current_database() AS home \gset
\c regress_upgrade
SET client_min_messages = warning;
CREATE EXTENSION cdc_plugin VERSION '0.1';
SELECT extension, wire FROM cdc.version();
SELECT count(*) FROM cdc.decode('');
SELECT item, status FROM cdc.preflight() WHERE item = 'wal_level';
ALTER EXTENSION cdc_plugin UPDATE TO '0.2';
SELECT extension FROM cdc.version();
SELECT item FROM cdc.preflight() WHERE item IN ('wal_level', 'guard');
ALTER EXTENSION cdc_plugin UPDATE TO '0.3';
SELECT extension FROM cdc.version();
SELECT cdc.snapshot_blocks('pg_catalog.pg_class');
\set listing 'SELECT pg_describe_object(classid, objid, 0) FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid WHERE deptype = ''e'' AND extname = ''cdc_plugin'' ORDER BY 1'
CREATE TABLE upgraded AS :listing;
SELECT count(*) > 20 AS objects, md5(string_agg(pg_describe_object, ',' ORDER BY pg_describe_object COLLATE "C")) AS upgraded FROM upgraded \gset
\c regress_new
SET client_min_messages = warning;
CREATE EXTENSION cdc_plugin;
SELECT extension FROM cdc.version();
CREATE TABLE created AS :listing;
SELECT md5(string_agg(pg_describe_object, ',' ORDER BY pg_describe_object COLLATE "C")) = :'upgraded' AS same_objects FROM created;
SELECT :'objects' AS more_than_twenty;
-- All of it goes with the extension; the schema stays, as with any extension.
DROP EXTENSION cdc_plugin;
SELECT count(*) FROM pg_depend WHERE refobjid = 'cdc'::regnamespace AND refclassid = 'pg_namespace'::regclass;
\c :home
DROP DATABASE regress_upgrade;
DROP DATABASE regress_new;
