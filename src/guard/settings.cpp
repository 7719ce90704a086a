// Definition and checks. A text with a syntax of its own is refused when it is set, and kept parsed.
#include "settings.hpp"

#include "../pg/compat.hpp"
#include "quantity.hpp"

namespace cdc::guard {

Settings settings;

namespace {

bool refuse(const ParseError &error) {
    GUC_check_errcode(ERRCODE_INVALID_PARAMETER_VALUE);
    GUC_check_errdetail("%s The mistake is at byte %zu.", error.what, error.offset);
    return false;
}

bool check_policies(char **value, void ** /*extra*/, GucSource /*source*/) {
    Policies policies;
    ParseError error{};
    if (parse_policies(*value, policies, error)) {
        return true;
    }
    GUC_check_errhint("For example: 'orders: cap=10GB at_cap=drop; audit_*: cap=2GB'.");
    return refuse(error);
}

void assign_policies(const char *value, void * /*extra*/) {
    ParseError error{};
    if (!parse_policies(value, settings.policies, error)) {
        settings.policies.count = 0;  // cannot be: it was checked
    }
}

bool check_time_left(char **value, void ** /*extra*/, GucSource /*source*/) {
    TimeLeft time_left;
    ParseError error{};
    if (parse_time_left(*value, time_left, error)) {
        return true;
    }
    GUC_check_errhint("For example: 'notice=1h, warning=20min, critical=5min'.");
    return refuse(error);
}

void assign_time_left(const char *value, void * /*extra*/) {
    ParseError error{};
    if (!parse_time_left(value, settings.time_left, error)) {
        settings.time_left = TimeLeft{};  // cannot be: it was checked
    }
}

void define_int(const char *name, const char *what, int *variable, int initial, int min, int max, int unit) {
    DefineCustomIntVariable(name, what, nullptr, variable, initial, min, max, PGC_SIGHUP, unit, nullptr, nullptr,
                            nullptr);
}

void define_percent(const char *name, const char *what, int *variable, int initial) {
    define_int(name, what, variable, initial, 0, 100, 0);
}

}  // namespace

void define_settings(bool preloading) {
    DefineCustomBoolVariable("cdc_plugin.guard_enabled", "Whether the guard samples replication slots.", nullptr,
                             &settings.enabled, true, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    define_int("cdc_plugin.guard_interval", "Time between two samples.", &settings.interval_ms, 5000, 1, 3600000,
               GUC_UNIT_MS);
    // Without shared memory it means nothing, but it must be known, or the server would complain of it.
    DefineCustomIntVariable("cdc_plugin.guard_history", "Samples of each slot that are kept in shared memory.", nullptr,
                            &settings.history, 360, 32, 100000, preloading ? PGC_POSTMASTER : PGC_SIGHUP, 0, nullptr,
                            nullptr, nullptr);
    define_percent("cdc_plugin.guard_notice_percent", "Share of its cap at which a slot gets a notice; 0 for none.",
                   &settings.notice_percent, 50);
    define_percent("cdc_plugin.guard_warning_percent", "Share of its cap at which a slot gets a warning; 0 for none.",
                   &settings.warning_percent, 70);
    define_percent("cdc_plugin.guard_critical_percent", "Share of its cap at which a slot is critical; 0 for never.",
                   &settings.critical_percent, 85);
    DefineCustomStringVariable("cdc_plugin.guard_time_left", "Levels by the time that is left until the cap.", nullptr,
                               &settings.time_left_text, "notice=1h, warning=20min, critical=5min", PGC_SIGHUP, 0,
                               check_time_left, assign_time_left, nullptr);
    define_int("cdc_plugin.guard_grace", "Time before a cause is blamed, and before a level is lowered.",
               &settings.grace_ms, 30000, 0, 3600000, GUC_UNIT_MS);
    define_int("cdc_plugin.guard_inactive_time", "Time without a consumer until a notice; 0 for none.",
               &settings.inactive_s, 1800, 0, 31536000, GUC_UNIT_S);
    define_int("cdc_plugin.guard_catalog_age",
               "Transaction ids that a slot's catalog_xmin may lag behind until a notice; 0 for none.",
               &settings.catalog_age, 100000000, 0, 2000000000, 0);
    DefineCustomStringVariable("cdc_plugin.guard_policies", "Caps of single slots, and what is done at them.", nullptr,
                               &settings.policies_text, "", PGC_SIGHUP, 0, check_policies, assign_policies, nullptr);
    define_int("cdc_plugin.guard_heartbeat_interval", "Time between heartbeats in databases with slots; 0 for none.",
               &settings.heartbeat_ms, 0, 0, 86400000, GUC_UNIT_MS);
    DefineCustomStringVariable("cdc_plugin.guard_notify_database",
                               "Database in which alerts are sent to LISTEN cdc_alerts; empty for none.", nullptr,
                               &settings.notify_database, "postgres", PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    pg::reserve_settings("cdc_plugin");
}

Limits current_limits() {
    Limits limits{};
    limits.percent[static_cast<int>(Level::kNotice)] = settings.notice_percent;
    limits.percent[static_cast<int>(Level::kWarning)] = settings.warning_percent;
    limits.percent[static_cast<int>(Level::kCritical)] = settings.critical_percent;
    limits.time_left = settings.time_left;
    limits.grace = settings.grace_ms * INT64CONST(1000);
    limits.inactive_time = settings.inactive_s * kMicros;
    limits.catalog_age = settings.catalog_age;
    return limits;
}

}  // namespace cdc::guard
