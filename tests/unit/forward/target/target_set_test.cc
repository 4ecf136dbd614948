#include "forward/target/target_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "base/prng.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{100s};

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }

Target target(std::string host, std::uint32_t weight = 1) {
  Target made;
  made.place.host = std::move(host);
  made.place.port = 80;
  made.weight = weight;
  return made;
}

Rule rule_of(std::vector<Target> targets, Balance balance = Balance::kRoundRobin) {
  Rule rule;
  rule.targets = std::move(targets);
  rule.balance = balance;
  return rule;
}

std::string where(const std::optional<Destination>& destination) {
  if (!destination) return "none";
  return destination->inet ? wire::to_string(*destination->inet) : std::string(destination->path);
}

// Where a session that is refused everywhere tries, in order.
std::vector<std::string> failing_session(TargetSet& set, Attempt attempt, Instant now) {
  std::vector<std::string> tried;
  for (auto to = set.first(attempt, now); to; to = set.next(attempt, now)) {
    tried.push_back(where(to));
  }
  return tried;
}

// A session that connects and stays.
std::uint32_t open_session(TargetSet& set, Instant now = kStart, wire::IpAddress client = {}) {
  Attempt attempt{.client = client};
  const auto to = set.first(attempt, now);
  EXPECT_TRUE(to);
  return to ? to->target : 0;
}

std::uint32_t short_session(TargetSet& set, Instant now = kStart, wire::IpAddress client = {}) {
  const std::uint32_t at = open_session(set, now, client);
  set.ended(at);
  return at;
}

wire::IpAddress client_of(std::uint32_t number) {
  return wire::IpAddress::v4(0x0a00'0000U + number);
}

TEST(TargetSet, OneLiteralTarget) {
  TargetSet set(rule_of({target("192.0.2.1")}));
  Attempt attempt;
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.1:80");
  EXPECT_EQ(set.active(0), 1u);
  EXPECT_EQ(where(set.next(attempt, kStart)), "none");
  EXPECT_EQ(set.active(0), 0u);  // next() ended it.
  // The only one is tried again at once, and even when it is down.
  set.set_up(0, false);
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.1:80");
  set.ended(0);
  EXPECT_EQ(set.active(0), 0u);
  EXPECT_FALSE(set.is_name(0));
}

TEST(TargetSet, KindsOfPlaces) {
  Target path;
  path.place.path = "/run/x.sock";
  TargetSet set(
      rule_of({target("2001:db8::1"), path, target("db.example"), target(""), target("*")}));
  EXPECT_EQ(set.size(), 5u);
  const std::vector<bool> names{false, false, true, false, false};
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(set.is_name(i), names[i]) << i;
  EXPECT_EQ(set.addresses(0), std::vector{ip("2001:db8::1")});
  EXPECT_TRUE(set.addresses(1).empty());
  EXPECT_TRUE(set.addresses(2).empty());
  EXPECT_EQ(set.addresses(3), (std::vector{ip("127.0.0.1"), ip("::1")}));
  // The name has no address, so it is not tried.
  EXPECT_EQ(failing_session(set, {}, kStart),
            (std::vector<std::string>{"[2001:db8::1]:80", "/run/x.sock", "127.0.0.1:80", "[::1]:80",
                                      "127.0.0.1:80", "[::1]:80"}));
}

TEST(TargetSet, PortRanges) {
  Target range = target("192.0.2.1");
  range.place.port = 8000;
  range.place.port_count = 10;
  TargetSet set(rule_of({range}));
  Attempt attempt{.port_offset = 7};
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.1:8007");
}

TEST(TargetSet, RoundRobinIsSmoothAndByWeight) {
  TargetSet set(rule_of({target("192.0.2.1", 5), target("192.0.2.2", 1), target("192.0.2.3", 1)}));
  std::string order;
  for (int i = 0; i < 14; ++i) order += static_cast<char>('A' + short_session(set));
  EXPECT_EQ(order, "AABACAAAABACAA");
}

TEST(TargetSet, RoundRobinSharesOutWhatADownTargetLeaves) {
  TargetSet set(rule_of({target("192.0.2.1", 2), target("192.0.2.2", 2), target("192.0.2.3", 2),
                         target("192.0.2.4", 1)}));
  set.set_up(1, false);
  EXPECT_FALSE(set.up(1));
  std::map<std::uint32_t, int> count;
  for (int i = 0; i < 500; ++i) ++count[short_session(set)];
  EXPECT_EQ(count, (std::map<std::uint32_t, int>{{0, 200}, {2, 200}, {3, 100}}));
}

TEST(TargetSet, LeastConnectionsByWeight) {
  TargetSet set(
      rule_of({target("192.0.2.1", 3), target("192.0.2.2", 1)}, Balance::kLeastConnections));
  for (int i = 0; i < 400; ++i) (void)open_session(set);
  EXPECT_EQ(set.active(0), 300u);
  EXPECT_EQ(set.active(1), 100u);
  for (int i = 0; i < 90; ++i) set.ended(0);
  for (int i = 0; i < 90; ++i) EXPECT_EQ(open_session(set), 0u);
}

TEST(TargetSet, LeastConnectionsTakesTurnsWhenAllAreIdle) {
  TargetSet set(rule_of({target("192.0.2.1"), target("192.0.2.2"), target("192.0.2.3")},
                        Balance::kLeastConnections));
  std::string order;
  for (int i = 0; i < 6; ++i) order += static_cast<char>('A' + short_session(set));
  EXPECT_EQ(order, "ABCABC");
}

TEST(TargetSet, ClientHashIsStableEvenAndByWeight) {
  TargetSet set(rule_of({target("192.0.2.1", 1), target("192.0.2.2", 2), target("192.0.2.3", 1)},
                        Balance::kClientHash));
  std::map<std::uint32_t, int> count;
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    const std::uint32_t at = short_session(set, kStart, client_of(i));
    EXPECT_EQ(short_session(set, kStart, client_of(i)), at);
    ++count[at];
  }
  EXPECT_NEAR(count[0], 5'000, 250);
  EXPECT_NEAR(count[1], 10'000, 350);
  EXPECT_NEAR(count[2], 5'000, 250);
}

TEST(TargetSet, ClientHashMovesOnlyTheClientsOfATargetThatGoes) {
  const std::vector<Target> all{target("192.0.2.1"), target("192.0.2.2"), target("192.0.2.3", 2),
                                target("192.0.2.4")};
  TargetSet before(rule_of(all, Balance::kClientHash));
  TargetSet down(rule_of(all, Balance::kClientHash));
  down.set_up(1, false);
  // By a reload, which shifts positions.
  TargetSet without(rule_of({all[0], all[2], all[3]}, Balance::kClientHash));
  for (std::uint32_t i = 0; i < 2'000; ++i) {
    const std::uint32_t was = short_session(before, kStart, client_of(i));
    const std::uint32_t is = short_session(down, kStart, client_of(i));
    if (was != 1) {
      EXPECT_EQ(is, was);
    }
    const std::uint32_t reloaded = short_session(without, kStart, client_of(i));
    EXPECT_EQ(reloaded == 0 ? 0 : reloaded + 1, is);
  }
}

TEST(TargetSet, ClientHashFailsOverToWhereItWouldGoWithoutTheTarget) {
  const std::vector<Target> all{target("192.0.2.1"), target("192.0.2.2"), target("192.0.2.3")};
  for (std::uint32_t i = 0; i < 200; ++i) {
    TargetSet set(rule_of(all, Balance::kClientHash));
    Attempt attempt{.client = client_of(i)};
    const auto to = set.first(attempt, kStart);
    const auto other = set.next(attempt, kStart);
    ASSERT_TRUE(to && other);
    TargetSet without(rule_of(all, Balance::kClientHash));
    without.set_up(to->target, false);
    EXPECT_EQ(open_session(without, kStart, client_of(i)), other->target);
  }
}

TEST(TargetSet, TheSameTargetTwiceHasTwoShares) {
  TargetSet set(rule_of({target("192.0.2.1"), target("192.0.2.1")}, Balance::kClientHash));
  std::map<std::uint32_t, int> count;
  for (std::uint32_t i = 0; i < 1'000; ++i) ++count[short_session(set, kStart, client_of(i))];
  EXPECT_NEAR(count[0], 500, 100);
}

TEST(TargetSet, FailoverTriesEachTargetOnceDownOnesLast) {
  TargetSet set(rule_of(
      {target("192.0.2.1"), target("192.0.2.2"), target("192.0.2.3"), target("192.0.2.4", 0)}));
  set.set_up(0, false);
  const auto tried = failing_session(set, {}, kStart);
  EXPECT_EQ(tried, (std::vector<std::string>{"192.0.2.2:80", "192.0.2.3:80", "192.0.2.4:80",
                                             "192.0.2.1:80"}));
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(set.active(i), 0u);
}

TEST(TargetSet, WithNoneUpAllAreTried) {
  TargetSet set(rule_of({target("192.0.2.1"), target("192.0.2.2")}));
  set.set_up(0, false);
  set.set_up(1, false);
  EXPECT_EQ(failing_session(set, {}, kStart).size(), 2u);
}

TEST(TargetSet, BackupsOnlyWhenNoOtherIsUp) {
  TargetSet set(rule_of({target("192.0.2.1", 0), target("192.0.2.2"), target("192.0.2.3", 0)}));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(short_session(set), 1u);
  set.set_up(1, false);
  std::map<std::uint32_t, int> count;
  for (int i = 0; i < 10; ++i) ++count[short_session(set)];
  EXPECT_EQ(count, (std::map<std::uint32_t, int>{{0, 5}, {2, 5}}));
  set.set_up(1, true);
  EXPECT_EQ(short_session(set), 1u);
}

TEST(TargetSet, ATargetThatFailedIsTriedLastForTwoSeconds) {
  TargetSet set(rule_of({target("192.0.2.1"), target("192.0.2.2")}));
  Attempt attempt;
  const auto failed = set.first(attempt, kStart);
  const auto worked = set.next(attempt, kStart);
  ASSERT_TRUE(failed && worked);
  const Instant later = kStart + 1999ms;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(short_session(set, later), worked->target);
  // It is last, not out.
  Attempt second;
  EXPECT_EQ(set.first(second, later)->target, worked->target);
  EXPECT_EQ(set.next(second, later)->target, failed->target);
  std::set<std::uint32_t> used;
  for (int i = 0; i < 10; ++i) used.insert(short_session(set, later + 2s));
  EXPECT_EQ(used.size(), 2u);
}

TEST(TargetSet, NamesGetAddressesAndSwapThem) {
  TargetSet set(rule_of({target("db.example")}));
  Attempt attempt;
  EXPECT_EQ(where(set.first(attempt, kStart)), "none");
  EXPECT_EQ(set.active(0), 0u);
  set.set_addresses(0, {ip("192.0.2.1")});
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.1:80");
  set.set_addresses(0, {ip("192.0.2.9")});
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.9:80");
  set.set_addresses(0, {});
  EXPECT_EQ(where(set.first(attempt, kStart)), "none");
}

TEST(TargetSet, AddressesOfTheFirstFamilyTakeTurnsAndTheOthersFollow) {
  TargetSet set(rule_of({target("db.example")}));
  set.set_addresses(0, {ip("192.0.2.1"), ip("2001:db8::1"), ip("192.0.2.2")});
  std::vector<std::string> begun;
  for (int i = 0; i < 4; ++i) {
    Attempt attempt;
    begun.push_back(where(set.first(attempt, kStart)));
  }
  EXPECT_EQ(begun, (std::vector<std::string>{"192.0.2.1:80", "192.0.2.2:80", "192.0.2.1:80",
                                             "192.0.2.2:80"}));
  auto tried = failing_session(set, {}, kStart);
  std::ranges::sort(tried);
  EXPECT_EQ(tried, (std::vector<std::string>{"192.0.2.1:80", "192.0.2.2:80", "[2001:db8::1]:80"}));
}

TEST(TargetSet, AnAddressThatFailedIsNotBegunWithForTwoSeconds) {
  TargetSet set(rule_of({target("db.example")}));
  set.set_addresses(0, {ip("192.0.2.1"), ip("192.0.2.2")});
  Attempt attempt;
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.1:80");
  EXPECT_EQ(where(set.next(attempt, kStart)), "192.0.2.2:80");
  EXPECT_EQ(set.active(0), 1u);
  for (int i = 0; i < 5; ++i) {
    Attempt other;
    EXPECT_EQ(where(set.first(other, kStart + 1s)), "192.0.2.2:80");
  }
  // A mark outlives a refresh with the same addresses in another order.
  set.set_addresses(0, {ip("192.0.2.2"), ip("192.0.2.1")});
  Attempt other;
  EXPECT_EQ(where(set.first(other, kStart + 1s)), "192.0.2.2:80");
}

// All addresses of a session's target, in the order in which they are tried side by side.
std::vector<std::string> side_by_side(TargetSet& set, Attempt& attempt, Instant now) {
  std::vector<std::string> tried;
  for (auto to = set.first(attempt, now); to; to = set.beside(attempt, now)) {
    tried.push_back(where(to));
    if (!to->others) break;
  }
  EXPECT_FALSE(set.beside(attempt, now));
  return tried;
}

TEST(TargetSet, FamiliesTakeTurnsSideBySide) {
  TargetSet set(rule_of({target("db.example")}));
  set.set_addresses(0, {ip("2001:db8::1"), ip("2001:db8::2"), ip("2001:db8::3"), ip("192.0.2.1"),
                        ip("192.0.2.2")});
  Attempt attempt;
  EXPECT_EQ(side_by_side(set, attempt, kStart),
            (std::vector<std::string>{"[2001:db8::1]:80", "192.0.2.1:80", "[2001:db8::2]:80",
                                      "192.0.2.2:80", "[2001:db8::3]:80"}));
  // One session, however many addresses it tried, and nothing has failed.
  EXPECT_EQ(set.active(0), 1u);
  set.ended(0);
}

TEST(TargetSet, AddressesThatWereSetBackAreLastSideBySide) {
  TargetSet set(rule_of({target("db.example")}));
  set.set_addresses(0, {ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")});
  set.set_back(0, 1, kStart);
  Attempt attempt;
  EXPECT_EQ(side_by_side(set, attempt, kStart),
            (std::vector<std::string>{"192.0.2.1:80", "192.0.2.3:80", "192.0.2.2:80"}));
  set.set_back(0, 0, kStart);
  Attempt later;
  const auto tried = side_by_side(set, later, kStart);
  EXPECT_EQ(tried.front(), "192.0.2.3:80");
  EXPECT_EQ(tried.size(), 3u);
}

TEST(TargetSet, AnAddressThatLostARaceIsNoFailureOfItsTarget) {
  TargetSet set(rule_of({target("db.example"), target("192.0.2.7", 0)}));
  set.set_addresses(0, {ip("192.0.2.1"), ip("192.0.2.2")});
  Attempt attempt;
  EXPECT_EQ(where(set.first(attempt, kStart)), "192.0.2.1:80");
  EXPECT_EQ(where(set.beside(attempt, kStart)), "192.0.2.2:80");
  set.set_back(0, 0, kStart);
  set.ended(0);
  EXPECT_EQ(short_session(set), 0u);
  // All of them lost: that is one.
  EXPECT_TRUE(set.first(attempt, kStart));
  EXPECT_EQ(where(set.next_target(attempt, kStart)), "192.0.2.7:80");
  set.ended(1);
  EXPECT_EQ(short_session(set), 1u);
  EXPECT_EQ(set.active(0), 0u);
}

TEST(TargetSet, OfManyAddressesSixtyFourAreTriedAndNoneTwice) {
  TargetSet set(rule_of({target("db.example")}));
  std::vector<wire::IpAddress> many;
  for (std::uint32_t i = 0; i < 100; ++i) many.push_back(client_of(i));
  set.set_addresses(0, many);
  Attempt attempt;
  const auto tried = side_by_side(set, attempt, kStart);
  EXPECT_EQ(tried.size(), 64u);
  EXPECT_EQ(std::set<std::string>(tried.begin(), tried.end()).size(), 64u);
}

TEST(TargetSet, LoopbackBeginsWithIPv4UntilThatFails) {
  TargetSet set(rule_of({target("")}));
  for (int i = 0; i < 3; ++i) {
    Attempt attempt;
    EXPECT_EQ(where(set.first(attempt, kStart)), "127.0.0.1:80");
  }
  Attempt attempt;
  (void)set.first(attempt, kStart);
  EXPECT_EQ(where(set.next(attempt, kStart)), "[::1]:80");
  EXPECT_EQ(where(set.first(attempt, kStart + 1s)), "[::1]:80");
  EXPECT_EQ(where(set.first(attempt, kStart + 2s)), "127.0.0.1:80");
}

TEST(TargetSet, ANewAddressIsWorthANewAttempt) {
  TargetSet set(rule_of({target("db.example"), target("192.0.2.7", 0)}));
  set.set_addresses(0, {ip("192.0.2.1")});
  Attempt attempt;
  EXPECT_EQ(set.first(attempt, kStart)->target, 0u);
  EXPECT_EQ(set.next(attempt, kStart)->target, 1u);
  EXPECT_EQ(short_session(set), 1u);
  set.set_addresses(0, {ip("192.0.2.2")});
  EXPECT_EQ(short_session(set), 0u);
}

TEST(TargetSet, OfManyTargetsSixtyFourAreTriedAndNoneTwice) {
  std::vector<Target> many;
  for (std::uint32_t i = 0; i < 200; ++i) many.push_back(target(wire::to_string(client_of(i))));
  for (const Balance balance :
       {Balance::kRoundRobin, Balance::kLeastConnections, Balance::kClientHash}) {
    TargetSet set(rule_of(many, balance));
    const auto tried = failing_session(set, {}, kStart);
    EXPECT_EQ(tried.size(), 64u);
    EXPECT_EQ(std::set<std::string>(tried.begin(), tried.end()).size(), 64u);
  }
}

// Workers connect while names change and targets come and go. Run it under ThreadSanitizer.
TEST(TargetSet, ManyThreadsLeaveNothingInUse) {
  for (const Balance balance :
       {Balance::kRoundRobin, Balance::kLeastConnections, Balance::kClientHash}) {
    TargetSet set(
        rule_of({target("a.example"), target("192.0.2.1"), target(""), target("b", 0)}, balance));
    std::vector<std::jthread> threads;
    for (std::uint32_t worker = 0; worker < 3; ++worker) {
      threads.emplace_back([&, worker] {
        Prng prng(worker);
        for (int i = 0; i < 4'000; ++i) {
          Attempt attempt{.client = client_of(static_cast<std::uint32_t>(prng.below(50)))};
          const Instant now = kStart + i * 1ms;
          auto to = set.first(attempt, now);
          int tries = 0;
          while (to && prng.below(2) == 0) {
            to = set.next(attempt, now);
            ASSERT_LT(++tries, 20);
          }
          if (to) set.ended(to->target);
        }
      });
    }
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 2'000; ++i) {
        std::vector<wire::IpAddress> fresh;
        for (std::uint32_t k = 0; k < i % 4; ++k) fresh.push_back(client_of(i + k));
        set.set_addresses(0, fresh);
        set.set_addresses(3, fresh);
        set.set_up(1, i % 3 != 0);
        (void)set.addresses(0);
      }
    });
    threads.clear();
    for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(set.active(i), 0u);
  }
}

}  // namespace
}  // namespace sluice::forward
