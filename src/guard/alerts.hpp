// Alerts: into the server log, and into the ring from which LISTEN and cdc.alerts are served.
#pragma once

#include "sampler.hpp"
#include "shared.hpp"

namespace cdc::guard {

// Fills in all of an alert but its message, detail and hint. Looks the database's name up, in a transaction of its own
// if there is none.
void describe(Alert &alert, const ServerSlot &slot, const Verdict &verdict, Level previous, TimestampTz at);

// The slot's level changed.
void alert_level(const ServerSlot &slot, const Verdict &verdict, const Flow &flow, Level previous, TimestampTz at);

// A slot that was in trouble was dropped: the last that is heard of it.
void alert_gone(const NameData &slot, Level previous, TimestampTz at);

// Something was done, or not done, on behalf of a policy.
void alert_action(const ServerSlot &slot, const Verdict &verdict, TimestampTz at, const char *message,
                  const char *detail);

// Puts the name of a database into `name`; empty if there is none.
void find_database_name(Oid database, NameData &name);

}  // namespace cdc::guard
