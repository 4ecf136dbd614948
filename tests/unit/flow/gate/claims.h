// A judge for tests: one name is allowed, and every claim is remembered.
#pragma once

#include <string>
#include <vector>

#include "flow/gate/claim.h"

namespace sluice::flow::test {

class OneNameAllowed final : public ClaimJudge {
 public:
  explicit OneNameAllowed(std::string name = "ok.test") : name_(std::move(name)) {}

  Judged judge_claim(const FlowKey& /*key*/, const NamedBy& /*by*/, const Claim& claim,
                     Instant /*now*/) override {
    claims.push_back(claim);
    if (claim.kind == Claim::Kind::kOpaque) return {.verdict = opaque};
    const bool tls = claim.kind == Claim::Kind::kTls;
    Judged judged{.every_request = every_request,
                  .by = {.source = tls ? NameSource::kServerName : NameSource::kHost}};
    if (!claim.name) {
      judged.verdict = tls ? policy::Verdict::kNoServerName : policy::Verdict::kHostMismatch;
    } else if (claim.name->to_text() != name_) {
      judged.verdict = tls ? policy::Verdict::kServerNameMismatch : policy::Verdict::kHostMismatch;
    }
    return judged;
  }
  RefusalWords words_of(const FlowKey& /*key*/, const Judged& /*judged*/) override {
    return {.rule = "ci.toml:3", .note = "ask first"};
  }

  std::vector<Claim> claims;
  policy::Verdict opaque = policy::Verdict::kAccepted;
  bool every_request = true;

 private:
  std::string name_;
};

}  // namespace sluice::flow::test
