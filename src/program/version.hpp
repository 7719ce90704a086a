// The version of the programs: that of the extension.
#pragma once

#ifndef CDC_VERSION
#define CDC_VERSION "unknown"
#endif

namespace cdc::program {

inline constexpr char kVersion[] = CDC_VERSION;

}  // namespace cdc::program
