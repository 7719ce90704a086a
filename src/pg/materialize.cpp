// Sets returned through a tuplestore. (From 15 on PostgreSQL has a helper for this; 14 has not.)
#include "materialize.hpp"

namespace cdc::pg {

ReturnSetInfo *begin_set(FunctionCallInfo fcinfo, bool scalar) {
    auto *const result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (result == nullptr || !IsA(result, ReturnSetInfo) || (result->allowedModes & SFRM_Materialize) == 0) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("set-valued function called in context that cannot accept a set"),
                errhint("Call it in the FROM clause."));
    }
    const MemoryContext caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    TupleDesc descriptor;
    if (scalar) {
        descriptor = CreateTupleDescCopy(result->expectedDesc);
    } else if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        elog(ERROR, "return type must be a row type");
    }
    result->returnMode = SFRM_Materialize;
    result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    result->setDesc = descriptor;
    MemoryContextSwitchTo(caller);
    return result;
}

}  // namespace cdc::pg
