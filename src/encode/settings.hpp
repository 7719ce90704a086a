// Settings that the text of a value or of a type may depend on.
#pragma once

namespace cdc::encode {

// Sets them for the rest of the current (sub)transaction, whose end undoes it, or of the caller's GUC nest level.
// Decoding always ends its transactions by aborting them, so a session that decodes through SQL gets its own settings
// back.
void pin_settings();

}  // namespace cdc::encode
