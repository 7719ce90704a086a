// How a copy of a table follows a changed definition.
#pragma once

#include "relation.hpp"

#include <optional>
#include <string>
#include <vector>

namespace cdc::consumer {

// One thing to do to the copy, in order. Names are those in force when the step is reached.
struct SchemaStep {
    enum Kind {
        kAddColumn,     // column; rows that exist get `fill`
        kDropColumn,    // name
        kRenameColumn,  // name -> column.name
        kAlterType,     // column: the same values under another type (varchar(10) -> text)
        kRenameTable,   // Evolution::previous.target() -> Evolution::relation.target()
    };
    // What rows that exist have in an added column: the same for all; absent means NULL.
    struct Fill {
        std::string text;  // as the type's output function prints it
        std::string json;  // as to_jsonb() prints it under TimeZone UTC
    };
    Kind kind;
    Column column;
    std::string name;
    std::optional<Fill> fill;
};

struct Evolution {
    std::vector<SchemaStep> steps;  // may be empty: the copy fits as it is
    std::string obstacle;           // not empty: cannot be followed, and why; then there are no steps
};

// What it takes to get from one definition of a relation to the next, fills left open.
Evolution compare_definitions(const Relation &previous, const Relation &relation);

}  // namespace cdc::consumer
