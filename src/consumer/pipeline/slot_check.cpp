#include "slot_check.hpp"

namespace cdc::consumer {

std::string find_loss(const std::string &name, const std::optional<SlotInfo> &slot, Lsn position, Lsn source_end,
                      const std::string &database) {
    const std::string subject = "replication slot \"" + name + '"';
    if (!slot) {
        return subject + " is gone: the sink is at " + lsn_text(position) + ", and nobody kept what came after";
    }
    if (slot->plugin != "cdc_plugin") {
        throw Failure(subject + " belongs to the output plugin \"" + slot->plugin + '"', "Choose another slot name.");
    }
    if (slot->database != database) {
        throw Failure(subject + " belongs to the database \"" + slot->database + '"', "Choose another slot name.");
    }
    if (slot->wal_status == "lost") {
        return subject + " was invalidated: WAL that the sink needs is gone";
    }
    if (position == 0) {
        return subject + " exists, but the sink has no copy that it could be applied to";
    }
    // The server would start at the confirmed position without a word.
    if (slot->confirmed_flush_lsn > position) {
        return subject + " was recreated or advanced by somebody else: it starts at " +
               lsn_text(slot->confirmed_flush_lsn) + ", the sink is at " + lsn_text(position);
    }
    if (source_end < position) {
        return "the source is behind the sink, as after a restore: it ends at " + lsn_text(source_end) +
               ", the sink is at " + lsn_text(position);
    }
    return std::string();
}

void check_slot(const std::string &name, Source &source, Lsn position) {
    const std::string loss = find_loss(name, source.slot(name), position, source.current_lsn(), source.database());
    if (!loss.empty()) {
        throw SlotLost(loss);
    }
}

}  // namespace cdc::consumer
