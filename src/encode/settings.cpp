// Pinned settings: the list here is the one that change.proto gives under Value.other_text.
#include "settings.hpp"

#include "../pg/postgres.hpp"

namespace cdc::encode {

void pin_settings() {
    static constexpr const char *kSettings[][2] = {
        {"datestyle", "ISO, YMD"},     {"intervalstyle", "postgres"},    {"timezone", "GMT"},
        {"extra_float_digits", "1"},   {"bytea_output", "hex"},          {"lc_monetary", "C"},
        {"search_path", "pg_catalog"}, {"quote_all_identifiers", "off"},
    };
    for (const auto &setting : kSettings) {
        (void) set_config_option(setting[0], setting[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
    }
}

}  // namespace cdc::encode
