// The relay and its judge: before the cache, and of each answer.
#include "dns/query_judge.h"

#include <gtest/gtest.h>

#include "dns/dns_relay.h"
#include "dns/dns_reply.h"
#include "unit/dns/dns_messages.h"

namespace sluice::dns::test {
namespace {

using namespace std::chrono_literals;

class Judge final : public QueryJudge {
 public:
  std::optional<LocalAnswer> judge_query(const wire::DnsQuestion& question, Instant) override {
    ++queries;
    return question.name == *wire::DomainName::from_text("evil.test") ? refusal : std::nullopt;
  }
  JudgedAnswer judge_answer(const wire::DnsView&, Instant) override {
    ++answers;
    return judged;
  }

  std::optional<LocalAnswer> refusal = LocalAnswer{.rcode = wire::DnsRcode::kNxDomain, .why = "no"};
  JudgedAnswer judged;
  int queries = 0;
  int answers = 0;
};

class QueryJudgeTest : public testing::Test {
 protected:
  QueryJudgeTest() {
    relay_.set_resolvers({resolver_});
    relay_.set_judge(&judge_);
  }
  // What it answers at once; empty if it asks.
  Bytes ask(const Bytes& query, const DnsClient& client = {}) {
    actions_.clear();
    (void)relay_.on_query(client, query, now_, actions_);
    return answer();
  }
  Bytes answer() {
    for (const DnsAction& action : actions_) {
      if (const auto* found = std::get_if<DnsAnswer>(&action)) return found->message;
    }
    return {};
  }
  Bytes resolve(const Bytes& query, const AnswerOptions& options) {
    EXPECT_TRUE(ask(query).empty());
    const auto* sent = std::get_if<OpenDnsUdp>(&actions_.front());
    EXPECT_NE(sent, nullptr);
    const OpenDnsUdp open = *sent;
    actions_.clear();
    relay_.on_upstream_udp(open.slot, make_answer(open.message, options), now_, actions_);
    return answer();
  }
  static wire::DnsView view(const Bytes& message) { return wire::DnsView::parse(message).value(); }

  wire::Endpoint resolver_ = *wire::parse_endpoint("192.0.2.1:53");
  DnsRelay relay_{SipKey{1, 2}};
  DnsRelay::Actions actions_;
  Judge judge_;
  Instant now_{1000s};
};

TEST_F(QueryJudgeTest, ARefusedQuestionLeavesNobodyAsked) {
  const Bytes reply = ask(make_query("evil.test"));
  ASSERT_FALSE(reply.empty());
  EXPECT_EQ(actions_.size(), 1u);
  EXPECT_EQ(view(reply).header().rcode, wire::DnsRcode::kNxDomain);
  EXPECT_EQ(view(reply).header().id, 0x1111);
  EXPECT_EQ(view(reply).header().additional_count, 0) << "nothing that was not asked for";
  EXPECT_EQ(view(reply).header().authority_count, 0) << "no SOA: it is not to be cached";
}

TEST_F(QueryJudgeTest, WithEdnsItSaysWhy) {
  const Bytes reply = ask(make_query("evil.test", {.edns_size = 1232}));
  const auto record = view(reply).records().next().value();
  EXPECT_EQ(record.type, wire::DnsType::kOpt);
  const Bytes expected{0, 15, 0, 4, 0, 15, 'n', 'o'};
  EXPECT_EQ(Bytes(record.rdata.begin(), record.rdata.end()), expected);
}

// A query of this name with all that it could carry beside its question.
Bytes laden_query(std::string_view name, const QueryOptions& options) {
  Bytes query = make_query(name, options);
  query[2] |= 0x06;                                 // AA and TC,
  query[3] |= 0x4f;                                 // Z and an rcode,
  query.insert(query.end(), {'d', 'a', 't', 'a'});  // and bytes behind the last record.
  return query;
}

TEST_F(QueryJudgeTest, NothingOfTheGuestsLeavesButTheQuestion) {
  const auto sent = [&](const Bytes& query) {
    EXPECT_TRUE(ask(query).empty());
    const auto* open = std::get_if<OpenDnsUdp>(&actions_.front());
    EXPECT_NE(open, nullptr);
    Bytes message = open->message;
    message[0] = message[1] = 0x11;  // The id is ours.
    return message;
  };
  EXPECT_EQ(sent(laden_query("oK.TeSt", {})), make_query("ok.test"));
  const QueryOptions laden{.edns_size = 4321,
                           .dnssec_ok = true,
                           .checking_disabled = true,
                           .edns_options = {0xfd, 0xe9, 0, 4, 'd', 'a', 't', 'a'}};
  EXPECT_EQ(
      sent(laden_query("Ok.TEST", laden)),
      make_query("ok.test", {.edns_size = 1232, .dnssec_ok = true, .checking_disabled = true}));
}

TEST_F(QueryJudgeTest, RecordsBesideAQuestionAreRefused) {
  for (const auto section :
       {wire::DnsSection::kAnswer, wire::DnsSection::kAuthority, wire::DnsSection::kAdditional}) {
    Bytes query(2048);
    wire::DnsBuilder builder(query, {.id = 0x1111, .recursion_desired = true});
    const auto name = wire::DomainName::from_text("ok.test").value();
    builder.add_question({name, wire::DnsType::kA, wire::DnsClass::kIn});
    builder.add_record(section, name, wire::DnsType::kTxt, wire::DnsClass::kIn, 0,
                       Bytes{4, 'd', 'a', 't', 'a'});
    const Bytes reply = ask(finish(builder, query));
    ASSERT_FALSE(reply.empty());
    EXPECT_EQ(actions_.size(), 1u) << "nobody is asked";
    EXPECT_EQ(view(reply).header().rcode, wire::DnsRcode::kFormErr);
  }
  EXPECT_EQ(judge_.queries, 0);
}

TEST_F(QueryJudgeTest, TheSpellingOfTheQuestionStays) {
  const Bytes query = make_query("eViL.tEsT");
  const Bytes reply = ask(query);
  EXPECT_TRUE(std::equal(query.begin() + 12, query.end(), reply.begin() + 12));
}

TEST_F(QueryJudgeTest, TheCacheLiesBehindIt) {
  (void)resolve(make_query("ok.test"), {.records = {{"198.51.100.1"}}});
  EXPECT_EQ(judge_.answers, 1);
  EXPECT_FALSE(ask(make_query("ok.test")).empty()) << "out of the cache";
  EXPECT_EQ(judge_.queries, 2);
  EXPECT_EQ(judge_.answers, 2) << "a cached answer is judged again";
}

TEST_F(QueryJudgeTest, WhatItChangesIsWhatTheGuestGets) {
  const Bytes query = make_query("ok.test", {.id = 0x4242});
  judge_.judged.changed = make_answer(query, {.records = {{"198.51.100.7"}}});
  const Bytes reply = resolve(query, {.records = {{"10.0.0.1"}, {"198.51.100.7"}}});
  EXPECT_EQ(view(reply).header().answer_count, 1);
  EXPECT_EQ(view(reply).header().id, 0x4242);
  // The cache has the resolver's own words.
  judge_.judged.changed.clear();
  EXPECT_EQ(view(ask(query)).header().answer_count, 2);
}

TEST_F(QueryJudgeTest, ItMayAnswerInTheResolversPlace) {
  judge_.judged.instead = LocalAnswer{.rcode = wire::DnsRcode::kNoError, .why = "private"};
  const Bytes reply =
      resolve(make_query("ok.test", {.edns_size = 1232}), {.records = {{"10.0.0.1"}}});
  EXPECT_EQ(view(reply).header().rcode, wire::DnsRcode::kNoError);
  EXPECT_EQ(view(reply).header().answer_count, 0);
  EXPECT_EQ(view(reply).header().additional_count, 1);
}

TEST_F(QueryJudgeTest, APointerIsARecord) {
  judge_.refusal = LocalAnswer{.pointer = wire::DomainName::from_text("ok.test"), .ttl = 60};
  const Bytes reply = ask(make_query("evil.test", {.type = wire::DnsType::kPtr}));
  const auto record = view(reply).records().next().value();
  EXPECT_EQ(record.type, wire::DnsType::kPtr);
  EXPECT_EQ(wire::dns_target_name(reply, record)->to_text(), "ok.test");
}

TEST_F(QueryJudgeTest, WhatDoesNotFitIsTruncated) {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  judge_.refusal =
      LocalAnswer{.why = std::string(120, 'x'), .pointer = wire::DomainName::from_text(longest)};
  const LocalAnswer& answer = *judge_.refusal;
  const Bytes query = make_query(longest, {.edns_size = 512});
  const Bytes head(query.begin(), query.begin() + 12 + 255 + 4);
  const Bytes reply = local_dns_answer(head, true, 512, answer);
  EXPECT_LE(reply.size(), 512u);
  EXPECT_TRUE(view(reply).header().truncated);
}

TEST_F(QueryJudgeTest, WithoutAJudgeAllIsPassedOn) {
  relay_.set_judge(nullptr);
  EXPECT_TRUE(ask(make_query("evil.test")).empty());
  EXPECT_EQ(judge_.queries, 0);
}

}  // namespace
}  // namespace sluice::dns::test
