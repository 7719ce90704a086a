# The program cdc_consumer, installed beside pg_recvlogical. CONSUMER=no leaves it out, where its libraries are missing.

CONSUMER ?= $(if $(wildcard src/consumer/main.cpp),yes,no)

CONSUMER_SOURCES = $(wildcard src/consumer/*.cpp src/consumer/*/*.cpp)
CONSUMER_OBJS = $(CONSUMER_SOURCES:.cpp=.o)
# Pure parts that it shares with the module.
CONSUMER_WIRE_OBJS = $(patsubst %.cpp,%.o,$(wildcard src/wire/*.cpp)) src/plugin/pattern.o
CONSUMER_LIBS = -lpq -lsqlite3 -lprometheus-cpp-pull -lprometheus-cpp-core -lspdlog -lfmt -lpthread

ifeq ($(CONSUMER),yes)
all: cdc_consumer
install: install-consumer
uninstall: uninstall-consumer
endif
clean: clean-consumer

# The headers of libraries are system headers here, too.
$(CONSUMER_OBJS): %.o: %.cpp
	$(COMPILE_PURE) -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL -isystem $(shell $(PG_CONFIG) --includedir) -c $< -o $@

cdc_consumer: $(CONSUMER_OBJS) $(CONSUMER_WIRE_OBJS)
	$(CXX) $(CXXFLAGS) $^ -L$(shell $(PG_CONFIG) --libdir) $(CONSUMER_LIBS) -o $@

.PHONY: install-consumer uninstall-consumer clean-consumer
install-consumer: cdc_consumer
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) $< '$(DESTDIR)$(bindir)/cdc_consumer'

uninstall-consumer:
	rm -f '$(DESTDIR)$(bindir)/cdc_consumer'

clean-consumer:
	rm -f cdc_consumer $(CONSUMER_OBJS) $(CONSUMER_OBJS:.o=.d)

-include $(CONSUMER_OBJS:.o=.d)
