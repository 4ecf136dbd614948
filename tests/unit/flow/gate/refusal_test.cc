#include "flow/gate/refusal.h"

#include <gtest/gtest.h>

#include <string>

#include "unit/flow/gate/claims.h"
#include "wire/first_bytes/refusal_answers.h"

namespace sluice::flow::test {
namespace {

std::string text_of(const Refusal& refusal) {
  return {refusal.answer.begin(), refusal.answer.end()};
}
FlowKey key() {
  return {{wire::parse_ip("10.0.2.15").value(), wire::Port{40000}},
          {wire::parse_ip("198.51.100.7").value(), wire::Port{80}},
          wire::IpProtocol::kTcp};
}
Refusal refused(Claim::Kind kind, policy::Verdict verdict) {
  OneNameAllowed judge;
  const Claim claim{.kind = kind, .name = wire::DomainName::from_text("evil.test")};
  return refusal_of(key(), claim, {.verdict = verdict}, judge);
}

TEST(Refusal, EachProtocolIsToldInItsOwn) {
  const Refusal tls = refused(Claim::Kind::kTls, policy::Verdict::kServerNameMismatch);
  EXPECT_EQ(tls.verdict, policy::Verdict::kServerNameMismatch);
  EXPECT_EQ(tls.answer, std::vector<std::uint8_t>(wire::kTlsAccessDenied.begin(),
                                                  wire::kTlsAccessDenied.end()));
  const std::string page = text_of(refused(Claim::Kind::kHttp, policy::Verdict::kHostMismatch));
  EXPECT_TRUE(page.starts_with("HTTP/1.1 403 "));
  EXPECT_NE(page.find("evil.test:80 is not allowed"), std::string::npos);
  EXPECT_NE(page.find("ci.toml:3"), std::string::npos);
  EXPECT_NE(page.find("ask first"), std::string::npos);
  EXPECT_TRUE(refused(Claim::Kind::kOpaque, policy::Verdict::kNotTls).answer.empty());
}

TEST(Refusal, AQuotaIsAStatusOfItsOwn) {
  EXPECT_TRUE(
      text_of(refused(Claim::Kind::kHttp, policy::Verdict::kQuota)).starts_with("HTTP/1.1 429 "));
}

TEST(Refusal, EveryFaultHasItsWords) {
  for (const auto fault :
       {wire::HttpFault::kNone, wire::HttpFault::kSyntax, wire::HttpFault::kTooLong,
        wire::HttpFault::kVersion, wire::HttpFault::kFraming, wire::HttpFault::kConnect,
        wire::HttpFault::kUpgrade}) {
    const Refusal refusal = refusal_of_request(fault);
    EXPECT_EQ(refusal.verdict, policy::Verdict::kNotHttp);
    EXPECT_TRUE(text_of(refusal).starts_with("HTTP/1.1 403 "));
  }
  EXPECT_EQ(refusal_of_request(wire::HttpFault::kHost).verdict, policy::Verdict::kHostMismatch);
  EXPECT_EQ(refusal_of_hello().verdict, policy::Verdict::kNoServerName);
}

}  // namespace
}  // namespace sluice::flow::test
