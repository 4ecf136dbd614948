#include "resolv/resolver_config.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace sluice::resolv {
namespace {

using namespace std::chrono_literals;

TEST(ResolverConfig, ReadsWhatTheLibraryReads) {
  const ResolvConf conf = parse_resolv_conf(
      "# nameserver 192.0.2.9\n"
      "nameserver 192.0.2.1\n"
      "nameserver\tfe80::53%eth0  \r\n"
      "nameserver bogus\n"
      "nameserver 2001:db8::1\n"
      "nameserver 192.0.2.4\n"
      "domain old.example\nsearch one.example two.example .\n"
      "options ndots:2 timeout:1\n"
      "options use-vc edns0 trust-ad");
  ASSERT_EQ(conf.resolvers.size(), 3u);
  EXPECT_EQ(conf.resolvers[0].endpoint, wire::parse_endpoint("192.0.2.1:53").value());
  EXPECT_EQ(conf.resolvers[0].interface, "");
  EXPECT_EQ(conf.resolvers[1].endpoint, wire::parse_endpoint("[fe80::53]:53").value());
  EXPECT_EQ(conf.resolvers[1].interface, "eth0");
  EXPECT_EQ(conf.resolvers[2].endpoint, wire::parse_endpoint("[2001:db8::1]:53").value());
  EXPECT_EQ(conf.endpoints().size(), 3u);
  EXPECT_EQ(conf.search, (std::vector<std::string>{"one.example", "two.example"}));
  EXPECT_EQ(conf.options,
            (std::vector<std::string>{"ndots:2", "timeout:1", "use-vc", "edns0", "trust-ad"}));
  EXPECT_TRUE(conf.use_vc());
  EXPECT_FALSE(parse_resolv_conf("options ndots:2\n").use_vc());
}

TEST(ResolverConfig, ChosenOnesStayWhateverTheFileSays) {
  const wire::Endpoint chosen = wire::parse_endpoint("192.0.2.53:53").value();
  ResolverConfig config = ResolverConfig::of({chosen});
  EXPECT_FALSE(config.refresh(Instant(10s)));
  EXPECT_EQ(config.current().endpoints(), std::vector{chosen});
}

TEST(ResolverConfig, InterfacesAreFoundByNameOrNumber) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "sluice_resolver_config_test";
  std::ofstream(path)
      << "nameserver fe80::1%lo\nnameserver fe80::2%7\nnameserver fe80::3%nosuch0\n";
  ResolverConfig config(path.string());
  const ResolvConf& conf = config.load();
  ASSERT_EQ(conf.resolvers.size(), 3u);
  EXPECT_EQ(conf.resolvers[0].scope_id, ::if_nametoindex("lo"));
  EXPECT_EQ(conf.resolvers[1].scope_id, 7u);
  EXPECT_EQ(conf.resolvers[2].scope_id, 0u);
  EXPECT_FALSE(config.refresh(Instant{10s}));
  std::filesystem::remove(path);
  std::ofstream(path) << "nameserver 192.0.2.1\n";
  EXPECT_FALSE(config.refresh(Instant{10s} + 500ms));  // At most once a second.
  EXPECT_TRUE(config.refresh(Instant{11s}));
  EXPECT_EQ(config.current().resolvers.size(), 1u);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace sluice::resolv
