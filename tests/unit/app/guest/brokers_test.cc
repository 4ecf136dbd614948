#include "app/guest/brokers.h"

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

policy::EgressDraft led_by(const std::vector<std::string>& vias) {
  policy::EgressDraft draft;
  for (const std::string& via : vias) {
    draft.rules.push_back({policy::parse_egress_target("a.test").value(),
                           {.id = via, .via = policy::parse_via(via).value()}});
  }
  return draft;
}

TEST(Brokers, NamesAreLookedUpAsTheHostDoes) {
  auto draft = led_by({"connect:localhost:3128", "proxy:localhost:9000", "connect:192.0.2.9:80"});
  ASSERT_TRUE(find_brokers(draft));
  for (const std::size_t rule : {0U, 1U}) {
    const policy::Via& via = *draft.rules[rule].rule.via;
    ASSERT_FALSE(via.endpoints.empty());
    EXPECT_EQ(via.endpoints[0].port, via.port);
  }
  EXPECT_EQ(draft.rules[2].rule.via->endpoints.size(), 1u);
}

TEST(Brokers, ANameThatIsNotThereIsAMistake) {
  auto draft = led_by({"connect:no-such-host.invalid:3128"});
  const auto found = find_brokers(draft);
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().find("'connect:no-such-host.invalid:3128'"), std::string::npos)
      << found.error();
}

}  // namespace
}  // namespace sluice::app
