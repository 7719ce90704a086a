// Old and new rows, patched and compared where they were encoded.
#include "plugin/row_lists.hpp"

#include "proto.hpp"
#include "random.hpp"
#include "value_list.hpp"

#include <functional>

namespace cdc::test {

namespace {

using Column = std::function<void(ValueList)>;

const Column kUnchanged = [](ValueList list) { list.absent(wire::Absent::kUnchangedToast); };

Column text(size_t size) {
    return [=](ValueList list) { list.text(std::string(size, 'x')); };
}

plugin::RowLists write_rows(wire::Buffer &out, const std::vector<Column> &before, const std::vector<Column> &after) {
    out.append("in front", 8);
    plugin::RowLists lists{};
    lists.before = out.used;
    for (const Column &column : before) {
        column(ValueList(out, wire::change::before));
    }
    lists.after = out.used;
    for (const Column &column : after) {
        column(ValueList(out, wire::change::after));
    }
    lists.end = out.used;
    return lists;
}

// Fills `after`, in which kUnchanged stands for the old value, and compares with the rows written in full. What stands
// behind the rows must stay there.
void expect_filled(const std::vector<Column> &before, const std::vector<Column> &after,
                   const std::vector<bool> &unchanged) {
    std::vector<Column> marked = after;
    std::vector<Column> full = after;
    for (size_t i = 0; i < after.size(); ++i) {
        if (unchanged[i]) {
            marked[i] = kUnchanged;
            full[i] = before[i];
        }
    }
    TightBuffer out;
    const plugin::RowLists lists = write_rows(out, before, marked);
    out.append("\x32\x02\x08\x02 behind", 11);
    plugin::fill_unchanged_toast(out, lists, SIZE_MAX);
    TightBuffer expected;
    write_rows(expected, before, full);
    expected.append("\x32\x02\x08\x02 behind", 11);
    EXPECT_TRUE(out.view() == expected.view());
}

std::vector<uint32_t> changed_columns(const std::vector<Column> &before, const std::vector<Column> &after) {
    TightBuffer out;
    const plugin::RowLists lists = write_rows(out, before, after);
    const std::string rows = out.str();
    plugin::write_changed_columns(out, lists);
    EXPECT_EQ(out.view().substr(0, rows.size()), rows);
    proto::Change change;
    parse_canonical(out.view().substr(lists.before), change);
    EXPECT_TRUE(change.has_changed());
    return {change.changed().columns().begin(), change.changed().columns().end()};
}

}  // namespace

TEST(RowLists, FillAnyColumn) {
    // The marker takes four bytes; the values here take from four to 70008.
    const Column none = [](ValueList list) { list.array({}, {}, [](ValueList) {}); };
    const Column small = [](ValueList list) { list.boolean(true); };
    const Column null = [](ValueList list) { list.null(); };
    const Column uuid = [](ValueList list) { list.uuid("0123456789abcdef"); };
    std::vector<Column> values = {none, small, null, uuid};
    for (const size_t size : {0, 1, 124, 125, 126, 127, 128, 16380, 16384, 70000}) {
        values.push_back(text(size));
    }
    for (const Column &value : values) {
        const std::vector<Column> before = {value, value, value};
        const std::vector<Column> after = {text(5), small, text(200)};
        for (int mask = 0; mask < 8; ++mask) {
            expect_filled(before, after, {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0});
        }
    }
}

// Shorter than the marker.
TEST(RowLists, FillWithAnEmptyValue) {
    TightBuffer out;
    const plugin::RowLists lists{0, 2, 8};
    out.append(
        "\x2a\x00"
        "\x32\x02\x08\x02"
        "\x32\x00",
        8);
    plugin::fill_unchanged_toast(out, lists, SIZE_MAX);
    EXPECT_EQ(out.view(), std::string_view("\x2a\x00"
                                           "\x32\x00"
                                           "\x32\x00",
                                           6));
}

TEST(RowLists, FillOnlyColumn) {
    expect_filled({text(3000)}, {text(1)}, {true});
    expect_filled({}, {}, {});
}

TEST(RowLists, FillAnyRows) {
    Random random;
    for (int i = 0; i < 300; ++i) {
        std::vector<Column> before;
        std::vector<Column> after;
        std::vector<bool> unchanged;
        for (uint64_t k = random.below(20); k > 0; --k) {
            before.push_back(text(random.text(400).size()));
            after.push_back(random.one_in(3) ? Column([](ValueList list) { list.null(); })
                                             : text(random.text(400).size()));
            unchanged.push_back(random.one_in(2));
        }
        expect_filled(before, after, unchanged);
    }
}

// The largest values stay out; smaller ones behind them still find room.
TEST(RowLists, FillUpToALimit) {
    const std::vector<Column> before = {text(100), text(5000), text(200)};
    for (const size_t more : {0, 100, 110, 300, 320, 4000, 5000, 5100, 5500, 6000}) {
        TightBuffer out;
        const plugin::RowLists lists = write_rows(out, before, {kUnchanged, kUnchanged, kUnchanged});
        const size_t limit = out.used + more;
        plugin::fill_unchanged_toast(out, lists, limit);
        EXPECT_LE(out.used, limit);
        proto::Change change;
        parse_canonical(out.view().substr(lists.before), change);
        ASSERT_EQ(change.after_size(), 3);
        EXPECT_EQ(change.after(0).has_text(), more >= 110) << more;
        EXPECT_EQ(change.after(1).has_text(), more >= 5500) << more;
        EXPECT_EQ(change.after(2).has_text(), more >= 320) << more;
    }
}

// Text that looks like a marker is none.
TEST(RowLists, OnlyMarkersAreFilled) {
    const Column marker_bytes = [](ValueList list) { list.text("\x08\x02"); };
    expect_filled({text(9), text(9), text(9)},
                  {marker_bytes, [](ValueList list) { list.absent(wire::Absent::kNull); },
                   [](ValueList list) { list.absent(wire::Absent::kNotInReplicaIdentity); }},
                  {false, false, false});
}

TEST(RowLists, ChangedColumns) {
    const Column one = [](ValueList list) { list.integer(1); };
    const Column two = [](ValueList list) { list.integer(2); };
    const Column null = [](ValueList list) { list.null(); };
    EXPECT_EQ(changed_columns({one, one, one}, {two, one, one}), (std::vector<uint32_t>{0}));
    EXPECT_EQ(changed_columns({one, one, one}, {one, two, one}), (std::vector<uint32_t>{1}));
    EXPECT_EQ(changed_columns({one, one, one}, {one, one, null}), (std::vector<uint32_t>{2}));
    EXPECT_EQ(changed_columns({one, null, text(0)}, {text(300), one, null}), (std::vector<uint32_t>{0, 1, 2}));
    EXPECT_EQ(changed_columns({text(300), text(300)}, {text(301), text(300)}), (std::vector<uint32_t>{0}));
}

// Unchanged TOAST is not changed; of what is too large, nothing is known.
TEST(RowLists, ChangedColumnsOfUnknownValue) {
    const Column one = [](ValueList list) { list.integer(1); };
    const Column too_large = [](ValueList list) { list.too_large(300000000); };
    const Column oid = [](ValueList list) { list.oid(1); };
    EXPECT_EQ(changed_columns({text(3000), one, too_large}, {kUnchanged, one, kUnchanged}), (std::vector<uint32_t>{}));
    EXPECT_EQ(changed_columns({too_large, one, oid}, {too_large, too_large, oid}), (std::vector<uint32_t>{0, 1}));
}

// As the plugin does it: compare first, then fill.
TEST(RowLists, ChangedColumnsOfFilledRows) {
    const Column one = [](ValueList list) { list.integer(1); };
    const Column two = [](ValueList list) { list.integer(2); };
    TightBuffer out;
    const plugin::RowLists lists = write_rows(out, {text(3000), one, text(500)}, {kUnchanged, two, kUnchanged});
    plugin::write_changed_columns(out, lists);
    plugin::fill_unchanged_toast(out, lists, SIZE_MAX);
    proto::Change change;
    parse_canonical(out.view().substr(lists.before), change);
    ASSERT_EQ(change.after_size(), 3);
    EXPECT_EQ(change.after(0).text().size(), 3000U);
    EXPECT_EQ(change.after(1).integer(), 2);
    EXPECT_EQ(change.after(2).text().size(), 500U);
    ASSERT_EQ(change.changed().columns_size(), 1);
    EXPECT_EQ(change.changed().columns(0), 1U);
}

// The list is empty, the message that says so is there.
TEST(RowLists, NothingChanged) {
    EXPECT_TRUE(changed_columns({text(1), text(200)}, {text(1), text(200)}).empty());
    EXPECT_TRUE(changed_columns({}, {}).empty());
}

// More positions than one byte of length, and positions of two bytes.
TEST(RowLists, ManyChangedColumns) {
    for (const uint32_t count : {100, 127, 128, 129, 200, 1600, 9000}) {
        const Column one = [](ValueList list) { list.integer(1); };
        const Column two = [](ValueList list) { list.integer(2); };
        std::vector<uint32_t> all;
        for (uint32_t i = 0; i < count; ++i) {
            all.push_back(i);
        }
        EXPECT_EQ(changed_columns(std::vector<Column>(count, one), std::vector<Column>(count, two)), all);
    }
}

}  // namespace cdc::test
