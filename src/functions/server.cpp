// What only the library can tell: its version, and whether the server lets it be an output plugin.
#include "../pg/boundary.hpp"
#include "../wire/schema.hpp"
#include "../pg/materialize.hpp"

namespace {

using namespace cdc;

constexpr char kPlugin[] = "cdc_plugin";
constexpr char kSetting[] = "output_plugin_libraries";

// Appends the names in one entry of the setting to a command. An entry with commas in it is a list that somebody put
// between one pair of quotes, which allows nothing; the names in it are what was meant.
void append_names(StringInfo command, const char *entry) {
    char *const names = pstrdup(entry);
    char *rest = names;
    for (char *name = strsep(&rest, ","); name != nullptr; name = strsep(&rest, ",")) {
        while (isspace(static_cast<unsigned char>(*name)) != 0) {
            ++name;
        }
        Size size = strlen(name);
        while (size > 0 && isspace(static_cast<unsigned char>(name[size - 1])) != 0) {
            --size;
        }
        name[size] = '\0';
        if (size > 0 && strcmp(name, kPlugin) != 0) {
            const bool plain =
                strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == size && strspn(name, "0123456789") == 0;
            appendStringInfo(command, "%s, ", plain ? name : quote_literal_cstr(name));
        }
    }
    pfree(names);
}

// Row (allowed, setting, command): NULL, NULL, NULL on a server without the setting.
Datum plugin_allowed(FunctionCallInfo fcinfo) {
    TupleDesc descriptor;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        elog(ERROR, "return type must be a row type");
    }
    Datum values[3] = {};
    bool nulls[3] = {true, true, true};
    // The setting hides its value from most roles; that this plugin is on the list or not is no secret, because trying
    // tells it as well.
    const char *const setting = GetConfigOption(kSetting, true, false);
    if (setting != nullptr) {
        List *entries = NIL;
        bool allowed = false;
        StringInfoData command;
        initStringInfo(&command);
        appendStringInfo(&command, "ALTER SYSTEM SET %s = ", kSetting);
        if (SplitGUCList(pstrdup(setting), ',', &entries)) {
            ListCell *cell;
            foreach (cell, entries) {
                const auto *const entry = static_cast<const char *>(lfirst(cell));
                allowed = allowed || strcmp(entry, kPlugin) == 0;
                append_names(&command, entry);
            }
        }
        appendStringInfo(&command, "%s; SELECT pg_reload_conf();", kPlugin);
        values[0] = BoolGetDatum(allowed);
        nulls[0] = false;
        if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_SETTINGS)) {
            values[1] = CStringGetTextDatum(setting);
            values[2] = CStringGetTextDatum(command.data);
            nulls[1] = nulls[2] = false;
        }
    }
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

}  // namespace

extern "C" {
CDC_FUNCTION(cdc_library_version) {
    (void) fcinfo;
    return pg::guarded([] { return CStringGetTextDatum(CDC_VERSION); });
}

CDC_FUNCTION(cdc_wire_version) {
    (void) fcinfo;
    return Int32GetDatum(wire::kWireVersion);
}

CDC_FUNCTION(cdc_plugin_allowed) {
    return pg::guarded([=] { return plugin_allowed(fcinfo); });
}
}
