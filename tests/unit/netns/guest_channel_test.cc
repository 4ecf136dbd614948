#include "netns/guest_channel.h"

#include <gtest/gtest.h>

#include "unit/sys/loopback.h"

namespace sluice::netns {
namespace {

TEST(GuestChannel, EveryMessageArrivesAsSent) {
  auto [ours, theirs] = std::move(GuestChannel::pair().value());
  ASSERT_TRUE(theirs.send(GuestWarning{{"step", EACCES, "hint"}}).has_value());
  ASSERT_TRUE(theirs.send(GuestFailed{{std::string(5000, 'x'), ENOENT, ""}}).has_value());
  ASSERT_TRUE(theirs.send(GuestStopped{SIGTSTP}).has_value());
  ASSERT_TRUE(theirs.send(GuestGo{}).has_value());

  const auto warning = std::get<GuestWarning>(ours.receive().value());
  EXPECT_EQ(warning.error.describe(), "step: Permission denied; hint");
  const auto failed = std::get<GuestFailed>(ours.receive().value());
  EXPECT_EQ(failed.error.error, ENOENT);
  EXPECT_GT(failed.error.step.size(), 100U);  // Cut, not lost.
  EXPECT_EQ(std::get<GuestStopped>(ours.receive().value()).signal, SIGTSTP);
  EXPECT_TRUE(std::holds_alternative<GuestGo>(ours.receive().value()));

  EXPECT_FALSE(ours.readable());
  theirs.close();
  EXPECT_TRUE(ours.readable());
  EXPECT_TRUE(std::holds_alternative<GuestHungUp>(ours.receive().value()));
}

TEST(GuestChannel, DescriptorsTravel) {
  auto [ours, theirs] = std::move(GuestChannel::pair().value());
  OpenedLink link;
  link.cookie = ~std::uint64_t{0};
  for (std::size_t i = 0; i < kMaxLinkDescriptors; ++i) {
    link.descriptors.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  ASSERT_TRUE(theirs.send(std::move(link)).has_value());
  const auto got = std::get<OpenedLink>(ours.receive().value());
  EXPECT_EQ(got.cookie, ~std::uint64_t{0});
  ASSERT_EQ(got.descriptors.size(), kMaxLinkDescriptors);
  for (const UniqueFd& fd : got.descriptors) EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(GuestChannel, TheSocketOfDiagnosticsTravels) {
  auto [ours, theirs] = std::move(GuestChannel::pair().value());
  OpenedDiagnostics diagnostics{UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))};
  ASSERT_TRUE(theirs.send(std::move(diagnostics)).has_value());
  EXPECT_TRUE(std::get<OpenedDiagnostics>(ours.receive().value()).socket.valid());
  ASSERT_TRUE(theirs.send(OpenedDiagnostics{}).has_value());
  EXPECT_FALSE(std::get<OpenedDiagnostics>(ours.receive().value()).socket.valid());
}

}  // namespace
}  // namespace sluice::netns
