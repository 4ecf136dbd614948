#include "dns/names/pins.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;

constexpr SipKey kKey{0x0123'4567, 0x89ab'cdef};

wire::DomainName name(std::string_view text) { return *wire::DomainName::from_text(text); }
wire::IpAddress address(std::uint32_t value) { return wire::IpAddress::v4(value); }

class PinsTest : public testing::Test {
 protected:
  std::optional<NameId> pin(std::string_view text, const wire::IpAddress& to, Duration ttl = 60s) {
    return pins_.pin(name(text), to, now_ + ttl, now_);
  }
  std::vector<std::string> names_of(const wire::IpAddress& of) {
    std::vector<Pinned> found(Pins::kNamesOfAddressMax);
    found.resize(pins_.names_of(of, found));
    std::vector<std::string> texts;
    for (const Pinned& one : found) texts.push_back(pins_.name(one.name)->to_text());
    std::ranges::sort(texts);
    return texts;
  }

  Pins pins_{kKey, {.names_max = 8, .addresses_max = 4, .bytes_max = 1U << 20U}};
  Instant now_{1000s};
};

TEST_F(PinsTest, AnAddressHasAllTheNamesThatLedToIt) {
  EXPECT_TRUE(pin("ok.test", address(1)));
  EXPECT_TRUE(pin("evil.test", address(1)));
  EXPECT_TRUE(pin("ok.test", address(2)));
  EXPECT_EQ(names_of(address(1)), (std::vector<std::string>{"evil.test", "ok.test"}));
  EXPECT_EQ(names_of(address(2)), (std::vector<std::string>{"ok.test"}));
  EXPECT_TRUE(names_of(address(3)).empty());
}

TEST_F(PinsTest, WhatIsNotedHasEndedForEverAndShortensNothing) {
  pins_.note(name("old.test"), address(1), now_);
  std::vector<Pinned> found(Pins::kNamesOfAddressMax);
  ASSERT_EQ(pins_.names_of(address(1), found), 1u);
  EXPECT_LT(found[0].expires, now_ - 1000h);
  const auto id = pin("old.test", address(1));
  ASSERT_TRUE(id.has_value());
  EXPECT_GE(pins_.expiry(*id, address(1)).value(), now_ + 60s);
  pins_.note(name("old.test"), address(1), now_);
  EXPECT_GE(pins_.expiry(*id, address(1)).value(), now_ + 60s);
}

TEST_F(PinsTest, APinOfNoTimeHasNotEndedForEver) {
  const auto id = pin("ok.test", address(1), 0s);
  ASSERT_TRUE(id.has_value());
  EXPECT_GE(pins_.expiry(*id, address(1)).value(), now_);
}

TEST_F(PinsTest, FamiliesAreKeptApart) {
  const auto v6 = wire::parse_ip("2001:db8::1");
  EXPECT_TRUE(pin("ok.test", *v6));
  EXPECT_EQ(names_of(*v6), (std::vector<std::string>{"ok.test"}));
  EXPECT_TRUE(names_of(*wire::parse_ip("2001:db8::2")).empty());
}

TEST_F(PinsTest, CaseDoesNotMatter) {
  const auto id = pin("Ok.TEST", address(1));
  EXPECT_EQ(pin("oK.test", address(1)), id);
  EXPECT_EQ(pins_.find(name("OK.test.")), id);
  EXPECT_EQ(pins_.name(*id)->to_text(), "ok.test");
  EXPECT_EQ(pins_.pins(), 1u);
}

TEST_F(PinsTest, APinLastsAsLongAsTheLongestAnswer) {
  const auto id = pin("ok.test", address(1), 100s);
  EXPECT_TRUE(pin("ok.test", address(1), 20s));
  EXPECT_EQ(*pins_.expiry(*id, address(1)), now_ + 100s);
  EXPECT_TRUE(pin("ok.test", address(1), 300s));
  EXPECT_EQ(*pins_.expiry(*id, address(1)), now_ + 300s);
  EXPECT_FALSE(pins_.expiry(*id, address(2)));
}

TEST_F(PinsTest, NeverEndsEarlyNorLaterThanAStep) {
  const auto id = pin("ok.test", address(1), 61s);
  const Instant expires = *pins_.expiry(*id, address(1));
  EXPECT_GE(expires, now_ + 61s);
  EXPECT_LE(expires, now_ + 61s + Pins::kStep);
}

TEST_F(PinsTest, ADayIsTheMost) {
  const auto id = pin("ok.test", address(1), 1'000'000s);
  EXPECT_LE(*pins_.expiry(*id, address(1)), now_ + Pins::kLifeMax + Pins::kStep);
}

TEST_F(PinsTest, TheAddressThatEndsFirstGivesWay) {
  for (std::uint32_t i = 1; i <= 4; ++i) EXPECT_TRUE(pin("ok.test", address(i), i * 100s));
  EXPECT_TRUE(pin("ok.test", address(9), 1000s));
  EXPECT_EQ(pins_.pins(), 4u);
  EXPECT_TRUE(names_of(address(1)).empty());
  for (const std::uint32_t i : {2U, 3U, 4U, 9U}) EXPECT_FALSE(names_of(address(i)).empty());
}

TEST_F(PinsTest, TheNameThatWasNotUsedForLongestGivesWay) {
  for (std::uint32_t i = 0; i < 8; ++i) EXPECT_TRUE(pin(fmt::format("n{}.test", i), address(i)));
  EXPECT_EQ(names_of(address(0)), (std::vector<std::string>{"n0.test"}));  // A use.
  EXPECT_TRUE(pin("new.test", address(100)));
  EXPECT_EQ(pins_.names(), 8u);
  EXPECT_FALSE(names_of(address(0)).empty());
  EXPECT_TRUE(names_of(address(1)).empty());
  EXPECT_FALSE(pins_.find(name("n1.test")));
}

TEST_F(PinsTest, AHeldNameStaysAndWithoutRoomNothingIsPinned) {
  std::vector<NameId> held;
  for (std::uint32_t i = 0; i < 8; ++i) {
    held.push_back(*pin(fmt::format("n{}.test", i), address(i)));
    pins_.hold(held.back());
  }
  EXPECT_FALSE(pin("new.test", address(100)));
  EXPECT_TRUE(names_of(address(100)).empty());
  pins_.release(held[3]);
  EXPECT_TRUE(pin("new.test", address(100)));
  EXPECT_FALSE(pins_.name(held[3])) << "a name that is gone leads nowhere";
  EXPECT_TRUE(pins_.name(held[2]));
}

TEST_F(PinsTest, AnAddressHasNoMoreNamesThanAreLookedAt) {
  Pins many(kKey);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    EXPECT_TRUE(many.pin(name(fmt::format("n{}.test", i)), address(1), now_ + 60s + i * 10s, now_));
  }
  std::vector<Pinned> found(2000);
  EXPECT_EQ(many.names_of(address(1), found), Pins::kNamesOfAddressMax);
  EXPECT_TRUE(many.expiry(*many.find(name("n999.test")), address(1)));
  EXPECT_FALSE(many.expiry(*many.find(name("n0.test")), address(1))) << "it ended first";
}

TEST_F(PinsTest, BytesAreBounded) {
  constexpr std::size_t kBytes = 64'000;
  Pins small(kKey, {.names_max = 10'000, .addresses_max = 100, .bytes_max = kBytes});
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    (void)small.pin(name(fmt::format("n{}.test", i / 20)), address(i), now_ + 60s, now_);
    ASSERT_LE(small.bytes_held(), kBytes);
  }
  EXPECT_GT(small.names(), 20u);
  EXPECT_TRUE(small.find(name("n999.test"))) << "the newest is there";
}

// A tenth of what fits into 16 MiB; all of it is in bench/micro, which does not take a minute.
TEST_F(PinsTest, AThousandNamesOfAHundredAddressesTakeATenthOf16MiB) {
  Pins full(kKey, {.names_max = 1000});
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const auto owner = name(fmt::format("host-{:06}.example.com", i));
    std::array<std::uint8_t, 16> octets{0x20, 0x01, 0x0d, 0xb8};
    put32<8>(FixedBytes<16>(octets), i);
    for (std::uint32_t j = 0; j < 100; ++j) {
      put32<12>(FixedBytes<16>(octets), j);
      ASSERT_TRUE(full.pin(owner, wire::IpAddress::v6(FixedView<16>(octets)), now_ + 60s, now_));
    }
  }
  EXPECT_EQ(full.pins(), 100'000u);
  EXPECT_LE(full.bytes_held(), (16U << 20U) / 10);
}

TEST_F(PinsTest, ARunOfMonthsKeepsTimeRight) {
  auto id = pin("ok.test", address(1), 60s);
  for (int day = 0; day < 400; ++day) {
    now_ += 24h;
    EXPECT_LE(*pins_.expiry(*id, address(1)), now_);
    id = pin("ok.test", address(1), 60s);
    EXPECT_EQ(*pins_.expiry(*id, address(1)), now_ + 60s);
  }
  now_ += 24h * 1000;  // Without a question.
  EXPECT_TRUE(pin("other.test", address(2)));
  EXPECT_LE(*pins_.expiry(*id, address(1)), now_);
}

TEST_F(PinsTest, StaleNamesAreIgnored) {
  NameId unknown;
  pins_.hold(unknown);
  pins_.release(unknown);
  EXPECT_FALSE(pins_.name(unknown));
  EXPECT_FALSE(pins_.expiry(unknown, address(1)));
  const auto id = pin("ok.test", address(1));
  pins_.release(*id);  // Never held.
  EXPECT_TRUE(pins_.name(*id));
}

}  // namespace
}  // namespace sluice::dns
