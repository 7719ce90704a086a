/*
 * Output plugin that copies the heap tuples of each change, old and new, byte for byte, and sends them whenever 32 kB
 * have gathered and at commit. The floor for a plugin that sends whole rows but interprets nothing; nobody could read
 * the output.
 *
 * Tuples are copied as they are: a TOASTed value stays compressed, and one stored out of line stays a pointer or, if it
 * came with the change, whatever logical decoding made of it. A plugin that looks into such values has to do more.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "replication/reorderbuffer.h"

PG_MODULE_MAGIC;

#define MESSAGE_BYTES (32 * 1024)

#if PG_VERSION_NUM >= 170000
#define CHANGE_TUPLE(changed) (changed)
#else
#define CHANGE_TUPLE(changed) ((changed) != NULL ? &(changed)->tuple : NULL)
#endif

/* Declared by PostgreSQL itself from 16 on. */
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

static void
on_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	(void) is_init;
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
	ctx->output_plugin_private = makeStringInfo();
	enlargeStringInfo(ctx->output_plugin_private, 2 * MESSAGE_BYTES);
}

static void
on_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	(void) txn;
	resetStringInfo(ctx->output_plugin_private);
}

static void
send_gathered(LogicalDecodingContext *ctx)
{
	StringInfo	gathered = ctx->output_plugin_private;

	if (gathered->len == 0)
		return;
	OutputPluginPrepareWrite(ctx, true);
	appendBinaryStringInfo(ctx->out, gathered->data, gathered->len);
	OutputPluginWrite(ctx, true);
	resetStringInfo(gathered);
}

static void
gather(StringInfo gathered, HeapTuple tuple)
{
	if (tuple == NULL)
		return;
	appendBinaryStringInfo(gathered, (const char *) &tuple->t_len, sizeof(tuple->t_len));
	appendBinaryStringInfo(gathered, (const char *) tuple->t_data, (int) tuple->t_len);
}

static void
on_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation, ReorderBufferChange *change)
{
	StringInfo	gathered = ctx->output_plugin_private;

	(void) txn;
	(void) relation;
	gather(gathered, CHANGE_TUPLE(change->data.tp.oldtuple));
	gather(gathered, CHANGE_TUPLE(change->data.tp.newtuple));
	if (gathered->len >= MESSAGE_BYTES)
		send_gathered(ctx);
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
	(void) txn;
	(void) commit_lsn;
	send_gathered(ctx);
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
