-- Who may call what.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cdc_plugin;
RESET client_min_messages;

CREATE ROLE regress_cdc_ordinary;
CREATE ROLE regress_cdc_replication REPLICATION;
CREATE TABLE privileges_row (id int PRIMARY KEY);
SELECT 'made' AS slot FROM pg_create_logical_replication_slot('regress_privileges', 'cdc_plugin');
INSERT INTO privileges_row VALUES (1);

-- Functions, and whether everybody may call them.
SELECT proname AS function, has_function_privilege('regress_cdc_ordinary', oid, 'EXECUTE') AS everybody
    FROM pg_proc WHERE pronamespace = 'cdc'::regnamespace ORDER BY 1;

-- An ordinary role: what looks at the slot is up to the server, what consumes it is not for everybody. The server's own
-- words differ between its versions.
SET ROLE regress_cdc_ordinary;
SELECT wire FROM cdc.version();
SELECT cdc.wire_version();
SELECT count(*) FROM cdc.decode('');
SELECT count(*) > 0 AS found FROM cdc.preflight();
SELECT op FROM cdc.get_changes('regress_privileges');
\set VERBOSITY sqlstate
SELECT op FROM cdc.get_changes('regress_privileges');
SELECT op FROM cdc.peek_changes('regress_privileges');
-- Whatever options there are.
SELECT op FROM cdc.peek_changes('regress_privileges', NULL, 1, 'tables', NULL);
SELECT op FROM cdc.peek_changes('regress_privileges', NULL, 1, 'wrong', 'x');
CREATE FUNCTION cdc.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
\set VERBOSITY default

-- With REPLICATION, as the server has it: the slot may be looked at, whatever the role may do with the tables.
SET ROLE regress_cdc_replication;
SELECT op, after FROM cdc.peek_changes('regress_privileges');
SELECT op FROM cdc.get_changes('regress_privileges');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cdc.get_changes TO regress_cdc_replication, regress_cdc_ordinary;
SET ROLE regress_cdc_ordinary;
\set VERBOSITY sqlstate
SELECT op FROM cdc.get_changes('regress_privileges');
\set VERBOSITY default
SET ROLE regress_cdc_replication;
SELECT op, after FROM cdc.get_changes('regress_privileges');
RESET ROLE;
SELECT op, after FROM cdc.get_changes('regress_privileges');
REVOKE EXECUTE ON FUNCTION cdc.get_changes FROM regress_cdc_replication, regress_cdc_ordinary;

-- Types are printed by their output functions under the rights of the role that looks.
CREATE TYPE privileges_pair AS (a int, b text);
ALTER TABLE privileges_row ADD pair privileges_pair;
REVOKE ALL ON TYPE privileges_pair FROM PUBLIC;
INSERT INTO privileges_row VALUES (2, (3, 'x'));
SET ROLE regress_cdc_replication;
SELECT op, after FROM cdc.peek_changes('regress_privileges');
RESET ROLE;

-- All functions and the schema belong to the extension, and go with it.
SELECT count(*) FROM pg_proc AS p
    WHERE pronamespace = 'cdc'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e');
-- Each says what it is for.
SELECT proname FROM pg_proc WHERE pronamespace = 'cdc'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL;

DROP TABLE privileges_row;
DROP TYPE privileges_pair;
DROP ROLE regress_cdc_ordinary, regress_cdc_replication;
SELECT pg_drop_replication_slot('regress_privileges');
