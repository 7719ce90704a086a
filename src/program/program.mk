# What cdc_consumer and cdc_panel are both made of, and how programs are compiled and linked.

PROGRAM_SOURCES = $(wildcard src/program/*.cpp)
PROGRAM_OBJS = $(PROGRAM_SOURCES:.cpp=.o)
PROGRAM_LIBS = -L$(shell $(PG_CONFIG) --libdir) -lpq -lprometheus-cpp-core -lspdlog -lfmt -lpthread

# The headers of libraries are system headers here, too.
COMPILE_PROGRAM = $(COMPILE_PURE) -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL \
	-isystem $(shell $(PG_CONFIG) --includedir)

$(PROGRAM_OBJS): %.o: %.cpp
	$(COMPILE_PROGRAM) -c $< -o $@

.PHONY: clean-program
clean: clean-program
clean-program:
	rm -f $(PROGRAM_OBJS) $(PROGRAM_OBJS:.o=.d)

-include $(PROGRAM_OBJS:.o=.d)
