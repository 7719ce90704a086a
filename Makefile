# PGXS build of cdc_plugin: the output plugin and the extension in one module.
#   make, make install, make installcheck      as for any extension; PG_CONFIG chooses the server
#   make unit fuzz                             tests that need no server (see scripts/test for all of them)

EXTENSION = cdc_plugin
EXTVERSION = 0.3
MODULE_big = cdc_plugin
DATA = $(wildcard sql/cdc_plugin--*.sql)

# Pure C++: compiled without PostgreSQL's headers in reach.
PURE_SOURCES = $(wildcard src/wire/*.cpp) src/plugin/options.cpp src/plugin/pattern.cpp src/plugin/row_lists.cpp \
	$(addprefix src/guard/,message.cpp observation.cpp policies.cpp quantity.cpp rates.cpp verdict.cpp words.cpp)
SERVER_SOURCES = src/module.cpp \
	$(filter-out $(PURE_SOURCES),$(wildcard src/pg/*.cpp src/encode/*.cpp src/plugin/*.cpp src/guard/*.cpp src/functions/*.cpp))
PURE_OBJS = $(PURE_SOURCES:.cpp=.o)
SERVER_OBJS = $(SERVER_SOURCES:.cpp=.o)
OBJS = $(PURE_OBJS) $(SERVER_OBJS)

# One topic per file; every script makes and drops its own slots and tables. Needs wal_level = logical.
REGRESS = $(patsubst sql/%.sql,%,$(filter-out sql/cdc_plugin--%,$(sort $(wildcard sql/*.sql))))
# Tests use slots under fixed names and create the extension in a fresh database.
REGRESS_OPTS = --encoding=UTF8 --no-locale
# What takes more than one session.
ISOLATION = snapshot
ISOLATION_OPTS = --inputdir=$(CURDIR)/test/isolation

STD = -std=c++17
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror
PG_CXXFLAGS = $(STD) -fno-semantic-interposition -DCDC_VERSION='"$(EXTVERSION)"'
# The module exports what the server looks up and nothing else; the list has patterns, which an exports file has not.
SHLIB_LINK += -lstdc++ -Wl,--version-script=$(CURDIR)/src/exports.map

EXTRA_CLEAN = $(OBJS:.o=.d) build/checks build/unit build/fuzz build/proto

# PGXS builds bitcode of C++ with flags that do not fit, and decoding has no use for it.
override with_llvm := no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Server headers are system headers here, so that warnings in our own code can be errors. Dependencies on headers are
# tracked with -MMD, because Debian's PGXS does not do it.
COMPILE_PURE = $(CXX) $(CXXFLAGS) $(WARNINGS) $(filter-out -I%,$(CPPFLAGS)) -MMD -MP
COMPILE_SERVER = $(COMPILE_PURE) -isystem $(shell $(PG_CONFIG) --includedir-server)

$(PURE_OBJS): %.o: %.cpp
	$(COMPILE_PURE) -c $< -o $@

$(SERVER_OBJS): %.o: %.cpp
	$(COMPILE_SERVER) -c $< -o $@

-include $(OBJS:.o=.d)

cdc_plugin.so: src/exports.map

include test/unit/unit.mk
include test/fuzz/fuzz.mk
include src/program/program.mk
include src/consumer/consumer.mk
include src/panel/panel.mk
include src/layers.mk
