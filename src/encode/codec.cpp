// Types and their forms.
#include "codec.hpp"

#include "../pg/compat.hpp"

namespace cdc::encode {

namespace {

struct FormOfType {
    Oid type;
    Form form;
};

// The types with a form of their own. "char" is not among them, because a single byte above 0x7F is no text; neither
// is xml, whose output depends on the client's encoding.
constexpr FormOfType kForms[] = {
    {BOOLOID, Form::kBool},
    {INT2OID, Form::kInt2},
    {INT4OID, Form::kInt4},
    {INT8OID, Form::kInt8},
    {OIDOID, Form::kOid},
    {FLOAT4OID, Form::kFloat4},
    {FLOAT8OID, Form::kFloat8},
    {NUMERICOID, Form::kNumeric},
    {TEXTOID, Form::kText},
    {VARCHAROID, Form::kText},
    {BPCHAROID, Form::kText},
    {NAMEOID, Form::kName},
    {BYTEAOID, Form::kBytea},
    {UUIDOID, Form::kUuid},
    {DATEOID, Form::kDate},
    {TIMEOID, Form::kTime},
    {TIMETZOID, Form::kTimeTz},
    {TIMESTAMPOID, Form::kTimestamp},
    {TIMESTAMPTZOID, Form::kTimestamptz},
    {INTERVALOID, Form::kInterval},
    {JSONOID, Form::kJson},
    {JSONBOID, Form::kJsonb},
};

}  // namespace

Codec make_codec(Oid type, MemoryContext context) {
    const Oid base = getBaseType(type);
    const HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));
    if (!HeapTupleIsValid(tuple)) {
        elog(ERROR, "cache lookup failed for type %u", base);
    }
    const auto *const row = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
    Codec codec{};
    codec.form = Form::kOther;
    codec.by_value = row->typbyval;
    codec.align = pg::alignment(row->typalign);
    codec.length = row->typlen;
    codec.type = base;

    const Oid element = IsTrueArrayType(row) ? row->typelem : InvalidOid;
    const Oid output = row->typoutput;
    if (row->typtype == TYPTYPE_ENUM) {
        codec.form = Form::kEnum;
    } else if (OidIsValid(element)) {
        codec.form = Form::kArray;
    } else {
        for (const FormOfType &known : kForms) {
            if (known.type == base) {
                codec.form = known.form;
            }
        }
    }
    ReleaseSysCache(tuple);

    if (codec.form == Form::kArray) {
        auto *const inner = static_cast<Codec *>(MemoryContextAlloc(context, sizeof(Codec)));
        *inner = make_codec(element, context);
        codec.element = inner;
    } else if (codec.form == Form::kOther) {
        codec.output = static_cast<FmgrInfo *>(MemoryContextAlloc(context, sizeof(FmgrInfo)));
        fmgr_info_cxt(output, codec.output, context);
    }
    return codec;
}

}  // namespace cdc::encode
