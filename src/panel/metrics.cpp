// Metrics, made of the last look when somebody asks for them.
#include "metrics.hpp"

#include "../program/metric_families.hpp"

#include <prometheus/text_serializer.h>

namespace cdc::panel {

using nlohmann::json;
using program::Families;
using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

// What is not known has no metric.
void add(MetricFamily &family, const json &value, const Families::Labels &labels, double factor = 1) {
    if (value.is_boolean()) {
        Families::add(family, value.get<bool>() ? 1 : 0, labels);
    } else if (value.is_number()) {
        Families::add(family, value.get<double>() * factor, labels);
    }
}

std::string text(const json &value) {
    return value.is_string() ? value.get<std::string>() : std::string();
}

void add_panel(Families &out, const Condition &condition) {
    out.gauge("cdc_panel_up", "1 if the server answered the last look, 0 if all that is below is older.",
              condition.up ? 1 : 0);
    if (condition.age_seconds) {
        out.gauge("cdc_panel_data_age_seconds", "Age of what is below.", *condition.age_seconds);
        out.gauge("cdc_panel_look_seconds", "Time that the server took to answer the last look.",
                  condition.look_seconds);
    }
    out.counter("cdc_panel_looks_total", "Looks at the server.", static_cast<double>(condition.looks));
    out.counter("cdc_panel_failures_total", "Looks at the server that failed.",
                static_cast<double>(condition.failures));
    out.process("cdc_panel_build_info");
}

void add_guard(Families &out, const json &server) {
    const auto gauge = [&](const char *name, const char *help, const char *column, double factor = 1) {
        add(out.family(name, help, MetricType::Gauge), server[column], {}, factor);
    };
    gauge("cdc_guard_watching", "1 if the slot guard takes samples.", "watching");
    gauge("cdc_guard_sample_age_seconds", "Age of the slot guard's last sample.", "sample_age_seconds");
    gauge("cdc_guard_sample_seconds", "Mean time of a sample.", "mean_sample_us", 1e-6);
    gauge("cdc_wal_disk_free_bytes", "Free on the file system of pg_wal.", "disk_free_bytes");
    gauge("cdc_slots", "Replication slots of the server.", "slot_count");
}

struct SlotGauge {
    const char *name;
    const char *help;
    const char *column;
    double factor = 1;
};

const SlotGauge kSlotGauges[] = {
    {"cdc_slot_active", "1 if somebody reads the slot.", "active"},
    {"cdc_slot_retained_bytes", "WAL that the slot retains.", "retained_bytes"},
    {"cdc_slot_unconfirmed_bytes", "The part of it that the consumer has not confirmed.", "unconfirmed_bytes"},
    {"cdc_slot_cap_bytes", "The nearest limit of what it may retain.", "cap_bytes"},
    {"cdc_slot_headroom_bytes", "What is left of that; below 0 beyond it.", "headroom_bytes"},
    {"cdc_slot_used_ratio", "Share of the cap that is used.", "used_percent", 0.01},
    {"cdc_slot_time_to_cap_seconds", "Until the headroom is used up, at the present rate. Absent if unknown.",
     "seconds_to_cap"},
    {"cdc_slot_time_to_disk_full_seconds", "Until WAL has filled the disk. Absent if unknown.", "seconds_to_disk_full"},
    {"cdc_slot_wal_bytes_per_second", "WAL that the server writes.", "wal_bytes_per_s"},
    {"cdc_slot_confirmed_bytes_per_second", "What the consumer confirms.", "confirmed_bytes_per_s"},
    {"cdc_slot_inactive_seconds", "Since when nobody reads the slot.", "inactive_seconds"},
    {"cdc_slot_catalog_age_transactions", "Transaction ids since catalog_xmin.", "catalog_age"},
};

void add_slots(Families &out, const json &slots) {
    MetricFamily &level = out.family("cdc_slot_level", "1 for the slot's level, 0 for the others.", MetricType::Gauge);
    for (const json &slot : slots) {
        for (const char *const name : {"ok", "notice", "warning", "critical", "lost"}) {
            Families::add(level, slot["level"] == name ? 1 : 0, {{"slot", slot["slot_name"]}, {"level", name}});
        }
    }
    MetricFamily &cause = out.family("cdc_slot_cause", "1 for each cause that the slot has now.", MetricType::Gauge);
    for (const json &slot : slots) {
        for (const char *const column : {"cause", "also"}) {
            if (slot[column].is_string()) {
                Families::add(cause, 1, {{"slot", slot["slot_name"]}, {"cause", slot[column]}});
            }
        }
    }
    MetricFamily &info = out.family("cdc_slot_info", "What the slot is; always 1.", MetricType::Gauge);
    for (const json &slot : slots) {
        Families::add(info, 1,
                      {{"slot", slot["slot_name"]},
                       {"type", text(slot["slot_type"])},
                       {"plugin", text(slot["plugin"])},
                       {"database", text(slot["database"])},
                       {"cap_source", text(slot["cap_source"])}});
    }
    for (const SlotGauge &gauge : kSlotGauges) {
        MetricFamily &family = out.family(gauge.name, gauge.help, MetricType::Gauge);
        for (const json &slot : slots) {
            add(family, slot[gauge.column], {{"slot", slot["slot_name"]}}, gauge.factor);
        }
    }
}

}  // namespace

std::string metrics_text(const Condition &condition, const View *view) {
    Families out;
    add_panel(out, condition);
    if (view != nullptr) {
        add_guard(out, view->server);
        add_slots(out, view->slots);
    }
    return prometheus::TextSerializer().Serialize(out.take());
}

}  // namespace cdc::panel
