#include "box/acpi/aml.h"

#include <gtest/gtest.h>

namespace sluice::box::aml {
namespace {

TEST(Aml, SmallIntegersAreShort) {
  EXPECT_EQ(integer(0), Code{0});
  EXPECT_EQ(integer(1), Code{1});
  EXPECT_EQ(integer(5), (Code{0x0a, 5}));
  EXPECT_EQ(integer(0xd000'1000), (Code{0x0c, 0x00, 0x10, 0x00, 0xd0}));
}

TEST(Aml, NamesHaveTheirValueBehindThem) {
  EXPECT_EQ(name("_HID", string("AB")), (Code{0x08, '_', 'H', 'I', 'D', 0x0d, 'A', 'B', 0}));
}

// ACPI 6.5, 20.2.4: a length counts itself.
TEST(Aml, LengthsGrowWithWhatTheyCount) {
  const auto of_body = [](std::size_t bytes) { return scope("ABCD", Code(bytes)); };
  const Code one = of_body(58);  // 58 and the name, and the length itself: 63.
  EXPECT_EQ(one[1], 63);
  EXPECT_EQ(one.size(), 1U + 63);
  const Code two = of_body(59);
  EXPECT_EQ(two[1], 0x40 | 1);  // 65, the low four bits first.
  EXPECT_EQ(two[2], 4);
  EXPECT_EQ(two.size(), 1U + 65);
  const Code three = of_body(0x1000);
  EXPECT_EQ(three[1], 0x80 | 7);
  EXPECT_EQ(three[2] | three[3] << 8, 0x1007 >> 4);
  EXPECT_EQ(three.size(), 1U + 0x1007);
}

TEST(Aml, ResourcesAreABufferWithAnEnd) {
  const Code code = resources({memory(0xd000'0000, 0x1000), interrupt(5)});
  EXPECT_EQ(code, (Code{0x11, 0x1a, 0x0a, 0x17,                                //
                        0x86, 9,    0,    1,    0, 0, 0, 0xd0, 0, 0x10, 0, 0,  //
                        0x89, 6,    0,    3,    1, 5, 0, 0,    0,              //
                        0x79, 0}));
}

TEST(Aml, APackageCountsItsElements) {
  EXPECT_EQ(package({integer(5), integer(0)}), (Code{0x12, 0x05, 2, 0x0a, 5, 0}));
}

TEST(Aml, ADeviceHasAnExtendedOperator) {
  EXPECT_EQ(device("V000", {}), (Code{0x5b, 0x82, 0x05, 'V', '0', '0', '0'}));
}

}  // namespace
}  // namespace sluice::box::aml
