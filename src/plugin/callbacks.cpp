// The output plugin as PostgreSQL sees it: one flat table of callbacks, each of which hands over to stream and change.
#include "change.hpp"
#include "spool.hpp"
#include "stream.hpp"

#include "../pg/boundary.hpp"

namespace {

using namespace cdc;
using namespace cdc::plugin;

[[noreturn]] void raise(const OptionError &error, const char *name, const char *value) {
    const char *const detail = error.detail;
    const char *const hint = error.hint;
    switch (error.kind) {
        case OptionError::Kind::kUnknown:
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unrecognized output plugin option \"%s\"", name), errdetail("%s", detail),
                    errhint("%s", hint));
            break;
        case OptionError::Kind::kRepeated:
            ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR), errmsg("repeated output plugin option \"%s\"", name),
                    errdetail("%s", detail), errhint("%s", hint));
            break;
        case OptionError::Kind::kConflict:
            ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR), errmsg("conflicting output plugin options"),
                    errdetail("%s", detail), errhint("%s", hint));
            break;
        default:
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid value for output plugin option \"%s\": \"%s\"", name, value),
                    errdetail("%s", detail), errhint("%s", hint));
            break;
    }
    pg_unreachable();
}

Options read_options(List *given) {
    Options options;
    ListCell *cell;
    foreach (cell, given) {
        const auto *const element = static_cast<const DefElem *>(lfirst(cell));
        // Copied, because options refer to the text and outlive the command that brought it.
        const char *const value = element->arg == nullptr ? "" : pstrdup(strVal(element->arg));
        const OptionError error = set_option(options, element->defname, value, element->arg != nullptr);
        if (error) {
            raise(error, element->defname, value);
        }
    }
    const OptionError error = check_options(options);
    if (error) {
        raise(error, "", "");
    }
    return options;
}

// From 16 on, servers were seen to fail in changes of a transaction in progress that alters tables ("could not map
// filenumber", "pg_attribute catalog is missing 1 attribute(s)"; 16.2, 16.14 and 18.4, with pgoutput's streaming=on as
// well). There they write to disk and read back what is too large, as for any other plugin.
constexpr bool kStreamsSafely = PG_VERSION_NUM < 160000;

extern "C" void startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *opt, bool is_init) {
    pg::guarded([=] {
        const MemoryContext caller = MemoryContextSwitchTo(ctx->context);
        const Options options = read_options(ctx->output_plugin_options);
        ctx->output_plugin_private = open_stream(ctx, options);
        MemoryContextSwitchTo(caller);
        opt->output_type = options.format == Format::kJson ? OUTPUT_PLUGIN_TEXTUAL_OUTPUT : OUTPUT_PLUGIN_BINARY_OUTPUT;
        opt->receive_rewrites = false;
        // Whether changes come before the end of their transaction: to be spooled. Each record of JSON names the
        // commit, which is not known then.
        ctx->streaming = kStreamsSafely && ctx->streaming && !is_init && options.format != Format::kJson;
    });
}

extern "C" void begin_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn) {
    pg::guarded([=] { begin_transaction(stream_of(ctx), txn); });
}

extern "C" void change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *, Relation relation,
                          ReorderBufferChange *decoded) {
    pg::guarded([=] { write_change(ctx, stream_of(ctx), relation, decoded); });
}

extern "C" void truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *, int count, Relation relations[],
                            ReorderBufferChange *decoded) {
    pg::guarded([=] { write_truncate(ctx, stream_of(ctx), count, relations, decoded); });
}

extern "C" void message_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *, XLogRecPtr lsn, bool transactional,
                           const char *prefix, Size size, const char *content) {
    pg::guarded(
        [=] { write_message(ctx, stream_of(ctx), transactional, lsn, prefix, std::string_view(content, size)); });
}

extern "C" void commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn) {
    pg::guarded([=] { end_transaction(ctx, stream_of(ctx), txn, commit_lsn); });
}

// The transaction has ended, so that it need not be spooled any further.
bool is_committed(const ReorderBufferTXN *txn) {
    return !XLogRecPtrIsInvalid(txn->end_lsn);
}

// Changes of a transaction in progress come between these two, as often as its changes take too much memory, and once
// more at its commit if there are any left.
extern "C" void stream_start_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn) {
    pg::guarded([=] {
        if (is_committed(txn)) {
            send_spooled(ctx, stream_of(ctx), txn);
        } else {
            resume_spool(stream_of(ctx), txn);
        }
    });
}

extern "C" void stream_stop_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *) {
    pg::guarded([=] {
        Stream *const stream = stream_of(ctx);
        if (stream->spool != nullptr) {
            pause_spool(stream);
        }
    });
}

extern "C" void stream_change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *, Relation relation,
                                 ReorderBufferChange *decoded) {
    pg::guarded([=] { write_change(ctx, stream_of(ctx), relation, decoded); });
}

extern "C" void stream_truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *, int count, Relation relations[],
                                   ReorderBufferChange *decoded) {
    pg::guarded([=] { write_truncate(ctx, stream_of(ctx), count, relations, decoded); });
}

extern "C" void stream_message_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *, XLogRecPtr lsn, bool,
                                  const char *prefix, Size size, const char *content) {
    pg::guarded([=] { write_message(ctx, stream_of(ctx), true, lsn, prefix, std::string_view(content, size)); });
}

extern "C" void stream_abort_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr) {
    pg::guarded([=] {
        // Not every subtransaction that was rolled back is told of here: send_spooled() finds out itself.
        if (txn->toptxn == nullptr) {
            forget_spooled(stream_of(ctx), txn);
        }
    });
}

extern "C" void stream_commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn) {
    pg::guarded([=] {
        Stream *const stream = stream_of(ctx);
        send_spooled(ctx, stream, txn);  // unless the rest of its changes has brought that about
        end_transaction(ctx, stream, txn, commit_lsn);
        forget_spooled(stream, txn);
    });
}

}  // namespace

extern "C" PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

extern "C" void _PG_output_plugin_init(OutputPluginCallbacks *callbacks) {
    callbacks->startup_cb = startup_cb;
    callbacks->begin_cb = begin_cb;
    callbacks->change_cb = change_cb;
    callbacks->truncate_cb = truncate_cb;
    callbacks->message_cb = message_cb;
    callbacks->commit_cb = commit_cb;
    // No shutdown_cb: all there is lives in the decoding context.
    // No filter_by_origin_cb: see origin_selected().
    callbacks->stream_start_cb = stream_start_cb;
    callbacks->stream_stop_cb = stream_stop_cb;
    callbacks->stream_change_cb = stream_change_cb;
    callbacks->stream_truncate_cb = stream_truncate_cb;
    callbacks->stream_message_cb = stream_message_cb;
    callbacks->stream_abort_cb = stream_abort_cb;
    callbacks->stream_commit_cb = stream_commit_cb;
    // The callbacks of two-phase commit belong here.
}
