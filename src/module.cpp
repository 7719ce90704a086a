// The loadable module: the output plugin, the SQL functions and, later, the guard are all in it, and know nothing of
// each other.
#include "pg/postgres.hpp"

extern "C" {
PG_MODULE_MAGIC;
}
