// Families of Prometheus metrics in the making, and those that every process has.
#pragma once

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include <utility>
#include <vector>

namespace cdc::program {

class Families {
 public:
    using Labels = std::vector<prometheus::ClientMetric::Label>;

    void gauge(const char *name, const char *help, double value) {
        add(family(name, help, prometheus::MetricType::Gauge), value);
    }
    void counter(const char *name, const char *help, double value) {
        add(family(name, help, prometheus::MetricType::Counter), value);
    }
    prometheus::MetricFamily &family(const char *name, const char *help, prometheus::MetricType type) {
        families_.push_back({name, help, type, {}});
        return families_.back();
    }
    static void add(prometheus::MetricFamily &family, double value, Labels labels = {}) {
        prometheus::ClientMetric metric;
        metric.label = std::move(labels);
        (family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
        family.metric.push_back(std::move(metric));
    }
    // Version (as the metric that is named), start, memory and processor time of this process.
    void process(const char *build_info);

    std::vector<prometheus::MetricFamily> take() { return std::move(families_); }

 private:
    std::vector<prometheus::MetricFamily> families_;
};

}  // namespace cdc::program
