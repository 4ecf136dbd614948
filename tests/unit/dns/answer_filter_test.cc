#include "dns/answer_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "wire/byte_cursor.h"

namespace sluice::dns {
namespace {

using Bytes = std::vector<std::uint8_t>;
using wire::DnsClass;
using wire::DnsSection;
using wire::DnsType;

wire::DomainName name(std::string_view text) { return *wire::DomainName::from_text(text); }

// Refuses what it was told to, and writes down what it was asked.
class Rules final : public AnswerRules {
 public:
  bool follows(const wire::DomainName& alias) override {
    followed.push_back(alias.to_text());
    return !refused_names.contains(alias.to_text());
  }
  bool keeps(const wire::IpAddress& address, std::uint32_t ttl) override {
    asked.insert(wire::to_string(address));
    longest = std::max(longest, ttl);
    return !refused_addresses.contains(wire::to_string(address));
  }

  std::set<std::string> refused_names;
  std::set<std::string> refused_addresses;
  std::vector<std::string> followed;
  std::set<std::string> asked;
  std::uint32_t longest = 0;
};

class AnswerFilterTest : public testing::Test {
 protected:
  explicit AnswerFilterTest(DnsType type = DnsType::kA) : builder_(start(type)) {}

  wire::DnsBuilder start(DnsType type) {
    buffer_.resize(60'000);
    wire::DnsBuilder builder(buffer_, {.id = 7, .response = true, .recursion_available = true});
    builder.add_question({name("ok.test"), type, DnsClass::kIn});
    return builder;
  }
  void address(std::string_view owner, std::string_view text, std::uint32_t ttl = 300) {
    builder_.add_address(DnsSection::kAnswer, name(owner), ttl, *wire::parse_ip(text));
  }
  void alias(std::string_view from, std::string_view to) {
    builder_.add_record(DnsSection::kAnswer, name(from), DnsType::kCname, DnsClass::kIn, 300,
                        name(to).wire());
  }
  void record(std::string_view owner, DnsType type, const Bytes& data, std::uint32_t ttl = 300) {
    builder_.add_record(DnsSection::kAnswer, name(owner), type, DnsClass::kIn, ttl, data);
  }
  FilteredAnswer filter() {
    buffer_.resize(builder_.finish().value());
    return filter_answer(wire::DnsView::parse(buffer_).value(), rules_, changed_);
  }
  // What is left, each as "owner type data".
  std::vector<std::string> left() {
    std::vector<std::string> all;
    const auto view = wire::DnsView::parse(changed_).value();
    for (auto records = view.records(); !records.done();) {
      const auto record = records.next().value();
      if (record.section != DnsSection::kAnswer) continue;
      std::string text = record.name.to_text();
      if (const auto found = wire::dns_address(record)) {
        text += " " + wire::to_string(*found);
      } else if (record.type == DnsType::kCname) {
        text += " = " + wire::dns_target_name(changed_, record)->to_text();
      }
      all.push_back(text);
    }
    return all;
  }

  Bytes buffer_;
  wire::DnsBuilder builder_;
  Rules rules_;
  Bytes changed_;
};

TEST_F(AnswerFilterTest, AnAnswerThatIsWellStaysAsItIs) {
  alias("ok.test", "cdn.test");
  address("cdn.test", "198.51.100.1");
  address("cdn.test", "198.51.100.2", 60);
  EXPECT_EQ(filter(), FilteredAnswer::kAsItIs);
  EXPECT_TRUE(changed_.empty());
  EXPECT_EQ(rules_.asked, (std::set<std::string>{"198.51.100.1", "198.51.100.2"}));
  EXPECT_EQ(rules_.followed, (std::vector<std::string>{"cdn.test"}));
}

TEST_F(AnswerFilterTest, AddressesThatAreNotKeptAreTakenOut) {
  rules_.refused_addresses = {"10.0.0.1"};
  address("ok.test", "198.51.100.1");
  address("ok.test", "10.0.0.1");
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_EQ(left(), (std::vector<std::string>{"ok.test 198.51.100.1"}));
}

TEST_F(AnswerFilterTest, OfAddressesThatAreAllRefusedNothingIsLeft) {
  rules_.refused_addresses = {"10.0.0.1", "127.0.0.1"};
  address("ok.test", "127.0.0.1");
  address("ok.test", "10.0.0.1");
  EXPECT_EQ(filter(), FilteredAnswer::kNothingLeft);
}

TEST_F(AnswerFilterTest, AnAnswerWithoutAddressesIsNotEmptied) {
  alias("ok.test", "cdn.test");
  EXPECT_EQ(filter(), FilteredAnswer::kAsItIs);
}

// Attack 11.
TEST_F(AnswerFilterTest, AddressesOfOtherNamesAreNotAskedAbout) {
  address("ok.test", "198.51.100.1");
  address("evil.test", "198.51.100.66");
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_EQ(left(), (std::vector<std::string>{"ok.test 198.51.100.1"}));
  EXPECT_FALSE(rules_.asked.contains("198.51.100.66"));
}

TEST_F(AnswerFilterTest, AnAddressBesideTheChainIsNotOfTheName) {
  alias("other.test", "evil.test");
  address("evil.test", "198.51.100.66");
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_TRUE(rules_.asked.empty());
}

TEST_F(AnswerFilterTest, AliasesMayComeInAnyOrder) {
  address("c.test", "198.51.100.1");
  alias("b.test", "c.test");
  alias("ok.test", "B.TEST");
  EXPECT_EQ(filter(), FilteredAnswer::kAsItIs);
  EXPECT_EQ(rules_.asked.size(), 1u);
}

// Attack 13.
TEST_F(AnswerFilterTest, ARefusedNameInTheChainRefusesAll) {
  rules_.refused_names = {"denied.test"};
  alias("ok.test", "b.test");
  alias("b.test", "denied.test");
  address("denied.test", "198.51.100.1");
  EXPECT_EQ(filter(), FilteredAnswer::kAliasRefused);
  EXPECT_TRUE(rules_.asked.empty());
}

TEST_F(AnswerFilterTest, ACircleOfAliasesEnds) {
  alias("ok.test", "b.test");
  alias("b.test", "ok.test");
  EXPECT_EQ(filter(), FilteredAnswer::kMalformed);
}

// Attack 14.
TEST_F(AnswerFilterTest, NoMoreAddressesAreKeptThanFit) {
  for (std::uint32_t i = 0; i < 3000; ++i) {
    builder_.add_address(DnsSection::kAnswer, name("ok.test"), 60,
                         wire::IpAddress::v4(0xc633'0000 + i));
  }
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_EQ(left().size(), kAnswerAddressesMax);
  EXPECT_EQ(rules_.asked.size(), kAnswerAddressesMax);
}

TEST_F(AnswerFilterTest, NothingIsForLongerThanADay) {
  address("ok.test", "198.51.100.1", 1'000'000);
  address("ok.test", "198.51.100.2", 0x8000'0001);
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  const auto view = wire::DnsView::parse(changed_).value();
  auto records = view.records();
  EXPECT_EQ(records.next()->ttl, kAnswerTtlMax);
  EXPECT_EQ(records.next()->ttl, 0u);
  EXPECT_EQ(rules_.longest, kAnswerTtlMax);
}

TEST_F(AnswerFilterTest, WhatIsCutShortIsMalformed) {
  alias("ok.test", "cdn.test");
  address("cdn.test", "198.51.100.1");
  address("evil.test", "198.51.100.2");
  const std::size_t size = builder_.finish().value();
  for (std::size_t cut = size - 1; cut > 25; --cut) {
    const auto view = wire::DnsView::parse(ByteView(buffer_).first(cut));
    ASSERT_TRUE(view);
    EXPECT_EQ(filter_answer(*view, rules_, changed_), FilteredAnswer::kMalformed);
  }
}

class ServiceFilterTest : public AnswerFilterTest {
 protected:
  ServiceFilterTest() : AnswerFilterTest(DnsType::kHttps) {}

  struct Param {
    std::uint16_t key;
    Bytes value;
  };
  static Bytes service(std::string_view target, const std::vector<Param>& params) {
    Bytes data{0, 1};
    const auto owner = name(target);
    data.insert(data.end(), owner.wire().begin(), owner.wire().end());
    for (const Param& param : params) {
      for (const std::size_t field : {std::size_t{param.key}, param.value.size()}) {
        data.push_back(static_cast<std::uint8_t>(field >> 8));
        data.push_back(static_cast<std::uint8_t>(field));
      }
      data.insert(data.end(), param.value.begin(), param.value.end());
    }
    return data;
  }
  Bytes left_data() {
    const auto record = wire::DnsView::parse(changed_).value().records().next().value();
    return {record.rdata.begin(), record.rdata.end()};
  }

  const Param alpn_{1, {2, 'h', '2'}};
  const Param hint4_{4, {198, 51, 100, 1, 10, 0, 0, 1}};
  const Param ech_{5, {1, 2, 3}};
};

// Attack 18.
TEST_F(ServiceFilterTest, TheKeyForHiddenNamesIsTakenOutAndHintsAreAddresses) {
  rules_.refused_addresses = {"10.0.0.1"};
  record("ok.test", DnsType::kHttps, service(".", {alpn_, hint4_, ech_}));
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_EQ(left_data(), service(".", {alpn_, {4, {198, 51, 100, 1}}}));
  EXPECT_EQ(rules_.asked, (std::set<std::string>{"10.0.0.1", "198.51.100.1"}));
}

TEST_F(ServiceFilterTest, AHintOfRefusedAddressesAloneIsTakenOut) {
  rules_.refused_addresses = {"10.0.0.1", "198.51.100.1", "fd00::1"};
  const auto v6 = wire::parse_ip("fd00::1");
  const Param hint6{6, {v6->octets().begin(), v6->octets().end()}};
  record("ok.test", DnsType::kHttps, service(".", {hint4_, hint6}));
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_EQ(left_data(), service(".", {}));
}

TEST_F(ServiceFilterTest, OneThatIsWellStays) {
  record("ok.test", DnsType::kHttps, service(".", {alpn_, hint4_}));
  EXPECT_EQ(filter(), FilteredAnswer::kAsItIs);
}

TEST_F(ServiceFilterTest, ARecordThatInsistsOnWhatIsTakenOutGoesWhole) {
  record("ok.test", DnsType::kHttps, service(".", {{0, {0, 5}}, alpn_, ech_}));
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_TRUE(left().empty());
}

TEST_F(ServiceFilterTest, MalformedOnesGoWhole) {
  for (const Bytes& data : {Bytes{}, Bytes{0}, Bytes{0, 1}, Bytes{0, 1, 3, 'a'},
                            Bytes{0, 1, 0xc0, 0x00}, Bytes{0, 1, 0, 0, 1, 0, 9, 1},
                            service(".", {ech_, alpn_}), service(".", {{4, {1, 2, 3}}})}) {
    builder_ = start(DnsType::kHttps);
    record("ok.test", DnsType::kHttps, data);
    EXPECT_EQ(filter(), FilteredAnswer::kChanged);
    EXPECT_TRUE(left().empty());
  }
}

TEST_F(ServiceFilterTest, ATargetIsFollowedLikeAnAlias) {
  rules_.refused_names = {"denied.test"};
  record("ok.test", DnsType::kHttps, service("denied.test", {alpn_}));
  EXPECT_EQ(filter(), FilteredAnswer::kAliasRefused);
}

TEST_F(ServiceFilterTest, OneOfAnotherNameIsTakenOut) {
  record("evil.test", DnsType::kHttps, service(".", {hint4_}));
  EXPECT_EQ(filter(), FilteredAnswer::kChanged);
  EXPECT_TRUE(rules_.asked.empty());
}

// What is written anew has no name that leads into the old message.
TEST(AnswerFilter, CompressedNamesAreWrittenOut) {
  Bytes message(512);
  wire::DnsBuilder builder(message, {.id = 7, .response = true});
  builder.add_question({name("ok.test"), DnsType::kSrv, DnsClass::kIn});
  // A target at the question's name, by a pointer.
  builder.add_record(DnsSection::kAnswer, name("ok.test"), DnsType::kSrv, DnsClass::kIn, 300,
                     Bytes{0, 1, 0, 2, 0, 80, 0xc0, 12});
  builder.add_address(DnsSection::kAnswer, name("evil.test"), 300, wire::IpAddress::v4(1));
  message.resize(builder.finish().value());
  Rules rules;
  Bytes changed;
  EXPECT_EQ(filter_answer(wire::DnsView::parse(message).value(), rules, changed),
            FilteredAnswer::kChanged);
  const auto record = wire::DnsView::parse(changed).value().records().next().value();
  Bytes expected{0, 1, 0, 2, 0, 80};
  const auto target = name("ok.test");
  expected.insert(expected.end(), target.wire().begin(), target.wire().end());
  EXPECT_EQ(Bytes(record.rdata.begin(), record.rdata.end()), expected);
}

}  // namespace
}  // namespace sluice::dns
