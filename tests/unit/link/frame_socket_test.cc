#include "link/frame_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <array>
#include <filesystem>

#include "base/unique_fd.h"

namespace sluice::link {
namespace {

using Kind = FrameSocketKind;

class FrameSocketTest : public ::testing::Test {
 protected:
  FrameSocketTest() {
    char pattern[] = "/tmp/sluice-frames-XXXXXX";
    folder = ::mkdtemp(pattern);
  }
  ~FrameSocketTest() override { std::filesystem::remove_all(folder); }

  sys::Kernel& kernel = sys::real_kernel();
  std::string folder;
};

TEST_F(FrameSocketTest, EachKindIsOpenedUnderItsPathAndKnownAgain) {
  for (const Kind kind : {Kind::kStream, Kind::kSeqpacket, Kind::kDatagram}) {
    const std::string path = folder + "/" + std::to_string(static_cast<int>(kind));
    const auto opened = open_frame_socket(kernel, kind, path);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(opened->listens, kind != Kind::kDatagram);
    EXPECT_FALSE(opened->connected);
    const auto taken = take_frame_socket(kernel, ::dup(opened->socket.get()));
    ASSERT_TRUE(taken.has_value());
    EXPECT_EQ(taken->kind, kind);
    EXPECT_EQ(taken->listens, opened->listens);
    EXPECT_FALSE(taken->connected);
  }
}

TEST_F(FrameSocketTest, APathThatCannotBeIsRefusedWithItsMend) {
  const auto no_folder = open_frame_socket(kernel, Kind::kStream, folder + "/none/x");
  ASSERT_FALSE(no_folder.has_value());
  EXPECT_EQ(no_folder.error().error, ENOENT);
  EXPECT_NE(no_folder.error().describe().find("make it first"), std::string::npos);
  const auto first = open_frame_socket(kernel, Kind::kStream, folder + "/x");
  const auto second = open_frame_socket(kernel, Kind::kStream, folder + "/x");
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().describe().find("choose another"), std::string::npos);
}

TEST_F(FrameSocketTest, ConnectedOnesAreTakenAndNoneBlocks) {
  for (const int type : {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, type, 0, ends.data()), 0);
    const UniqueFd other(ends[1]);
    const auto taken = take_frame_socket(kernel, ends[0]);
    ASSERT_TRUE(taken.has_value());
    EXPECT_TRUE(taken->connected);
    EXPECT_FALSE(taken->listens);
    EXPECT_NE(::fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(ends[0], F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(FrameSocketTest, WhatCannotCarryFramesIsRefused) {
  const auto closed = take_frame_socket(kernel, 9999);
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(closed.error().error, EBADF);
  const auto file = take_frame_socket(kernel, ::open("/dev/null", O_RDWR));
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().error, ENOTSOCK);
  const auto idle = take_frame_socket(kernel, ::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_FALSE(idle.has_value());
  EXPECT_EQ(idle.error().error, ENOTCONN);
}

}  // namespace
}  // namespace sluice::link
