// What the kernel knows of this process, as metrics.
#include "metric_families.hpp"

#include "clock.hpp"
#include "version.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace cdc::program {

namespace {

const double started = unix_seconds();

double resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    double total = 0;
    double resident = 0;
    statm >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval &time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

void Families::process(const char *build_info) {
    add(family(build_info, "Version of the program; always 1.", prometheus::MetricType::Gauge), 1,
        {{"version", kVersion}});
    gauge("process_start_time_seconds", "Start of the process, in Unix time.", started);
    gauge("process_resident_memory_bytes", "Resident memory.", resident_bytes());
    counter("process_cpu_seconds_total", "Processor time, of user and system.", cpu_seconds());
}

}  // namespace cdc::program
