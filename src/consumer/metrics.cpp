// The metrics are made of the counters when somebody asks for them, so that counting costs the pipeline nothing more.
#include "metrics.hpp"

#include "../program/clock.hpp"
#include "../program/metric_families.hpp"
#include "model/failure.hpp"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include <exception>
#include <memory>
#include <utility>
#include <vector>

namespace cdc::consumer {

namespace {

using program::Families;
using program::unix_seconds;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Collector : public prometheus::Collectable {
 public:
    explicit Collector(const Counters &counters) : counters_(counters) {}

    std::vector<MetricFamily> Collect() const override {
        Families out;
        position(out);
        work(out);
        snapshot(out);
        out.process("cdc_consumer_build_info");
        return out.take();
    }

 private:
    static double number(const std::atomic<uint64_t> &count) { return static_cast<double>(count.load()); }

    void position(Families &out) const {
        // The later one is read last, so that it is not behind.
        const uint64_t confirmed = counters_.confirmed_lsn;
        const uint64_t applied = counters_.applied_lsn;
        const uint64_t received = counters_.received_lsn;
        out.gauge("cdc_consumer_received_lsn_bytes", "End of WAL that the source named last, as a number of bytes.",
                  static_cast<double>(received));
        out.gauge("cdc_consumer_applied_lsn_bytes", "Position of the sink, as a number of bytes.",
                  static_cast<double>(applied));
        out.gauge("cdc_consumer_confirmed_lsn_bytes",
                  "Position that is durable in the sink and confirmed to the source, as a number of bytes.",
                  static_cast<double>(confirmed));
        out.gauge("cdc_consumer_lag_bytes", "WAL of the source that is not confirmed.",
                  received > confirmed ? static_cast<double>(received - confirmed) : 0);
        const int64_t commit = counters_.commit_time;
        const int64_t visible = counters_.applied_time;
        if (commit != 0) {
            out.gauge("cdc_consumer_lag_seconds",
                      "Time from the commit at the source to the one in the sink, of the last transaction.",
                      visible > commit ? static_cast<double>(visible - commit) / 1e6 : 0);
            out.gauge("cdc_consumer_last_commit_age_seconds",
                      "Time since the last transaction that was applied was committed at the source.",
                      unix_seconds() - static_cast<double>(commit) / 1e6);
        }
        MetricFamily &phase =
            out.family("cdc_consumer_phase", "1 for what the consumer is doing, 0 for the rest.", MetricType::Gauge);
        const int now = counters_.phase;
        int number_of_phase = 0;
        for (const char *const name : {"starting", "snapshot", "streaming", "reconnecting"}) {
            Families::add(phase, now == number_of_phase ? 1 : 0, {{"phase", name}});
            ++number_of_phase;
        }
    }

    void work(Families &out) const {
        out.counter("cdc_consumer_transactions_total", "Transactions applied.", number(counters_.transactions));
        out.counter("cdc_consumer_transactions_skipped_total",
                    "Transactions that came again and were in the sink already.", number(counters_.skipped));
        MetricFamily &changes = out.family("cdc_consumer_changes_total", "Changes applied.", MetricType::Counter);
        Families::add(changes, number(counters_.inserts), {{"op", "insert"}});
        Families::add(changes, number(counters_.updates), {{"op", "update"}});
        Families::add(changes, number(counters_.deletes), {{"op", "delete"}});
        Families::add(changes, number(counters_.truncates), {{"op", "truncate"}});
        Families::add(changes, number(counters_.messages), {{"op", "message"}});
        out.counter("cdc_consumer_groups_total", "Transactions of the sink.", number(counters_.groups));
        out.counter("cdc_consumer_received_bytes_total", "Bytes received from the slot.",
                    number(counters_.received_bytes));
        out.counter("cdc_consumer_reconnects_total", "Connections to the source that were made anew.",
                    number(counters_.reconnects));
        out.counter("cdc_consumer_errors_total", "Errors, those after which it went on included.",
                    number(counters_.errors));
    }

    void snapshot(Families &out) const {
        out.counter("cdc_consumer_snapshots_total", "Snapshots completed.", number(counters_.snapshots));
        out.counter("cdc_consumer_snapshot_rows_total", "Rows copied by snapshots.", number(counters_.snapshot_rows));
        out.gauge("cdc_consumer_snapshot_tables", "Tables of the last snapshot.", number(counters_.snapshot_tables));
        out.gauge("cdc_consumer_snapshot_tables_done", "Tables of the last snapshot that are copied.",
                  number(counters_.snapshot_tables_done));
        out.gauge("cdc_consumer_snapshot_blocks", "Blocks of the tables of the last snapshot.",
                  number(counters_.snapshot_blocks));
        out.gauge("cdc_consumer_snapshot_blocks_done", "Blocks of the last snapshot that are copied.",
                  number(counters_.snapshot_blocks_done));
    }

    const Counters &counters_;
};

}  // namespace

struct Metrics::State {
    State(const std::string &address, const Counters &counters)
        : collector(std::make_shared<Collector>(counters)), exposer(address, 2) {}

    std::shared_ptr<Collector> collector;
    prometheus::Exposer exposer;
};

Metrics::Metrics(const std::string &address, const Counters &counters) {
    try {
        state_ = std::make_unique<State>(address, counters);
    } catch (const std::exception &) {  // says nothing about why
        throw Failure(
            "cannot listen on " + address + " for metrics",
            "Is the port in use, or the address not one of this machine? IPv6 needs a civetweb built with it.");
    }
    state_->exposer.RegisterCollectable(state_->collector);
}

Metrics::~Metrics() = default;

}  // namespace cdc::consumer
