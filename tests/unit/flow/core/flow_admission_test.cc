// Which meter a flow counts for, when it begins and when it changes.
#include "flow/core/flow_admission.h"

#include <gtest/gtest.h>

namespace sluice::flow {
namespace {

using policy::Meter;
using policy::MeterUse;

class AdmissionMeters : public testing::Test {
 protected:
  policy::Policy policy_{};
  FlowAdmission admission_{policy_, policy::HostAddresses::kRefused, policy::GuestLimits({}, 0)};
  MeterUse use_a_{"a"};
  MeterUse use_b_{"b"};
  Meter a_{use_a_, {.flows = 1}, nullptr};
  Meter b_{use_b_, {.flows = 1}, nullptr};
};

TEST_F(AdmissionMeters, AFlowThatBeginsTakesAPlace) {
  Metered first;
  Metered second;
  EXPECT_TRUE(admission_.enter_meter(first, &a_));
  EXPECT_TRUE(admission_.enter_meter(first, &a_)) << "it has its place";
  EXPECT_FALSE(admission_.enter_meter(second, &a_));
  EXPECT_TRUE(second.over);
  EXPECT_EQ(use_a_.flows, 1u);
  EXPECT_TRUE(admission_.enter_meter(first, &b_)) << "another rule lets it through";
  EXPECT_EQ(use_a_.flows, 0u);
  EXPECT_EQ(use_b_.flows, 1u);
  EXPECT_TRUE(admission_.enter_meter(second, &a_));
  EXPECT_FALSE(second.over);
  EXPECT_TRUE(admission_.enter_meter(second, nullptr));
  EXPECT_EQ(use_a_.flows, 0u);
}

TEST_F(AdmissionMeters, AFlowThatLivesIsNotTurnedAwayForWantOfAPlace) {
  Metered first;
  Metered second;
  EXPECT_TRUE(admission_.move_to_meter(first, &a_));
  EXPECT_TRUE(admission_.move_to_meter(second, &a_));
  EXPECT_EQ(use_a_.flows, 2u);
  EXPECT_TRUE(admission_.move_to_meter(first, nullptr));
  EXPECT_EQ(use_a_.flows, 1u);
}

TEST_F(AdmissionMeters, NothingIsLeftOfAQuotaForOneThatLives) {
  Meter narrow(use_a_, {.to_host = {.bytes = 5}}, nullptr);
  narrow.to_host().settle(0, 5, Instant{});
  Metered flow;
  EXPECT_FALSE(admission_.move_to_meter(flow, &narrow));
  EXPECT_EQ(use_a_.flows, 1u) << "it counts until it has ended";
}

}  // namespace
}  // namespace sluice::flow
