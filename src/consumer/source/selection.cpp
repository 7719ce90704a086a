// Names are matched here, by the plugin's own code, so that the copy and the stream select the same.
#include "selection.hpp"

#include "../../plugin/pattern.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

namespace cdc::consumer {

namespace {

constexpr int kNameParts = 2;
constexpr size_t kNamed = 10;  // of the tables with a problem, in a message

// A relation that may be selected, with the names that it is selected by: its own and those of its ancestors.
struct Candidate {
    uint32_t id = 0;
    char kind = 0;         // pg_class.relkind
    char persistence = 0;  // pg_class.relpersistence
    std::vector<TableName> names;

    bool matches(std::string_view list) const {
        return std::any_of(names.begin(), names.end(), [&](const TableName &table) {
            const std::string_view parts[kNameParts] = {table.schema, table.name};
            return plugin::match_patterns(list, parts, kNameParts);
        });
    }
    bool can_be_captured() const { return kind == 'r' && persistence == 'p'; }
};

// What has no WAL is among them, to be named where somebody asks for it.
std::vector<Candidate> find_candidates(Connection &connection) {
    const Result result = connection.query(
        "SELECT c.oid, c.relkind, c.relpersistence, n.nspname, a.relname "
        "FROM pg_catalog.pg_class AS c"
        "     CROSS JOIN LATERAL (SELECT c.oid AS id"
        "                         UNION SELECT p.relid FROM pg_catalog.pg_partition_ancestors(c.oid) AS p) AS name"
        "     JOIN pg_catalog.pg_class AS a ON a.oid = name.id"
        "     JOIN pg_catalog.pg_namespace AS n ON n.oid = a.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'"
        "  AND c.relnamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace"
        "                             WHERE nspname IN ('pg_catalog', 'information_schema', 'pg_toast'))"
        "  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = "
        "d.refobjid"
        "                  WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'"
        "                    AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND e.extname = 'cdc_plugin') "
        "ORDER BY c.oid");
    std::vector<Candidate> candidates;
    for (int row = 0; row < result.rows(); ++row) {
        const auto id = static_cast<uint32_t>(std::strtoul(PQgetvalue(result.get(), row, 0), nullptr, 10));
        if (candidates.empty() || candidates.back().id != id) {
            candidates.push_back({id, *PQgetvalue(result.get(), row, 1), *PQgetvalue(result.get(), row, 2), {}});
        }
        candidates.back().names.push_back({result.text(row, 3), result.text(row, 4)});
    }
    return candidates;
}

void check_list(const std::string &option, const std::string &list) {
    if (const char *const wrong = plugin::check_patterns(list, kNameParts)) {
        throw Failure("invalid " + option + " \"" + list + '"', wrong, ExitCode::kUsage);
    }
}

// A pattern that can match only one name is meant to: it has no * but escaped ones.
bool names_one_table(std::string_view pattern) {
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '*') {
            return false;
        }
        i += pattern[i] == '\\' ? 1 : 0;
    }
    return true;
}

std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> patterns;
    size_t start = 0;
    for (size_t i = 0; i < list.size(); ++i) {
        if (list[i] == ',') {
            patterns.push_back(list.substr(start, i - start));
            start = i + 1;
        }
        i += list[i] == '\\' ? 1 : 0;
    }
    patterns.push_back(list.substr(start));
    return patterns;
}

std::string trimmed(std::string_view pattern) {
    const size_t start = std::min(pattern.find_first_not_of(" \t\r\n"), pattern.size());
    const size_t end = pattern.find_last_not_of(" \t\r\n");
    return std::string(pattern.substr(start, end == std::string_view::npos ? 0 : end + 1 - start));
}

void check_named_tables(const std::string &list, const std::vector<Candidate> &candidates) {
    for (const std::string_view pattern : split(list)) {
        if (!names_one_table(pattern)) {
            continue;
        }
        const auto found = std::find_if(candidates.begin(), candidates.end(),
                                        [&](const Candidate &candidate) { return candidate.matches(pattern); });
        const std::string name = trimmed(pattern);
        if (found == candidates.end()) {
            throw Failure("table \"" + name + "\" does not exist",
                          "Names are compared as they are stored, case-sensitive and without quotes.");
        }
        if (found->persistence == 'u') {
            throw Failure("table \"" + name + "\" is unlogged: its changes are not in the WAL",
                          "To mend it: ALTER TABLE ... SET LOGGED;");
        }
        if (found->kind != 'r' && found->kind != 'p') {
            throw Failure("\"" + name + "\" is not a table");
        }
    }
}

std::string array_of(const std::set<uint32_t> &ids) {
    std::string array = "{";
    for (const uint32_t id : ids) {
        array += (array.size() > 1 ? "," : "") + std::to_string(id);
    }
    return array += '}';
}

// Tables that have the same problem, and the commands that mend it.
class Problem {
 public:
    void add(const std::string &table, const std::string &command) {
        if (++count_ <= kNamed) {
            tables_ += (count_ > 1 ? ", " : "") + table;
            if (commands_.find(command) == std::string::npos) {
                commands_ += ' ' + command;
            }
        }
    }
    void raise_if_any(const std::string &what) const {
        if (count_ > 0) {
            const std::string more = count_ > kNamed ? " and " + std::to_string(count_ - kNamed) + " more" : "";
            throw Failure(what + ": " + tables_ + more, "To mend it:" + commands_);
        }
    }

 private:
    size_t count_ = 0;
    std::string tables_;
    std::string commands_;
};

std::vector<SourceTable> describe(Connection &connection, const std::set<uint32_t> &ids) {
    const Result result = connection.query(
        "SELECT c.oid, n.nspname, c.relname, root.oid, rn.nspname, root.relname,"
        "       pg_catalog.pg_relation_size(c.oid, 'main') / current_setting('block_size')::bigint,"
        "       greatest(c.reltuples, 0)::bigint, pg_catalog.has_table_privilege(c.oid, 'SELECT'),"
        "       pg_catalog.row_security_active(c.oid),"
        "       CASE c.relreplident"
        "            WHEN 'f' THEN NULL"
        "            WHEN 'n' THEN 'replica identity NOTHING'"
        "            WHEN 'i' THEN CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = c.oid"
        "                                                AND indisreplident AND indisvalid)"
        "                               THEN 'the index of the replica identity is gone' END"
        "            ELSE CASE WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = c.oid"
        "                                       AND indisprimary AND indisvalid AND indimmediate)"
        "                      THEN 'no primary key that is checked at once' END END,"
        "       pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.quote_ident(current_user) "
        "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        "     LEFT JOIN pg_catalog.pg_class AS root"
        "     ON c.relispartition AND root.oid = pg_catalog.pg_partition_root(c.oid)"
        "     LEFT JOIN pg_catalog.pg_namespace AS rn ON rn.oid = root.relnamespace "
        "WHERE c.oid = ANY ($1::oid[]) "
        "ORDER BY n.nspname, c.relname",
        {array_of(ids)});
    std::vector<SourceTable> tables;
    Problem unreadable;
    Problem thinned_out;
    Problem anonymous;
    for (int row = 0; row < result.rows(); ++row) {
        const auto number = [&](int column) {
            return std::strtoll(PQgetvalue(result.get(), row, column), nullptr, 10);
        };
        SourceTable table;
        table.id = static_cast<uint32_t>(number(0));
        table.table = {result.text(row, 1), result.text(row, 2)};
        table.root_id = static_cast<uint32_t>(number(3));
        table.root = {result.text(row, 4), result.text(row, 5)};
        table.blocks = number(6);
        table.rows_estimate = number(7);
        const std::string quoted = result.text(row, 11);
        const std::string role = result.text(row, 12);
        if (result.text(row, 8) != "t") {
            unreadable.add(table.table.text(), "GRANT SELECT ON " + quoted + " TO " + role + ';');
        } else if (result.text(row, 9) == "t") {
            thinned_out.add(table.table.text(), "ALTER ROLE " + role + " BYPASSRLS;");
        }
        if (!result.is_null(row, 10)) {
            anonymous.add(table.table.text() + " (" + result.text(row, 10) + ')',
                          "ALTER TABLE " + quoted + " REPLICA IDENTITY FULL;");
        }
        tables.push_back(std::move(table));
    }
    unreadable.raise_if_any("no permission to read");
    thinned_out.raise_if_any("row security hides rows of");
    anonymous.raise_if_any("updates and deletes do not say which row they hit in");
    return tables;
}

}  // namespace

std::vector<SourceTable> select_tables(Connection &connection, const std::string &patterns,
                                       const std::string &exclude_patterns) {
    const std::string list = patterns.empty() ? "*.*" : patterns;
    check_list("tables", list);
    if (!exclude_patterns.empty()) {
        check_list("exclude_tables", exclude_patterns);
    }
    const std::vector<Candidate> candidates = find_candidates(connection);
    check_named_tables(list, candidates);
    std::set<uint32_t> ids;
    for (const Candidate &candidate : candidates) {
        if (candidate.can_be_captured() && candidate.matches(list) &&
            (exclude_patterns.empty() || !candidate.matches(exclude_patterns))) {
            ids.insert(candidate.id);
        }
    }
    return describe(connection, ids);
}

}  // namespace cdc::consumer
