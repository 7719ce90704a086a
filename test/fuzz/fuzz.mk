# Fuzzing of the pure sources with libFuzzer, each target for a few seconds: make fuzz, or make fuzz-decode for one.
#   FUZZ_SECONDS=20   for each target
# What a run finds stays in build/fuzz/findings; what it learns, in build/fuzz/corpus, for the next run to go on from.

FUZZ_SECONDS ?= 20
FUZZ_CXX ?= clang++

FUZZ_TARGETS = $(patsubst test/fuzz/fuzz_%.cpp,%,$(sort $(wildcard test/fuzz/fuzz_*.cpp)))
FUZZ_BUILD = build/fuzz
FUZZ_SANITIZERS = address,undefined
FUZZ_CXXFLAGS = $(STD) -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZERS) \
	-fno-sanitize-recover=all -Isrc -isystem $(PROTO_BUILD)
FUZZ_OBJS = $(PURE_SOURCES:%.cpp=$(FUZZ_BUILD)/%.o)
FUZZ_SEED_OBJS = $(FUZZ_BUILD)/test/fuzz/seeds.o $(FUZZ_BUILD)/test/unit/sample_batch.o
FUZZ_ALL_OBJS = $(FUZZ_OBJS) $(FUZZ_SEED_OBJS) $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/test/fuzz/fuzz_%.o)

# Every target runs, whatever the others found.
.PHONY: fuzz
fuzz: $(FUZZ_TARGETS:%=$(FUZZ_BUILD)/%) $(FUZZ_BUILD)/seeds.done
	@failed=0; for target in $(FUZZ_TARGETS); do test/fuzz/run $$target $(FUZZ_SECONDS) || failed=1; done; exit $$failed

.PHONY: $(FUZZ_TARGETS:%=fuzz-%)
$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: $(FUZZ_BUILD)/% $(FUZZ_BUILD)/seeds.done
	@test/fuzz/run $* $(FUZZ_SECONDS)

$(FUZZ_TARGETS:%=$(FUZZ_BUILD)/%): $(FUZZ_BUILD)/%: $(FUZZ_BUILD)/test/fuzz/fuzz_%.o $(FUZZ_OBJS)
	$(FUZZ_CXX) -fsanitize=fuzzer,$(FUZZ_SANITIZERS) $^ -o $@ $(FUZZ_LIBS)
$(FUZZ_BUILD)/proto: FUZZ_LIBS = -lprotobuf -lpthread
$(FUZZ_BUILD)/proto: $(FUZZ_BUILD)/change.pb.o

# Small inputs to start from, a directory for each target.
$(FUZZ_BUILD)/seeds.done: $(FUZZ_BUILD)/seeds
	$< $(FUZZ_BUILD)/seeds.d
	@touch $@

$(FUZZ_BUILD)/seeds: $(FUZZ_SEED_OBJS) $(FUZZ_OBJS)
	$(FUZZ_CXX) -fsanitize=$(FUZZ_SANITIZERS) $^ -o $@

$(FUZZ_ALL_OBJS): $(FUZZ_BUILD)/%.o: %.cpp test/fuzz/fuzz.mk | $(PROTO_STEM).cc
	@mkdir -p $(@D)
	$(FUZZ_CXX) $(FUZZ_CXXFLAGS) $(WARNINGS) -MMD -MP -c $< -o $@

$(FUZZ_BUILD)/change.pb.o: $(PROTO_STEM).cc
	@mkdir -p $(@D)
	$(FUZZ_CXX) $(FUZZ_CXXFLAGS) -w -c $< -o $@

-include $(FUZZ_ALL_OBJS:.o=.d)
