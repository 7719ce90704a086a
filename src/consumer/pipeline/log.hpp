// The program's log: spdlog to standard error, set up once by main().
#pragma once

#include <spdlog/spdlog.h>
