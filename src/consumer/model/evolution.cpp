#include "evolution.hpp"

#include <algorithm>

namespace cdc::consumer {

namespace {

constexpr uint32_t kText = 25, kVarchar = 1043;

bool same_column(const Column &left, const Column &right) {
    // Streams of before attribute numbers were sent know names only.
    return left.attribute_number != 0 && right.attribute_number != 0 ? left.attribute_number == right.attribute_number
                                                                     : left.name == right.name;
}

const Column *find(const std::vector<Column> &columns, const Column &wanted) {
    const auto found =
        std::find_if(columns.begin(), columns.end(), [&](const Column &column) { return same_column(column, wanted); });
    return found == columns.end() ? nullptr : &*found;
}

bool same_type(const Column &left, const Column &right) {
    return left.type_oid == right.type_oid && left.base_type_oid == right.base_type_oid &&
           left.type_modifier == right.type_modifier;
}

// Whether no value of the old type looks different under the new one, so that PostgreSQL did not rewrite the table.
bool is_widening(const Column &left, const Column &right) {
    if (left.base_type_oid != 0 || right.base_type_oid != 0 || left.type_oid != kVarchar) {
        return false;
    }
    return right.type_oid == kText ||
           (right.type_oid == kVarchar &&
            (right.type_modifier == -1 || (left.type_modifier != -1 && left.type_modifier <= right.type_modifier)));
}

bool same_key(const Relation &left, const Relation &right) {
    return std::equal(left.key.begin(), left.key.end(), right.key.begin(), right.key.end(),
                      [&](size_t l, size_t r) { return same_column(left.columns[l], right.columns[r]); });
}

Evolution stop(std::string obstacle) {
    Evolution evolution;
    evolution.obstacle = std::move(obstacle);
    return evolution;
}

}  // namespace

Evolution compare_definitions(const Relation &previous, const Relation &relation) {
    if (previous.root_id != relation.root_id) {
        return stop("it became a partition of another table, or is one no longer");
    }
    if (!same_key(previous, relation)) {
        return stop("the columns that identify its rows changed");
    }
    Evolution evolution;
    std::vector<std::string> taken;  // names in the copy at each step
    for (const Column &column : previous.columns) {
        taken.push_back(column.name);
    }
    const auto vacate = [&](const std::string &name) {
        taken.erase(std::remove(taken.begin(), taken.end(), name), taken.end());
    };
    if (!(previous.target() == relation.target())) {
        evolution.steps.push_back({SchemaStep::kRenameTable, Column(), std::string(), std::nullopt});
    }
    for (const Column &column : previous.columns) {
        if (find(relation.columns, column) == nullptr) {
            evolution.steps.push_back({SchemaStep::kDropColumn, Column(), column.name, std::nullopt});
            vacate(column.name);
        }
    }
    for (const Column &column : relation.columns) {
        const Column *const before = find(previous.columns, column);
        if (before == nullptr) {
            continue;
        }
        if (before->name != column.name) {
            if (std::find(taken.begin(), taken.end(), column.name) != taken.end()) {
                return stop("its columns exchanged their names");
            }
            evolution.steps.push_back({SchemaStep::kRenameColumn, column, before->name, std::nullopt});
            vacate(before->name);
            taken.push_back(column.name);
        }
        if (!same_type(*before, column)) {
            if (!is_widening(*before, column)) {
                return stop("the type of its column \"" + column.name + "\" changed from " + before->type_sql + " to " +
                            column.type_sql);
            }
            evolution.steps.push_back({SchemaStep::kAlterType, column, std::string(), std::nullopt});
        }
    }
    for (const Column &column : relation.columns) {
        if (find(previous.columns, column) == nullptr) {
            evolution.steps.push_back({SchemaStep::kAddColumn, column, std::string(), std::nullopt});
        }
    }
    return evolution;
}

}  // namespace cdc::consumer
