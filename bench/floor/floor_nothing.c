/*
 * Output plugin that emits nothing: what remains is the price of logical decoding itself, reading WAL, reassembling
 * transactions and calling back for every change. No plugin that waits for commits can be faster.
 */
#include "postgres.h"

#include "fmgr.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"

PG_MODULE_MAGIC;

/* Declared by PostgreSQL itself from 16 on. */
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

static void
on_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	(void) ctx;
	(void) is_init;
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
}

static void
on_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	(void) ctx;
	(void) txn;
}

static void
on_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation, ReorderBufferChange *change)
{
	(void) ctx;
	(void) txn;
	(void) relation;
	(void) change;
}

static void
on_truncate(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations, Relation relations[],
			ReorderBufferChange *change)
{
	(void) ctx;
	(void) txn;
	(void) nrelations;
	(void) relations;
	(void) change;
}

static void
on_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	(void) ctx;
	(void) txn;
	(void) commit_lsn;
}

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = on_startup;
	cb->begin_cb = on_begin;
	cb->change_cb = on_change;
	cb->truncate_cb = on_truncate;
	cb->commit_cb = on_commit;
}
