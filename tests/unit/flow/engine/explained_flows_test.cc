// Connections to denied names that are told why, through the whole engine.
#include "flow/engine/explained_flows.h"

#include <algorithm>

#include "dns/names/synthetic_names.h"
#include "unit/flow/judge/synthetic_fixture.h"
#include "unit/wire/first_bytes/client_hellos.h"
#include "wire/first_bytes/refusal_answers.h"

namespace sluice::flow::test {
namespace {

using wire::test::hello_to;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

class ExplainedFlowsTest : public SyntheticFixture {};

TEST_P(ExplainedFlowsTest, ADeniedNameIsExplained) {
  with(kDeny, {{kAllow, "ok.test:443"}}, {.denied = policy::DeniedAnswer::kExplain});
  const std::string address = stand_in("evil.test");
  EXPECT_TRUE(dns::SyntheticNames::is_synthetic(ip(address))) << address;
  EXPECT_EQ(ttl_, 1u);
  EXPECT_EQ(engine().refused_queries().size(), 1u);
  EXPECT_EQ(stand_in("word"), "") << "nobody wants to hear of words";

  syn_to(address, 443);
  EXPECT_TRUE(all<ConnectTcp>().empty()) << "no host hears of it";
  guest_says(hello_to("evil.test"));
  ASSERT_FALSE(frames.empty());
  const ByteView said = frames.back().tcp().payload();
  EXPECT_TRUE(std::ranges::equal(said, wire::kTlsAccessDenied));
  EXPECT_EQ(told(), Verdict::kNameUnlisted);
  EXPECT_EQ(drops(DropReason::kNameUnlisted), 3u) << "two questions and a connection";
  EXPECT_TRUE(asked_.empty());

  syn_to(address, 80);
  guest_says(bytes_of("GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"));
  ASSERT_FALSE(frames.empty());
  const ByteView page = frames.back().tcp().payload();
  EXPECT_EQ(std::string(page.begin(), page.begin() + 12), "HTTP/1.1 403");

  EXPECT_EQ(tcp_to(address, 22), Verdict::kNameUnlisted);
  EXPECT_TRUE(told_prohibited());
  EXPECT_EQ(udp_to(address, 443), Verdict::kNameUnlisted);
  EXPECT_EQ(ping_to(address), Verdict::kNameUnlisted);
}

TEST_P(ExplainedFlowsTest, WhoIsToBeToldHasToSaySomething) {
  with(kDeny, {{kAllow, "ok.test:443"}}, {.denied = policy::DeniedAnswer::kExplain});
  const std::string address = stand_in("evil.test");
  syn_to(address, 443);
  EXPECT_EQ(engine().flow_count(), 1u);
  clear();
  pass(6s);
  EXPECT_EQ(engine().flow_count(), 0u);
  EXPECT_EQ(told(), Verdict::kNameUnlisted);
}

TEST_P(ExplainedFlowsTest, ThoseWhoAreToldAreBounded) {
  with(kDeny, {{kAllow, "ok.test:443"}}, {.denied = policy::DeniedAnswer::kExplain});
  const std::string address = stand_in("evil.test");
  for (std::size_t i = 0; i < ExplainedFlows::kFlowsMax; ++i) syn_to(address, 443);
  EXPECT_EQ(engine().flow_count(), ExplainedFlows::kFlowsMax);
  syn_to(address, 443);
  EXPECT_EQ(engine().flow_count(), ExplainedFlows::kFlowsMax);
  EXPECT_TRUE(told_prohibited());
}

INSTANTIATE_TEST_SUITE_P(Families, ExplainedFlowsTest,
                         testing::Values(wire::IpFamily::kV4, wire::IpFamily::kV6),
                         [](const auto& one) {
                           return one.param == wire::IpFamily::kV4 ? "v4" : "v6";
                         });

}  // namespace
}  // namespace sluice::flow::test
