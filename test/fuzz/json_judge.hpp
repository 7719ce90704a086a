// What another library says about a text: whether it is JSON.
#pragma once

#include <nlohmann/json.hpp>

#include <string_view>

namespace cdc::fuzz {

enum class Verdict {
    kJson,
    kNotJson,
    kUnknown,  // a number beyond the range of double, at which the library gives up
};

class Judge : public nlohmann::json_sax<nlohmann::json> {
 public:
    static Verdict judge(std::string_view text) {
        Judge judge;
        nlohmann::json::sax_parse(text.begin(), text.end(), &judge);
        return judge.verdict_;
    }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t &) override { return true; }
    bool string(string_t &) override { return true; }
    bool binary(binary_t &) override { return true; }
    bool start_object(std::size_t) override { return true; }
    bool key(string_t &) override { return true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(std::size_t, const std::string &, const nlohmann::detail::exception &error) override {
        constexpr int kOutOfRange = 406;
        verdict_ = error.id == kOutOfRange ? Verdict::kUnknown : Verdict::kNotJson;
        return false;
    }

 private:
    Verdict verdict_ = Verdict::kJson;
};

}  // namespace cdc::fuzz
