# The program cdc_panel, installed beside cdc_consumer. PANEL=no leaves it out, where its libraries are missing.

PANEL ?= $(if $(wildcard src/panel/main.cpp),yes,no)

PANEL_SOURCES = $(wildcard src/panel/*.cpp)
PANEL_OBJS = $(PANEL_SOURCES:.cpp=.o)
# What it shares with the consumer and the module.
PANEL_CONSUMER_OBJS = src/consumer/postgres/connection.o src/consumer/pipeline/retry.o src/wire/reader.o

# The library and its header must be compiled alike.
src/panel/server.o: COMPILE_PROGRAM += $(shell pkg-config --cflags cpp-httplib)

ifeq ($(PANEL),yes)
all: cdc_panel
install: install-panel
uninstall: uninstall-panel
endif
clean: clean-panel

$(PANEL_OBJS): %.o: %.cpp
	$(COMPILE_PROGRAM) -c $< -o $@

# It contains the page.
src/panel/page.o: src/panel/page.html

cdc_panel: $(PANEL_OBJS) $(PANEL_CONSUMER_OBJS) $(PROGRAM_OBJS)
	$(CXX) $(CXXFLAGS) $^ $(shell pkg-config --libs cpp-httplib) $(PROGRAM_LIBS) -o $@

.PHONY: install-panel uninstall-panel clean-panel
install-panel: cdc_panel
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) $< '$(DESTDIR)$(bindir)/cdc_panel'

uninstall-panel:
	rm -f '$(DESTDIR)$(bindir)/cdc_panel'

clean-panel:
	rm -f cdc_panel $(PANEL_OBJS) $(PANEL_OBJS:.o=.d)

-include $(PANEL_OBJS:.o=.d)
