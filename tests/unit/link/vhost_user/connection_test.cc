// Messages over a pair of sockets, in whatever pieces they come.
#include "link/vhost_user/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <span>

#include "unit/link/vhost_user/front_end.h"

namespace sluice::link {
namespace {

class VhostConnectionTest : public ::testing::Test {
 protected:
  VhostConnectionTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    front_end = UniqueFd(ends[1]);
    connection.emplace(sys::KernelFd(sys::real_kernel(), ends[0]));
  }
  // Emits a request into bytes().
  ByteView emit(VhostRequest request, const VhostPayload& payload = {}) {
    const std::size_t size =
        emit_vhost_message({request, false, payload}, VhostKind::kRequest, buffer);
    return ByteView(buffer).first(size);
  }
  void send(ByteView bytes, std::size_t descriptors = 0) const {
    iovec part{.iov_base = const_cast<std::uint8_t*>(bytes.data()), .iov_len = bytes.size()};
    const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
    const std::vector<int> fds(descriptors, file.get());
    alignas(cmsghdr) std::array<std::uint8_t, 512> control{};
    sys::ControlWriter writer(control);
    writer.add_descriptors(fds);
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    writer.attach_to(message);
    ASSERT_EQ(::sendmsg(front_end.get(), &message, 0), static_cast<ssize_t>(bytes.size()));
  }

  UniqueFd front_end;
  std::optional<VhostConnection> connection;
  std::array<std::uint8_t, kVhostMessageMax> buffer{};
};

TEST_F(VhostConnectionTest, AMessageComesByteByByte) {
  const ByteView whole = emit(VhostRequest::kSetFeatures, VhostNumber{7});
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    send(whole.subspan(i, 1));
    const auto nothing = connection->receive();
    ASSERT_TRUE(nothing);
    ASSERT_FALSE(*nothing);
  }
  send(whole.last(1));
  const auto received = connection->receive();
  ASSERT_TRUE(received && *received);
  EXPECT_EQ((*received)->message.payload, VhostPayload(VhostNumber{7}));
  EXPECT_FALSE(*connection->receive());
}

TEST_F(VhostConnectionTest, DescriptorsAreThoseOfTheirMessage) {
  send(emit(VhostRequest::kSetOwner));
  send(emit(VhostRequest::kSetVringKick, VhostVringFd{0, true}), 1);
  send(emit(VhostRequest::kSetOwner));
  VhostTable table{.count = 3};
  send(emit(VhostRequest::kSetMemTable, table), 3);
  for (const std::size_t wanted : {0U, 1U, 0U, 3U}) {
    const auto received = connection->receive();
    ASSERT_TRUE(received && *received);
    EXPECT_EQ((*received)->descriptors.size(), wanted);
  }
}

TEST_F(VhostConnectionTest, TheirNumberIsBounded) {
  send(emit(VhostRequest::kSetMemTable, VhostTable{.count = 8}), 9);
  EXPECT_FALSE(connection->receive());
}

TEST_F(VhostConnectionTest, TheyAreBoundedOverThePartsOfAMessage) {
  const ByteView whole = emit(VhostRequest::kSetMemTable, VhostTable{.count = 8});
  send(whole.first(12), 5);
  send(whole.subspan(12), 5);
  EXPECT_FALSE(connection->receive());
}

TEST_F(VhostConnectionTest, WhatIsNoMessageIsTold) {
  std::array<std::uint8_t, 12> zeros{};
  send(zeros);
  const auto received = connection->receive();
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error(), "a message: another version than 1");
}

TEST_F(VhostConnectionTest, AnEndBetweenMessagesIsNoFault) {
  front_end.reset();
  EXPECT_EQ(connection->receive().error(), "");
}

TEST_F(VhostConnectionTest, AnEndWithinOneIs) {
  send(emit(VhostRequest::kSetOwner).first(5));
  front_end.reset();
  EXPECT_EQ(connection->receive().error(), "it went away within a message");
}

TEST_F(VhostConnectionTest, AnswersThatNobodyTakesAreNotKept) {
  std::size_t sent = 0;
  while (connection->send({VhostRequest::kGetFeatures, false, VhostNumber{1}}) &&
         sent < 1'000'000) {
    ++sent;
  }
  EXPECT_GT(sent, 0U);
  EXPECT_LT(sent, 1'000'000U);
}

TEST_F(VhostConnectionTest, ADescriptorGoesAlongWithAnAnswer) {
  const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(connection->send({VhostRequest::kGetInflightFd, false, VhostInflight{}}, file));
  const test::AnswerBytes answer = test::receive_answer(front_end.get());
  EXPECT_EQ(answer.bytes.size(), kVhostHeaderSize + 24U);
  EXPECT_EQ(answer.descriptors.size(), 1U);
  EXPECT_TRUE(file.valid()) << "it is ours still";
}

}  // namespace
}  // namespace sluice::link
