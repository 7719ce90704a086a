// Which tables cdc.snapshot() reads, and for whom.
#pragma once

#include "../pg/postgres.hpp"

namespace cdc::functions {

// Opens a table with AccessShareLock. An ERROR if the stream would never have its rows, if the caller may not read all
// of them, or if the file that the snapshot's rows are in is not the table's any more.
Relation open_snapshot_table(Oid table, Snapshot snapshot);

}  // namespace cdc::functions
