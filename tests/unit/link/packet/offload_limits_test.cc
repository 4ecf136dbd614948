#include "link/packet/offload_limits.h"

#include <gtest/gtest.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include <optional>

#include "unit/sys/loopback.h"

namespace sluice::link {
namespace {

// Whether the loopback has a feature that is known by its old name, too.
std::optional<bool> loopback_has(std::uint32_t question) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value value{.cmd = question, .data = 0};
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return std::nullopt;
  return value.data != 0;
}

TEST(LimitOffloads, SegmentsOfTcpAreLeftToUs) {
  const int status = sys::in_network_namespace([] {
    if (loopback_has(ETHTOOL_GTSO) != true) return sys::kNotPermitted;
    if (!limit_offloads("lo", true) || !limit_offloads("lo", false)) return 1;
    return loopback_has(ETHTOOL_GTSO) == true && loopback_has(ETHTOOL_GTXCSUM) == true ? 0 : 2;
  });
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == sys::kNotPermitted) GTEST_SKIP() << "no namespace";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(LimitOffloads, AnInterfaceThatIsNotThereIsNamed) {
  const auto done = limit_offloads("nowhere0", true);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().step.find("nowhere0"), std::string::npos);
  EXPECT_EQ(done.error().error, ENODEV);
}

}  // namespace
}  // namespace sluice::link
