// Questions for names as a guest asks them, through the whole engine: attacks on DNS.
#include "flow/judge/dns_judge.h"

#include <fmt/format.h>

#include "unit/flow/judge/names_fixture.h"

namespace sluice::flow::test {

using dns::test::make_query;
using wire::DnsRcode;

namespace {

class DnsJudgeTest : public NamesFixture {};

TEST_P(DnsJudgeTest, AnUnlistedNameLeavesNobodyAsked) {
  EXPECT_FALSE(ask("secret.evil.test"));
  const Bytes answered = reply();
  EXPECT_EQ(header(answered).rcode, DnsRcode::kNxDomain);
  EXPECT_EQ(header(answered).authority_count, 0);
  EXPECT_EQ(why(answered),
            "sluice: secret.evil.test: name not allowed (default), see "
            "http://sluice.internal/why/1");
  EXPECT_EQ(drops(DropReason::kNameUnlisted), 1u);
  ASSERT_EQ(engine().refused_queries().size(), 1u);
  EXPECT_EQ(engine().refused_queries()[0].name.to_text(), "secret.evil.test");
  EXPECT_EQ(engine().refused_queries()[0].verdict, Verdict::kNameUnlisted);
}

TEST_P(DnsJudgeTest, AListedNameIsAskedForAndAnswered) {
  const Bytes answered = resolve("ok.test", {at(1)});
  EXPECT_EQ(answers(answered), 1u);
  EXPECT_TRUE(ask("deep.below.wild.test"));
  EXPECT_TRUE(engine().refused_queries().empty());
}

TEST_P(DnsJudgeTest, AnotherResolverEndsInOurs) {
  const auto foreign = ip(v4() ? "8.8.8.8" : "2001:4860:4860::8888");
  EXPECT_FALSE(ask(make_query("secret.evil.test", {.type = type()}), foreign));
  EXPECT_EQ(frames.back().packet().source, foreign) << "it answers as whom it was asked";
  EXPECT_EQ(header(reply()).rcode, DnsRcode::kNxDomain);
  EXPECT_TRUE(datagrams.empty());
  const auto open = ask(make_query("ok.test", {.type = type()}), foreign);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->resolver, endpoint("192.0.2.53:53")) << "by the host's resolvers";
}

TEST_P(DnsJudgeTest, OtherResolversStayThemselvesWhereNobodyIntercepts) {
  with(kDeny, {{kAllow, "ok.test"}, {kAllow, "8.8.8.8"}, {kAllow, "2001:4860:4860::8888"}},
       {.intercept = false});
  EXPECT_EQ(udp_to(v4() ? "8.8.8.8" : "2001:4860:4860::8888", 53), Verdict::kAccepted);
}

TEST_P(DnsJudgeTest, MulticastIsNobodysResolver) {
  clear();
  feed(udp_frame(network(), {guest_address(), {5353}},
                 {ip(v4() ? "224.0.0.251" : "ff02::fb"), {53}}, make_query("ok.test")));
  EXPECT_TRUE(frames.empty());
  EXPECT_EQ(drops(DropReason::kNotForUs), 1u);
}

TEST_P(DnsJudgeTest, NamesBelowAWildcardHaveABudget) {
  std::size_t asked = 0;
  for (int i = 0; i < 1000; ++i) {
    if (ask(fmt::format("x{}.wild.test", i))) ++asked;
  }
  EXPECT_EQ(asked, 120u);
  EXPECT_EQ(drops(DropReason::kDnsBudget), 880u);
  EXPECT_EQ(refused("more.wild.test"), DnsRcode::kNoError) << "names below it may be there";
  EXPECT_TRUE(ask("ok.test")) << "other names still work";
  EXPECT_FALSE(ask("x7.wild.test"));
  EXPECT_TRUE(frames.empty()) << "one that was counted is still being asked for";
}

TEST_P(DnsJudgeTest, LongLabelsSpendIt) {
  std::size_t asked = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string label = fmt::format("{:063x}", i);
    if (ask(fmt::format("{}.{}.{}.wild.test", label, label, label))) ++asked;
  }
  EXPECT_LE(asked, 8192u / 192);
  EXPECT_GE(asked, 40u);
}

TEST_P(DnsJudgeTest, OtherTypesStayHere) {
  for (const std::uint16_t other : std::vector<std::uint16_t>{16, 10, 255, 252, 251, 15, 2}) {
    const auto query = make_query("a.wild.test", {.type = wire::DnsType{other}, .edns_size = 1232});
    EXPECT_FALSE(ask(query)) << other;
    EXPECT_EQ(header(reply()).rcode, DnsRcode::kNoError) << other;
    EXPECT_EQ(answers(reply()), 0u);
  }
  EXPECT_EQ(drops(DropReason::kDnsType), 7u);
  EXPECT_TRUE(ask(make_query("a.wild.test", {.type = wire::DnsType::kHttps})));
}

TEST_P(DnsJudgeTest, PrivateAddressesAreDroppedAndNotPinned) {
  const std::vector<std::string> hostile =
      v4() ? std::vector<std::string>{"127.0.0.1",       "10.0.0.1",    "169.254.169.254",
                                      "100.100.100.200", "192.168.1.1", "0.0.0.0"}
           : std::vector<std::string>{"::1",
                                      "fd00:ec2::254",
                                      "fe80::1",
                                      "64:ff9b::a9fe:a9fe",
                                      "2002:a9fe:a9fe::1",
                                      "::7f00:1",
                                      "64:ff9b::10.0.0.1",
                                      "2001:0:a00:1::1"};
  const Bytes answered = resolve("ok.test", hostile);
  EXPECT_EQ(answers(answered), 0u);
  EXPECT_EQ(header(answered).rcode, DnsRcode::kNoError);
  EXPECT_TRUE(why(answered).starts_with("sluice: ok.test: private addresses (default)"));
  EXPECT_EQ(drops(DropReason::kDnsPrivate), 1u);
  for (const std::string& address : hostile) {
    if (address == "0.0.0.0") continue;  // No packet goes there at all.
    EXPECT_NE(tcp_to(address, 443), Verdict::kAccepted) << address;
  }
}

TEST_P(DnsJudgeTest, OfAMixedAnswerThePublicOnesStay) {
  const Bytes answered = resolve("ok.test", {at(1), v4() ? "10.0.0.1" : "fd12::1"});
  EXPECT_EQ(answers(answered), 1u);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
}

TEST_P(DnsJudgeTest, ARuleMayListPrivateAddresses) {
  const std::string inside = v4() ? "10.20.1.1" : "fd12::20";
  with(kDeny, {{kAllow, "jira.test:443", {"10.20.0.0/16", "fd12::/64"}}});
  EXPECT_EQ(answers(resolve("jira.test", {inside})), 1u);
  EXPECT_EQ(tcp_to(inside, 443), Verdict::kAccepted);
  EXPECT_EQ(tcp_to(inside, 22), Verdict::kPortUnlisted);
  EXPECT_EQ(tcp_to(v4() ? "10.20.1.2" : "fd12::21", 443), Verdict::kAddressUnlisted);
}

TEST_P(DnsJudgeTest, TheHostsOwnAddressIsPrivate) {
  engine().set_host_addresses({ip(at(7))});
  EXPECT_EQ(answers(resolve("ok.test", {at(7)})), 0u);
  EXPECT_EQ(tcp_to(at(7), 443), Verdict::kHostAddress);
}

TEST_P(DnsJudgeTest, WhereAllIsAllowedPrivateNamesAreAnswered) {
  const std::string inside = v4() ? "10.20.1.1" : "fd12::20";
  with(kAllow, {{kDeny, "evil.test"}});
  EXPECT_EQ(answers(resolve("wiki.corp.test", {inside})), 1u);
  EXPECT_EQ(tcp_to(inside, 443), Verdict::kAccepted);
  EXPECT_EQ(refused("evil.test"), DnsRcode::kNoError) << "what is below it is not denied";
  EXPECT_TRUE(ask(make_query("corp.test", {.type = wire::DnsType::kMx})));
}

TEST_P(DnsJudgeTest, OnlyTheChainFromTheQuestionIsPinned) {
  const auto open = ask("ok.test");
  ASSERT_TRUE(open);
  Bytes message = dns::test::make_answer(open->message, {.records = {{at(1)}}});
  // A record of another name behind it.
  Bytes longer(message.size() + 256);
  const auto view = wire::DnsView::parse(message).value();
  wire::DnsBuilder builder(longer, view.header());
  builder.add_question(*view.question());
  builder.add_address(wire::DnsSection::kAnswer, view.question()->name, 300, ip(at(1)));
  builder.add_address(wire::DnsSection::kAnswer, *wire::DomainName::from_text("evil.test"), 300,
                      ip(at(66)));
  longer.resize(builder.finish().value());
  engine().on_dns_answer(open->slot, Engine::DnsTransport::kUdp, longer, {now, sink});
  collect();
  EXPECT_EQ(answers(reply()), 1u);
  EXPECT_EQ(tcp_to(at(66), 443), Verdict::kAddressUnlisted);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
}

TEST_P(DnsJudgeTest, AChainThatMeetsADenialIsRefused) {
  with(kDeny, {{kAllow, "ok.test"}, {kDeny, "denied.test"}});
  const auto open = ask("ok.test");
  ASSERT_TRUE(open);
  const Bytes answered = answer(*open, {.records = {{at(1)}}, .alias = "denied.test"});
  EXPECT_EQ(header(answered).rcode, DnsRcode::kNxDomain);
  EXPECT_EQ(why(answered), "sluice: ok.test: name denied (#1), see http://sluice.internal/why/1");
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAddressUnlisted);
}

TEST_P(DnsJudgeTest, AnAliasOfAnUnlistedNameIsTheQuestionsOwn) {
  const auto open = ask("ok.test");
  ASSERT_TRUE(open);
  EXPECT_EQ(answers(answer(*open, {.records = {{at(1)}}, .alias = "evil.test"})), 2u);
  EXPECT_EQ(tcp_to(at(1), 443), Verdict::kAccepted);
  EXPECT_EQ(engine().name_of(last_flow()->by)->to_text(), "ok.test");
}

TEST_P(DnsJudgeTest, NamesAreMatchedByLabels) {
  EXPECT_TRUE(ask("OK.TeSt."));
  for (const char* odd : {"ok\\.test.evil.test", "ok\\000.test", "a b.wild.test", "*.wild.test",
                          "\\208\\190k.test"}) {
    EXPECT_FALSE(ask(odd)) << odd;
  }
  EXPECT_EQ(refused("xn--k-qtb.test"), DnsRcode::kNxDomain) << "another script is another name";
}

TEST_P(DnsJudgeTest, OneWordIsNoNameOfAHost) {
  EXPECT_EQ(refused("secret"), DnsRcode::kNxDomain);
  with(kDeny, {{kAllow, "*"}});
  EXPECT_EQ(refused("secret"), DnsRcode::kNoError) << "names below it may be there";
  with(kDeny, {{kAllow, "intranet"}});
  EXPECT_TRUE(ask("intranet"));
}

TEST_P(DnsJudgeTest, ANameAboveAnAllowedOneExists) {
  EXPECT_EQ(refused("wild.test"), DnsRcode::kNoError);
  EXPECT_EQ(refused("test"), DnsRcode::kNoError);
  with(kDeny, {{kAllow, "ok.test"}}, {.denied = policy::DeniedAnswer::kNoData});
  EXPECT_EQ(refused("evil.test"), DnsRcode::kNoError);
}

TEST_P(DnsJudgeTest, ReverseNamesAreAnsweredFromPinsAlone) {
  (void)resolve("ok.test", {v4() ? "203.0.113.1" : "2001:db8::1"});
  std::string reverse = "1.113.0.203.in-addr.arpa";
  if (!v4()) {
    reverse = "1";
    for (int i = 0; i < 23; ++i) reverse += ".0";
    reverse += ".8.b.d.0.1.0.0.2.ip6.arpa";
  }
  EXPECT_FALSE(ask(make_query(reverse, {.type = wire::DnsType::kPtr})));
  const Bytes answered = reply();
  ASSERT_EQ(answers(answered), 1u);
  const auto record = wire::DnsView::parse(answered).value().records().next().value();
  EXPECT_EQ(wire::dns_target_name(answered, record)->to_text(), "ok.test");
  for (const char* exfil : {"9.113.0.203.in-addr.arpa", "data.in-addr.arpa", "data.ip6.arpa"}) {
    EXPECT_FALSE(ask(make_query(exfil, {.type = wire::DnsType::kPtr}))) << exfil;
    EXPECT_EQ(header(reply()).rcode, DnsRcode::kNxDomain) << exfil;
  }
}

TEST_P(DnsJudgeTest, AReasonIsShortWhateverTheName) {
  const std::string label(63, 'x');
  const std::string longest = label + "." + label + "." + label + "." + label.substr(2);
  EXPECT_FALSE(ask(longest));
  EXPECT_LE(why(reply()).size(), 120u);
  EXPECT_NE(why(reply()).find("name not allowed (default)"), std::string::npos);
}

TEST_P(DnsJudgeTest, RefusalsThatNobodyTakesAreBounded) {
  for (int i = 0; i < 1000; ++i) (void)ask(fmt::format("x{}.evil.test", i));
  EXPECT_EQ(engine().refused_queries().size(), DnsJudge::kRefusedMax);
}

TEST_P(DnsJudgeTest, AChangeOfPolicyIsFeltByWhatTheCacheKnows) {
  (void)resolve("ok.test", {at(1)});
  change(kDeny, {{kAllow, "other.test"}});
  EXPECT_EQ(refused("ok.test"), DnsRcode::kNxDomain);
  change(kDeny, {{kAllow, "ok.test"}});
  EXPECT_FALSE(ask("ok.test"));
  EXPECT_EQ(answers(reply()), 1u) << "out of the cache";
}

INSTANTIATE_TEST_SUITE_P(Families, DnsJudgeTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
