#include "dns/names/name_book.h"

#include <gtest/gtest.h>

#include <array>

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;

// Counts, and sees that whoever has it gives it back first.
struct CountingLock {
  int taken = 0;
  bool held = false;
  void lock() {
    EXPECT_FALSE(held);
    held = true;
    ++taken;
  }
  void unlock() { held = false; }
};

TEST(NameBook, PassesEverythingOnUnderItsLock) {
  NameBookOf<CountingLock> book(SipKey{1, 2});
  NameBook& shared = book;
  const auto name = *wire::DomainName::from_text("a.wild.test");
  const auto domain = *wire::DomainName::from_text("wild.test");
  const Instant now{1000s};
  const auto id = shared.pin(name, wire::IpAddress::v4(1), now + 60s, now);
  ASSERT_TRUE(id);
  std::array<Pinned, 4> found{};
  EXPECT_EQ(shared.names_of(wire::IpAddress::v4(1), found), 1u);
  EXPECT_EQ(found[0].name, *id);
  EXPECT_EQ(shared.expiry(*id, wire::IpAddress::v4(1)), now + 60s);
  EXPECT_EQ(shared.find(name), id);
  EXPECT_EQ(shared.name(*id), name);
  shared.hold(*id);
  shared.release(*id);
  EXPECT_TRUE(shared.spend(domain, name, {}, now));
  const auto stand_in = shared.give_synthetic(name, SyntheticUse::kReached);
  ASSERT_TRUE(stand_in);
  EXPECT_NE(stand_in, id) << "a name may have both";
  EXPECT_EQ(shared.synthetic_at(SyntheticNames::address_of(*stand_in, wire::IpFamily::kV6)),
            stand_in);
  EXPECT_EQ(shared.name(*stand_in), name);
  shared.hold(*stand_in);
  shared.release(*stand_in);
  EXPECT_EQ(shared.name(*stand_in), name);
}

}  // namespace
}  // namespace sluice::dns
