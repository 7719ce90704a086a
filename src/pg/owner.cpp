// Resource owners.
#include "owner.hpp"

namespace cdc::pg {

namespace {

constexpr char kName[] = "cdc_plugin";

}  // namespace

ResourceOwner make_owner() {
    return ResourceOwnerCreate(CurrentResourceOwner, kName);
}

void end_owner(ResourceOwner owner, bool failed) {
    ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, !failed, false);
    ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, !failed, false);
    ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, !failed, false);
    ResourceOwnerDelete(owner);
}

ResourceOwner replace_owner(ResourceOwner owner) {
    end_owner(owner, true);
    return make_owner();
}

}  // namespace cdc::pg
