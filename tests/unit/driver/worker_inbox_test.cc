// A worker of a group over a kernel of the test's: what it takes from others and leaves to them.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "driver/group/group.h"
#include "unit/driver/worker_rig.h"

namespace sluice::driver {
namespace {

using flow::test::Bytes;
using flow::test::endpoint;

class WorkerInboxTest : public ::testing::Test, protected WorkerRig {
 protected:
  static constexpr std::uint32_t kOther = 1;

  WorkerInboxTest() { start_as(0); }
  ~WorkerInboxTest() override { worker.reset(); }  // Before the group.
  // The worker is the group's first, or the other one.
  void start_as(std::uint32_t place) { start_as(place, WorkerOptions()); }
  void start_as(std::uint32_t place, WorkerOptions options) {
    options.keep_report = true;
    options.member.emplace(*group, place);
    options.engine.share = options.member->share();
    options.engine.shared_limits = &group->limits();
    start(std::move(options));
  }
  [[nodiscard]] Bytes syn_of(std::uint32_t place) const {
    wire::Endpoint from{network.guest_v4, wire::Port{2000}};
    const wire::Endpoint remote = endpoint("198.51.100.7:80");
    while (owner.of_tcp(from.port, remote) != place) ++from.port.value;
    return flow::test::tcp_frame(
        network,
        {.guest = from, .remote = remote, .sequence = wire::SeqNum{999}, .flags = wire::kSyn});
  }
  [[nodiscard]] Inbox::Mail mail_of(std::uint32_t place) {
    Inbox::Mail mail;
    group->inbox(place).take(mail);
    return mail;
  }
  // A turn in which it finds something in its inbox.
  void look(std::uint32_t place = 0) { turn({{group->inbox(place).fd(), EPOLLIN}}); }
  [[nodiscard]] std::uint32_t link_events() { return kernel.watched.at(link->fds[0]).events; }

  flow::FrameOwner owner{flow::GuestNetwork(), 2, {41, 42}};
  std::unique_ptr<Group> group =
      std::move(*Group::create(kernel, owner, policy::GuestLimits({}, 0), SipKey{}));
};

TEST_F(WorkerInboxTest, FramesOfOthersGoToThem) {
  feed({syn_of(0), syn_of(1), syn_of(1)});
  EXPECT_EQ(kernel.count("connect"), 1U);
  const Inbox::Mail mail = mail_of(kOther);
  ASSERT_EQ(mail.posts.size(), 1U);
  EXPECT_EQ(std::get<Parcel>(mail.posts[0]).size(), 2U);
}

TEST_F(WorkerInboxTest, FramesFromOthersAreAsIfTheyHadComeByTheLink) {
  Parcel parcel;
  parcel.add({syn_of(0), {}});
  ASSERT_TRUE(group->inbox(0).post(parcel, kOther));
  look();
  EXPECT_EQ(kernel.count("connect"), 1U);
  EXPECT_TRUE(mail_of(kOther).posts.empty());
}

TEST_F(WorkerInboxTest, QuestionsFromOthersFindTheResolversOfNow) {
  std::string path = "/tmp/sluice-resolv-XXXXXX";
  const UniqueFd file(::mkstemp(path.data()));
  constexpr std::string_view kText = "nameserver 192.0.2.53\n";
  ASSERT_EQ(::write(file.get(), kText.data(), kText.size()), static_cast<ssize_t>(kText.size()));
  WorkerOptions options;
  options.resolvers = resolv::ResolverConfig(path);
  start_as(0, std::move(options));
  pass(std::chrono::seconds(10));
  Bytes question{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 0, 1, 0, 1};
  Parcel parcel;
  parcel.add({flow::test::udp_frame(network, {network.guest_v4, wire::Port{4000}},
                                    {network.dns_v4, wire::Port{53}}, question),
              {}});
  ASSERT_TRUE(group->inbox(0).post(parcel, kOther));
  look();
  EXPECT_TRUE(link->written.empty()) << "it was answered without being asked";
  ASSERT_EQ(kernel.sent.size(), 1U);
  EXPECT_EQ(kernel.sent[0].size(), question.size());
  ::unlink(path.c_str());
}

TEST_F(WorkerInboxTest, WhereAnotherHasNoRoomTheLinkIsNotRead) {
  group->inbox(kOther).post(LinkGone{}, Inbox::kBytesMax);
  feed({syn_of(0), syn_of(1)});
  EXPECT_EQ(kernel.count("connect"), 1U) << "what is its own goes on";
  EXPECT_EQ(link_events(), 0U);
  const std::size_t reads = link->depths.size();
  turn({{link->fds[0], EPOLLIN}});
  EXPECT_EQ(link->depths.size(), reads);
  // The other one has taken all, and wakes it.
  EXPECT_EQ(mail_of(kOther).waiting, std::vector<std::uint32_t>{0});
  look();
  EXPECT_EQ(link_events(), EPOLLIN);
  EXPECT_EQ(mail_of(kOther).posts.size(), 1U);
  feed({});
  EXPECT_GT(link->depths.size(), reads);
}

TEST_F(WorkerInboxTest, WhatItLearnsOfTheGuestIsTold) {
  network.guest_mac = {{2, 0, 0, 0, 0, 0x66}};
  feed({flow::test::arp_request(network, network.gateway_v4)});
  EXPECT_EQ(mail_of(kOther).guest->mac, network.guest_mac);
  feed({flow::test::arp_request(network, network.gateway_v4)});
  EXPECT_EQ(mail_of(kOther).guest, std::nullopt);
}

TEST_F(WorkerInboxTest, WhatOthersSayOfTheHostHolds) {
  start_as(kOther);
  HostNews news;
  news.addresses = {flow::test::ip("198.51.100.7")};
  group->inbox(kOther).tell(news);
  look(kOther);
  feed({syn_of(kOther)});
  EXPECT_EQ(kernel.count("connect"), 0U);
  EXPECT_EQ(drops(flow::DropReason::kHostAddress), 1U);
}

TEST_F(WorkerInboxTest, FlowsThatEndAreReportedByTheFirst) {
  start_as(kOther);
  feed({syn_of(kOther)});
  (void)worker->finish();
  Inbox::Mail mail = mail_of(0);
  ASSERT_EQ(mail.posts.size(), 1U);
  ASSERT_EQ(std::get<FlowsEnded>(mail.posts[0]).flows.size(), 1U);
  start_as(0);
  group->inbox(0).post(std::move(mail.posts[0]), 0);
  look();
  EXPECT_EQ(worker->snapshot().report->rows(), 1U);
}

TEST_F(WorkerInboxTest, CallsAreMadeBetweenEvents) {
  int calls = 0;
  group->inbox(0).post(WorkerCall{[&](Worker& one, Outside&) {
                         EXPECT_EQ(&one, &*worker);
                         ++calls;
                       }},
                       0);
  group->inbox(0).post(LinkGone{}, 0);
  look();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(links_gone, 1);
}

TEST_F(WorkerInboxTest, AClientOfAPublishedPortBecomesAFlow) {
  wire::Endpoint peer = endpoint("192.0.2.9:5000");
  const wire::Endpoint guest{network.guest_v4, wire::Port{80}};
  while (owner.of_tcp(guest.port, peer) != 0) ++peer.port.value;
  auto socket = host::TcpSocket::open(kernel, wire::IpFamily::kV4);
  ASSERT_TRUE(socket.has_value());
  group->inbox(0).post(ClientAccepted{peer, guest, std::move(*socket)}, 0);
  look();
  ASSERT_EQ(link->written.size(), 1U);
  EXPECT_TRUE(frame(0).tcp().flags().syn());
  EXPECT_EQ(frame(0).tcp().destination_port(), guest.port);
}

}  // namespace
}  // namespace sluice::driver
