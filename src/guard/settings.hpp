// The settings cdc_plugin.guard_*: see docs/settings.md. All but the size of the history follow a reload.
#pragma once

#include "verdict.hpp"

namespace cdc::guard {

struct Settings {
    bool enabled;
    int interval_ms;
    int history;  // samples of each slot; fixed at server start
    int notice_percent;
    int warning_percent;
    int critical_percent;
    char *time_left_text;
    int grace_ms;
    int inactive_s;
    int catalog_age;
    char *policies_text;
    int heartbeat_ms;
    char *notify_database;

    // What the texts say.
    TimeLeft time_left;
    Policies policies;
};

extern Settings settings;

// `preloading`: from shared_preload_libraries, the only time at which there can be settings that need a restart.
void define_settings(bool preloading);

Limits current_limits();

}  // namespace cdc::guard
