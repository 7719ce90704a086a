// src/wire/schema.hpp, read as text: the tests that compare it with change.proto cannot leave anything in it out.
#pragma once

#include <map>
#include <string>

namespace cdc::test {

// Members and their numbers, by the namespace or enum class that they are in.
using Groups = std::map<std::string, std::map<std::string, int>>;

struct SchemaHeader {
    Groups fields;  // namespace name { constexpr uint32_t member = number, ...; }
    Groups enums;   // enum class Name : uint8_t { kFirst, kSecond };
};

// Throws std::runtime_error at a namespace or an enum class that is written in another way.
SchemaHeader read_schema_header();

}  // namespace cdc::test
