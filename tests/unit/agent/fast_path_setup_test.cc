#include "agent/fast_path_setup.h"

#include <gtest/gtest.h>

#include "sandbox/capabilities.h"
#include "unit/agent/agent_guest.h"

namespace sluice::agent {
namespace {

TEST(FastPathSetup, EachWorkerHasRawSocketsOfItsOwn) {
  in_guest([](AgentGuest&) {
    const auto pieces = set_up_fast_path({.channels = {}, .interface = AgentGuest::kTap}, 2);
    ASSERT_TRUE(pieces.has_value()) << pieces.error().describe();
    EXPECT_EQ(pieces->divert.size(), 0U);
    ASSERT_EQ(pieces->inject.size(), 2U);
    for (const InjectSockets& each : pieces->inject) {
      EXPECT_TRUE(each.v4.valid() && each.v6.valid());
    }
    EXPECT_TRUE(delete_mark_rule(kV4));
    EXPECT_TRUE(delete_mark_rule(kV6));
  });
}

TEST(FastPathSetup, AFamilyThatTheGuestLacks) {
  in_guest([](AgentGuest&) {
    const auto pieces =
        set_up_fast_path({.channels = {}, .interface = AgentGuest::kTap, .ipv6 = false}, 1);
    ASSERT_TRUE(pieces.has_value()) << pieces.error().describe();
    ASSERT_EQ(pieces->inject.size(), 1U);
    EXPECT_TRUE(pieces->inject.front().v4.valid());
    EXPECT_FALSE(pieces->inject.front().v6.valid());
    EXPECT_FALSE(delete_mark_rule(kV6));
  });
}

TEST(FastPathSetup, NamesThePieceThatIsMissing) {
  in_guest([](AgentGuest&) {
    const auto elsewhere = set_up_fast_path({.channels = {}, .interface = "tap9"}, 1);
    ASSERT_FALSE(elsewhere.has_value());
    EXPECT_EQ(elsewhere.error().describe(), "find interface tap9: No such device");
    ASSERT_TRUE(sandbox::drop_privileges());
    const auto weak = set_up_fast_path({.channels = {}, .interface = AgentGuest::kTap}, 1);
    ASSERT_FALSE(weak.has_value());
    EXPECT_EQ(weak.error().step, "TCP_REPAIR with IP_TRANSPARENT");
    EXPECT_EQ(weak.error().error, EPERM);
  });
}

}  // namespace
}  // namespace sluice::agent
