#include "wire/messages/domain_name.h"

#include <gtest/gtest.h>

#include "unit/wire/wire_testing.h"

namespace sluice::wire {
namespace {

DomainName name(std::string_view text) { return DomainName::from_text(text).value(); }

TEST(DomainName, TextAndWire) {
  EXPECT_EQ(copy_of(name("www.example").wire()), from_hex("03777777 076578616d706c65 00"));
  EXPECT_EQ(name("www.example.").to_text(), "www.example");
  EXPECT_TRUE(name(".").is_root());
  EXPECT_EQ(DomainName().to_text(), ".");
}

TEST(DomainName, OddBytesAreEscaped) {
  DomainName odd;
  ASSERT_TRUE(odd.append(from_hex("612e62")));  // a.b in one label
  ASSERT_TRUE(odd.append(from_hex("005c207f")));
  EXPECT_EQ(odd.to_text(), R"(a\.b.\000\\\032\127)");
  EXPECT_EQ(name(odd.to_text()), odd);
}

TEST(DomainName, RefusesWhatIsNoName) {
  const std::string label63(63, 'a');
  EXPECT_TRUE(DomainName::from_text(label63).has_value());
  EXPECT_FALSE(DomainName::from_text(label63 + "a").has_value());
  for (const std::string_view text : {"", "..", "a..b", ".a", "\\", "a\\2", "a\\256", "a\\25x"}) {
    EXPECT_FALSE(DomainName::from_text(text).has_value()) << text;
  }
}

// 3 × 64 + 62 + 1 = 255 bytes is the longest name.
TEST(DomainName, Has255BytesAtMost) {
  std::string three;
  for (const char letter : {'a', 'b', 'c'}) three.append(63, letter).append(1, '.');
  EXPECT_EQ(name(three + std::string(61, 'd')).wire().size(), 255U);
  EXPECT_FALSE(DomainName::from_text(three + std::string(62, 'd')).has_value());
}

TEST(DomainName, ComparesWithoutCase) {
  EXPECT_EQ(name("WWW.Example"), name("www.eXAMPLE"));
  EXPECT_FALSE(name("www.example") == name("ww.example"));
  EXPECT_FALSE(name("a[") == name("a{"));  // One bit apart, but no letters.
}

TEST(DomainName, IsWithinWholeLabels) {
  EXPECT_TRUE(name("a.b.example").is_within(name("B.example")));
  EXPECT_TRUE(name("b.example").is_within(name("b.example")));
  EXPECT_TRUE(name("b.example").is_within(DomainName()));
  EXPECT_FALSE(name("ab.example").is_within(name("b.example")));
  EXPECT_FALSE(name("example").is_within(name("b.example")));
}

TEST(ReadName, FollowsPointersBackwards) {
  const Bytes message = from_hex("016100 0162c000 0163c003");
  const auto decoded = read_name(message, 7);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->name, name("c.b.a"));
  EXPECT_EQ(decoded->next, 11U);
}

TEST(ReadName, HostilePointers) {
  EXPECT_EQ(read_name(from_hex("c000"), 0).error(), ParseError::kMalformed);        // itself
  EXPECT_EQ(read_name(from_hex("c002 c000"), 0).error(), ParseError::kMalformed);   // forward
  EXPECT_EQ(read_name(from_hex("c002 c000"), 2).error(), ParseError::kMalformed);   // a circle
  EXPECT_EQ(read_name(from_hex("0161 c000"), 0).error(), ParseError::kMalformed);   // aa…
  EXPECT_EQ(read_name(from_hex("00 c000"), 1, 1).error(), ParseError::kMalformed);  // header
  EXPECT_EQ(read_name(from_hex("c0"), 0).error(), ParseError::kTruncated);
  EXPECT_EQ(read_name(from_hex("4000"), 0).error(), ParseError::kMalformed);
  EXPECT_EQ(read_name(from_hex("8000"), 0).error(), ParseError::kMalformed);
  EXPECT_EQ(read_name({}, 0).error(), ParseError::kTruncated);
  EXPECT_EQ(read_name(from_hex("00"), 9).error(), ParseError::kTruncated);
}

// A long chain of pointers, each adding a label, ends when the name is full.
TEST(ReadName, ManyPointersBuildNoLongName) {
  Bytes message = from_hex("016100");
  std::size_t last = 0;
  for (int i = 0; i < 200; ++i) {
    const std::size_t here = message.size();
    message = message + from_hex("0162") +
              Bytes{static_cast<std::uint8_t>(0xc0 | (last >> 8)), static_cast<std::uint8_t>(last)};
    last = here;
  }
  EXPECT_EQ(read_name(message, last).error(), ParseError::kBadLength);
}

TEST(ReadName, EveryTruncation) {
  for_each_truncation(from_hex("03777777 076578616d706c65 00"), [](ByteView cut) {
    EXPECT_EQ(read_name(cut, 0).error(), ParseError::kTruncated);
  });
}

TEST(ReadNameList, PointersWhereTheyAreAllowed) {
  const Bytes list = from_hex("0161 076578616d706c65 00 0162 c002");
  const auto names = read_name_list(list, Compression::kAllowed);
  ASSERT_TRUE(names.has_value());
  EXPECT_EQ(*names, (std::vector{name("a.example"), name("b.example")}));
  EXPECT_EQ(read_name_list(list, Compression::kForbidden).error(), ParseError::kMalformed);
}

TEST(ReadNameList, PaddingAndTheLimit) {
  EXPECT_EQ(read_name_list(from_hex("016100 00000000"), Compression::kForbidden)->size(), 1U);
  Bytes many;
  for (std::size_t i = 0; i < kNameListMax + 5; ++i) many = many + from_hex("016100");
  EXPECT_EQ(read_name_list(many, Compression::kForbidden)->size(), kNameListMax);
}

}  // namespace
}  // namespace sluice::wire
