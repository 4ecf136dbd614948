#include "box/fs/vhost_front_end.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/unique_fd.h"
#include "sys/control_message.h"

namespace sluice::box {
namespace {

using link::VhostRequest;

// Answers are there before they are asked for, so that nobody has to be a back-end meanwhile.
class VhostFrontEndTest : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    auto made = VhostFrontEnd::over(sys::KernelFd(sys::real_kernel(), ends[0]));
    ASSERT_TRUE(made.has_value());
    front_end_.emplace(std::move(*made));
    back_end_.reset(ends[1]);
  }
  void answer(VhostRequest request, std::uint64_t value, std::uint32_t flags = 5,
              std::uint32_t size = 8) {
    const std::array<std::uint32_t, 3> head = {static_cast<std::uint32_t>(request), flags, size};
    ASSERT_EQ(::write(back_end_.get(), head.data(), sizeof head), 12);
    ASSERT_EQ(::write(back_end_.get(), &value, sizeof value), 8);
  }
  struct Came {
    std::vector<std::uint8_t> bytes;
    std::vector<UniqueFd> descriptors;
  };
  Came read_all() {
    Came came;
    came.bytes.resize(4096);
    iovec part{.iov_base = came.bytes.data(), .iov_len = came.bytes.size()};
    alignas(cmsghdr) std::array<std::uint8_t, 256> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(back_end_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    came.bytes.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    came.descriptors = sys::take_descriptors(message);
    return came;
  }
  static std::uint32_t word(const Came& came, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, came.bytes.data() + at, sizeof value);
    return value;
  }

  std::optional<VhostFrontEnd> front_end_;
  UniqueFd back_end_;
};

TEST_F(VhostFrontEndTest, GetsANumber) {
  answer(VhostRequest::kGetFeatures, 0x1'4000'0000);
  EXPECT_EQ(front_end_->get(VhostRequest::kGetFeatures), 0x1'4000'0000U);
  const Came came = read_all();
  EXPECT_EQ(came.bytes.size(), 12U);
  EXPECT_EQ(word(came, 0), 1U);
  EXPECT_EQ(word(came, 4), 1U);
}

TEST_F(VhostFrontEndTest, SendsDescriptorsAlong) {
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::array fds = {null.get(), null.get()};
  link::VhostTable table;
  table.count = 2;
  ASSERT_TRUE(front_end_->send_and_hear(VhostRequest::kSetMemTable, table, fds).has_value());
  const Came came = read_all();
  EXPECT_EQ(came.bytes.size(), 12U + 8 + 2 * 32);
  EXPECT_EQ(came.descriptors.size(), 2U);
  EXPECT_EQ(word(came, 4), 1U);
}

TEST_F(VhostFrontEndTest, WhereThereAreWordsTheyAreHeard) {
  front_end_->expect_words();
  answer(VhostRequest::kSetVringNum, 0);
  const link::VhostVringState state{0, 128};
  EXPECT_TRUE(front_end_->send_and_hear(VhostRequest::kSetVringNum, state).has_value());
  EXPECT_EQ(word(read_all(), 4), 1U | 8U);
  answer(VhostRequest::kSetVringNum, 1);
  const auto refused = front_end_->send_and_hear(VhostRequest::kSetVringNum, state);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().find("SET_VRING_NUM"), std::string::npos);
}

TEST_F(VhostFrontEndTest, ARingThatStopsTellsItsBase) {
  answer(VhostRequest::kGetVringBase, (std::uint64_t{77} << 32) | 1);
  EXPECT_EQ(front_end_->get_vring_base(1), 77U);
  answer(VhostRequest::kGetVringBase, (std::uint64_t{77} << 32) | 1);
  EXPECT_FALSE(front_end_->get_vring_base(0).has_value());
}

TEST_F(VhostFrontEndTest, AnAnswerOfNonsenseIsAnError) {
  answer(VhostRequest::kGetProtocolFeatures, 0);
  EXPECT_FALSE(front_end_->get(VhostRequest::kGetFeatures).has_value());
  answer(VhostRequest::kGetFeatures, 0, 1);
  EXPECT_FALSE(front_end_->get(VhostRequest::kGetFeatures).has_value());
  answer(VhostRequest::kGetFeatures, 0, 6);
  EXPECT_FALSE(front_end_->get(VhostRequest::kGetFeatures).has_value());
  answer(VhostRequest::kGetFeatures, 0, 5, 16);
  EXPECT_FALSE(front_end_->get(VhostRequest::kGetFeatures).has_value());
}

TEST_F(VhostFrontEndTest, OneThatWentAwayIsAnError) {
  back_end_.reset();
  const auto number = front_end_->get(VhostRequest::kGetFeatures);
  ASSERT_FALSE(number.has_value());
  EXPECT_NE(number.error().find("went away"), std::string::npos);
}

}  // namespace
}  // namespace sluice::box
