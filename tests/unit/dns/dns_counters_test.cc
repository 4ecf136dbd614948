// What the relay counts of the guest's questions.
#include "dns/dns_counters.h"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

#include "dns/dns_relay.h"
#include "unit/dns/dns_messages.h"

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;

// A relay with one resolver, asked by one client.
struct Bench {
  Bench() { relay.set_resolvers({{wire::IpAddress::v4(0xc000'0201), {53}}}); }
  void ask(const test::Bytes& message) {
    (void)relay.on_query(
        {.endpoint = {wire::IpAddress::v4(0x0a00'020f), {40'000}}, .asked = {}, .stream = {}},
        message, now, actions);
  }
  [[nodiscard]] std::uint64_t count(DnsResult result) const {
    return relay.counters().queries[static_cast<std::size_t>(result)];
  }

  DnsRelay relay{SipKey{1, 2}};
  Instant now{1000s};
  DnsRelay::Actions actions;
};

TEST(DnsCounters, EachResultHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kDnsResultCount; ++i) {
    words.insert(to_string(static_cast<DnsResult>(i)));
  }
  EXPECT_EQ(words.size(), kDnsResultCount);
}

TEST(DnsCounters, AQuestionIsCountedByWhatBecameOfIt) {
  Bench b;
  b.ask(test::make_query("example.com"));
  b.ask(test::make_query("example.com"));  // The same client waits for the answer.
  const auto open = std::get<OpenDnsUdp>(b.actions.front());
  b.now += 3ms;
  b.relay.on_upstream_udp(open.slot, test::make_answer(open.message, {.records = {{"192.0.2.8"}}}),
                          b.now, b.actions);
  b.ask(test::make_query("example.com"));
  b.ask({1, 2, 3});
  EXPECT_EQ(b.count(DnsResult::kAsked), 1u);
  EXPECT_EQ(b.count(DnsResult::kRepeated), 1u);
  EXPECT_EQ(b.count(DnsResult::kCached), 1u);
  EXPECT_EQ(b.count(DnsResult::kMalformed), 1u);
  EXPECT_EQ(b.relay.counters().upstream.counts()[2], 1u);
  EXPECT_EQ(b.relay.counters().upstream.sum(), 3ms);
  EXPECT_EQ(b.relay.counters().unanswered, 0u);
}

TEST(DnsCounters, SilenceIsCountedWhenItIsGivenUp) {
  Bench b;
  b.ask(test::make_query("example.com"));
  for (int i = 0; i < 20; ++i) {
    b.now += 1s;
    b.relay.on_timer(b.now, b.actions);
  }
  EXPECT_EQ(b.relay.counters().unanswered, 1u);
  EXPECT_EQ(b.relay.counters().upstream.sum(), Duration{});
}

TEST(DnsCounters, WithoutAResolverNobodyIsAsked) {
  Bench b;
  b.relay.set_resolvers({});
  b.ask(test::make_query("example.com"));
  EXPECT_EQ(b.count(DnsResult::kNobody), 1u);
  EXPECT_EQ(b.count(DnsResult::kAsked), 0u);
}

}  // namespace
}  // namespace sluice::dns
