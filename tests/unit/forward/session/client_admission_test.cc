#include "forward/session/client_admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/prng.h"

namespace sluice::forward {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{100s};

static_assert(sizeof(ClientAdmission::Ticket) == 2 * sizeof(void*));
static_assert(!std::is_copy_constructible_v<ClientAdmission::Ticket>);

wire::IpAddress ip(std::string_view text) { return wire::parse_ip(text).value(); }
policy::AddressPattern pattern(std::string_view text) {
  return policy::AddressPattern::parse(text).value();
}

// How an admission ends, with the ticket given back at once.
SessionResult result_of(ClientAdmission& admission, std::string_view client, Instant now = kStart) {
  const auto ticket = admission.admit(ip(client), now);
  return ticket ? SessionResult::kOpened : ticket.error();
}

TEST(ClientAdmission, AccessComesFirstAndTellsWhy) {
  Rule rule;
  rule.access.allow = {pattern("192.0.2.0/24")};
  rule.access.deny = {pattern("192.0.2.7")};
  rule.limits.connections = 1;
  ClientAdmission admission(rule, {.allow = {}, .deny = {pattern("192.0.2.9")}});
  const auto held = admission.admit(ip("192.0.2.1"), kStart);
  ASSERT_TRUE(held);
  // The rule is full, yet those that may not come in hear that.
  EXPECT_EQ(result_of(admission, "198.51.100.1"), SessionResult::kNotAllowed);
  EXPECT_EQ(result_of(admission, "192.0.2.7"), SessionResult::kDenied);
  EXPECT_EQ(result_of(admission, "192.0.2.9"), SessionResult::kDenied);
  EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kLimited);
}

TEST(ClientAdmission, WhoSendsAProxyHeaderIsJudgedFirstAndCounted) {
  Rule rule;
  rule.access.allow = {pattern("192.0.2.0/24")};
  rule.access.deny = {pattern("192.0.2.7"), pattern("10.0.0.66")};
  rule.proxy_from = {pattern("10.0.0.0/8")};
  rule.limits.connections = 2;
  rule.client_limits.connections = 1;
  ClientAdmission admission(rule, {.allow = {}, .deny = {pattern("10.9.9.9")}});
  const auto refused = [&](std::string_view peer) {
    const auto ticket = admission.admit_peer(ip(peer), kStart);
    return ticket ? SessionResult::kOpened : ticket.error();
  };
  EXPECT_EQ(refused("192.0.2.1"), SessionResult::kNotAllowed);  // A client is no proxy.
  EXPECT_EQ(refused("10.0.0.66"), SessionResult::kDenied);
  EXPECT_EQ(refused("10.9.9.9"), SessionResult::kDenied);
  auto one = admission.admit_peer(ip("10.0.0.1"), kStart);
  ASSERT_TRUE(one);
  {
    // Those that wait for a header take a place, of the rule's and not of the proxy's.
    auto two = admission.admit_peer(ip("10.0.0.1"), kStart);
    ASSERT_TRUE(two);
    EXPECT_EQ(refused("10.0.0.1"), SessionResult::kLimited);
    EXPECT_EQ(admission.admit_named(*two, ip("192.0.2.7"), kStart), SessionResult::kDenied);
    EXPECT_EQ(admission.admit_named(*two, ip("198.51.100.1"), kStart), SessionResult::kNotAllowed);
  }
  EXPECT_EQ(admission.admit_named(*one, ip("192.0.2.1"), kStart), std::nullopt);
  auto another = admission.admit_peer(std::nullopt, kStart);  // By a UNIX socket.
  ASSERT_TRUE(another);
  EXPECT_EQ(admission.admit_named(*another, ip("192.0.2.1"), kStart), SessionResult::kLimited);
  EXPECT_EQ(admission.admit_named(*another, ip("192.0.2.2"), kStart), std::nullopt);
}

TEST(ClientAdmission, WithoutLimitsThereIsNothingToThrottle) {
  ClientAdmission admission(Rule{}, {});
  const auto ticket = admission.admit(ip("192.0.2.1"), kStart);
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->to_target().rule, nullptr);
  EXPECT_EQ(ticket->to_target().client, nullptr);
  EXPECT_EQ(ticket->to_client().rule, nullptr);
  EXPECT_EQ(ticket->to_client().client, nullptr);
}

TEST(ClientAdmission, ATicketGivesItsPlaceBackOnce) {
  Rule rule;
  rule.limits.connections = 1;
  rule.client_limits.connections = 1;
  ClientAdmission admission(rule, {});
  {
    auto first = admission.admit(ip("192.0.2.1"), kStart);
    ASSERT_TRUE(first);
    ClientAdmission::Ticket moved = std::move(*first);
    EXPECT_EQ(result_of(admission, "192.0.2.1"), SessionResult::kLimited);
    ClientAdmission::Ticket assigned;
    assigned = std::move(moved);
    EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kLimited);
    assigned = ClientAdmission::Ticket();
    EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kOpened);
  }
  EXPECT_EQ(result_of(admission, "192.0.2.1"), SessionResult::kOpened);
}

TEST(ClientAdmission, NewSessionsOfARuleInASecond) {
  Rule rule;
  rule.limits.new_per_second = 2;
  ClientAdmission admission(rule, {});
  EXPECT_EQ(result_of(admission, "192.0.2.1"), SessionResult::kOpened);
  EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kOpened);
  EXPECT_EQ(result_of(admission, "192.0.2.3"), SessionResult::kLimited);
  EXPECT_EQ(result_of(admission, "192.0.2.3", kStart + 1100ms), SessionResult::kOpened);
}

TEST(ClientAdmission, WhatAClientIsRefusedUsesUpNothingOfTheRule) {
  Rule rule;
  rule.limits.new_per_second = 3;
  rule.client_limits.new_per_second = 1;
  ClientAdmission admission(rule, {});
  EXPECT_EQ(result_of(admission, "192.0.2.1"), SessionResult::kOpened);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(result_of(admission, "192.0.2.1"), SessionResult::kLimited);
  }
  EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kOpened);
  EXPECT_EQ(result_of(admission, "192.0.2.3"), SessionResult::kOpened);
  EXPECT_EQ(result_of(admission, "192.0.2.4"), SessionResult::kLimited);
}

TEST(ClientAdmission, WhatTheRuleRefusesLeavesTheClientsPlaceFree) {
  Rule rule;
  rule.limits.connections = 1;
  rule.client_limits.connections = 1;
  ClientAdmission admission(rule, {});
  auto held = admission.admit(ip("192.0.2.1"), kStart);
  ASSERT_TRUE(held);
  EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kLimited);
  *held = ClientAdmission::Ticket();
  EXPECT_EQ(result_of(admission, "192.0.2.2"), SessionResult::kOpened);
}

TEST(ClientAdmission, BucketsAreSharedAsTheyShould) {
  Rule rule;
  rule.limits.to_target_rate = 1'000'000;
  rule.client_limits.to_target_rate = 500'000;
  rule.client_limits.to_client_rate = 250'000;
  ClientAdmission admission(rule, {});
  const auto a1 = admission.admit(ip("192.0.2.1"), kStart);
  const auto a2 = admission.admit(ip("192.0.2.1"), kStart);
  const auto b = admission.admit(ip("192.0.2.2"), kStart);
  ASSERT_TRUE(a1 && a2 && b);
  ASSERT_NE(a1->to_target().rule, nullptr);
  EXPECT_EQ(a1->to_target().rule, b->to_target().rule);
  EXPECT_EQ(a1->to_target().rule->available(kStart), 50'000u);
  ASSERT_NE(a1->to_target().client, nullptr);
  EXPECT_EQ(a1->to_target().client, a2->to_target().client);
  EXPECT_NE(a1->to_target().client, b->to_target().client);
  EXPECT_EQ(a1->to_target().client->available(kStart), 25'000u);
  EXPECT_EQ(a1->to_client().rule, nullptr);
  EXPECT_EQ(a1->to_client().client->available(kStart), 12'500u);
}

// Workers admit, hold and release. Run it under ThreadSanitizer.
TEST(ClientAdmission, ManyThreadsNeverExceedABound) {
  Rule rule;
  rule.limits.connections = 40;
  rule.limits.to_client_rate = 1'000'000;
  rule.client_limits.connections = 3;
  rule.client_limits.to_target_rate = 1'000'000;
  ClientAdmission admission(rule, {});
  std::atomic<int> open{0};
  std::atomic<int> most{0};
  std::atomic<int> refused{0};
  std::vector<std::atomic<int>> per_client(16);
  std::vector<std::jthread> workers;
  for (std::uint32_t worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      Prng prng(worker);
      std::vector<std::pair<ClientAdmission::Ticket, std::size_t>> held;
      for (int i = 0; i < 5'000; ++i) {
        const Instant now = kStart + i * 1ms;
        if (!held.empty() && prng.below(2) == 0) {
          --open;
          --per_client[held.back().second];
          held.pop_back();
          continue;
        }
        const std::size_t client = prng.below(16);
        auto ticket = admission.admit(
            wire::IpAddress::v4(static_cast<std::uint32_t>(0x0a00'0000 + client)), now);
        if (!ticket) {
          ++refused;
          continue;
        }
        const int is_open = ++open;
        EXPECT_LE(is_open, 40);
        EXPECT_LE(++per_client[client], 3);
        for (int seen = most; seen < is_open && !most.compare_exchange_weak(seen, is_open);) {
        }
        ticket->to_target().client->take(100, now);
        ticket->to_client().rule->take(100, now);
        held.emplace_back(std::move(*ticket), client);
      }
      for (const auto& [ticket, client] : held) {
        --open;
        --per_client[client];
      }
    });
  }
  workers.clear();
  EXPECT_EQ(open, 0);
  EXPECT_GT(refused, 0);
  EXPECT_GT(most, 10);
}

}  // namespace
}  // namespace sluice::forward
