// Functions that return a set, all at once.
#pragma once

#include "../pg/boundary.hpp"
#include "../pg/postgres.hpp"

#define CDC_FUNCTION(name)     \
    PG_FUNCTION_INFO_V1(name); \
    extern "C" PGDLLEXPORT Datum name(PG_FUNCTION_ARGS)

namespace cdc::functions {

// Prepares rsinfo->setResult and setDesc; an ERROR if the caller cannot take a set.
void begin_set(FunctionCallInfo fcinfo, bool scalar);

}  // namespace cdc::functions
