// The reader of the two forms of declaration.
#include "schema_header.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

namespace cdc::test {

namespace {

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ':';
}

// Words and single characters, without comments.
std::vector<std::string> tokens_of(const std::string &text) {
    std::vector<std::string> tokens;
    for (auto at = text.begin(); at != text.end();) {
        if (*at == '/' && at + 1 != text.end() && at[1] == '/') {
            at = std::find(at, text.end(), '\n');
        } else if (std::isspace(static_cast<unsigned char>(*at)) != 0) {
            ++at;
        } else {
            const auto end = is_word(*at) ? std::find_if_not(at, text.end(), is_word) : at + 1;
            tokens.emplace_back(at, end);
            at = end;
        }
    }
    return tokens;
}

class Parser {
 public:
    explicit Parser(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {}

    SchemaHeader parse() {
        while (at_ < tokens_.size()) {
            if (take("namespace")) {
                const std::string name = word();
                expect("{");
                if (name != "cdc::wire") {
                    fields(name);
                }
            } else if (take("enum")) {
                // WireType is protobuf's own and has another form.
                if (take("class")) {
                    enumerators(word());
                }
            } else {
                ++at_;
            }
        }
        return header_;
    }

 private:
    void fields(const std::string &name) {
        expect("constexpr");
        expect("uint32_t");
        do {
            const std::string member = word();
            expect("=");
            header_.fields[name][member] = std::stoi(word());
        } while (take(","));
        expect(";");
        expect("}");
    }

    void enumerators(const std::string &name) {
        expect(":");
        expect("uint8_t");
        expect("{");
        int number = 0;
        do {
            header_.enums[name][word()] = number++;
        } while (take(","));
        expect("}");
        expect(";");
    }

    bool take(const std::string &token) {
        if (at_ < tokens_.size() && tokens_[at_] == token) {
            ++at_;
            return true;
        }
        return false;
    }

    void expect(const std::string &token) {
        if (!take(token)) {
            throw std::runtime_error("schema.hpp has no \"" + token + "\" behind \"" + tokens_.at(at_ - 1) + "\"");
        }
    }

    std::string word() { return tokens_.at(at_++); }

    std::vector<std::string> tokens_;
    size_t at_ = 0;
    SchemaHeader header_;
};

}  // namespace

SchemaHeader read_schema_header() {
    std::ifstream file(CDC_TOP "/src/wire/schema.hpp");
    return Parser(tokens_of(std::string(std::istreambuf_iterator<char>(file), {}))).parse();
}

}  // namespace cdc::test
