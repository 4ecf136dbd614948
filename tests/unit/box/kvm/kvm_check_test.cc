#include "box/kvm/kvm_check.h"

#include <gtest/gtest.h>

#include "unit/box/fake_kvm.h"

namespace sluice::box {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// A KVM whose clock stands still but for the rounds of the check.
class Check : public ::testing::Test {
 protected:
  // Each round takes the next of `rounds`, the last one for ever.
  std::string refusal(std::vector<Duration> rounds) {
    kvm_.runs[0] = [this, rounds, next = std::size_t{0}](kvm_run& run) mutable {
      now_ += rounds[std::min(next++, rounds.size() - 1)];
      ++rounds_;
      return FakeKvm::port_write(0xf4, 0)(run);
    };
    const auto fit = check_kvm(kvm_, [this] { return now_; });
    return fit ? "" : fit.error().describe();
  }

  FakeKvm kvm_;
  Instant now_{};
  int rounds_ = 0;
};

TEST_F(Check, AProcessorThatRunsTheGuestIsFit) {
  EXPECT_EQ(refusal({microseconds(20)}), "");
  EXPECT_EQ(rounds_, 1);
}

TEST_F(Check, ABusyMachineIsFitIfOneRoundIsQuick) {
  EXPECT_EQ(refusal({milliseconds(50), milliseconds(30), microseconds(90)}), "");
  EXPECT_EQ(rounds_, 3);
}

TEST_F(Check, AKvmThatInterpretsIsRefusedWithCauseAndMend) {
  EXPECT_EQ(refusal({milliseconds(30)}),
            "/dev/kvm: this machine's KVM interprets the kernel of a guest instead of running it "
            "(750 ns an instruction), so that Linux would take minutes to boot; use a machine with "
            "VT-x or AMD-V, or one whose host has nested virtualisation switched on; `sluice run` "
            "needs no KVM");
  EXPECT_EQ(rounds_, kCheckRuns);
}

TEST_F(Check, ATrialThatFailsIsToldInWords) {
  kvm_.runs[0] = FakeKvm::exit(KVM_EXIT_SHUTDOWN);
  const auto fit = check_kvm(kvm_, [this] { return now_; });
  ASSERT_FALSE(fit);
  EXPECT_EQ(fit.error().describe(),
            "/dev/kvm: a trial of it failed: the guest's processor stopped with a triple fault");
}

TEST_F(Check, WithoutKvmItSaysSo) {
  kvm_.open_error = ENOENT;
  const auto fit = check_kvm(kvm_, [this] { return now_; });
  ASSERT_FALSE(fit);
  EXPECT_EQ(fit.error().error, ENOENT);
}

// Whatever this machine has, the check comes to an end, and a refusal has its mend.
TEST(CheckOfThisMachine, FitsOrSaysWhatToDo) {
  const auto fit = check_kvm();
  if (fit) GTEST_SKIP() << "KVM runs guests here";
  EXPECT_FALSE(fit.error().hint.empty()) << fit.error().describe();
}

}  // namespace
}  // namespace sluice::box
