// Puts page.html into the program.
#include "page.hpp"

#include <cstddef>

// The assembler finds the file from the folder where make runs.
asm(R"(
    .pushsection .rodata
    .global cdc_panel_page, cdc_panel_page_end
cdc_panel_page:
    .incbin "src/panel/page.html"
cdc_panel_page_end:
    .popsection
)");

extern "C" {
extern const char cdc_panel_page[];
extern const char cdc_panel_page_end[];
}

namespace cdc::panel {

std::string_view page() {
    return {cdc_panel_page, static_cast<size_t>(cdc_panel_page_end - cdc_panel_page)};
}

}  // namespace cdc::panel
