#include "sys/unix_address.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace sluice::sys
