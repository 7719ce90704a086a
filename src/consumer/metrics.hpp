// What a run counts, for Prometheus.
#pragma once

#include "pipeline/counters.hpp"

#include <memory>
#include <string>

namespace cdc::consumer {

class Metrics {
 public:
    // Serves http://ADDRESS:PORT/metrics as long as this object is there. Throws Failure if it cannot listen there.
    Metrics(const std::string &address, const Counters &counters);
    ~Metrics();
    Metrics(const Metrics &) = delete;
    Metrics &operator=(const Metrics &) = delete;

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace cdc::consumer
