// One pass over the window.
#include "rates.hpp"

namespace cdc::guard {

WalRate wal_rate(const Tick *ring, uint64_t size, uint64_t first, uint64_t last) {
    WalRate rate{-1, false};
    if (last <= first) {
        return rate;
    }
    const Tick &oldest = ring[first % size];
    const Tick &newest = ring[last % size];
    if (newest.at <= oldest.at || newest.wal_lsn < oldest.wal_lsn) {
        return rate;
    }
    const auto total = static_cast<double>(newest.wal_lsn - oldest.wal_lsn);
    double largest = 0;
    double before = 0;
    for (uint64_t i = first; i < last; ++i) {
        const uint64_t from = ring[i % size].wal_lsn;
        const uint64_t to = ring[(i + 1) % size].wal_lsn;
        const double step = to > from ? static_cast<double>(to - from) : 0;
        largest = before + step > largest ? before + step : largest;
        before = step;
    }
    rate.bytes_per_s = total * 1e6 / static_cast<double>(newest.at - oldest.at);
    rate.steady = last - first >= 3 && total > 0 && largest <= 0.7 * total;
    return rate;
}

}  // namespace cdc::guard
