#include "app/policy/policy_question.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace sluice::app {
namespace {

using policy::Effect;

policy::EgressPolicy made(const std::vector<std::pair<Effect, std::string_view>>& rules) {
  policy::EgressDraft draft{.fallback = Effect::kDeny};
  for (const auto& [effect, target] : rules) {
    draft.rules.push_back(
        {policy::parse_egress_target(target).value(),
         {.id = "f:" + std::to_string(draft.rules.size()), .effect = effect, .note = "a note"}});
  }
  return policy::EgressPolicy::compile(std::move(draft)).value();
}

std::string asked(const policy::EgressPolicy& policy, std::string_view protocol,
                  std::string_view target) {
  const auto answer = ask_policy(policy, protocol, target);
  return answer ? answer_text(policy, *answer) : "mistake: " + answer.error().text;
}

TEST(PolicyQuestion, OfANameIsAnsweredByTheRuleThatDecides) {
  const policy::EgressPolicy policy =
      made({{Effect::kAllow, "*.pypi.org:443"}, {Effect::kDeny, "bad.pypi.org"}});
  EXPECT_EQ(asked(policy, "tcp", "files.pypi.org:443"),
            "allow: allow *.pypi.org:443 (f:0)\nnote: a note\n");
  EXPECT_EQ(asked(policy, "tcp", "bad.pypi.org:443"),
            "deny: deny bad.pypi.org (f:1); reason name-denied\nnote: a note\n");
  EXPECT_EQ(asked(policy, "tcp", "files.pypi.org:80"),
            "deny: no rule speaks of it, and the default is deny; reason port-unlisted\n");
  EXPECT_EQ(asked(policy, "tcp", "example.com:443"),
            "deny: no rule speaks of it, and the default is deny; reason name-unlisted\n");
}

TEST(PolicyQuestion, OfAnAddressIsAnsweredWithTheFloor) {
  const policy::EgressPolicy policy = made({{Effect::kAllow, "@public:443"}});
  EXPECT_TRUE(asked(policy, "tcp", "1.1.1.1:443").starts_with("allow: allow @public:443 (f:0)"));
  EXPECT_EQ(asked(policy, "tcp", "10.0.0.1:443"),
            "deny: no rule speaks of it, and the default is deny; reason address-unlisted\n");
  EXPECT_NE(asked(policy, "tcp", "169.254.169.254:443").find("(built-in)"), std::string::npos);
  EXPECT_TRUE(asked(policy, "tcp", "example.com:443")
                  .starts_with("allow if its address is one of allow @public:443 (f:0)"));
}

TEST(PolicyQuestion, MustBeOfOneTarget) {
  const policy::EgressPolicy policy = made({});
  for (const auto& [protocol, target] :
       std::vector<std::pair<const char*, const char*>>{{"sctp", "a.test:1"},
                                                        {"tcp", "a.test"},
                                                        {"tcp", "a.test:80-81"},
                                                        {"tcp", "*.a.test:80"},
                                                        {"tcp", "10.0.0.0/8:80"},
                                                        {"tcp", "@public:80"},
                                                        {"icmp", "a.test:80"},
                                                        {"tcp", "a b:80"}}) {
    EXPECT_TRUE(asked(policy, protocol, target).starts_with("mistake: ")) << target;
  }
  EXPECT_TRUE(asked(policy, "icmp", "a.test").starts_with("deny"));
}

TEST(PolicyQuestion, IsAnsweredAsJson) {
  const policy::EgressPolicy policy = made({{Effect::kAllow, "a.test"}});
  const std::string json = answer_json(policy, ask_policy(policy, "tcp", "b.test:443").value());
  EXPECT_NE(json.find("\"decision\": \"deny\""), std::string::npos);
  EXPECT_NE(json.find("\"reason\": \"name-unlisted\""), std::string::npos);
  EXPECT_NE(json.find("\"rule\": \"default\""), std::string::npos);
}

}  // namespace
}  // namespace sluice::app
