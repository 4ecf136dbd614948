#include "dns/dns_cache.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "unit/dns/dns_messages.h"

namespace sluice::dns {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using test::make_answer;
using test::make_query;
using wire::DnsRcode;
using wire::DnsView;

constexpr SipKey kKey{1, 2};
constexpr Instant kStart{1000s};

DnsKey key_of(const Bytes& query) {
  const DnsView view = DnsView::parse(query).value();
  return {view, read_dns_query(view).value()};
}

struct Cache {
  DnsCache cache{kKey, {}};
  void store(const Bytes& query, const Bytes& answer, Instant now = kStart) {
    cache.store(key_of(query), DnsView::parse(answer).value(), now);
  }
  std::optional<Bytes> find(const Bytes& query, Instant now = kStart) {
    const auto found = cache.find(key_of(query), DnsView::parse(query).value(), now);
    if (!found) return std::nullopt;
    return Bytes(found->begin(), found->end());
  }
};

TEST(DnsCache, dns_cache_keys_by_question_not_xid) {
  Cache c;
  const Bytes first = make_query("example.com", {.id = 0x1111});
  c.store(first, make_answer(first, {.records = {{"192.0.2.1"}}}));
  const Bytes second = make_query("example.com", {.id = 0x2222});
  const auto answer = c.find(second);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(DnsView::parse(*answer)->header().id, 0x2222);
  EXPECT_FALSE(c.find(make_query("example.org", {.id = 0x1111})).has_value());
  EXPECT_FALSE(c.find(make_query("example.com", {.type = wire::DnsType::kAaaa})).has_value());
}

TEST(DnsCache, AnswerKeepsTheCaseOfTheQuery) {
  Cache c;
  const Bytes plain = make_query("example.com");
  c.store(plain, make_answer(plain, {.records = {{"192.0.2.1"}}}));
  const Bytes mixed = make_query("eXaMpLe.CoM");
  const auto answer = c.find(mixed);
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(std::ranges::equal(DnsView::parse(*answer)->question_bytes(),
                                 DnsView::parse(mixed)->question_bytes()));
}

TEST(DnsCache, FlagsThatChangeTheAnswerArePartOfTheKey) {
  Cache c;
  const Bytes plain = make_query("example.com");
  c.store(plain, make_answer(plain, {.records = {{"192.0.2.1"}}}));
  EXPECT_TRUE(c.find(plain).has_value());
  EXPECT_FALSE(c.find(make_query("example.com", {.edns_size = 1232})).has_value());
  EXPECT_FALSE(
      c.find(make_query("example.com", {.edns_size = 1232, .dnssec_ok = true})).has_value());
  EXPECT_FALSE(c.find(make_query("example.com", {.checking_disabled = true})).has_value());
}

// Not a blanket time for all: the records say for how long they hold.
TEST(DnsCache, HonoursTheSmallestTtl) {
  Cache c;
  const Bytes query = make_query("example.com");
  c.store(query, make_answer(query, {.records = {{"192.0.2.1", 300}, {"192.0.2.2", 5}}}));
  EXPECT_TRUE(c.find(query, kStart + 4999ms).has_value());
  EXPECT_FALSE(c.find(query, kStart + 5s).has_value());
  EXPECT_EQ(c.cache.entries(), 0u);
  EXPECT_EQ(c.cache.bytes_held(), 0u);
  const Bytes longer = make_query("long.example");
  c.store(longer, make_answer(longer, {.records = {{"192.0.2.1", 7200}}}));
  EXPECT_TRUE(c.find(longer, kStart + 7199s).has_value());
}

TEST(DnsCache, AliasTtlCountsToo) {
  Cache c;
  const Bytes query = make_query("www.example.com");
  c.store(query, make_answer(query, {.records = {{"192.0.2.1", 300}},
                                     .alias = "cdn.example.net",
                                     .alias_ttl = 10}));
  EXPECT_FALSE(c.find(query, kStart + 10s).has_value());
}

TEST(DnsCache, TtlsAgeAsTimePasses) {
  Cache c;
  const Bytes query = make_query("example.com");
  c.store(query, make_answer(query, {.records = {{"192.0.2.1", 300}}}));
  EXPECT_EQ(test::first_ttl(*c.find(query)), 300u);
  EXPECT_EQ(test::first_ttl(*c.find(query, kStart + 100s)), 200u);
  EXPECT_EQ(test::first_ttl(*c.find(query, kStart + 299s)), 1u);
  // From what was stored, not from what was served last.
  EXPECT_EQ(test::first_ttl(*c.find(query, kStart + 10s)), 290u);
}

TEST(DnsCache, ZeroTtlAndHugeTtl) {
  Cache c;
  const Bytes zero = make_query("zero.example");
  c.store(zero, make_answer(zero, {.records = {{"192.0.2.1", 0}}}));
  EXPECT_FALSE(c.find(zero).has_value());
  const Bytes negative = make_query("high-bit.example");  // RFC 2181, 8.
  c.store(negative, make_answer(negative, {.records = {{"192.0.2.1", 0x8000'0001}}}));
  EXPECT_FALSE(c.find(negative).has_value());
  const Bytes huge = make_query("huge.example");
  c.store(huge, make_answer(huge, {.records = {{"192.0.2.1", 0x7fff'ffff}}}));
  EXPECT_TRUE(c.find(huge, kStart + 86'399s).has_value());
  EXPECT_FALSE(c.find(huge, kStart + 86'400s).has_value());
}

// RFC 2308: as long as the SOA says.
TEST(DnsCache, NegativeAnswersFollowTheSoa) {
  for (const DnsRcode rcode : {DnsRcode::kNxDomain, DnsRcode::kNoError}) {
    Cache c;
    const Bytes query = make_query("missing.example");
    c.store(query,
            make_answer(query, {.rcode = rcode, .soa = true, .soa_ttl = 900, .soa_minimum = 30}));
    EXPECT_TRUE(c.find(query, kStart + 29s).has_value());
    EXPECT_FALSE(c.find(query, kStart + 30s).has_value());
    c.store(query,
            make_answer(query, {.rcode = rcode, .soa = true, .soa_ttl = 20, .soa_minimum = 900}));
    EXPECT_FALSE(c.find(query, kStart + 20s).has_value());
    c.store(query, make_answer(query, {.rcode = rcode}));
    EXPECT_FALSE(c.find(query).has_value()) << "without an SOA nothing may be kept";
  }
}

TEST(DnsCache, AliasToNothingFollowsTheSoa) {
  Cache c;
  const Bytes query = make_query("www.example.com", {.type = wire::DnsType::kAaaa});
  c.store(query, make_answer(query, {.alias = "cdn.example.net",
                                     .alias_ttl = 3600,
                                     .soa = true,
                                     .soa_ttl = 3600,
                                     .soa_minimum = 15}));
  EXPECT_TRUE(c.find(query, kStart + 14s).has_value());
  EXPECT_FALSE(c.find(query, kStart + 15s).has_value());
}

TEST(DnsCache, FailuresAndTruncatedAnswers) {
  Cache c;
  const Bytes query = make_query("example.com");
  c.store(query, make_answer(query, {.rcode = DnsRcode::kServFail}));
  EXPECT_TRUE(c.find(query, kStart + 1s).has_value());
  EXPECT_FALSE(c.find(query, kStart + 2s).has_value());
  for (const DnsRcode rcode : {DnsRcode::kRefused, DnsRcode::kFormErr, DnsRcode::kNotImp}) {
    c.store(query, make_answer(query, {.rcode = rcode}));
    EXPECT_FALSE(c.find(query).has_value());
  }
  c.store(query, make_answer(query, {.records = {{"192.0.2.1"}}, .truncated = true}));
  EXPECT_FALSE(c.find(query).has_value());
}

TEST(DnsCache, MalformedAnswersAreNotKept) {
  Cache c;
  const Bytes query = make_query("example.com");
  const Bytes answer = make_answer(query, {.records = {{"192.0.2.1"}, {"192.0.2.2"}}});
  for (std::size_t n = 12; n < answer.size(); ++n) {
    const auto view = DnsView::parse(ByteView(answer).first(n));
    if (view) c.cache.store(key_of(query), *view, kStart);
    EXPECT_EQ(c.cache.entries(), 0u) << n;
  }
}

// A guest decides how many questions there are.
TEST(DnsCache, EntriesAndBytesAreBounded) {
  DnsCache cache(kKey, {.entries_max = 10, .bytes_max = 1U << 20U});
  DnsCache small(kKey, {.entries_max = 1000, .bytes_max = 5000});
  for (int i = 0; i < 500; ++i) {
    const Bytes query = make_query("host" + std::to_string(i) + ".example");
    const Bytes answer = make_answer(query, {.records = {{"192.0.2.1"}}});
    cache.store(key_of(query), DnsView::parse(answer).value(), kStart);
    small.store(key_of(query), DnsView::parse(answer).value(), kStart);
    ASSERT_LE(cache.entries(), 10u);
    ASSERT_LE(small.bytes_held(), 5000u);
  }
  EXPECT_EQ(cache.entries(), 10u);
  EXPECT_GT(small.entries(), 2u);
  small.clear();
  EXPECT_EQ(small.bytes_held(), 0u);
}

TEST(DnsCache, LeastRecentlyUsedGoesFirst) {
  Cache c{DnsCache(kKey, {.entries_max = 2, .bytes_max = 1U << 20U})};
  const auto put = [&](const char* name) {
    const Bytes query = make_query(name);
    c.store(query, make_answer(query, {.records = {{"192.0.2.1"}}}));
  };
  put("a.example");
  put("b.example");
  EXPECT_TRUE(c.find(make_query("a.example")).has_value());
  put("c.example");
  EXPECT_TRUE(c.find(make_query("a.example")).has_value());
  EXPECT_FALSE(c.find(make_query("b.example")).has_value());
  EXPECT_TRUE(c.find(make_query("c.example")).has_value());
}

}  // namespace
}  // namespace sluice::dns
