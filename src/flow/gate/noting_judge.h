// A judge of first bytes that remembers what it was asked last, and what it said.
#pragma once

#include <optional>

#include "flow/gate/claim.h"

namespace sluice::flow {

class NotingJudge final : public ClaimJudge {
 public:
  explicit NotingJudge(ClaimJudge& judge) : judge_(judge) {}

  [[nodiscard]] Judged judge_claim(const FlowKey& key, const NamedBy& by, const Claim& claim,
                                   Instant now) override {
    claim_ = claim;
    judged_ = judge_.judge_claim(key, by, claim, now);
    return judged_;
  }
  [[nodiscard]] RefusalWords words_of(const FlowKey& key, const Judged& judged) override {
    return judge_.words_of(key, judged);
  }

  // Nothing: it was not asked.
  [[nodiscard]] const std::optional<Claim>& claim() const { return claim_; }
  [[nodiscard]] const Judged& judged() const { return judged_; }

 private:
  ClaimJudge& judge_;
  std::optional<Claim> claim_;
  Judged judged_;
};

}  // namespace sluice::flow
