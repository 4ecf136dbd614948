#include "sys/unix_socket.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::sys {
namespace {

constexpr std::size_t kPathAt = offsetof(sockaddr_un, sun_path);

sockaddr_un name_of(const SocketAddress& address) {
  sockaddr_un name{};
  std::memcpy(&name, &address.storage, sizeof name);
  return name;
}

TEST(UnixAddress, APathEndsWithAZeroByte) {
  const auto address = unix_sockaddr("/run/x.sock");
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->length, kPathAt + sizeof "/run/x.sock");
  EXPECT_EQ(address->get()->sa_family, AF_UNIX);
  EXPECT_STREQ(name_of(*address).sun_path, "/run/x.sock");
}

TEST(UnixAddress, AnAbstractNameHasItsLengthOnly) {
  const auto address = unix_sockaddr("@x.sock");
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->length, kPathAt + 7);
  EXPECT_EQ(std::string_view(name_of(*address).sun_path, 7), std::string_view("\0x.sock", 7));
}

TEST(UnixAddress, AtMost107Bytes) {
  EXPECT_TRUE(unix_sockaddr(std::string(107, 'x')).has_value());
  EXPECT_TRUE(unix_sockaddr("@" + std::string(106, 'x')).has_value());
  EXPECT_FALSE(unix_sockaddr(std::string(108, 'x')).has_value());
  EXPECT_FALSE(unix_sockaddr("@" + std::string(107, 'x')).has_value());
  EXPECT_FALSE(unix_sockaddr("").has_value());
}

class UnixSocketTest : public ::testing::TestWithParam<int> {
 protected:
  UnixSocketTest() {
    char pattern[] = "/tmp/sluice-unix-XXXXXX";
    folder = ::mkdtemp(pattern);
    path = folder + "/s.sock";
  }
  ~UnixSocketTest() override { std::filesystem::remove_all(folder); }
  [[nodiscard]] std::expected<KernelFd, SysError> bind(mode_t mode = 0600) {
    return bind_unix(real_kernel(), GetParam(), path, mode);
  }

  std::string folder;
  std::string path;
};

INSTANTIATE_TEST_SUITE_P(Types, UnixSocketTest,
                         ::testing::Values(SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM));

TEST_P(UnixSocketTest, ItsFileHasTheModeThatWasAskedFor) {
  const auto socket = bind();
  ASSERT_TRUE(socket.has_value());
  struct stat status{};
  ASSERT_EQ(::lstat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_P(UnixSocketTest, AFileWhoseOwnerIsGoneIsReplacedAndNoOther) {
  ASSERT_TRUE(bind().has_value());  // Closed at once; its file stays.
  ASSERT_TRUE(std::filesystem::exists(path));
  const auto owner = bind();
  ASSERT_TRUE(owner.has_value());
  if (GetParam() != SOCK_DGRAM) {
    ASSERT_EQ(::listen(owner->get(), 1), 0);
  }
  const auto other = bind();
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().error, EADDRINUSE);
}

TEST_P(UnixSocketTest, AFileThatIsNoSocketStays) {
  std::ofstream(path) << "text";
  const auto socket = bind();
  ASSERT_FALSE(socket.has_value());
  EXPECT_EQ(socket.error().error, EADDRINUSE);
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

TEST_P(UnixSocketTest, ABoundPathIsRemovedWithItsOwnerIfItIsStillHis) {
  const auto socket = bind();
  {
    const BoundPath owner(path);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const auto second = bind();
  BoundPath owner(path);
  BoundPath moved(std::move(owner));
  // Another has put its own there. The first stays, so that its number is not used again.
  std::filesystem::rename(path, path + ".old");
  std::ofstream(path) << "another's";
  moved.remove();
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(BoundPath("@abstract").empty());
}

TEST(UnixSocket, APathThatIsTooLongIsToldAsSuch) {
  const auto socket = bind_unix(real_kernel(), SOCK_STREAM, std::string(108, 'x'), 0600);
  ASSERT_FALSE(socket.has_value());
  EXPECT_EQ(socket.error().error, ENAMETOOLONG);
}

}  // namespace
}  // namespace sluice::sys
