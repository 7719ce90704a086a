// Whether a slot can go on from where the sink is.
#pragma once

#include "../model/failure.hpp"
#include "../model/lsn.hpp"
#include "../source/source.hpp"

#include <optional>
#include <string>

namespace cdc::consumer {

// What is lost, as a message; empty if nothing is. `position` is 0 for a sink that has no state. `source_end` is the
// end of the source's WAL.
std::string find_loss(const std::string &name, const std::optional<SlotInfo> &slot, Lsn position, Lsn source_end,
                      const std::string &database);

class SlotLost : public Failure {
 public:
    explicit SlotLost(const std::string &loss)
        : Failure(loss,
                  "Copy the tables anew with \"cdc_consumer resnapshot\", or let --on-lost-slot=resnapshot do so.",
                  ExitCode::kLostSlot) {}
};

// Throws SlotLost if something is.
void check_slot(const std::string &name, Source &source, Lsn position);

}  // namespace cdc::consumer
