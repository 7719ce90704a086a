# The program cdc_consumer, installed beside pg_recvlogical. CONSUMER=no leaves it out, where its libraries are missing.

CONSUMER ?= $(if $(wildcard src/consumer/main.cpp),yes,no)

CONSUMER_SOURCES = $(wildcard src/consumer/*.cpp src/consumer/*/*.cpp)
CONSUMER_OBJS = $(CONSUMER_SOURCES:.cpp=.o)
# Pure parts that it shares with the module.
CONSUMER_WIRE_OBJS = $(patsubst %.cpp,%.o,$(wildcard src/wire/*.cpp)) src/plugin/pattern.o
CONSUMER_LIBS = -lsqlite3 -lprometheus-cpp-pull

ifeq ($(CONSUMER),yes)
all: cdc_consumer
install: install-consumer
uninstall: uninstall-consumer
endif
clean: clean-consumer

$(CONSUMER_OBJS): %.o: %.cpp
	$(COMPILE_PROGRAM) -c $< -o $@

cdc_consumer: $(CONSUMER_OBJS) $(CONSUMER_WIRE_OBJS) $(PROGRAM_OBJS)
	$(CXX) $(CXXFLAGS) $^ $(CONSUMER_LIBS) $(PROGRAM_LIBS) -o $@

.PHONY: install-consumer uninstall-consumer clean-consumer
install-consumer: cdc_consumer
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) $< '$(DESTDIR)$(bindir)/cdc_consumer'

uninstall-consumer:
	rm -f '$(DESTDIR)$(bindir)/cdc_consumer'

clean-consumer:
	rm -f cdc_consumer $(CONSUMER_OBJS) $(CONSUMER_OBJS:.o=.d)

-include $(CONSUMER_OBJS:.o=.d)
