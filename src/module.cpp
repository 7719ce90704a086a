// The loadable module: the output plugin, the SQL functions and the guard are all in it, and know nothing of each
// other.
#include "guard/settings.hpp"
#include "guard/shared.hpp"
#include "guard/worker.hpp"
#include "pg/boundary.hpp"

namespace {

// A session or a walsender loads the module when it needs it; then there is neither shared memory to be had nor a
// worker to be started, and all but the guard works.
void load() {
    const bool preloading = process_shared_preload_libraries_in_progress;
    cdc::guard::define_settings(preloading);
    if (preloading && !IsBinaryUpgrade) {
        cdc::guard::request_shared();
        cdc::guard::register_worker();
    }
}

}  // namespace

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
void _PG_init(void) {
    cdc::pg::guarded([] { load(); });
}
}
