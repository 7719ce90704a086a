# The dependency rules between the folders of src, checked by every build.

WIRE_HEADERS = $(wildcard src/wire/*.hpp)
LAYER_CHECKS = $(WIRE_HEADERS:src/%.hpp=build/checks/%.alone) build/checks/includes

all: $(LAYER_CHECKS)

# Each header of wire compiles alone, with nothing but the standard library in reach.
build/checks/wire/%.alone: src/wire/%.hpp $(WIRE_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(STD) -Wall -Wextra -Werror -fsyntax-only -x c++ -include $< /dev/null
	@touch $@

build/checks/includes: $(wildcard src/*.cpp src/*/*.[ch]pp src/*/*/*.[ch]pp) scripts/check-includes
	@mkdir -p $(@D)
	scripts/check-includes
	@touch $@
