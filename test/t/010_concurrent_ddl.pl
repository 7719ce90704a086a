# Tables that are altered, renamed, rewritten, truncated and dropped while they are written and decoded. Each
# transaction writes into a journal what it does to which row; the stream must say the same.
use strict;
use warnings;

use CdcTest;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = 600;    # of DDL
my $writes = 1000;    # transactions of each of the two writers
my $seed = $ENV{CDC_TEST_SEED} // int(rand(1_000_000));
note("CDC_TEST_SEED=$seed starts with the same choices, though not with the same interleaving");

my $node = cdc_node('ddl', conf => "autovacuum_naptime = 1s\ndeadlock_timeout = 100ms");
$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA other;
CREATE SCHEMA wandering;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE journal (op text, relation text, before text, after text);

-- A value for a column of that type, as JSON.
CREATE FUNCTION some_value(type regtype, name text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    labels name[];
BEGIN
    IF random() < 0.1 AND name <> 'id' THEN
        RETURN 'null';
    ELSIF type = 'mood'::regtype THEN
        SELECT array_agg(enumlabel) INTO labels FROM pg_enum WHERE enumtypid = type;
        RETURN to_jsonb(labels[1 + floor(random() * array_length(labels, 1))]);
    ELSIF type = 'text[]'::regtype THEN
        RETURN jsonb_build_array(floor(random() * 100)::text, NULL, E'a "b", \\ {c}\n', '');
    ELSIF type = 'jsonb'::regtype THEN
        RETURN jsonb_build_object('n', floor(random() * 1000), 'nested', jsonb_build_array(1.50, NULL, 'x'));
    ELSIF type = 'boolean'::regtype THEN
        RETURN to_jsonb(random() < 0.5);
    ELSIF name LIKE 'big%' THEN
        RETURN to_jsonb((SELECT string_agg(md5(random()::text), '')
                         FROM generate_series(1, 50 + floor(random() * 150)::int)));
    ELSE
        RETURN to_jsonb(floor(random() * 30000)::text);
    END IF;
END $$;

-- One change of a table (which may be gone by now), and its row in the journal.
CREATE FUNCTION mutate(tab text, action text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    relation regclass;
    names text[];
    patch jsonb;
    target tid;
    old_row jsonb;
    new_row jsonb;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ROW EXCLUSIVE MODE', tab);
    relation := tab;
    SELECT array_agg(attname), jsonb_object_agg(attname, some_value(atttypid, attname)) INTO names, patch
    FROM pg_attribute
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
      AND (action = 'insert' OR (attname <> 'id' OR random() < 0.1) AND random() < 0.4);
    IF action = 'insert' THEN
        EXECUTE format('INSERT INTO %s AS t (%s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1) '
            'RETURNING to_jsonb(t)',
            relation, (SELECT string_agg(quote_ident(n), ', ') FROM unnest(names) AS n)) INTO new_row USING patch;
    ELSE
        EXECUTE format('SELECT ctid, to_jsonb(t) FROM %s AS t ORDER BY random() LIMIT 1 FOR UPDATE', relation)
            INTO target, old_row;
        IF target IS NULL OR (action = 'update' AND names IS NULL) THEN
            RETURN;
        END IF;
        IF action = 'update' THEN
            EXECUTE format('UPDATE %s AS t SET (%s) = (SELECT %s FROM jsonb_populate_record(t, $1) AS p) '
                'WHERE ctid = $2 RETURNING to_jsonb(t)',
                relation, (SELECT string_agg(quote_ident(n), ', ') FROM unnest(names) AS n),
                (SELECT string_agg('p.' || quote_ident(n), ', ') FROM unnest(names) AS n))
                INTO new_row USING patch, target;
        ELSE
            EXECUTE format('DELETE FROM %s WHERE ctid = $1', relation) USING target;
        END IF;
    END IF;
    INSERT INTO journal
    SELECT action, nspname || '.' || relname, old_row, new_row
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid = relation;
END $$;

-- The same, but for a table that is gone, and at times in a subtransaction or in one that is rolled back.
CREATE PROCEDURE try_mutate(tab text) LANGUAGE plpgsql AS $$
DECLARE
    action text :=
        (ARRAY['insert', 'insert', 'insert', 'update', 'update', 'update', 'delete'])[1 + floor(random() * 7)];
BEGIN
    BEGIN
        PERFORM mutate(tab, action);
        IF random() < 0.15 THEN
            RAISE 'back' USING errcode = 'CDC00';
        END IF;
    EXCEPTION WHEN SQLSTATE 'CDC00' OR undefined_table OR invalid_schema_name OR unique_violation OR not_null_violation
        OR numeric_value_out_of_range THEN
    END;
END $$;

-- Table d stays, but its schema takes another name now and then.
CREATE FUNCTION name_of_d() RETURNS text LANGUAGE sql AS $$
    SELECT relnamespace::regnamespace || '.d' FROM pg_class WHERE relname = 'd'
$$;

CREATE PROCEDURE write_some() LANGUAGE plpgsql AS $$
DECLARE
    tab text;
BEGIN
    -- In this order, so that writers do not lock each other out for ever.
    FOREACH tab IN ARRAY ARRAY['a', 'b', 'c'] LOOP
        IF random() < 0.6 THEN
            FOR i IN 1 .. 1 + floor(random() * 3) LOOP
                CALL try_mutate('public.' || tab);
            END LOOP;
        END IF;
    END LOOP;
    IF random() < 0.4 THEN
        CALL try_mutate(name_of_d());
    END IF;
END $$;

CREATE FUNCTION some_column(tab regclass, like_name text) RETURNS name LANGUAGE sql AS $$
    SELECT attname FROM pg_attribute
    WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attname LIKE like_name AND attgenerated = ''
    ORDER BY random() LIMIT 1
$$;

CREATE PROCEDURE make_table(tab text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE public.%s (id bigint %s, big text, c0 int, m0 mood, l0 text[], j0 jsonb)', tab,
        CASE WHEN tab <> 'b' THEN 'PRIMARY KEY' END);
    EXECUTE format('ALTER TABLE public.%s REPLICA IDENTITY FULL', tab);
END $$;

-- One round of DDL on one table, with changes before, between and behind, all in one transaction.
CREATE PROCEDURE alter_some(round int) LANGUAGE plpgsql AS $$
DECLARE
    tab text := (ARRAY['a', 'b', 'c'])[1 + floor(random() * 3)];
    t text := 'public.' || tab;
    what int := floor(random() * 18);
    col name;
    label text;
BEGIN
    IF what IN (12, 13) THEN
        -- Writers must not see a label change between what they do and what they note down.
        EXECUTE format('LOCK TABLE public.a, public.b, public.c, %s IN ACCESS EXCLUSIVE MODE', name_of_d());
    ELSE
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', t);
    END IF;
    IF random() < 0.5 THEN
        CALL try_mutate(t);
    END IF;
    CASE what
    WHEN 0, 1 THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN c%s %s', t, round,
            (ARRAY['int', 'text DEFAULT ''added''', 'numeric(12,2) DEFAULT 7.50', 'mood DEFAULT NULL', 'text[]',
                'jsonb', 'boolean DEFAULT true'])[1 + floor(random() * 7)]);
    WHEN 2 THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN g%s bigint GENERATED ALWAYS AS (id * 2) STORED', t, round);
    WHEN 3, 4 THEN
        col := some_column(t, 'c%');
        IF col IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s DROP COLUMN %I', t, col);
        END IF;
    WHEN 5 THEN
        col := some_column(t, 'c%');
        IF col IS NOT NULL THEN
            EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', t, col, 'c"' || round);
        END IF;
    WHEN 6, 7 THEN
        col := some_column(t, 'c%');
        IF col IS NOT NULL THEN
            -- Rewrites the table, mostly.
            EXECUTE format('ALTER TABLE %1$s ALTER COLUMN %2$I DROP DEFAULT, '
                'ALTER COLUMN %2$I TYPE text USING %2$I::text', t, col);
        END IF;
    WHEN 8 THEN
        EXECUTE format('TRUNCATE %s', t);
        INSERT INTO journal VALUES ('truncate', t);
    WHEN 9 THEN
        EXECUTE format('DROP TABLE %s', t);
        CALL make_table(tab);
    WHEN 10 THEN
        EXECUTE format('ALTER TABLE %s RENAME TO renamed', t);
        CALL try_mutate('public.renamed');
        ALTER TABLE public.renamed SET SCHEMA other;
        CALL try_mutate('other.renamed');
        ALTER TABLE other.renamed SET SCHEMA public;
        EXECUTE format('ALTER TABLE public.renamed RENAME TO %s', tab);
    WHEN 11 THEN
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY %s', t,
            CASE WHEN tab = 'b' OR random() < 0.7 THEN 'FULL' ELSE 'DEFAULT' END);
    WHEN 12 THEN
        SELECT enumlabel INTO label FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY random() LIMIT 1;
        EXECUTE format('ALTER TYPE mood RENAME VALUE %L TO %L', label, 'label ' || round);
    WHEN 13 THEN
        BEGIN
            ALTER TYPE mood RENAME TO spirit;
            CALL try_mutate('public.a');
            ALTER TYPE spirit RENAME TO mood;
        END;
    WHEN 14 THEN
        -- What is rolled back must leave no trace.
        BEGIN
            EXECUTE format('ALTER TABLE %s ADD COLUMN never int DEFAULT 1', t);
            CALL try_mutate(t);
            EXECUTE format('ALTER TABLE %s DROP COLUMN big', t);
            RAISE 'back' USING errcode = 'CDC00';
        EXCEPTION WHEN SQLSTATE 'CDC00' THEN
        END;
    WHEN 15, 16 THEN
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', name_of_d());
        EXECUTE format('ALTER SCHEMA %s RENAME TO %s', split_part(name_of_d(), '.', 1), 'wandering' || round);
        CALL try_mutate(name_of_d());
    WHEN 17 THEN
        -- A table of one transaction.
        EXECUTE format('CREATE TABLE public.brief AS SELECT * FROM %s WHERE false', t);
        ALTER TABLE public.brief REPLICA IDENTITY FULL;
        CALL try_mutate('public.brief');
        CALL try_mutate('public.brief');
        IF random() < 0.5 THEN
            ALTER TABLE public.brief ADD COLUMN late text DEFAULT 'late';
            CALL try_mutate('public.brief');
        END IF;
        DROP TABLE public.brief;
    END CASE;
    CALL try_mutate(t);
    IF random() < 0.5 THEN
        CALL try_mutate(t);
    END IF;
END $$;

CALL make_table('a');
CALL make_table('b');
CALL make_table('c');
CALL make_table('d');
ALTER TABLE public.d SET SCHEMA wandering;
SQL
create_slot($node, $_) for qw(live later filtered);

# Runs a list of statements in a psql of its own; what fails there is a transaction that is rolled back.
sub start_psql {
    my ($name, @statements) = @_;
    my ($script, $errors) = (scratch_file("$name.sql"), scratch_file("$name.err"));
    append_to_file($script, join(";\n", "SET statement_timeout = '60s'", @statements) . ";\n");
    my $pid = fork() // die "fork: $!";
    if ($pid == 0) {
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', $errors);
        { exec('psql', '-XAtq', '-f', $script, '-d', $node->connstr('postgres')) }
        POSIX::_exit(127);
    }
    return { pid => $pid, errors => $errors };
}

my $live = receive($node, 'live', options => { batch_bytes => '4kB' });
$live->walsender;
my @sessions =
  map { start_psql("writer$_", 'SELECT setseed(0.' . ($seed + $_) . ')', ('CALL write_some()') x $writes) } 1, 2;
my @rewrites = map { my $tab = $_; map { "$_ public.$tab" } 'VACUUM FULL', 'ANALYZE', 'REINDEX TABLE' } qw(a b c);
push @rewrites, 'CLUSTER public.a USING a_pkey', map { "VACUUM FULL $_" } qw(pg_class pg_attribute pg_enum);
push @sessions, start_psql('alterer', "SELECT setseed(0.$seed)",
    map { ("CALL alter_some($_)", $_ % 10 == 0 ? $rewrites[ $_ / 10 % @rewrites ] : ()) } 1 .. $rounds);
for my $session (@sessions) {
    waitpid($session->{pid}, 0);
    is($?, 0, 'a session came to its end');
    my @errors = grep { /ERROR/ } slurp_lines($session->{errors});
    my %kinds;
    $kinds{$_}++ for map { s/.*ERROR: +//r =~ s/\d+/N/gr } @errors;
    note("$kinds{$_} x $_") for sort keys %kinds;
    cmp_ok(scalar(@errors), '<', 50, 'most of its transactions were committed');
}
$live->wait_for_confirmation;
is($live->stop, 0, 'pg_recvlogical was there all the time');

my $result = journal($live->file, 'public.journal');
note(join(', ', "$result->{transactions} transactions",
    map { "$result->{kinds}{$_} x $_" } sort keys %{ $result->{kinds} }));
is($result->{mismatches}, 0, 'each change is what its transaction noted down') or diag(explain($result->{wrong}));
is($result->{compared}, $node->safe_psql('postgres', 'SELECT count(*) FROM journal'), 'and none is missing');
cmp_ok($result->{kinds}{$_} // 0, '>', $_ eq 'truncate' ? 5 : 300, "among them enough of $_")
    for qw(insert update delete truncate);

# All of it once more, decoded when everything is over.
my $later = drain($node, 'later');
is(journal($later, 'public.journal')->{mismatches}, 0, 'the same, decoded later');
my $replay = replay([ $live->file, $later ]);
is($replay->{conflicts}, 0, 'with the same ids and bytes') or diag(join(' ', @{ $replay->{first_conflicts} }));
is($replay->{files}[1]{new}, 0, 'and nothing else');

# Names that come and go decide what a filter selects.
my @expected = grep { ($_->{relation} // '') =~ /^(?:wandering\d*[1-5]\.d|public\.renamed)$/ }
  changes($later, '--brief');
my $patterns = join(',', 'public.renamed', map { "wandering*$_.d" } 1 .. 5);
my @found = changes(drain($node, 'filtered', options => { tables => $patterns }), '--brief');
cmp_ok(scalar(@expected), '>', 30, 'a filter on names that change selects something');
is(join(' ', map { "$_->{id}=$_->{digest}" } @found), join(' ', map { "$_->{id}=$_->{digest}" } @expected),
    'each change by the name of its time');

done_testing();
