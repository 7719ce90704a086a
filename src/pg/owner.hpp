// Resources (locks, pins, references) of work whose failure is caught without a subtransaction: it runs under an owner
// of its own, which can be emptied.
#pragma once

#include "postgres.hpp"

namespace cdc::pg {

// An owner below the current one, which has the resources released with its own if an ERROR ends the transaction.
ResourceOwner make_owner();

// Releases what an owner holds, and the owner. Without `failed`, what it still holds is a leak, and the server says so.
void end_owner(ResourceOwner owner, bool failed);

// Releases what a failure left behind; returns a new owner in the place of the old one.
ResourceOwner replace_owner(ResourceOwner owner);

}  // namespace cdc::pg
