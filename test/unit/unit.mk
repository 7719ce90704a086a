# Unit tests, which need no server: make unit. Built out of tree, under sanitizers, from the pure sources of the module
# and from those sources of cdc_consumer that need no server either.
#   UNIT_SANITIZE=...   other sanitizers than the default; empty for none (then rebuild: make clean)
#   UNIT_ARGS=...       for the test program, for example --gtest_filter='Calendar.*'

UNIT_SANITIZE ?= address,undefined
UNIT_ARGS ?=

UNIT_BUILD = build/unit
UNIT_TESTS = $(sort $(wildcard test/unit/*.cpp))
UNIT_TEST_OBJS = $(UNIT_TESTS:%.cpp=$(UNIT_BUILD)/%.o)
# What of the consumer needs no server, and its libraries.
UNIT_CONSUMER_SOURCES = $(wildcard src/consumer/model/*.cpp src/consumer/sink/sqlite*.cpp) \
	src/consumer/sink/catch_up.cpp \
	src/consumer/sink/postgres_value.cpp src/consumer/sink/postgres_copy.cpp src/consumer/postgres/binary_copy.cpp \
	src/consumer/source/message_queue.cpp src/consumer/command_line.cpp \
	src/program/options.cpp src/program/option_values.cpp
UNIT_CONSUMER_LIBS = -lsqlite3 -lpq
UNIT_OBJS = $(UNIT_TEST_OBJS) $(PURE_SOURCES:%.cpp=$(UNIT_BUILD)/%.o) $(UNIT_CONSUMER_SOURCES:%.cpp=$(UNIT_BUILD)/%.o)

# Code that protoc generates from the schema: a system header to us, so that warnings stay errors in our own code.
PROTO_BUILD = build/proto
PROTO_STEM = $(PROTO_BUILD)/cdc_plugin/v1/change.pb

SANITIZE_FLAGS = $(if $(UNIT_SANITIZE),-fsanitize=$(UNIT_SANITIZE) -fno-sanitize-recover=all)
UNIT_CXXFLAGS = $(STD) $(UNIT_OPTIMIZE) -g -fno-omit-frame-pointer $(SANITIZE_FLAGS) -DCDC_TOP='"$(CURDIR)"' -Isrc \
	-isystem $(PROTO_BUILD) -isystem $(shell $(PG_CONFIG) --includedir)

# Most of the time to build goes into the tests, which do not need to be fast. (Of <regex>, GCC 12 warns under sanitizers
# when it optimizes.)
UNIT_OPTIMIZE = -O1
$(UNIT_TEST_OBJS) $(UNIT_BUILD)/change.pb.o $(UNIT_BUILD)/src/consumer/command_line.o \
	$(UNIT_BUILD)/src/program/options.o $(UNIT_BUILD)/src/program/option_values.o: UNIT_OPTIMIZE = -O0

.PHONY: unit
unit: $(UNIT_BUILD)/unit_tests
	$< $(UNIT_ARGS)

$(UNIT_BUILD)/unit_tests: $(UNIT_OBJS) $(UNIT_BUILD)/change.pb.o
	$(CXX) $(SANITIZE_FLAGS) $^ -o $@ -lgtest -lgtest_main -lprotobuf $(UNIT_CONSUMER_LIBS) -lpthread

$(UNIT_OBJS): $(UNIT_BUILD)/%.o: %.cpp test/unit/unit.mk | $(PROTO_STEM).cc
	@mkdir -p $(@D)
	$(CXX) $(UNIT_CXXFLAGS) $(WARNINGS) -MMD -MP -c $< -o $@

$(UNIT_BUILD)/change.pb.o: $(PROTO_STEM).cc
	@mkdir -p $(@D)
	$(CXX) $(UNIT_CXXFLAGS) -w -c $< -o $@

$(PROTO_STEM).cc: proto/cdc_plugin/v1/change.proto
	@mkdir -p $(PROTO_BUILD)
	protoc -Iproto --cpp_out=$(PROTO_BUILD) $<

-include $(UNIT_OBJS:.o=.d)
