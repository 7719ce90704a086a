// What only a running source can tell about its definitions.
#pragma once

#include "applier.hpp"

#include "../source/source.hpp"

namespace cdc::consumer {

class SchemaOfSource : public SchemaSource {
 public:
    explicit SchemaOfSource(Source &source) : source_(source) {}

    bool fill(const Relation &relation, SchemaStep &step) override;
    bool started_empty(const Relation &relation) override;

 private:
    Source &source_;
};

// For recorded files: nothing can be asked.
class NoSchemaSource : public SchemaSource {
 public:
    bool fill(const Relation &, SchemaStep &) override { return false; }
    bool started_empty(const Relation &) override { return true; }
};

}  // namespace cdc::consumer
