#include "app/ctl/ctl_reload.h"

#include <gtest/gtest.h>

#include "serve/control/policy_upload.h"

namespace sluice::app {
namespace {

TEST(CtlReload, ALargePolicyComesInPartsThatFitIntoALine) {
  policy::EgressDraft draft{.fallback = policy::Effect::kDeny};
  for (int i = 0; i < 5'000; ++i) {
    draft.rules.push_back({policy::parse_egress_target(std::to_string(i) + ".example.org").value(),
                           {.id = "ci.toml:" + std::to_string(i), .note = "\"\\\n\x01"}});
  }
  const auto requests = reload_requests(draft, 7);
  EXPECT_GT(requests.size(), 1u);
  serve::PolicyUpload upload;
  for (const std::string& line : requests) {
    ASSERT_LE(line.size(), control::kLineMax);
    ASSERT_TRUE(line.ends_with('\n'));
    const auto request = control::parse_request(std::string_view(line).substr(0, line.size() - 1));
    ASSERT_TRUE(request.has_value()) << request.error().message;
    const auto added = upload.add(*request);
    ASSERT_TRUE(added.has_value()) << added.error();
    EXPECT_EQ(added->has_value(), &line == &requests.back());
    if (added->has_value()) {
      EXPECT_EQ((*added)->rules.size(), 5'000u);
    }
  }
}

}  // namespace
}  // namespace sluice::app
