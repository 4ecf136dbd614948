#include "driver/worker_thread.h"

#include <gtest/gtest.h>

#include <thread>

#include "unit/driver/group_rig.h"

namespace sluice::driver {
namespace {

class WorkerThreadTest : public ::testing::Test {
 protected:
  WorkerThreadTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    guest = UniqueFd(ends[1]);
    WorkerOptions options;
    options.link = std::make_unique<PairLink>(UniqueFd(ends[0]));
    options.resolvers = resolv::ResolverConfig::of({});
    options.member.emplace(*group, 1);
    options.engine.share = options.member->share();
    thread = std::move(*WorkerThread::create(sys::real_kernel(), std::move(options)));
    EXPECT_TRUE(thread->worker().begin().has_value());
  }
  static std::expected<void, sys::SetupError> confined() { return {}; }

  flow::FrameOwner owner{flow::GuestNetwork(), 2, {51, 52}};
  std::unique_ptr<Group> group =
      std::move(*Group::create(sys::real_kernel(), owner, policy::GuestLimits({}, 0), SipKey{}));
  UniqueFd guest;
  std::unique_ptr<WorkerThread> thread;
};

TEST_F(WorkerThreadTest, CallsAreMadeInItsThread) {
  ASSERT_TRUE(thread->start(confined).has_value());
  thread->go();
  std::thread::id where;
  thread->ask([&](Worker&, Outside&) { where = std::this_thread::get_id(); });
  thread->await();
  EXPECT_NE(where, std::thread::id());
  EXPECT_NE(where, std::this_thread::get_id());
  thread->stop();
  thread->ask([&](Worker&, Outside&) { where = std::this_thread::get_id(); });
  thread->await();
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST_F(WorkerThreadTest, WhereItCannotBeConfinedItDoesNotServe) {
  const auto started =
      thread->start([] { return std::unexpected(sys::SetupError{"confine it", EPERM, ""}); });
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().error, EPERM);
}

TEST_F(WorkerThreadTest, NothingIsReadUntilAllAreConfined) {
  ASSERT_TRUE(thread->start(confined).has_value());
  const flow::GuestNetwork network;
  const auto arp = flow::test::arp_request(network, network.gateway_v4);
  ASSERT_GT(::send(guest.get(), arp.data(), arp.size(), 0), 0);
  EXPECT_TRUE(group->inbox(0).has_room());
  pollfd item{.fd = group->inbox(0).fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&item, 1, 50), 0);
  thread->go();
  EXPECT_EQ(::poll(&item, 1, GroupRig::kPatience), 1) << "it passes it on to the first";
}

TEST_F(WorkerThreadTest, ItEndsInEveryState) { thread.reset(); }

TEST_F(WorkerThreadTest, ItsLinksEndIsToldToTheFirst) {
  ASSERT_TRUE(thread->start(confined).has_value());
  thread->go();
  guest.reset();
  pollfd item{.fd = group->inbox(0).fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&item, 1, GroupRig::kPatience), 1);
  Inbox::Mail mail;
  group->inbox(0).take(mail);
  ASSERT_EQ(mail.posts.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<LinkGone>(mail.posts[0]));
}

}  // namespace
}  // namespace sluice::driver
