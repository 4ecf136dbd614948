#include "flow/gate/noting_judge.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

class No final : public ClaimJudge {
 public:
  Judged judge_claim(const FlowKey& /*key*/, const NamedBy& /*by*/, const Claim& /*claim*/,
                     Instant /*now*/) override {
    return {.verdict = policy::Verdict::kServerNameMismatch};
  }
  RefusalWords words_of(const FlowKey& /*key*/, const Judged& /*judged*/) override {
    return {.rule = "a", .note = "b"};
  }
};

TEST(NotingJudge, RemembersWhatItWasAskedLastAndPassesItOn) {
  No no;
  NotingJudge judge(no);
  EXPECT_FALSE(judge.claim().has_value());
  const Judged judged = judge.judge_claim({}, {}, {.kind = Claim::Kind::kHttp}, {});
  EXPECT_EQ(judged.verdict, policy::Verdict::kServerNameMismatch);
  ASSERT_TRUE(judge.claim().has_value());
  EXPECT_EQ(judge.claim()->kind, Claim::Kind::kHttp);
  EXPECT_EQ(judge.judged().verdict, judged.verdict);
  EXPECT_EQ(judge.words_of({}, judged).note, "b");
}

}  // namespace
}  // namespace sluice::flow
